//! The matrix product of fused tiles, at one of their points, and of `im2col`: 16 columns in the lanes.
//!
//! `out[row][n] (+)= Σ_t left[row][t] right[t][n]`. Vectors of 16 neighbouring `n` are loaded from `right`, scalars of
//! `left` are broadcast. The sums of six rows and four vectors (two of complex numbers) stay in 24 registers: 24 real
//! multiply-adds need 4 loads and 6 broadcasts, 48 of complex numbers 4 and 12. What [`kept`] values of `right` hold of
//! such columns comes from the second- or third-level cache once and stays in the first-level one while all rows pass by.

mod tile;

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use crate::raw::{Columns, with_columns};
use crate::registers::registers;
use crate::split::blocks;

/// Channels that stand in the lanes of an element.
pub(crate) const LANES: usize = 16;

/// What the numbers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Real,
    /// 16 real parts, then 16 imaginary parts; the right factor is conjugated, as in a correlation.
    Complex,
}

/// f32 values of `right` that are used by all rows before the next ones, 16 or 24 KiB: processors of 32 registers have
/// first-level caches of 48; and those of up to [`LANES`] terms more, lest a few be left.
const fn kept(registers: usize) -> usize {
    if registers < 32 { 4096 } else { 6144 }
}

/// Rows of the widest register tile.
pub(crate) const MOST_ROWS: usize = 6;

/// f32 values of an element, by which bodies are told apart.
const REAL: usize = LANES;
const COMPLEX: usize = 2 * LANES;

impl Kind {
    /// f32 values of an element: 16 channels.
    pub(crate) const fn element(self) -> usize {
        match self {
            Kind::Real => REAL,
            Kind::Complex => COMPLEX,
        }
    }

    /// Operations of one multiply-add.
    pub(crate) fn flops(self) -> f64 {
        if self == Kind::Real { 2.0 } else { 8.0 }
    }

    /// Fewest tiles of a group that are worth a pass through the other factor's points: a few register tiles.
    pub(crate) fn fewest(self) -> usize {
        if self == Kind::Real { 4 * MOST_ROWS } else { 2 * MOST_ROWS }
    }

    /// Rows and vectors of the widest register tile.
    const fn widest(self, registers: usize) -> [usize; 2] {
        match (self, registers) {
            (Kind::Real, 32..) => [MOST_ROWS, 4],
            (Kind::Real, 16..) | (Kind::Complex, 32..) => [MOST_ROWS, 2],
            _ => [MOST_ROWS, 1],
        }
    }

    /// Terms of the widest register tile that are used by all rows before the next ones.
    const fn depth(self, registers: usize, lanes: usize) -> usize {
        kept(registers) / self.element() / (self.widest(registers)[1] * lanes).div_ceil(LANES)
    }
}

/// Elements of 16 columns or rows, `[element][term]`: so many values after each other.
#[derive(Clone, Copy)]
pub(crate) struct Elements<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) apart: usize,
}

/// The scalars `left[row][term]`.
#[derive(Clone, Copy)]
pub(crate) enum Scalars<'a> {
    /// Terms stand in elements, rows so many values after each other.
    Rows(&'a [f32], usize),
    /// Rows stand in elements.
    Terms(Elements<'a>),
    /// Rows of a register tile stand in a line, one a term; so many lines after each other those of the next rows. Of real
    /// numbers.
    Blocks(&'a [[f32; MOST_ROWS]], usize),
}

/// One product.
pub(crate) struct Product<'a> {
    pub(crate) kind: Kind,
    /// Rows, elements of 16 channels, terms.
    pub(crate) sizes: [usize; 3],
    pub(crate) left: Scalars<'a>,
    pub(crate) right: Elements<'a>,
    /// Whether what is there is added to.
    pub(crate) add: bool,
    /// What the next product is to find in the first-level cache, and would read from beyond the second-level one.
    pub(crate) ahead: &'a [f32],
}

impl Product<'_> {
    /// Computes its elements `[row][n]` with the widest vectors there are.
    pub(crate) fn run(&self, out: &mut Columns<'_>) {
        Arch::new().dispatch(Task { product: self, out });
    }

    /// As [`Product::run`]; rows begin `apart` values after each other.
    pub(crate) fn run_to(&self, out: &mut [f32], apart: usize) {
        with_columns(out, apart, self.sizes[1] * self.kind.element(), |out| self.run(out));
    }
}

/// A product and where it goes.
struct Task<'a, 'o> {
    product: &'a Product<'a>,
    out: &'a mut Columns<'o>,
}

impl WithSimd for Task<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match self.product.kind {
            Kind::Real => self.product.tiles::<S, REAL>(simd, self.out),
            Kind::Complex => self.product.tiles::<S, COMPLEX>(simd, self.out),
        }
    }
}

/// A tile: its first row, its first vector and its terms.
#[derive(Clone)]
struct Corner {
    row: usize,
    vector: usize,
    terms: Range<usize>,
}

impl Product<'_> {
    #[inline(always)]
    fn tiles<S: Simd, const K: usize>(&self, simd: S, out: &mut Columns<'_>) {
        let [rows, elements, terms] = self.sizes;
        let vectors = elements * LANES / S::F32_LANES;
        let [most, wide] = self.kind.widest(registers::<S>());
        let depth = self.kind.depth(registers::<S>(), S::F32_LANES);
        // Rows within which a register tile ends.
        let within = match self.left {
            Scalars::Rows(..) => rows,
            Scalars::Terms(_) => LANES,
            Scalars::Blocks(..) => most,
        };
        for vectors in blocks(vectors, wide) {
            let mut first = 0;
            while first < terms {
                let end = if terms - first <= depth + LANES { terms } else { first + depth };
                let terms = first..end;
                first = end;
                for begin in (0..rows).step_by(within) {
                    for rows in blocks(within.min(rows - begin), most) {
                        let size = [rows.len(), vectors.len()];
                        let corner =
                            Corner { row: begin + rows.start, vector: vectors.start, terms: terms.clone() };
                        self.tile::<S, K>(simd, corner, size, out);
                    }
                }
            }
        }
    }
}
