//! The register tiles: vectors of targets of one row in the lanes.

use pulp::{Arch, Simd, WithSimd};

use super::made::{Chunk, Made};
use crate::counted;

/// Made channels of the widest tile of [`Products`], and output channels of that of [`Sums`].
pub(super) const MOST_ROWS: usize = 6;

/// Vectors of a tile of 1 to [`MOST_ROWS`] channels: at least 8 sums, so that fused multiply-adds never wait for each
/// other, and room for the factors, where there are 32 registers and where there are 16.
const VECTORS: [[usize; MOST_ROWS]; 2] = [[8, 6, 4, 4, 4, 4], [8, 4, 3, 2, 2, 2]];

/// Vectors times channels of all tiles of `channels` channels and `count` vectors, or terms, with so many lanes: 16
/// lanes come with 32 registers.
pub(super) fn slots(lanes: usize, channels: usize, count: usize) -> f64 {
    let table = VECTORS[usize::from(lanes < 16)];
    let sizes = crate::direct::blocks(channels, MOST_ROWS).into_iter().filter(|(_, blocks)| *blocks > 0.0);
    let filled = |wide: usize| count.div_ceil(wide) as f64 * wide as f64;
    sizes.map(|(rows, blocks)| blocks * rows as f64 * filled(table[rows - 1])).sum()
}

/// `channels` in nearly equal blocks of at most [`MOST_ROWS`]; returns the blocks' number.
pub(super) fn blocks(channels: usize) -> usize {
    channels.div_ceil(MOST_ROWS)
}

/// Block number `block` of `channels`: its first channel and its channels.
pub(super) fn block(channels: usize, block: usize) -> std::ops::Range<usize> {
    let count = blocks(channels);
    block * channels / count..(block + 1) * channels / count
}

/// Calls `$self.$method::<S, R, V>` for the number of rows.
macro_rules! of_rows {
    ($self:expr, $method:ident, $simd:expr, $rows:expr) => {
        match (S::REGISTER_COUNT >= 32, $rows) {
            (true, 1) => $self.$method::<S, 1, 8>($simd),
            (true, 2) => $self.$method::<S, 2, 6>($simd),
            (true, 3) => $self.$method::<S, 3, 4>($simd),
            (true, 4) => $self.$method::<S, 4, 4>($simd),
            (true, 5) => $self.$method::<S, 5, 4>($simd),
            (true, _) => $self.$method::<S, 6, 4>($simd),
            (false, 1) => $self.$method::<S, 1, 8>($simd),
            (false, 2) => $self.$method::<S, 2, 4>($simd),
            (false, 3) => $self.$method::<S, 3, 3>($simd),
            (false, 4) => $self.$method::<S, 4, 2>($simd),
            (false, 5) => $self.$method::<S, 5, 2>($simd),
            (false, _) => $self.$method::<S, 6, 2>($simd),
        }
    };
}

/// Makes a block of channels from padded maps: `made[r][t] = Σ weight[term][r] source[t + term]`, where the terms are
/// summed channels and taps, the last axis fastest.
pub(super) struct Products<'a> {
    pub(super) layout: &'a Made,
    /// How far from a target on is what each tap meets.
    pub(super) offsets: &'a [usize],
    /// Summed channels, and values of the padded map of one.
    pub(super) channels: usize,
    pub(super) map: usize,
    /// Made channels of the block.
    pub(super) rows: usize,
    /// `[term][row]`.
    pub(super) weights: &'a [f32],
    pub(super) source: &'a [f32],
    /// `[row][made map]`.
    pub(super) made: &'a mut [f32],
}

impl Products<'_> {
    /// Computes it with the widest vectors there are.
    pub(super) fn run(self) {
        Arch::new().dispatch(self);
    }
}

impl WithSimd for Products<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        of_rows!(self, tiles, simd, self.rows);
    }
}

