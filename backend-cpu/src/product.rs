//! The matrix product of fused tiles, at one of their points, and of `im2col`: 16 columns in the lanes.
//!
//! `out[row][n] (+)= Σ_t left[row][t] right[t][n]`. Vectors of 16 neighbouring `n` are loaded from `right`, scalars of
//! `left` are broadcast. The sums of six rows and four vectors (two of complex numbers) stay in 24 registers: 24 real
//! multiply-adds need 4 loads and 6 broadcasts, 48 of complex numbers 4 and 12. [`DEPTH`] terms of `right` come from
//! the second- or third-level cache once and stay in the first-level one while all rows pass by.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use crate::counted;
use crate::raw::{Columns, with_columns};
use crate::registers::registers;

/// Channels that stand in the lanes of an element.
pub(crate) const LANES: usize = 16;

/// What the numbers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Real,
    /// 16 real parts, then 16 imaginary parts; the right factor is conjugated, as in a correlation.
    Complex,
}

/// f32 values of a row of a panel: what the widest register tile takes of a term.
pub(crate) const PANEL: usize = 64;

/// Terms of `right` that are used by all rows before the next ones: 16 KiB; and up to [`LANES`] more, lest a few be left.
const DEPTH: usize = 64;

/// Rows of the widest register tile.
pub(crate) const MOST_ROWS: usize = 6;

/// Terms of real numbers whose instructions stand one behind the other with 16 registers, lest the loop's own take the
/// place of multiplications. With 32 a term has enough of these; the sums of complex numbers leave no registers for that.
const UNROLLED: usize = 4;

const REAL: bool = true;
const COMPLEX: bool = false;

