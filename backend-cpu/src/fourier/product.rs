//! Spectral products: at every block of 16 frequencies a complex matrix product over maps.
//!
//! Every matrix element is a vector of 16 frequencies, so no element is ever broadcast or packed and any
//! number of channels is as good as any other. A tile of `3 × 3` outputs needs 12 loads for 36 fused
//! multiply-adds; 16 registers hold one of `2 × 2`, of 8 loads for 16. Blocking: `DEPTH` terms of a tile's rows
//! of the left operand stay in the first-level cache while `COLUMNS` columns of the right one, which stay in
//! the second, pass by.

use crate::counted;
use crate::registers::registers;
use conv_core::Pass;
use fft_core::COMPLEX_POINT;
use pulp::{Arch, Simd, WithSimd};

/// One element of a matrix: 16 real parts, 16 imaginary parts.
type Element = [f32; COMPLEX_POINT];

/// Terms summed before the outputs are stored.
const DEPTH: usize = 64;

/// Columns of the right operand that pass by at a time.
const COLUMNS: usize = 48;

/// Rows and columns of the largest register tile: its sums, a factor of every column and one of a row.
const fn largest(registers: usize) -> usize {
    match registers {
        32.. => 3,
        16.. => 2,
        _ => 1,
    }
}

/// A matrix in a slice: element `(i, j)` at `first + i * rows_apart + j * columns_apart`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View {
    pub(crate) first: usize,
    pub(crate) rows_apart: usize,
    pub(crate) columns_apart: usize,
}

impl View {
    fn at(&self, row: usize, column: usize) -> usize {
        self.first + row * self.rows_apart + column * self.columns_apart
    }

    fn from(&self, row: usize, column: usize) -> View {
        View { first: self.at(row, column), ..*self }
    }

    /// Rows for columns.
    pub(crate) fn transposed(self) -> View {
        View { rows_apart: self.columns_apart, columns_apart: self.rows_apart, ..self }
    }
}

/// Spectra to read: the maps of `view`.
#[derive(Clone, Copy)]
pub(crate) struct Factor<'a> {
    pub(crate) elements: &'a [Element],
    pub(crate) view: View,
}

impl<'a> Factor<'a> {
    fn from(self, row: usize, column: usize) -> Self {
        Factor { view: self.view.from(row, column), ..self }
    }

    /// `N` rows or columns side by side, so many elements apart and of `len` elements each: the first of each and what
    /// comes after it.
    fn side_by_side<const N: usize>(&self, first: usize, apart: usize, len: usize) -> [&'a [Element]; N] {
        let mut parts = [&self.elements[first..][..len]; N];
        for (i, part) in parts.iter_mut().enumerate() {
            *part = &self.elements[first + i * apart..][..len];
        }
        parts
    }
}

/// `out (m × n) = left (m × k) · right (k × n)` at every block of a slab, where the pass says which factor is
/// conjugated; added to what is there where `add` is set.
pub(crate) struct Product<'a> {
    pub(crate) pass: Pass,
    pub(crate) sizes: [usize; 3],
    /// Blocks of a map that stand together, and how many of them are multiplied.
    pub(crate) slab: usize,
    pub(crate) blocks: usize,
    pub(crate) left: Factor<'a>,
    pub(crate) right: Factor<'a>,
    /// Spectra to write, and their maps.
    pub(crate) out: &'a mut [Element],
    pub(crate) view: View,
    pub(crate) add: bool,
}

impl Product<'_> {
    /// Computes it with the widest vectors there are.
    pub(crate) fn run(self) {
        Arch::new().dispatch(self);
    }
}

/// Which factor is conjugated.
const NEITHER: u8 = 0;
const LEFT: u8 = 1;
const RIGHT: u8 = 2;

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        match self.pass {
            Pass::Forward => self.blocked::<S, RIGHT>(simd),
            Pass::BackwardInput => self.blocked::<S, NEITHER>(simd),
            Pass::BackwardWeights => self.blocked::<S, LEFT>(simd),
        }
    }
}

