//! The register tiles: 16 images in the lanes of a point.

use pulp::{Arch, Simd, WithSimd};

use crate::channels::{Element, Place};
use crate::counted;
use crate::product::LANES;
use crate::registers::registers;

/// Made channels of a tile at most.
pub(super) const MOST_MADE: usize = 6;

/// Neighbouring targets of a tile of [`Row`] at most, taps of a tile of [`Sum`], and those of a single channel.
const MOST_NEIGHBOURS: usize = 5;
const MOST_ALONE: usize = 8;

/// Sums that are added to at the same time without waiting for each other.
const BUSY: usize = 8;

/// Neighbours of the widest tile of so many made channels: sums, what they meet, and a factor are in registers.
const fn widest(registers: usize, made: usize) -> usize {
    let most = if made == 1 { MOST_ALONE } else { MOST_NEIGHBOURS };
    match registers.saturating_sub(1) / (made + 1) {
        0 => 1,
        neighbours if neighbours < most => neighbours,
        _ => most,
    }
}

/// Asks with the vectors that there are.
struct Widest(usize);

impl WithSimd for Widest {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> usize {
        widest(registers::<S>(), self.0)
    }
}

/// Neighbours of the widest tile of so many made channels, on this machine.
pub(super) fn most_neighbours(made: usize) -> usize {
    Arch::new().dispatch(Widest(made))
}

/// Multiply-adds of a term that could be made while a tile waits.
pub(super) fn idle(made: usize, neighbours: usize) -> f64 {
    BUSY.saturating_sub(made * neighbours) as f64
}

/// Vectors of an element.
const fn parts<S: Simd>() -> usize {
    LANES / S::F32_LANES
}

/// Targets of a row that are made together, and the taps at which one of them meets a source.
#[derive(Debug)]
pub(super) struct Columns {
    /// The first target of the row, and how many.
    pub(super) first: usize,
    pub(super) count: usize,
    /// Where the first tap is in a row of taps, and how many.
    pub(super) tap: Place,
    pub(super) taps: usize,
}

/// Targets of a row of some made channels:
/// `to[block made + apart t] = bias[made] + Σ weights[row + tap][made] source[row + tap + step t]`.
pub(super) struct Row<'a> {
    pub(super) source: &'a [Element],
    /// `[summed channel][kernel point][made channel]`, neighbouring taps of the columns side by side.
    pub(super) weights: &'a [f32],
    pub(super) made: usize,
    /// Rows of taps of all summed channels.
    pub(super) rows: &'a [Place],
    pub(super) columns: &'a [Columns],
    /// Elements from what a target meets to what the next one meets.
    pub(super) step: usize,
    /// One a made channel, or none.
    pub(super) biases: &'a [f32],
    pub(super) relu: bool,
    pub(super) to: &'a mut [Element],
    /// Targets from one made channel to the next, and from one target to the next.
    pub(super) block: usize,
    pub(super) apart: usize,
}

/// Calls `$tile::<made, neighbours>` for sizes that any number of registers holds.
macro_rules! of_size {
    ($tile:ident, $sizes:expr, $argument:expr) => {
        of_size!(
            $tile, $sizes, $argument,
            1: 1 2 3 4 5 6 7 8; 2: 1 2 3 4 5; 3: 1 2 3 4 5; 4: 1 2 3 4 5; 5: 1 2 3 4 5; 6: 1 2 3 4;
        )
    };
    ($tile:ident, $sizes:expr, $argument:expr, $($made:literal: $($neighbours:literal)*;)*) => {
        match $sizes {
            $($([$made, $neighbours] => Arch::new().dispatch($tile::<$made, $neighbours> { of: $argument }),)*)*
            _ => unreachable!("a tile of {MOST_MADE} made channels at most"),
        }
    };
}

impl Row<'_> {
    /// Computes it with the widest vectors there are.
    pub(super) fn run(mut self) {
        for columns in self.columns {
            of_size!(Tile, [self.made, columns.count], (&mut self, columns));
        }
    }
}