impl Kind {
    /// f32 values of an element: 16 channels.
    pub(crate) fn element(self) -> usize {
        if self == Kind::Real { LANES } else { 2 * LANES }
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
}

/// The scalars `left[row][term]`.
#[derive(Clone, Copy)]
pub(crate) enum Scalars<'a> {
    /// Terms stand in elements, rows so many values after each other.
    Rows(&'a [f32], usize),
    /// Rows stand in the elements of a panel, one line a term.
    Terms(&'a [[f32; PANEL]]),
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
    /// Elements of a panel, one line a term.
    pub(crate) right: &'a [[f32; PANEL]],
    /// Whether what is there is added to.
    pub(crate) add: bool,
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
    fn tiles<S: Simd, const K: bool>(&self, simd: S, out: &mut Columns<'_>) {
        let [rows, elements, terms] = self.sizes;
        let vectors = elements * LANES / S::F32_LANES;
        let [most, wide] = self.kind.widest(registers::<S>());
        let parts = rows.div_ceil(most);
        let mut vector = 0;
        while vector < vectors {
            let width = wide.min(vectors - vector);
            let mut first = 0;
            while first < terms {
                let end = if terms - first <= DEPTH + LANES { terms } else { first + DEPTH };
                let terms = first..end;
                first = end;
                for part in 0..parts {
                    let (row, end) = match self.left {
                        Scalars::Blocks(..) => (part * most, rows.min((part + 1) * most)),
                        _ => (part * rows / parts, (part + 1) * rows / parts),
                    };
                    let corner = Corner { row, vector, terms: terms.clone() };
                    self.tile::<S, K>(simd, corner, [end - row, width], out);
                }
            }
            vector += width;
        }
    }

    #[inline(always)]
    fn tile<S: Simd, const K: bool>(&self, simd: S, corner: Corner, size: [usize; 2], out: &mut Columns<'_>) {
        macro_rules! of_rows {
            ($width:literal) => {
                match size[0] {
                    1 => self.registers::<S, K, 1, $width>(simd, corner, out),
                    2 => self.registers::<S, K, 2, $width>(simd, corner, out),
                    3 => self.registers::<S, K, 3, $width>(simd, corner, out),
                    4 => self.registers::<S, K, 4, $width>(simd, corner, out),
                    5 => self.registers::<S, K, 5, $width>(simd, corner, out),
                    _ => self.registers::<S, K, MOST_ROWS, $width>(simd, corner, out),
                }
            };
        }
        match size[1] {
            1 => of_rows!(1),
            3 if K == REAL => of_rows!(3),
            4 if K == REAL => of_rows!(4),
            _ => of_rows!(2),
        }
    }

    /// `M` rows and `N` vectors.
    #[inline(always)]
    fn registers<S: Simd, const K: bool, const M: usize, const N: usize>(
        &self,
        simd: S,
        corner: Corner,
        out: &mut Columns<'_>,
    ) {
        // Nothing more of a tile that is larger than its registers is compiled.
        assert!(const { fits::<S>(K, [M, N]) }, "a tile of {M} x {N}");
        counted::multiplied(if K == REAL { 2 } else { 8 } * M * N * S::F32_LANES * corner.terms.len());
        let mut sums = [[[simd.splat_f32s(0.0); 2]; N]; M];
        let mut rest = corner.terms.clone();
        if const { K == REAL && registers::<S>() == 16 } {
            let whole = rest.end - rest.len() % UNROLLED;
            self.sum::<S, K, M, N, UNROLLED>(simd, &corner, rest.start..whole, &mut sums);
            rest.start = whole;
        }
        self.sum::<S, K, M, N, 1>(simd, &corner, rest, &mut sums);
        let add = self.add || corner.terms.start > 0;
        let (first, span) = (place::<S, K>(corner.vector), span::<S, K>(N));
        for (sums, row) in sums.iter().zip(out.neighbours::<M>(corner.row)) {
            let out = &mut row[first..][..span];
            for (n, sum) in sums.iter().enumerate() {
                let (at, mut sum) = (place::<S, K>(n), *sum);
                if add {
                    let held = load::<S, K>(out, at);
                    sum = [simd.add_f32s(sum[0], held[0]), simd.add_f32s(sum[1], held[1])];
                }
                store::<S, K>(out, at, sum);
            }
        }
    }

    /// Adds whole chunks of `U` terms.
    #[inline(always)]
    fn sum<S: Simd, const K: bool, const M: usize, const N: usize, const U: usize>(
        &self,
        simd: S,
        corner: &Corner,
        terms: Range<usize>,
        sums: &mut [[[S::f32s; 2]; N]; M],
    ) {
        let (row, first) = (corner.row, place::<S, K>(corner.vector));
        let right = self.right[terms.clone()].as_chunks().0;
        match self.left {
            Scalars::Rows(left, apart) if K == REAL => {
                let left = &left[row * apart + terms.start..];
                by_values::<S, K, M, N, U>(simd, (left, apart), (right, first), sums);
            }
            Scalars::Rows(left, apart) => {
                let left = &left[row * apart + terms.start / LANES * element(K)..];
                by_elements::<S, K, M, N>(simd, (left, apart), (&self.right[terms], first), sums);
            }
            Scalars::Terms(left) if K == REAL => {
                let left = left[terms].as_chunks().0;
                by_lines::<S, K, M, N, U, PANEL>(simd, (left, row), (right, first), sums);
            }
            Scalars::Terms(left) => {
                let left = left[terms].as_chunks().0;
                by_terms::<S, K, M, N, U>(simd, (left, row), (right, first), sums);
            }
            Scalars::Blocks(left, apart) => {
                let left = left[row / MOST_ROWS * apart..][terms].as_chunks().0;
                by_lines::<S, K, M, N, U, MOST_ROWS>(simd, (left, 0), (right, first), sums);
            }
        }
    }
}

/// Chunks of `U` lines of a panel, and where in each the vectors begin.
type Right<'a, const U: usize> = (&'a [[[f32; PANEL]; U]], usize);

/// Real numbers, whose terms are neighbours: `left` begins with the first term of the first row.
#[inline(always)]
fn by_values<S: Simd, const K: bool, const M: usize, const N: usize, const U: usize>(
    simd: S,
    (left, apart): (&[f32], usize),
    (right, first): Right<'_, U>,
    sums: &mut [[[S::f32s; 2]; N]; M],
) {
    let mut rows = [left.as_chunks::<U>().0; M];
    for (i, row) in rows.iter_mut().enumerate() {
        *row = &left[i * apart..].as_chunks().0[..right.len()];
    }
    for (chunk, right) in right.iter().enumerate() {
        for (t, right) in right.iter().enumerate() {
            let factors = factors::<S, K, N>(simd, &right[first..]);
            for (sums, row) in sums.iter_mut().zip(rows) {
                add::<S, K, N>(simd, [&row[chunk][t]; 2], factors, sums);
            }
        }
    }
}

/// Complex numbers, whose terms stand in elements: `left` begins with the first one of the first row.
#[inline(always)]
fn by_elements<S: Simd, const K: bool, const M: usize, const N: usize>(
    simd: S,
    (left, apart): (&[f32], usize),
    (right, first): (&[[f32; PANEL]], usize),
    sums: &mut [[[S::f32s; 2]; N]; M],
) {
    for (chunk, right) in right.chunks(LANES).enumerate() {
        let mut rows = [[&[0.0; LANES]; 2]; M];
        for (i, [re, im]) in rows.iter_mut().enumerate() {
            let row = &left[i * apart + chunk * element(K)..];
            *re = row.first_chunk().unwrap_or(re);
            *im = row[element(K) - LANES..].first_chunk().unwrap_or(im);
        }
        for (t, right) in right.iter().enumerate().take(LANES) {
            let factors = factors::<S, K, N>(simd, &right[first..]);
            for (sums, [re, im]) in sums.iter_mut().zip(&rows) {
                add::<S, K, N>(simd, [&re[t], &im[t]], factors, sums);
            }
        }
    }
}

/// Rows that stand in the elements of lines, from a row on.
#[inline(always)]
fn by_terms<S: Simd, const K: bool, const M: usize, const N: usize, const U: usize>(
    simd: S,
    (left, row): (&[[[f32; PANEL]; U]], usize),
    (right, first): Right<'_, U>,
    sums: &mut [[[S::f32s; 2]; N]; M],
) {
    let mut at = [0; M];
    for (i, at) in at.iter_mut().enumerate() {
        *at = (row + i) / LANES * element(K) + (row + i) % LANES;
    }
    for (left, right) in left.iter().zip(right) {
        for (left, right) in left.iter().zip(right) {
            let factors = factors::<S, K, N>(simd, &right[first..]);
            for (sums, at) in sums.iter_mut().zip(at) {
                let im = at + element(K) - LANES;
                add::<S, K, N>(simd, [&left[at % PANEL], &left[im % PANEL]], factors, sums);
            }
        }
    }
}

/// Real numbers of neighbouring rows, which are neighbours from a place of every line on.
#[inline(always)]
fn by_lines<S: Simd, const K: bool, const M: usize, const N: usize, const U: usize, const LINE: usize>(
    simd: S,
    (left, at): (&[[[f32; LINE]; U]], usize),
    (right, first): Right<'_, U>,
    sums: &mut [[[S::f32s; 2]; N]; M],
) {
    for (left, right) in left.iter().zip(right) {
        for (left, right) in left.iter().zip(right) {
            let factors = factors::<S, K, N>(simd, &right[first..]);
            for (sums, value) in sums.iter_mut().zip(&left[at..][..M]) {
                add::<S, K, N>(simd, [value; 2], factors, sums);
            }
        }
    }
}

/// The first vectors of one term.
#[inline(always)]
fn factors<S: Simd, const K: bool, const N: usize>(simd: S, right: &[f32]) -> [[S::f32s; 2]; N] {
    let right = &right[..span::<S, K>(N)];
    let mut factors = [[simd.splat_f32s(0.0); 2]; N];
    for (n, factor) in factors.iter_mut().enumerate() {
        *factor = load::<S, K>(right, place::<S, K>(n));
    }
    factors
}

/// Adds the products of a scalar. It is read where it is used: a broadcast from memory is for free, one from a register
/// takes the place of a multiplication.
#[inline(always)]
fn add<S: Simd, const K: bool, const N: usize>(
    simd: S,
    [re, im]: [&f32; 2],
    factors: [[S::f32s; 2]; N],
    sums: &mut [[S::f32s; 2]; N],
) {
    let re = simd.splat_f32s(*re);
    let im = if K == REAL { re } else { simd.splat_f32s(*im) };
    for (sum, factor) in sums.iter_mut().zip(factors) {
        *sum = multiply_add::<S, K>(simd, [re, im], factor, *sum);
    }
}

/// Whether a tile fits the registers.
const fn fits<S: Simd>(real: bool, [rows, vectors]: [usize; 2]) -> bool {
    let most = if real { Kind::Real } else { Kind::Complex }.widest(registers::<S>());
    rows <= most[0] && vectors <= most[1]
}

/// f32 values of an element.
const fn element(real: bool) -> usize {
    if real { LANES } else { 2 * LANES }
}

/// The first value of a vector among the elements of a row.
#[inline(always)]
fn place<S: Simd, const K: bool>(vector: usize) -> usize {
    let per_element = LANES / S::F32_LANES;
    vector / per_element * element(K) + vector % per_element * S::F32_LANES
}

/// Values from the first to the last of so many vectors that begin with an element, or lie within one.
#[inline(always)]
fn span<S: Simd, const K: bool>(vectors: usize) -> usize {
    place::<S, K>(vectors - 1) + element(K) - LANES + S::F32_LANES
}

#[inline(always)]
fn load<S: Simd, const K: bool>(values: &[f32], at: usize) -> [S::f32s; 2] {
    let im = at + element(K) - LANES;
    let re = S::as_simd_f32s(&values[at..at + S::F32_LANES]).0[0];
    [re, if K == REAL { re } else { S::as_simd_f32s(&values[im..im + S::F32_LANES]).0[0] }]
}

#[inline(always)]
fn store<S: Simd, const K: bool>(values: &mut [f32], at: usize, sum: [S::f32s; 2]) {
    if K == COMPLEX {
        S::as_mut_simd_f32s(&mut values[at + LANES..at + LANES + S::F32_LANES]).0[0] = sum[1];
    }
    S::as_mut_simd_f32s(&mut values[at..at + S::F32_LANES]).0[0] = sum[0];
}

/// `a b + sum`, or `a b* + sum` of complex numbers.
#[inline(always)]
fn multiply_add<S: Simd, const K: bool>(
    simd: S,
    a: [S::f32s; 2],
    b: [S::f32s; 2],
    sum: [S::f32s; 2],
) -> [S::f32s; 2] {
    let re = simd.mul_add_e_f32s(a[0], b[0], sum[0]);
    if K == REAL {
        return [re, sum[1]];
    }
    let im = simd.negate_mul_add_e_f32s(a[0], b[1], sum[1]);
    [simd.mul_add_e_f32s(a[1], b[1], re), simd.mul_add_e_f32s(a[1], b[0], im)]
}
