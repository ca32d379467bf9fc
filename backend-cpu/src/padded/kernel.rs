//! The register tiles: vectors of targets of one row in the lanes.

use std::array::from_ref;
use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use super::made::{Made, WIDTH};
use crate::counted;
use crate::registers::registers;
use crate::split::blocks;

/// Made channels of the tallest tile of [`Products`], and output channels of that of [`Sums`]: gradients of fewer are
/// read from the second-level cache as fast as they are multiplied.
pub(super) const MOST_ROWS: usize = 6;
pub(super) const MOST_SUMMED_ROWS: usize = 4;

/// Taps, and vectors of a row of gradients, whose instructions stand one behind the other, lest the loop's own take the
/// place of multiplications.
const TAPS: usize = 3;
const VECTORS: usize = 4;

/// Vectors, or terms, of the widest tile of so many rows: 8 sums and more, so that fused multiply-adds never wait for
/// each other, and room for the factors, where there are 32 registers and where there are 16.
const fn widest(registers: usize, rows: usize) -> usize {
    match (registers, rows) {
        (32.., 1 | 2) | (16.., 1) => 8,
        (32.., 3 | 4) => 6,
        (32.., _) | (16.., 2) => 4,
        (16.., 3) => 3,
        (16.., _) => 2,
        _ => 1,
    }
}

/// Loads of all tiles of so many channels and vectors, for a term; or for a vector, and terms: vectors that lie anywhere
/// are loaded as two.
pub(super) fn loads(lanes: usize, channels: usize, most_rows: usize, vectors: usize) -> f64 {
    let registers = if lanes >= WIDTH { 32 } else { 16 };
    let of = |rows: usize| 2 * vectors + rows * vectors.div_ceil(widest(registers, rows));
    blocks(channels, most_rows).map(|block| of(block.len())).sum::<usize>() as f64
}

/// Calls `$self.$method::<S, $rows, W>` for tiles of `W` vectors or terms that share `$len` evenly. Tiles that are wider
/// than their registers begin with a failing assertion, so that nothing more of them is compiled.
macro_rules! in_tiles {
    ($self:ident, $method:ident, $simd:expr, $rows:ident, $len:expr) => {
        for range in blocks($len, widest(registers::<S>(), $rows)) {
            match range.len() {
                1 => $self.$method::<S, $rows, 1>($simd, range.start),
                2 => $self.$method::<S, $rows, 2>($simd, range.start),
                3 => $self.$method::<S, $rows, 3>($simd, range.start),
                4 => $self.$method::<S, $rows, 4>($simd, range.start),
                5 => $self.$method::<S, $rows, 5>($simd, range.start),
                6 => $self.$method::<S, $rows, 6>($simd, range.start),
                7 => $self.$method::<S, $rows, 7>($simd, range.start),
                _ => $self.$method::<S, $rows, 8>($simd, range.start),
            }
        }
    };
}

/// Makes a block of channels from padded maps: `made[r][t] = Σ weight[term][r] source[t + term]`, where the terms are
/// summed channels and taps, the last axis fastest.
pub(super) struct Products<'a> {
    /// What the first of every [`WIDTH`] targets meets at offset 0.
    pub(super) sources: &'a [usize],
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
    /// What is added to every value of a row, and whether those below zero become zero then.
    pub(super) bias: Option<&'a [f32]>,
    pub(super) relu: bool,
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
        match self.rows {
            1 => self.rows::<S, 1>(simd),
            2 => self.rows::<S, 2>(simd),
            3 => self.rows::<S, 3>(simd),
            4 => self.rows::<S, 4>(simd),
            5 => self.rows::<S, 5>(simd),
            _ => self.rows::<S, MOST_ROWS>(simd),
        }
    }
}

