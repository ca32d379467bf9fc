//! A layer as kernels take it: mirrors the structures of `kernels/common.cuh`, with indices of 32 or of 64 bits.

use conv_core::{ConvProblem, Role};

use crate::raw::Argument;

/// Indices are 32 bits wide below this; above it, block sizes could carry them beyond.
const NARROW: usize = (1 << 31) - (1 << 20);

/// An integer that kernels index with.
pub(crate) trait Index: Copy {
    /// The same number, which must fit.
    fn of(number: usize) -> Self;
}

impl Index for i32 {
    fn of(number: usize) -> Self {
        number as i32
    }
}

impl Index for i64 {
    fn of(number: usize) -> Self {
        number as i64
    }
}

/// A number that kernels divide by: `n / value = (hi(n magic) + n) >> shift` for `0 ≤ n < 2³¹` (Granlund,
/// Montgomery 1994). Wide kernels divide by the value itself.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Divisor<I> {
    value: I,
    magic: u32,
    shift: u32,
}

impl Divisor<i32> {
    /// For division by 1.
    pub(crate) const ONE: Self = Divisor { value: 1, magic: 1, shift: 0 };
}

impl<I: Index> Divisor<I> {
    /// For division by `value`, at least 1.
    pub(crate) fn new(value: usize) -> Self {
        let shift = value.next_power_of_two().trailing_zeros();
        let (power, divisor) = (1u128 << shift, value as u128);
        let magic = ((power - divisor) << 32) / divisor + 1;
        Divisor { value: I::of(value), magic: magic as u32, shift }
    }

    /// What is divided by.
    pub(crate) fn value(&self) -> I {
        self.value
    }
}

/// Points of a map: all, those of the last two axes, those of the last.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
struct Shape<I> {
    points: Divisor<I>,
    plane: Divisor<I>,
    row: Divisor<I>,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
struct Axis<I> {
    input: I,
    output: I,
    dilation: I,
    lo: I,
    stride: Divisor<I>,
}

/// A layer.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Geometry<I> {
    batch: I,
    groups: I,
    group_in: I,
    group_out: I,
    axis: [Axis<I>; 3],
    input: Shape<I>,
    kernel: Shape<I>,
    output: Shape<I>,
}

impl<I: Index> Geometry<I> {
    fn new(problem: &ConvProblem) -> Self {
        let shape = |[a, b, c]: [usize; 3]| Shape {
            points: Divisor::new(a * b * c),
            plane: Divisor::new(b * c),
            row: Divisor::new(c),
        };
        let axis = problem.volume().map(|axis| Axis {
            input: I::of(axis.input),
            output: I::of(axis.output()),
            dilation: I::of(axis.dilation),
            lo: I::of(axis.padding.0),
            stride: Divisor::new(axis.stride),
        });
        Geometry {
            batch: I::of(problem.batch()),
            groups: I::of(problem.groups()),
            group_in: I::of(problem.group_in()),
            group_out: I::of(problem.group_out()),
            axis,
            input: shape(problem.input_shape()),
            kernel: shape(problem.kernel_shape()),
            output: shape(problem.output_shape()),
        }
    }
}

/// A layer in the narrowest indices that hold it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Layer {
    Narrow(Geometry<i32>),
    Wide(Geometry<i64>),
}

impl Layer {
    pub(crate) fn new(problem: &ConvProblem) -> Self {
        match is_narrow(problem) {
            true => Layer::Narrow(Geometry::new(problem)),
            false => Layer::Wide(Geometry::new(problem)),
        }
    }

    /// As a kernel takes it.
    pub(crate) fn argument(&self) -> &dyn Argument {
        match self {
            Layer::Narrow(geometry) => geometry,
            Layer::Wide(geometry) => geometry,
        }
    }
}

/// Whether every index that a kernel forms fits 32 bits.
pub(crate) fn is_narrow(problem: &ConvProblem) -> bool {
    let roles = [Role::Input, Role::Weight, Role::Output];
    let lens = roles.map(|role| problem.len(role));
    let taps = problem.points(Role::Weight);
    let depths = [problem.group_in(), problem.group_out(), problem.batch()].map(|n| n.saturating_mul(taps));
    let axes = problem.volume();
    let far =
        axes.map(|axis| axis.padded().max(axis.stride).max(axis.dilation).saturating_add(axis.padding.0));
    lens.iter().chain(&depths).chain(&far).all(|count| *count < NARROW)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn division_by_multiplication_is_exact() {
        for value in [1usize, 2, 3, 5, 7, 10, 127, 128, 641, 1 << 20, (1 << 20) + 7, (1 << 31) - 1] {
            let Divisor { magic, shift, .. } = Divisor::<i32>::new(value);
            for around in (0..32).map(|bit| 1u64 << bit).chain((1..9).map(|i| i * value as u64)) {
                for n in [around.saturating_sub(1), around, around + 1] {
                    if n < 1 << 31 {
                        let high = (n * u64::from(magic)) >> 32;
                        assert_eq!((high + n) >> shift, n / value as u64, "{n} / {value}");
                    }
                }
            }
        }
    }

    #[test]
    fn large_problems_are_wide() {
        for (line, narrow) in [
            ("n64 c3 o64 i224x224 k7x7", true),
            ("n1024 c64 o64 i224x224 k3x3 p1", false),
            ("n1 c1 o1 i5 k1 s1073741824 p1073741824:0", false),
            ("n1 c1 o1 i5 k1 s1000000 p1000000:0", true),
        ] {
            assert_eq!(is_narrow(&line.parse().unwrap()), narrow, "{line}");
        }
    }
}
