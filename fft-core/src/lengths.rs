//! Transform lengths that are products of small primes.

/// The greatest length of one axis and the greatest result of [`good_length`]: 2²⁴.
pub const MAX_LENGTH: usize = 1 << 24;

/// The least length `>= min` and `>= 1` whose prime factors are 2, 3, 5 and 7; `None` above [`MAX_LENGTH`].
///
/// ```
/// assert_eq!(fft_core::good_length(33), Some(35));
/// assert_eq!(fft_core::good_length(usize::MAX), None);
/// ```
pub fn good_length(min: usize) -> Option<usize> {
    least(min, 1)
}

/// The least even length `>= min` and `>= 2` whose prime factors are 2, 3, 5 and 7; `None` above [`MAX_LENGTH`].
///
/// Meant for the last axis of a real transform, which costs half as much at an even length.
pub fn good_even_length(min: usize) -> Option<usize> {
    least(min, 2)
}

/// The least multiple of 32 `>= min` whose prime factors are 2, 3, 5 and 7; `None` above [`MAX_LENGTH`].
///
/// Meant for long single axes, which [`crate::PlaneFft`] folds at such lengths.
pub fn good_folded_length(min: usize) -> Option<usize> {
    least(min, 32)
}

/// The least `step` times a product of 2, 3, 5 and 7 that is at least `min`.
fn least(min: usize, step: usize) -> Option<usize> {
    if min > MAX_LENGTH {
        return None;
    }
    let target = min.div_ceil(step).max(1);
    (target..=MAX_LENGTH / step).find(|&n| rest_after_small_primes(n) == 1).map(|n| n * step)
}

/// `n` divided by all its factors 2, 3, 5 and 7.
pub(crate) fn rest_after_small_primes(mut n: usize) -> usize {
    for p in [2, 3, 5, 7] {
        while n > 1 && n.is_multiple_of(p) {
            n /= p;
        }
    }
    n
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn least_good_lengths() {
        let expected = [(0, 1), (1, 1), (11, 12), (13, 14), (31, 32), (33, 35), (211, 216), (1025, 1029)];
        for (min, good) in expected {
            assert_eq!(good_length(min), Some(good));
        }
    }

    #[test]
    fn least_good_even_lengths() {
        for (min, good) in [(0, 2), (1, 2), (3, 4), (33, 36), (35, 36), (71, 72), (1025, 1050)] {
            assert_eq!(good_even_length(min), Some(good));
        }
    }

    #[test]
    fn the_maximum_is_good_and_nothing_above_it_exists() {
        assert_eq!(good_length(MAX_LENGTH), Some(MAX_LENGTH));
        assert_eq!(good_even_length(MAX_LENGTH - 1), Some(MAX_LENGTH));
        assert_eq!(good_length(MAX_LENGTH + 1), None);
        assert_eq!(good_even_length(usize::MAX), None);
    }
}