impl Product<'_> {
    #[inline(always)]
    fn blocked<S: Simd, const CONJUGATE: u8>(&mut self, simd: S) {
        let ([m, n, k], side) = (self.sizes, largest(registers::<S>()));
        for j in (0..n).step_by(COLUMNS) {
            let columns = COLUMNS.min(n - j);
            for k0 in (0..k).step_by(DEPTH) {
                let depth = DEPTH.min(k - k0);
                let add = self.add || k0 > 0;
                for i in (0..m).step_by(side) {
                    for j in (j..j + columns).step_by(side) {
                        let corner = [i, j, k0];
                        let (rows, columns) = (side.min(m - i), side.min(n - j));
                        self.tile::<S, CONJUGATE>(simd, [rows, columns, depth], corner, add);
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn tile<S: Simd, const C: u8>(&mut self, simd: S, sizes: [usize; 3], corner: [usize; 3], add: bool) {
        let [rows, columns, depth] = sizes;
        match (rows, columns) {
            (3, 3) => self.registers::<S, C, 3, 3>(simd, depth, corner, add),
            (3, 2) => self.registers::<S, C, 3, 2>(simd, depth, corner, add),
            (3, _) => self.registers::<S, C, 3, 1>(simd, depth, corner, add),
            (2, 3) => self.registers::<S, C, 2, 3>(simd, depth, corner, add),
            (2, 2) => self.registers::<S, C, 2, 2>(simd, depth, corner, add),
            (2, _) => self.registers::<S, C, 2, 1>(simd, depth, corner, add),
            (_, 3) => self.registers::<S, C, 1, 3>(simd, depth, corner, add),
            (_, 2) => self.registers::<S, C, 1, 2>(simd, depth, corner, add),
            _ => self.registers::<S, C, 1, 1>(simd, depth, corner, add),
        }
    }

    /// `M × N` outputs in registers, one vector of frequencies after the other, block after block.
    #[inline(always)]
    fn registers<S: Simd, const C: u8, const M: usize, const N: usize>(
        &mut self,
        simd: S,
        depth: usize,
        [i, j, k]: [usize; 3],
        add: bool,
    ) {
        // Nothing more of a tile that is larger than its registers is compiled.
        assert!(
            const { M <= largest(registers::<S>()) && N <= largest(registers::<S>()) },
            "a tile of {M} x {N}"
        );
        let Product { slab, blocks, .. } = *self;
        counted::multiplied(8 * M * N * depth * COMPLEX_POINT / 2 * blocks);
        let (left, right) = (self.left.from(i, k), self.right.from(k, j));
        let apart = [left.view.columns_apart * slab, right.view.rows_apart * slab];
        let [a_len, b_len] = apart.map(|apart| (depth - 1) * apart + blocks);
        let a = left.side_by_side::<M>(left.view.first * slab, left.view.rows_apart * slab, a_len);
        let b = right.side_by_side::<N>(right.view.first * slab, right.view.columns_apart * slab, b_len);
        let view = self.view.from(i, j);
        for block in 0..blocks {
            for part in 0..COMPLEX_POINT / 2 / S::F32_LANES {
                let sums = sums::<S, C, M, N>(simd, (&a, &b), ([block; 2], apart, depth), part);
                for (row, sums) in sums.iter().enumerate() {
                    for (column, sum) in sums.iter().enumerate() {
                        store(simd, &mut self.out[view.at(row, column) * slab + block], part, *sum, add);
                    }
                }
            }
        }
    }
}

/// The sums of `depth` terms, the first at these elements of each row of the left and column of the right factor, the next
/// so far apart.
#[inline(always)]
fn sums<S: Simd, const C: u8, const M: usize, const N: usize>(
    simd: S,
    (left, right): (&[&[Element]; M], &[&[Element]; N]),
    ([mut a, mut b], apart, depth): ([usize; 2], [usize; 2], usize),
    part: usize,
) -> [[Complex<S>; N]; M] {
    let zero = Complex { re: simd.splat_f32s(0.0), im: simd.splat_f32s(0.0) };
    let mut sums = [[zero; N]; M];
    for _ in 0..depth {
        let mut factors = [zero; N];
        for column in 0..N {
            factors[column] = load(simd, &right[column][b], part);
        }
        for row in 0..M {
            let factor = load(simd, &left[row][a], part);
            for column in 0..N {
                sums[row][column] = multiply_add::<S, C>(simd, factor, factors[column], sums[row][column]);
            }
        }
        (a, b) = (a + apart[0], b + apart[1]);
    }
    sums
}

/// One vector of complex numbers.
struct Complex<S: Simd> {
    re: S::f32s,
    im: S::f32s,
}

impl<S: Simd> Clone for Complex<S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S: Simd> Copy for Complex<S> {}

/// `a b + sum`, with the factor conjugated that `C` names.
#[inline(always)]
fn multiply_add<S: Simd, const C: u8>(simd: S, a: Complex<S>, b: Complex<S>, sum: Complex<S>) -> Complex<S> {
    let re = simd.mul_add_e_f32s(a.re, b.re, sum.re);
    let (re, im) = match C {
        NEITHER => {
            let im = simd.mul_add_e_f32s(a.re, b.im, sum.im);
            (simd.negate_mul_add_e_f32s(a.im, b.im, re), simd.mul_add_e_f32s(a.im, b.re, im))
        }
        LEFT => {
            let im = simd.mul_add_e_f32s(a.re, b.im, sum.im);
            (simd.mul_add_e_f32s(a.im, b.im, re), simd.negate_mul_add_e_f32s(a.im, b.re, im))
        }
        _ => {
            let im = simd.negate_mul_add_e_f32s(a.re, b.im, sum.im);
            (simd.mul_add_e_f32s(a.im, b.im, re), simd.mul_add_e_f32s(a.im, b.re, im))
        }
    };
    Complex { re, im }
}

#[inline(always)]
fn load<S: Simd>(simd: S, element: &Element, part: usize) -> Complex<S> {
    let _ = simd;
    let (re, im) = element.split_at(COMPLEX_POINT / 2);
    Complex { re: S::as_simd_f32s(re).0[part], im: S::as_simd_f32s(im).0[part] }
}

#[inline(always)]
fn store<S: Simd>(simd: S, element: &mut Element, part: usize, sum: Complex<S>, add: bool) {
    let (re, im) = element.split_at_mut(COMPLEX_POINT / 2);
    let (re, im) = (&mut S::as_mut_simd_f32s(re).0[part], &mut S::as_mut_simd_f32s(im).0[part]);
    *re = if add { simd.add_f32s(*re, sum.re) } else { sum.re };
    *im = if add { simd.add_f32s(*im, sum.im) } else { sum.im };
}