impl Products<'_> {
    #[inline(always)]
    fn rows<S: Simd, const R: usize>(&mut self, simd: S) {
        in_tiles!(self, tile, simd, R, self.sources.len() * WIDTH / S::F32_LANES);
    }

    /// The tile of `V` vectors from number `first` on.
    #[inline(always)]
    fn tile<S: Simd, const R: usize, const V: usize>(&mut self, simd: S, first: usize) {
        assert!(const { V <= widest(registers::<S>(), R) }, "a tile of {R} x {V}");
        let mut source = [&[][..]; V];
        for (target, source) in (first * S::F32_LANES..).step_by(S::F32_LANES).zip(&mut source) {
            *source = &self.source[self.sources[target / WIDTH] + target % WIDTH..];
        }
        let sums = self.sums::<S, R, V>(simd, source);
        for (row, sums) in sums.iter().enumerate() {
            let bias = simd.splat_f32s(self.bias.map_or(0.0, |bias| bias[row]));
            let made = &mut self.made[row * self.sources.len() * WIDTH + first * S::F32_LANES..];
            for (sum, made) in sums.iter().zip(made.chunks_exact_mut(S::F32_LANES)) {
                let sum = simd.add_f32s(*sum, bias);
                S::as_mut_simd_f32s(made).0[0] = if self.relu { relu(simd, sum) } else { sum };
            }
        }
    }

    #[inline(always)]
    fn sums<S: Simd, const R: usize, const V: usize>(
        &self,
        simd: S,
        source: [&[f32]; V],
    ) -> [[S::f32s; V]; R] {
        let mut sums = [[simd.splat_f32s(0.0); V]; R];
        let taps = self.offsets.len();
        let reach = self.offsets.iter().max().copied().unwrap_or(0) + S::F32_LANES;
        counted::multiplied(2 * S::F32_LANES * R * V * self.channels * taps);
        for channel in 0..self.channels {
            let weights = &self.weights.as_chunks::<R>().0[channel * taps..][..taps];
            let mut near = [&[][..]; V];
            for (near, source) in near.iter_mut().zip(source) {
                *near = &source[channel * self.map..][..reach];
            }
            let ((offsets, last), (weights, last_weights)) = (self.offsets.as_chunks(), weights.as_chunks());
            for (offsets, weights) in offsets.iter().zip(weights) {
                add_taps::<S, R, V, TAPS>(simd, near, (offsets, weights), &mut sums);
            }
            for (offset, weights) in last.iter().zip(last_weights) {
                add_taps::<S, R, V, 1>(simd, near, (from_ref(offset), from_ref(weights)), &mut sums);
            }
        }
        sums
    }
}

/// Adds what the vectors of a channel meet at `T` taps.
#[inline(always)]
fn add_taps<S: Simd, const R: usize, const V: usize, const T: usize>(
    simd: S,
    source: [&[f32]; V],
    (offsets, weights): (&[usize; T], &[[f32; R]; T]),
    sums: &mut [[S::f32s; V]; R],
) {
    for (offset, weights) in offsets.iter().zip(weights) {
        let mut factors = [simd.splat_f32s(0.0); V];
        for (factor, source) in factors.iter_mut().zip(source) {
            *factor = load::<S>(source, *offset);
        }
        for (sums, weight) in sums.iter_mut().zip(weights) {
            let weight = simd.splat_f32s(*weight);
            for (sum, factor) in sums.iter_mut().zip(factors) {
                *sum = simd.mul_add_e_f32s(weight, factor, *sum);
            }
        }
    }
}

/// Zero where `x` is below zero; a NaN stays.
#[inline(always)]
fn relu<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let zero = simd.splat_f32s(0.0);
    simd.select_f32s(simd.less_than_f32s(x, zero), zero, x)
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
        match self.rows {
            1 => self.rows::<S, 1>(simd),
            2 => self.rows::<S, 2>(simd),
            3 => self.rows::<S, 3>(simd),
            _ => self.rows::<S, MOST_SUMMED_ROWS>(simd),
        }
    }
}

