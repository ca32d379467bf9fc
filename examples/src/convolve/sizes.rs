//! Values of flags that hold one entry an axis.

use std::str::FromStr;

use conv_core::MAX_LEN;

use crate::Failure;
use crate::failure::expected;

/// `a,b`: one number an axis, or one for all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Numbers(Vec<usize>);

/// `lo:hi,lo:hi`: one pair an axis, or one for all; a single number is both of its pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pairs(Vec<(usize, usize)>);

impl FromStr for Numbers {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.split(',').map(number).collect::<Result<_, _>>().map(Numbers)
    }
}

impl FromStr for Pairs {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let pair = |part: &str| {
            let (lo, hi) = part.split_once(':').unwrap_or((part, part));
            Ok((number(lo)?, number(hi)?))
        };
        text.split(',').map(pair).collect::<Result<_, String>>().map(Pairs)
    }
}

fn number(text: &str) -> Result<usize, String> {
    let number = text.trim().parse().ok().filter(|number| *number <= MAX_LEN);
    let found = || conv_core::shorten(text);
    number.ok_or_else(|| format!("expected whole numbers of at most {MAX_LEN}, found {:?}", found()))
}

impl Numbers {
    /// One number for each of `axes` axes.
    pub(super) fn per_axis(&self, flag: &str, axes: usize) -> Result<Vec<usize>, Failure> {
        per_axis(flag, &self.0, axes)
    }
}

impl Pairs {
    /// One pair for each of `axes` axes.
    pub(super) fn per_axis(&self, flag: &str, axes: usize) -> Result<Vec<(usize, usize)>, Failure> {
        per_axis(flag, &self.0, axes)
    }
}

fn per_axis<T: Copy>(flag: &str, values: &[T], axes: usize) -> Result<Vec<T>, Failure> {
    match values {
        [value] => Ok(vec![*value; axes]),
        values if values.len() == axes => Ok(values.to_vec()),
        values => Err(expected(flag, format!("1 or {axes} entries"), values.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_numbers_or_pairs() {
        assert_eq!("2,3".parse(), Ok(Numbers(vec![2, 3])));
        assert_eq!("2,3:4".parse(), Ok(Pairs(vec![(2, 2), (3, 4)])));
        for bad in ["", "a", "1,", "-1", "1:2:3", "1.5", "9999999999999", "1e3"] {
            assert!(bad.parse::<Pairs>().is_err(), "{bad}");
            assert!(bad.parse::<Numbers>().is_err(), "{bad}");
        }
    }

    #[test]
    fn one_entry_holds_for_every_axis() {
        assert_eq!(Numbers(vec![2]).per_axis("--stride", 3), Ok(vec![2, 2, 2]));
        let message = Numbers(vec![1, 2]).per_axis("--stride", 3).unwrap_err().to_string();
        assert_eq!(message, "--stride: expected 1 or 3 entries, found 2");
    }
}