impl Products<'_> {
    #[inline(always)]
    fn tiles<S: Simd, const R: usize, const V: usize>(&mut self, simd: S) {
        let mut chunks = self.layout.chunks(S::F32_LANES);
        let most = self.offsets.iter().max().copied().unwrap_or(0);
        let reach = (self.channels - 1) * self.map + most + S::F32_LANES;
        while !chunks.is_empty() {
            let mut tile = [Chunk::default(); V];
            for chunk in &mut tile {
                *chunk = chunks.next();
            }
            let mut source = [&[][..]; V];
            for (source, chunk) in source.iter_mut().zip(tile) {
                *source = &self.source[chunk.source..][..reach];
            }
            let sums = self.tile::<S, R, V>(simd, source, reach);
            for (row, sums) in sums.iter().enumerate() {
                for (sum, chunk) in sums.iter().zip(tile) {
                    let at = row * self.layout.len + chunk.made;
                    S::as_mut_simd_f32s(&mut self.made[at..at + S::F32_LANES]).0[0] = *sum;
                }
            }
        }
    }

    #[inline(always)]
    fn tile<S: Simd, const R: usize, const V: usize>(
        &self,
        simd: S,
        source: [&[f32]; V],
        reach: usize,
    ) -> [[S::f32s; V]; R] {
        let mut sums = [[simd.splat_f32s(0.0); V]; R];
        let mut weights = self.weights.as_chunks::<R>().0.iter();
        counted::multiplied(2 * S::F32_LANES * R * V * self.channels * self.offsets.len());
        for channel in 0..self.channels {
            for (offset, weight) in self.offsets.iter().zip(&mut weights) {
                let term = channel * self.map + offset;
                let mut factors = [simd.splat_f32s(0.0); V];
                for (factor, source) in factors.iter_mut().zip(source) {
                    *factor = load::<S>(&source[..reach], term);
                }
                for (sums, weight) in sums.iter_mut().zip(weight) {
                    let weight = simd.splat_f32s(*weight);
                    for (sum, factor) in sums.iter_mut().zip(factors) {
                        *sum = simd.mul_add_e_f32s(weight, factor, *sum);
                    }
                }
            }
        }
        sums
    }
}

/// Adds to weights of a block of output channels: `sums[r][term] += Σ gradient[r][t] source[t + term]` over images.
pub(super) struct Sums<'a> {
    pub(super) layout: &'a Made,
    /// How far from a target on is what each tap meets.
    pub(super) offsets: &'a [usize],
    /// Input channels, and values of the padded map of one.
    pub(super) channels: usize,
    pub(super) map: usize,
    /// Output channels of the block.
    pub(super) rows: usize,
    pub(super) images: usize,
    /// `[image][channel][padded map]`, so many values from one image to the next.
    pub(super) source: (&'a [f32], usize),
    /// `[image][row][made map]`, likewise.
    pub(super) gradient: (&'a [f32], usize),
    /// `[row][term]`.
    pub(super) sums: &'a mut [f32],
}

impl Sums<'_> {
    /// Computes it with the widest vectors there are.
    pub(super) fn run(self) {
        Arch::new().dispatch(self);
    }

    /// Terms of a row: channels and taps.
    fn terms(&self) -> usize {
        self.channels * self.offsets.len()
    }

    /// What a term meets in the padded maps of an image.
    #[inline(always)]
    fn place(&self, term: usize) -> usize {
        let taps = self.offsets.len();
        term / taps * self.map + self.offsets[term % taps]
    }
}

impl WithSimd for Sums<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        of_rows!(self, tiles, simd, self.rows);
    }
}

impl Sums<'_> {
    #[inline(always)]
    fn tiles<S: Simd, const R: usize, const J: usize>(&mut self, simd: S) {
        let terms = self.terms();
        for first in (0..terms).step_by(J) {
            let mut at = [0; J];
            for (j, at) in at.iter_mut().enumerate() {
                *at = self.place((first + j).min(terms - 1));
            }
            let sums = self.tile::<S, R, J>(simd, at);
            for (row, sums) in sums.iter().enumerate() {
                for (sum, term) in sums.iter().zip(first..terms) {
                    self.sums[row * terms + term] += simd.reduce_sum_f32s(*sum);
                }
            }
        }
    }

    #[inline(always)]
    fn tile<S: Simd, const R: usize, const J: usize>(&self, simd: S, at: [usize; J]) -> [[S::f32s; J]; R] {
        let mut sums = [[simd.splat_f32s(0.0); J]; R];
        let made = self.layout.len;
        counted::multiplied(2 * S::F32_LANES * R * J * self.images * self.layout.vectors(S::F32_LANES));
        for image in 0..self.images {
            for row in self.layout.rows() {
                let mut source = [&[][..]; J];
                for (source, at) in source.iter_mut().zip(at) {
                    *source = &self.source.0[image * self.source.1 + row.source + at..][..row.len];
                }
                let mut gradient = [&[][..]; R];
                for (number, gradient) in gradient.iter_mut().enumerate() {
                    *gradient =
                        &self.gradient.0[image * self.gradient.1 + number * made + row.made..][..row.len];
                }
                for x in (0..row.len / S::F32_LANES).map(|vector| vector * S::F32_LANES) {
                    let mut factors = [simd.splat_f32s(0.0); J];
                    for (factor, source) in factors.iter_mut().zip(source) {
                        *factor = load::<S>(&source[..row.len], x);
                    }
                    for (sums, gradient) in sums.iter_mut().zip(gradient) {
                        let gradient = load::<S>(&gradient[..row.len], x);
                        for (sum, factor) in sums.iter_mut().zip(factors) {
                            *sum = simd.mul_add_e_f32s(gradient, factor, *sum);
                        }
                    }
                }
            }
        }
        sums
    }
}

#[inline(always)]
fn load<S: Simd>(values: &[f32], at: usize) -> S::f32s {
    S::as_simd_f32s(&values[at..][..S::F32_LANES]).0[0]
}
