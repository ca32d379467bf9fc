//! How a line is transformed: its length as radices, butterflies of which take it apart step by step.

use crate::geometry::Divisor;

/// Butterflies of `radix` points that are so many points of the line apart.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    radix: i32,
    turn: i32,
    apart: Divisor<i32>,
}

impl Step {
    /// In place of a step that there is not.
    const NONE: Step = Step { radix: 1, turn: 0, apart: Divisor::ONE };
}

/// Steps of these radices on lines of `length` points, which earlier steps left of lines of `whole` points; of each line,
/// every so many columns are taken together.
pub(super) fn steps<const MOST: usize>(
    radices: &[usize],
    whole: usize,
    length: usize,
    columns: usize,
) -> [Step; MOST] {
    let (mut left, mut steps) = (length, [Step::NONE; MOST]);
    for (step, radix) in steps.iter_mut().zip(radices) {
        let apart = Divisor::new(left / radix / columns);
        // Twiddle factors of neighbouring butterflies are this many entries of the table apart.
        *step = Step { radix: *radix as i32, turn: (whole / left) as i32, apart };
        left /= radix;
    }
    steps
}

/// Factors of at most 16 whose product is `n`, 2ᵃ3ᵇ5ᶜ7ᵈ: few steps, powers of two first; `None` for another `n`.
pub(super) fn radices(n: usize) -> Option<Vec<usize>> {
    let exponent = n.trailing_zeros() as usize;
    let mut radices = vec![16; exponent / 4];
    match (exponent % 4, radices.pop()) {
        (1, Some(_)) => radices.extend([8, 4]),
        (2, Some(_)) => radices.extend([8, 8]),
        (3, last) => radices.extend(last.into_iter().chain([8])),
        (rest, last) => radices.extend(last.into_iter().chain((rest > 0).then_some(1 << rest))),
    }
    let mut rest = n >> exponent;
    for prime in [7, 5, 3] {
        while rest.is_multiple_of(prime) {
            rest /= prime;
            radices.push(prime);
        }
    }
    (rest == 1).then_some(radices)
}

/// Operations of a butterfly of so many points, `Dft` of `kernels/dft.cuh`: sums of complex values are two, products
/// six, and a fused multiply-add two.
fn butterfly_flops(radix: usize) -> usize {
    let half = radix / 2;
    match radix {
        2 => 4,
        4 => 16,
        8 => 66,
        16 => 182,
        _ => 8 * half * half + 10 * half,
    }
}

/// Operations of a line of `n` points, good ones: butterflies and the twiddle factors of every step.
pub(super) fn flops(n: usize) -> usize {
    flops_of(&radices(n).unwrap_or_default())
}

/// Operations of steps of these radices on a line of as many points as they multiply to.
pub(super) fn flops_of(radices: &[usize]) -> usize {
    let n: usize = radices.iter().product();
    radices.iter().map(|radix| n / radix * (butterfly_flops(*radix) + 6 * (radix - 1))).sum()
}

/// Where each frequency stands when steps of these radices have taken a line apart.
pub(super) fn order(radices: &[usize]) -> Vec<i32> {
    let n: usize = radices.iter().product();
    let position = |mut frequency: usize| {
        let (mut position, mut apart) = (0, n);
        for radix in radices {
            apart /= radix;
            position += frequency % radix * apart;
            frequency /= radix;
        }
        position as i32
    };
    (0..n).map(position).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn radices_multiply_to_the_length_in_few_steps() {
        for (n, expected) in [
            (1, vec![]),
            (2, vec![2]),
            (8, vec![8]),
            (16, vec![16]),
            (32, vec![8, 4]),
            (64, vec![8, 8]),
            (128, vec![16, 8]),
            (210, vec![2, 7, 5, 3]),
            (4096, vec![16, 16, 16]),
        ] {
            assert_eq!(radices(n), Some(expected), "{n}");
        }
        for n in 1..5000usize {
            let good = fft_core::good_length(n) == Some(n);
            assert_eq!(radices(n).map(|r| r.iter().product()), good.then_some(n), "{n}");
        }
    }

    #[test]
    fn orders_are_permutations_by_digits() {
        assert_eq!(order(&[2, 2]), [0, 2, 1, 3]);
        assert_eq!(order(&[3, 2]), [0, 2, 4, 1, 3, 5]);
        let mut sorted = order(&[8, 4, 7, 3]);
        sorted.sort_unstable();
        assert_eq!(sorted, (0..672).collect::<Vec<_>>());
    }
}