/// `X` targets of `M` made channels. Each size is a function of its own: in a larger one sums were kept in memory.
struct Tile<'r, 'a, const M: usize, const X: usize> {
    of: (&'r mut Row<'a>, &'r Columns),
}

impl<const M: usize, const X: usize> WithSimd for Tile<'_, '_, M, X> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // Nothing more of a tile that is wider than its registers is compiled.
        assert!(const { X <= widest(registers::<S>(), M) }, "a tile of {M} x {X}");
        let (row, columns) = self.of;
        counted::multiplied(2 * LANES * M * X * row.rows.len() * columns.taps);
        let (weights, taps) = (row.weights.as_chunks::<M>().0, columns.taps);
        for part in 0..parts::<S>() {
            let mut sums = [[simd.splat_f32s(0.0); X]; M];
            for place in row.rows {
                let weights = &weights[place.weight + columns.tap.weight..][..taps];
                // Slices of one length are checked once, and need no room for offsets.
                let mut sources = [&[][..]; X];
                for (x, source) in sources.iter_mut().enumerate() {
                    *source = &row.source[place.source + columns.tap.source + x * row.step..][..taps];
                }
                for tap in 0..taps {
                    let mut values = [simd.splat_f32s(0.0); X];
                    for (source, value) in sources.iter().zip(&mut values) {
                        *value = S::as_simd_f32s(&source[tap]).0[part];
                    }
                    for (sums, factor) in sums.iter_mut().zip(&weights[tap]) {
                        let factor = simd.splat_f32s(*factor);
                        for (sum, value) in sums.iter_mut().zip(&values) {
                            *sum = simd.mul_add_e_f32s(factor, *value, *sum);
                        }
                    }
                }
            }
            let zero = simd.splat_f32s(0.0);
            for (made, sums) in sums.iter().enumerate() {
                let begin = made * row.block + columns.first * row.apart;
                let bias = simd.splat_f32s(row.biases.get(made).copied().unwrap_or(0.0));
                for (sum, to) in sums.iter().zip(row.to[begin..].iter_mut().step_by(row.apart)) {
                    let sum = simd.add_f32s(*sum, bias);
                    let kept = simd.select_f32s(simd.less_than_f32s(sum, zero), zero, sum);
                    S::as_mut_simd_f32s(to).0[part] = if row.relu { kept } else { sum };
                }
            }
        }
    }
}

/// What rows of a source and of the gradients of some made channels have in common:
/// `sums[made terms + tap] += Σ source[row + tap + step t] gradient[made map + row + t]`.
pub(super) struct Sum<'a> {
    pub(super) source: &'a [Element],
    pub(super) gradient: &'a [Element],
    pub(super) made: usize,
    /// Gradients of a made channel.
    pub(super) map: usize,
    /// The first elements of rows of the source and of the gradient.
    pub(super) rows: &'a [[usize; 2]],
    /// Gradients of a row.
    pub(super) targets: usize,
    /// Elements from what a gradient meets to what the next one meets.
    pub(super) step: usize,
    /// Elements from one tap to the next, and how many.
    pub(super) taps: [usize; 2],
    pub(super) sums: &'a mut [Element],
    /// Sums of a made channel.
    pub(super) terms: usize,
}

impl Sum<'_> {
    /// Computes it with the widest vectors there are.
    pub(super) fn run(self) {
        match self.step {
            1 => of_size!(Neighbours, [self.made, self.taps[1]], self),
            _ => of_size!(Apart, [self.made, self.taps[1]], self),
        }
    }
}

/// `J` taps of `M` made channels, where gradients meet neighbours if `UNIT` is set.
struct Taps<'a, const UNIT: bool, const M: usize, const J: usize> {
    of: Sum<'a>,
}
type Neighbours<'a, const M: usize, const J: usize> = Taps<'a, true, M, J>;
type Apart<'a, const M: usize, const J: usize> = Taps<'a, false, M, J>;

impl<const UNIT: bool, const M: usize, const J: usize> WithSimd for Taps<'_, UNIT, M, J> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        assert!(const { J <= widest(registers::<S>(), M) }, "a tile of {M} x {J}");
        let Sum { source, gradient, map, rows, targets, step, taps: [apart, _], sums: to, terms, .. } =
            self.of;
        counted::multiplied(2 * LANES * M * J * rows.len() * targets);
        let step = if UNIT { 1 } else { step };
        for part in 0..parts::<S>() {
            let mut sums = [[simd.splat_f32s(0.0); J]; M];
            for [first, place] in rows {
                let mut sources = [&[][..]; J];
                for (j, of_tap) in sources.iter_mut().enumerate() {
                    *of_tap = &source[first + j * apart..][..(targets - 1) * step + 1];
                }
                let mut gradients = [&[][..]; M];
                for (m, of_channel) in gradients.iter_mut().enumerate() {
                    *of_channel = &gradient[place + m * map..][..targets];
                }
                for t in 0..targets {
                    let mut values = [simd.splat_f32s(0.0); J];
                    for (source, value) in sources.iter().zip(&mut values) {
                        *value = S::as_simd_f32s(&source[t * step]).0[part];
                    }
                    for (sums, gradient) in sums.iter_mut().zip(gradients) {
                        let gradient = S::as_simd_f32s(&gradient[t]).0[part];
                        for (sum, value) in sums.iter_mut().zip(&values) {
                            *sum = simd.mul_add_e_f32s(gradient, *value, *sum);
                        }
                    }
                }
            }
            for (sums, to) in sums.iter().zip(to.chunks_mut(terms)) {
                for (sum, to) in sums.iter().zip(to) {
                    let to = &mut S::as_mut_simd_f32s(to).0[part];
                    *to = simd.add_f32s(*to, *sum);
                }
            }
        }
    }
}