impl Sums<'_> {
    #[inline(always)]
    fn rows<S: Simd, const R: usize>(&mut self, simd: S) {
        in_tiles!(self, tile, simd, R, self.terms());
    }

    /// The tile of `J` terms from number `first` on.
    #[inline(always)]
    fn tile<S: Simd, const R: usize, const J: usize>(&mut self, simd: S, first: usize) {
        assert!(const { J <= widest(registers::<S>(), R) }, "a tile of {R} x {J}");
        let mut at = [0; J];
        for (j, at) in at.iter_mut().enumerate() {
            *at = self.place(first + j);
        }
        let (terms, sums) = (self.terms(), self.sums::<S, R, J>(simd, at));
        for (row, sums) in sums.iter().enumerate() {
            for (sum, to) in sums.iter().zip(&mut self.sums[row * terms + first..][..J]) {
                *to += simd.reduce_sum_f32s(*sum);
            }
        }
    }

    #[inline(always)]
    fn sums<S: Simd, const R: usize, const J: usize>(&self, simd: S, at: [usize; J]) -> [[S::f32s; J]; R] {
        let mut sums = [[simd.splat_f32s(0.0); J]; R];
        let made = self.layout.len;
        counted::multiplied(2 * S::F32_LANES * R * J * self.images * self.layout.vectors(S::F32_LANES));
        for image in 0..self.images {
            for row in self.layout.rows() {
                let mut source = [&[][..]; J];
                for (source, at) in source.iter_mut().zip(at) {
                    *source =
                        vectors::<S>(&self.source.0[image * self.source.1 + row.source + at..], row.len);
                }
                let mut gradient = [&[][..]; R];
                for (number, gradient) in gradient.iter_mut().enumerate() {
                    let first = image * self.gradient.1 + number * made + row.made;
                    *gradient = vectors::<S>(&self.gradient.0[first..], row.len);
                }
                let whole = row.len / S::F32_LANES / VECTORS * VECTORS;
                add_vectors::<S, R, J, VECTORS>(simd, source, gradient, 0..whole, &mut sums);
                add_vectors::<S, R, J, 1>(simd, source, gradient, whole..row.len / S::F32_LANES, &mut sums);
            }
        }
        sums
    }
}

/// Adds the products of a range of vectors, which whole chunks of `U` make up.
#[inline(always)]
fn add_vectors<S: Simd, const R: usize, const J: usize, const U: usize>(
    simd: S,
    source: [&[S::f32s]; J],
    gradient: [&[S::f32s]; R],
    range: Range<usize>,
    sums: &mut [[S::f32s; J]; R],
) {
    let (mut sources, mut gradients) = ([&[][..]; J], [&[][..]; R]);
    for (chunks, source) in sources.iter_mut().zip(source) {
        *chunks = &source[range.clone()].as_chunks::<U>().0[..range.len() / U];
    }
    for (chunks, gradient) in gradients.iter_mut().zip(gradient) {
        *chunks = &gradient[range.clone()].as_chunks::<U>().0[..range.len() / U];
    }
    for chunk in 0..range.len() / U {
        for number in 0..U {
            let mut factors = [simd.splat_f32s(0.0); J];
            for (factor, source) in factors.iter_mut().zip(sources) {
                *factor = source[chunk][number];
            }
            for (sums, gradient) in sums.iter_mut().zip(gradients) {
                for (sum, factor) in sums.iter_mut().zip(factors) {
                    *sum = simd.mul_add_e_f32s(gradient[chunk][number], factor, *sum);
                }
            }
        }
    }
}

/// The whole vectors of the first `len` values.
#[inline(always)]
fn vectors<S: Simd>(values: &[f32], len: usize) -> &[S::f32s] {
    S::as_simd_f32s(&values[..len]).0
}

#[inline(always)]
fn load<S: Simd>(values: &[f32], at: usize) -> S::f32s {
    S::as_simd_f32s(&values[at..][..S::F32_LANES]).0[0]
}
