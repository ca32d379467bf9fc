//! Dot products of the values of few images with rows of weights, which are heavier than anything else: they are read
//! once and not packed. Sixteen sums of four images and four rows stay in registers (eight where there are only 16);
//! [`CHUNK`] values of every image stay in the second-level cache while all rows pass by.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use crate::counted;
use crate::raw::Columns;

/// Values of a row that meet all images before the next ones do.
const CHUNK: usize = 2048;

/// Rows of weights of a register tile.
const ROWS: usize = 4;

/// Rows of values after each other, so many values long.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub(super) values: &'a [f32],
    pub(super) apart: usize,
}

impl<'a> Rows<'a> {
    fn of(&self, row: usize, terms: &Range<usize>) -> &'a [f32] {
        &self.values[row * self.apart..][terms.clone()]
    }
}

/// `out[image][row] = Σ images[image][t] weights[row][t]` for all columns of `out`.
pub(super) struct Dots<'a, 'o> {
    pub(super) images: Rows<'a>,
    pub(super) count: usize,
    pub(super) weights: Rows<'a>,
    pub(super) terms: usize,
    pub(super) out: &'a mut Columns<'o>,
}

impl Dots<'_, '_> {
    /// Computes them with the widest vectors there are.
    pub(super) fn run(self) {
        Arch::new().dispatch(self);
    }
}

impl WithSimd for Dots<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let most = if const { S::REGISTER_COUNT >= 32 } { 4 } else { 2 };
        (0..self.count).for_each(|image| self.out.row(image).fill(0.0));
        for first in (0..self.terms).step_by(CHUNK) {
            let terms = first..(first + CHUNK).min(self.terms);
            let mut row = 0;
            while row < self.out.width() {
                let rows = if row + ROWS <= self.out.width() { ROWS } else { 1 };
                let mut image = 0;
                while image < self.count {
                    let images = if image + most <= self.count { most } else { 1 };
                    match [images, rows] {
                        [4, ROWS] => self.tile::<S, 4, ROWS>(simd, [image, row], &terms),
                        [2, ROWS] => self.tile::<S, 2, ROWS>(simd, [image, row], &terms),
                        [_, ROWS] => self.tile::<S, 1, ROWS>(simd, [image, row], &terms),
                        [4, _] => self.tile::<S, 4, 1>(simd, [image, row], &terms),
                        [2, _] => self.tile::<S, 2, 1>(simd, [image, row], &terms),
                        _ => self.tile::<S, 1, 1>(simd, [image, row], &terms),
                    }
                    image += images;
                }
                row += rows;
            }
        }
    }
}

impl Dots<'_, '_> {
    /// Adds what `M` images and `N` rows make of these terms.
    #[inline(always)]
    fn tile<S: Simd, const M: usize, const N: usize>(
        &mut self,
        simd: S,
        [image, row]: [usize; 2],
        terms: &Range<usize>,
    ) {
        counted::multiplied(2 * M * N * terms.len());
        let (mut images, mut weights) = ([(&[][..], &[][..]); M], [(&[][..], &[][..]); N]);
        for (i, values) in images.iter_mut().enumerate() {
            *values = S::as_simd_f32s(self.images.of(image + i, terms));
        }
        for (n, values) in weights.iter_mut().enumerate() {
            *values = S::as_simd_f32s(self.weights.of(row + n, terms));
        }
        let vectors = images[0].0.len();
        let mut sums = [[simd.splat_f32s(0.0); N]; M];
        for t in 0..vectors {
            let mut factors = [simd.splat_f32s(0.0); N];
            for (factor, (weights, _)) in factors.iter_mut().zip(&weights) {
                *factor = weights[t];
            }
            for (sums, (values, _)) in sums.iter_mut().zip(&images) {
                for (sum, factor) in sums.iter_mut().zip(factors) {
                    *sum = simd.mul_add_e_f32s(values[t], factor, *sum);
                }
            }
        }
        for (i, (sums, (_, values))) in sums.iter().zip(&images).enumerate() {
            let out = &mut self.out.row(image + i)[row..row + N];
            for ((out, sum), (_, weights)) in out.iter_mut().zip(sums).zip(&weights) {
                let rest: f32 = values.iter().zip(*weights).map(|(value, weight)| value * weight).sum();
                *out += simd.reduce_sum_f32s(*sum) + rest;
            }
        }
    }
}
