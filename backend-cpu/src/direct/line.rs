//! Where the points of one axis of a made map meet the source, tap by tap: one form for forward and
//! backward-input.

use conv_core::{Axis, Pass};

/// A range that can be copied.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Span {
    /// What [`Span::join`] adds to.
    pub(super) const NONE: Span = Span { start: usize::MAX, end: 0 };

    #[inline(always)]
    pub(super) fn len(self) -> usize {
        self.end.saturating_sub(self.start)
    }

    #[inline(always)]
    pub(super) fn contains(self, index: usize) -> bool {
        self.start <= index && index < self.end
    }

    /// Whether all of the other is in this.
    #[inline(always)]
    pub(super) fn holds(self, other: Span) -> bool {
        self.start <= other.start && other.end <= self.end
    }

    /// What is in both.
    #[inline(always)]
    pub(super) fn meet(self, other: Span) -> Span {
        Span { start: self.start.max(other.start), end: self.end.min(other.end) }
    }

    /// The least span that holds both.
    #[inline(always)]
    pub(super) fn join(self, other: Span) -> Span {
        Span { start: self.start.min(other.start), end: self.end.max(other.end) }
    }
}

/// The targets of one residue class along an axis and the kernel points that reach them.
///
/// Target `i < count` is point `first + i step`. It meets kernel point `kernel + t kernel_step` at source point
/// `source + i per_target + t per_tap`, for the taps `t < taps` where that is inside `0..len`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    pub(super) first: usize,
    pub(super) step: usize,
    pub(super) count: usize,
    pub(super) taps: usize,
    pub(super) kernel: isize,
    pub(super) kernel_step: isize,
    pub(super) source: isize,
    pub(super) per_target: usize,
    pub(super) per_tap: usize,
    pub(super) len: usize,
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// `⌈a / b⌉`, at least 0.
#[inline(always)]
pub(super) fn ceil_div(a: isize, b: usize) -> usize {
    match (usize::try_from(a), b) {
        (Err(_), _) => 0,
        (Ok(a), 1) => a,
        (Ok(a), b) => a.div_ceil(b),
    }
}

impl Line {
    /// Residue classes of the targets: one forward, one a residue of the stride in backward-input.
    pub(super) fn classes(axis: &Axis, pass: Pass) -> usize {
        if pass == Pass::BackwardInput { axis.stride.min(axis.input) } else { 1 }
    }

    /// The class number `class` of the axis.
    pub(super) fn new(axis: &Axis, pass: Pass, class: usize) -> Self {
        if pass == Pass::BackwardInput { Line::to_input(axis, class) } else { Line::to_output(axis) }
    }

    fn to_output(axis: &Axis) -> Self {
        Line {
            first: 0,
            step: 1,
            count: axis.output(),
            taps: axis.kernel,
            kernel: 0,
            kernel_step: 1,
            source: -(axis.padding.0 as isize),
            per_target: axis.stride,
            per_tap: axis.dilation,
            len: axis.input,
        }
    }

    /// Input `u` meets kernel point `j` at output `(u + lo - j dilation) / stride` where the stride divides:
    /// every `stride / gcd`-th kernel point. Taps run from the last of them, so that sources ascend.
    fn to_input(axis: &Axis, class: usize) -> Self {
        let Axis { input, kernel, stride, padding: (lo, _), dilation } = *axis;
        let common = gcd(stride, dilation);
        let apart = stride / common;
        let meets = |j: &usize| (j * dilation) % stride == (class + lo) % stride;
        let first_point = (0..kernel.min(apart)).find(meets);
        let taps = first_point.map_or(0, |j| (kernel - j).div_ceil(apart));
        let last_point = first_point.unwrap_or(0) + taps.saturating_sub(1) * apart;
        let padded = (class + lo) as isize - (last_point * dilation) as isize;
        Line {
            first: class,
            step: stride,
            count: (input - class).div_ceil(stride),
            taps,
            kernel: last_point as isize,
            kernel_step: -(apart as isize),
            source: padded.div_euclid(stride as isize),
            per_target: 1,
            per_tap: dilation / common,
            len: axis.output(),
        }
    }

    /// Source point of target `i` at tap 0, inside the source or not.
    #[inline(always)]
    pub(super) fn source_of(&self, i: usize) -> isize {
        self.source + (i * self.per_target) as isize
    }

    /// Taps at which target `i` meets the source.
    #[inline(always)]
    pub(super) fn taps_of(&self, i: usize) -> Span {
        let at = self.source_of(i);
        let start = ceil_div(-at, self.per_tap).min(self.taps);
        let end = ceil_div(self.len as isize - at, self.per_tap).min(self.taps).max(start);
        Span { start, end }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Triples (output, kernel point, input) that meet along the axis.
    fn defined(axis: &Axis) -> Vec<[usize; 3]> {
        let points = (0..axis.output()).flat_map(|o| (0..axis.kernel).map(move |j| [o, j]));
        let met = points.filter_map(|[o, j]| {
            let u = (o * axis.stride + j * axis.dilation).checked_sub(axis.padding.0)?;
            (u < axis.input).then_some([o, j, u])
        });
        met.collect()
    }

    fn by_lines(axis: &Axis, pass: Pass) -> Vec<[usize; 3]> {
        let mut met = Vec::new();
        for line in (0..Line::classes(axis, pass)).map(|class| Line::new(axis, pass, class)) {
            for i in 0..line.count {
                let taps = line.taps_of(i);
                for t in taps.start..taps.end {
                    let kernel = (line.kernel + t as isize * line.kernel_step) as usize;
                    let source = (line.source_of(i) + (t * line.per_tap) as isize) as usize;
                    let target = line.first + i * line.step;
                    met.push(match pass {
                        Pass::BackwardInput => [source, kernel, target],
                        _ => [target, kernel, source],
                    });
                }
            }
        }
        met.sort_unstable();
        met
    }

    #[test]
    fn lines_are_the_definition() {
        for (stride, dilation) in (1..7).flat_map(|s| (1..7).map(move |d| (s, d))) {
            for padding in [(0, 0), (1, 2), (5, 0), (9, 9)] {
                for (input, kernel) in [(1, 1), (5, 3), (9, 4), (13, 2), (8, 7)] {
                    let axis = Axis { input, kernel, stride, padding, dilation };
                    if axis.output() == 0 {
                        continue;
                    }
                    for pass in [Pass::Forward, Pass::BackwardInput] {
                        assert_eq!(by_lines(&axis, pass), defined(&axis), "{pass} {axis:?}");
                    }
                }
            }
        }
    }
}
