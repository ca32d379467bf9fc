//! How a length is computed, as data: a list of radices or a library call.

use crate::arith::TWIDDLE_FLOPS;
use crate::codelets::{self, RADICES};
use crate::lengths::rest_after_small_primes;
use std::fmt;

/// How a one-dimensional complex transform is computed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Recipe {
    /// Passes of these radices, first pass first; empty for length 1.
    Radices(Vec<usize>),
    /// Lane by lane by `rustfft` (Rader or Bluestein), for a length with a prime factor above 7.
    Library(usize),
}

impl Recipe {
    /// The recipe of length `n`, for which 0 counts as 1.
    ///
    /// Of all products of radices that with the fewest passes, for each moves the whole line; of these the one whose
    /// greatest radix is least, for large butterflies do not fit the registers.
    pub fn new(n: usize) -> Recipe {
        let n = n.max(1);
        if rest_after_small_primes(n) != 1 {
            return Recipe::Library(n);
        }
        let passes = (0..).find_map(|passes| product_of(n, passes, usize::MAX));
        Recipe::Radices(passes.unwrap_or_default())
    }

    /// The length of the transform.
    pub fn length(&self) -> usize {
        match self {
            Recipe::Radices(radices) => radices.iter().product(),
            Recipe::Library(n) => *n,
        }
    }

    /// Real additions and multiplications of one transform, a fused multiply-add counted as two.
    ///
    /// Exact for radices: each pass of radix `R` does `n/R` butterflies and, with `s` the product of the radices
    /// before it, `(n/(R s) - 1) s (R - 1)` twiddle products.  By the convention
    /// `5 n log2 n`, rounded, for the library.
    pub fn flops(&self) -> u64 {
        match self {
            Recipe::Radices(radices) => radix_flops(radices),
            Recipe::Library(n) => (5.0 * *n as f64 * (*n as f64).log2()).round() as u64,
        }
    }
}

/// `passes` radices up to `greatest`, none greater than the one before, whose product is `n`.
fn product_of(n: usize, passes: usize, greatest: usize) -> Option<Vec<usize>> {
    if passes == 0 {
        return (n == 1).then(Vec::new);
    }
    RADICES.into_iter().filter(|&radix| radix <= greatest && n.is_multiple_of(radix)).find_map(|radix| {
        let rest = product_of(n / radix, passes - 1, radix)?;
        Some([vec![radix], rest].concat())
    })
}

/// Operations of all passes.
fn radix_flops(radices: &[usize]) -> u64 {
    let n: usize = radices.iter().product();
    let (mut total, mut before) = (0, 1);
    for &r in radices {
        let twiddles = (n / (r * before) - 1) * before * (r - 1);
        total += (n / r) as u64 * codelets::flops(r) + twiddles as u64 * TWIDDLE_FLOPS;
        before *= r;
    }
    total
}

/// `8x4x3` for radices, `1` for length 1, `library 101` for a library length.
impl fmt::Display for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Recipe::Radices(radices) if radices.is_empty() => f.write_str("1"),
            Recipe::Radices(radices) => {
                let names: Vec<_> = radices.iter().map(usize::to_string).collect();
                f.write_str(&names.join("x"))
            }
            Recipe::Library(n) => write!(f, "library {n}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recipes_by_name() {
        let expected = [
            (1, "1"),
            (2, "2"),
            (16, "4x4"),
            (32, "8x4"),
            (64, "8x8"),
            (96, "12x8"),
            (128, "8x4x4"),
            (210, "7x6x5"),
            (1024, "8x8x4x4"),
            (22, "library 22"),
            (101, "library 101"),
        ];
        for (n, name) in expected {
            assert_eq!(Recipe::new(n).to_string(), name);
        }
    }

    #[test]
    fn radices_multiply_to_the_length() {
        for n in 1..=2000 {
            assert_eq!(Recipe::new(n).length(), n);
        }
    }

    #[test]
    fn counts_by_hand() {
        assert_eq!(Recipe::new(1).flops(), 0);
        assert_eq!(Recipe::new(8).flops(), 60);
        assert_eq!(Recipe::new(16).flops(), 4 * 16 + 3 * 3 * 6 + 4 * 16);
        assert_eq!(Recipe::new(96).flops(), (8 * 112 + 7 * 11 * 6) + 12 * 60);
        assert_eq!(Recipe::new(11).flops(), 190);
    }
}
