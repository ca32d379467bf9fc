//! The text form of problems: `n128 c96 o256 i32x32 k7x7 p3  # name`, as in `shapes/`.
//!
//! Fields: `n` batch, `c` in channels, `o` out channels, `i` input, `k` kernel, and where they differ from 1,
//! 0, 1 and 1: `s` stride, `p` padding, `d` dilation, `g` groups. Sizes are written `H`, `HxW` or `DxHxW`; a
//! single number after `s`, `p` or `d` holds for every axis; padding may be `lo:hi` per axis.

use std::fmt;
use std::str::FromStr;

use crate::{Axis, ConvProblem, ParseError};

impl fmt::Display for ConvProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n{} c{} o{}", self.batch(), self.in_channels(), self.out_channels())?;
        let axes = self.axes();
        write!(f, " i{} k{}", sizes(axes, |a| a.input), sizes(axes, |a| a.kernel))?;
        write_optional(f, 's', axes, |a| a.stride.to_string(), "1")?;
        write_optional(f, 'p', axes, |a| padding_text(a.padding), "0")?;
        write_optional(f, 'd', axes, |a| a.dilation.to_string(), "1")?;
        if self.groups() > 1 { write!(f, " g{}", self.groups()) } else { Ok(()) }
    }
}

fn sizes(axes: &[Axis], size: impl Fn(&Axis) -> usize) -> String {
    axes.iter().map(|a| size(a).to_string()).collect::<Vec<_>>().join("x")
}

fn padding_text((lo, hi): (usize, usize)) -> String {
    if lo == hi { lo.to_string() } else { format!("{lo}:{hi}") }
}

/// Writes the field unless every axis has the default, and once where all axes agree.
fn write_optional(
    f: &mut fmt::Formatter<'_>,
    field: char,
    axes: &[Axis],
    text: impl Fn(&Axis) -> String,
    default: &str,
) -> fmt::Result {
    let texts: Vec<String> = axes.iter().map(text).collect();
    match texts.iter().all(|t| *t == texts[0]) {
        true if texts[0] == default => Ok(()),
        true => write!(f, " {field}{}", texts[0]),
        false => write!(f, " {field}{}", texts.join("x")),
    }
}

impl FromStr for ConvProblem {
    type Err = ParseError;

    /// Reads one line; what follows `#` is ignored.
    fn from_str(line: &str) -> Result<Self, ParseError> {
        let fields = Fields::read(line)?;
        let input = sizes_of('i', fields.required('i')?)?;
        let rank = input.len();
        let kernel = sizes_of('k', fields.required('k')?)?;
        if kernel.len() != rank {
            return Err(ParseError::FieldAxes { field: 'k', expected: rank, found: kernel.len() });
        }
        let stride = per_axis('s', fields.get('s').unwrap_or("1"), rank, number)?;
        let padding = per_axis('p', fields.get('p').unwrap_or("0"), rank, pair)?;
        let dilation = per_axis('d', fields.get('d').unwrap_or("1"), rank, number)?;
        let axes: Vec<Axis> = (0..rank)
            .map(|a| Axis {
                input: input[a],
                kernel: kernel[a],
                stride: stride[a],
                padding: padding[a],
                dilation: dilation[a],
            })
            .collect();
        let count = |field| number(field, fields.required(field)?);
        let groups = number('g', fields.get('g').unwrap_or("1"))?;
        Ok(ConvProblem::new(count('n')?, count('c')?, count('o')?, groups, &axes)?)
    }
}

/// The fields of a line, each at most once.
struct Fields<'a>(Vec<(char, &'a str)>);

impl<'a> Fields<'a> {
    fn read(line: &'a str) -> Result<Self, ParseError> {
        let mut fields: Vec<(char, &str)> = Vec::new();
        for word in line.split('#').next().unwrap_or_default().split_whitespace() {
            let mut chars = word.chars();
            let field = chars.next().unwrap_or_default();
            if !"ncoikspdg".contains(field) {
                return Err(ParseError::UnknownField { word: shorten(word) });
            }
            if fields.iter().any(|(known, _)| *known == field) {
                return Err(ParseError::RepeatedField { field });
            }
            fields.push((field, chars.as_str()));
        }
        Ok(Fields(fields))
    }

    fn get(&self, field: char) -> Option<&'a str> {
        self.0.iter().find(|(known, _)| *known == field).map(|(_, text)| *text)
    }

    fn required(&self, field: char) -> Result<&'a str, ParseError> {
        self.get(field).ok_or(ParseError::MissingField { field })
    }
}

fn number(field: char, text: &str) -> Result<usize, ParseError> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let bad = || ParseError::BadNumber { field, text: shorten(text) };
    if digits { text.parse().map_err(|_| bad()) } else { Err(bad()) }
}

fn pair(field: char, text: &str) -> Result<(usize, usize), ParseError> {
    let (lo, hi) = text.split_once(':').unwrap_or((text, text));
    Ok((number(field, lo)?, number(field, hi)?))
}

fn sizes_of(field: char, text: &str) -> Result<Vec<usize>, ParseError> {
    text.split('x').map(|part| number(field, part)).collect()
}

