//! The register tiles: 16 channels of a point in the lanes.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use crate::counted;
use crate::product::LANES;
use crate::split::blocks;

/// 16 channels at one point.
pub(super) type Element = [f32; LANES];

/// Greatest step between the columns that neighbouring targets meet.
pub(super) const MOST_STRIDE: usize = 2;

/// Columns of the widest tile of [`Row`]: as many sums as fit 16 registers beside a weight.
const MOST_COLUMNS: usize = 14;

/// Taps of a row, and rows of taps, of the largest tile of [`Sum`]: 14 sums at most fit 16 registers.
const MOST_TAPS: usize = 7;
const MOST_ROWS: usize = 3;
const MOST_SUMS: usize = 14;

/// Where a tap or a row of taps is: elements from the first, and its number among the weights.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) source: usize,
    pub(super) weight: usize,
}

/// A row of targets: `to[step t] = bias + Σ weights[row + column] source[row + column + stride t]`.
pub(super) struct Row<'a> {
    pub(super) source: &'a [Element],
    pub(super) weights: &'a [Element],
    pub(super) rows: &'a [Place],
    pub(super) columns: &'a [Place],
    pub(super) stride: usize,
    pub(super) bias: &'a Element,
    pub(super) relu: bool,
    pub(super) to: &'a mut [Element],
    pub(super) step: usize,
    pub(super) targets: usize,
}

impl Row<'_> {
    /// Computes it with the widest vectors there are.
    pub(super) fn run(self) {
        Arch::new().dispatch(self);
    }
}

impl WithSimd for Row<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        match self.stride {
            1 => self.tiles::<S, 1>(simd),
            _ => self.tiles::<S, MOST_STRIDE>(simd),
        }
    }
}

/// Calls `$self.tile` for as many columns as the range has.
macro_rules! of_len {
    ($self:ident, $simd:ident, $range:expr, $($len:literal),*) => {
        match $range.len() {
            $($len => $self.tile::<S, STRIDE, $len>($simd, $range.start),)*
            _ => unreachable!("a tile of 1 to {MOST_COLUMNS} columns"),
        }
    };
}

impl Row<'_> {
    #[inline(always)]
    fn tiles<S: Simd, const STRIDE: usize>(&mut self, simd: S) {
        for range in blocks(self.targets, MOST_COLUMNS) {
            of_len!(self, simd, range, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14);
        }
    }

    /// `X` targets from number `first` on.
    #[inline(always)]
    fn tile<S: Simd, const STRIDE: usize, const X: usize>(&mut self, simd: S, first: usize) {
        counted::multiplied(2 * LANES * X * self.rows.len() * self.columns.len());
        for part in 0..LANES / S::F32_LANES {
            let mut sums = [load::<S>(self.bias, part); X];
            for row in self.rows {
                for column in self.columns {
                    let source = &self.source[row.source + column.source + first * STRIDE..][..X * STRIDE];
                    let weight = load::<S>(&self.weights[row.weight + column.weight], part);
                    for (sum, source) in sums.iter_mut().zip(source.as_chunks::<STRIDE>().0) {
                        *sum = simd.mul_add_e_f32s(weight, load::<S>(&source[0], part), *sum);
                    }
                }
            }
            for (sum, to) in sums.iter().zip(self.to[first * self.step..].iter_mut().step_by(self.step)) {
                let zero = simd.splat_f32s(0.0);
                let kept = simd.select_f32s(simd.less_than_f32s(*sum, zero), zero, *sum);
                S::as_mut_simd_f32s(to).0[part] = if self.relu { kept } else { *sum };
            }
        }
    }
}

/// Rows of a source and of gradients that meet: `sums[tap] += Σ source[row + tap + stride t] gradient[row + t]`.
pub(super) struct Sum<'a> {
    pub(super) source: &'a [Element],
    pub(super) gradient: &'a [Element],
    /// The first elements of rows of the source and of the gradient.
    pub(super) rows: &'a [[usize; 2]],
    /// Gradients of a row.
    pub(super) targets: usize,
    pub(super) stride: usize,
    /// Rows of taps, and the neighbouring taps of each.
    pub(super) taps: [usize; 2],
    /// Elements from one row of taps to the next.
    pub(super) apart: usize,
    /// `[row][tap]`, rows so many taps apart.
    pub(super) sums: (&'a mut [Element], usize),
}

/// Taps of a row, so far apart, in blocks of neighbours, and the rows that go with a block.
pub(super) fn tap_blocks(taps: usize, dilation: usize) -> impl Iterator<Item = (Range<usize>, usize)> {
    let most = if dilation == 1 { MOST_TAPS } else { 1 };
    blocks(taps, most).map(|range| (range.clone(), (MOST_SUMS / range.len()).clamp(1, MOST_ROWS)))
}

impl Sum<'_> {
    /// Computes it with the widest vectors there are.
    pub(super) fn run(self) {
        Arch::new().dispatch(self);
    }
}

impl WithSimd for Sum<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        match self.stride {
            1 => self.tiles::<S, 1>(simd),
            _ => self.tiles::<S, MOST_STRIDE>(simd),
        }
    }
}

/// Calls `$self.tile` for so many rows of taps and taps.
macro_rules! of_size {
    ($self:ident, $simd:ident, $sizes:expr, $($rows:literal $taps:literal),*) => {
        match $sizes {
            $([$rows, $taps] => $self.tile::<S, STRIDE, $rows, $taps>($simd),)*
            _ => unreachable!("a tile of at most {MOST_SUMS} sums"),
        }
    };
}

impl Sum<'_> {
    #[inline(always)]
    fn tiles<S: Simd, const STRIDE: usize>(&mut self, simd: S) {
        of_size!(
            self, simd, self.taps, 1 1, 1 2, 1 3, 1 4, 1 5, 1 6, 1 7, 2 1, 2 2, 2 3, 2 4, 2 5, 2 6, 2 7, 3 1, 3 2, 3 3, 3 4
        )
    }

    /// `K` rows of `J` taps.
    #[inline(always)]
    fn tile<S: Simd, const STRIDE: usize, const K: usize, const J: usize>(&mut self, simd: S) {
        let len = self.targets;
        counted::multiplied(2 * LANES * K * J * self.rows.len() * len);
        for part in 0..LANES / S::F32_LANES {
            let mut sums = [[simd.splat_f32s(0.0); J]; K];
            for [source, gradient] in self.rows {
                let gradient = &self.gradient[*gradient..][..len];
                let mut met = [&[][..]; K];
                for (k, met) in met.iter_mut().enumerate() {
                    *met = &self.source[source + k * self.apart..][..(len - 1) * STRIDE + J];
                }
                for (t, gradient) in gradient.iter().enumerate() {
                    let gradient = load::<S>(gradient, part);
                    for (sums, met) in sums.iter_mut().zip(met) {
                        let met = met[t * STRIDE..].first_chunk::<J>().expect("taps of the row");
                        for (sum, met) in sums.iter_mut().zip(met) {
                            *sum = simd.mul_add_e_f32s(gradient, load::<S>(met, part), *sum);
                        }
                    }
                }
            }
            for (sums, to) in sums.iter().zip(self.sums.0.chunks_mut(self.sums.1)) {
                for (sum, to) in sums.iter().zip(to) {
                    let to = &mut S::as_mut_simd_f32s(to).0[part];
                    *to = simd.add_f32s(*to, *sum);
                }
            }
        }
    }
}

/// Vector number `part` of an element.
#[inline(always)]
fn load<S: Simd>(element: &Element, part: usize) -> S::f32s {
    S::as_simd_f32s(element).0[part]
}