/// One value an axis, or one for all of them.
fn per_axis<T: Clone>(
    field: char,
    text: &str,
    rank: usize,
    read: impl Fn(char, &str) -> Result<T, ParseError>,
) -> Result<Vec<T>, ParseError> {
    let values = text.split('x').map(|part| read(field, part)).collect::<Result<Vec<T>, _>>()?;
    match values.len() {
        1 => Ok(vec![values[0].clone(); rank]),
        found if found == rank => Ok(values),
        found => Err(ParseError::FieldAxes { field, expected: rank, found }),
    }
}

/// Input as it may stand in a message: its first 40 characters.
pub fn shorten(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into(),
    }
}

/// A line of a shape list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedProblem {
    /// The text after `#`, or the problem's own text where there is none.
    pub name: String,
    /// The problem.
    pub problem: ConvProblem,
}

/// Reads a shape list: one problem a line, empty lines and lines of comment passed over.
///
/// # Errors
/// [`ParseError::Line`] with the number of the first bad line.
pub fn parse_shapes(text: &str) -> Result<Vec<NamedProblem>, ParseError> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with('#'));
    lines
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(index, line)| {
            let at_line = |source| ParseError::Line { line: index + 1, source: Box::new(source) };
            let problem: ConvProblem = line.parse().map_err(at_line)?;
            let name = line.split_once('#').map(|(_, name)| name.trim()).filter(|name| !name.is_empty());
            Ok(NamedProblem { name: name.map_or_else(|| problem.to_string(), str::to_owned), problem })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<ConvProblem, ParseError> {
        line.parse()
    }

    #[test]
    fn every_shared_shape_reads_and_prints_back() {
        let lists = [
            include_str!("../../shapes/depthwise.txt"),
            include_str!("../../shapes/edge.txt"),
            include_str!("../../shapes/fbfft.txt"),
            include_str!("../../shapes/few.txt"),
            include_str!("../../shapes/functional.txt"),
            include_str!("../../shapes/growth.txt"),
            include_str!("../../shapes/large.txt"),
            include_str!("../../shapes/long1d.txt"),
            include_str!("../../shapes/networks.txt"),
            include_str!("../../shapes/paper.txt"),
            include_str!("../../shapes/report.txt"),
            include_str!("../../shapes/tiny.txt"),
            include_str!("../../shapes/volumes.txt"),
        ];
        let named: Vec<NamedProblem> = lists.iter().flat_map(|list| parse_shapes(list).unwrap()).collect();
        assert_eq!(named.len(), 291);
        for NamedProblem { name, problem } in named {
            assert_eq!(parse(&problem.to_string()), Ok(problem), "{name}");
        }
    }

    #[test]
    fn one_number_holds_for_every_axis_and_pairs_for_one() {
        let problem = parse("n1 c2 o4 i9x10 k3x2 s2 p1:2x0:1 d1 g2  # name").unwrap();
        assert_eq!(problem.axes()[0], Axis::new(9, 3).stride(2).padding(1, 2));
        assert_eq!(problem.axes()[1], Axis::new(10, 2).stride(2).padding(0, 1));
        assert_eq!(problem.to_string(), "n1 c2 o4 i9x10 k3x2 s2 p1:2x0:1 g2");
    }

    #[test]
    fn bad_lines_say_what_is_wrong() {
        let cases = [
            ("n1 c1 o1 i4", "field k is missing"),
            ("n1 c1 o1 i4 k2 z3", "unknown field \"z3\", expected one of n c o i k s p d g"),
            ("n1 c1 o1 i4 k2 n1", "field n stands twice"),
            ("n1 c1 o1 i4 kx", "field k: expected a whole number, found \"\""),
            ("n1 c1 o1 i4x4 k3", "field k: expected 2 sizes, found 1"),
            ("n1 c1 o1 i4x4 k3x3 s1x1x1", "field s: expected 2 sizes, found 3"),
            ("n-1 c1 o1 i4 k3", "field n: expected a whole number, found \"-1\""),
            ("n1 c1 o1 i4x4x4x4 k1x1x1x1", "expected 1 to 3 spatial axes, found 4"),
            ("n0 c1 o1 i4 k3", "batch must be at least 1, found 0"),
            ("n1 c1 o1 i4 k3 s0", "stride of axis 0 must be at least 1, found 0"),
            ("n1 c3 o4 i4 k3 g2", "groups 2 must divide in channels, found 3"),
            (
                "n1 c1 o1 i4 k3 p0:1 d3",
                "kernel of axis 0 does not fit: it spans 7 points (kernel 3, dilation 3), the padded input \
                 has 5 (input 4, padding 0:1)",
            ),
            (
                "n4000000000 c4000000000 o1 i4 k3",
                "input tensor is too large: expected at most 1099511627776 values",
            ),
            ("n99999999999999999999 c1 o1 i4 k3", "field n: expected a whole number"),
        ];
        for (line, message) in cases {
            let found = parse(line).unwrap_err().to_string();
            assert!(found.starts_with(message), "{line}: {found}");
        }
    }

    #[test]
    fn a_list_names_the_bad_line() {
        let found = parse_shapes("# comment\n\nn1 c1 o1 i4 k3\nn1 c1").unwrap_err().to_string();
        assert_eq!(found, "line 4: field i is missing");
    }
}
