//! Products over channels at one frequency of a group of tiles: 16 channels of the product in the lanes.
//!
//! `out[row][n] (+)= Σ_t left[row][t] right[t][n]`. Vectors of 16 neighbouring `n` are loaded from `right`, scalars of
//! `left` are broadcast. The sums of [`MOST_ROWS`] rows and two vectors of complex numbers, or four of real ones, stay
//! in 24 registers: 48 fused multiply-adds need 4 loads and 12 broadcasts. `right` passes from the first-level cache
//! while the rows of a group pass by.

use pulp::{Arch, Simd, WithSimd};

use crate::counted;

/// Channels that stand in the lanes of an element of a spectrum.
pub(crate) const LANES: usize = 16;

/// Rows of the widest register tile where there are 32 registers, and where there are 16.
pub(crate) const MOST_ROWS: usize = 6;
const FEW_ROWS: usize = 2;

/// What the numbers are, and which of the factors is conjugated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Real,
    Plain,
    ConjugateLeft,
    ConjugateRight,
}

impl Kind {
    /// f32 values of an element: 16 channels.
    pub(crate) fn element(self) -> usize {
        if self == Kind::Real { LANES } else { 2 * LANES }
    }
}

/// Where the values of an index are: `n` values apart, or in the lanes of elements `n` values apart.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Apart(usize),
    Lanes(usize),
}

impl Step {
    #[inline(always)]
    fn offset(self, index: usize) -> usize {
        match self {
            Step::Apart(n) => index * n,
            Step::Lanes(n) => index / LANES * n + index % LANES,
        }
    }

    /// Values from one index to the next within 16.
    #[inline(always)]
    fn inner(self) -> usize {
        match self {
            Step::Apart(n) => n,
            Step::Lanes(_) => 1,
        }
    }
}

/// The scalars `left[row][term]`; the imaginary part of a complex one follows 16 values behind its real part.
#[derive(Clone, Copy)]
pub(crate) struct Scalars<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) row: Step,
    pub(crate) term: Step,
}

/// One product.
pub(crate) struct Product<'a> {
    pub(crate) kind: Kind,
    /// Rows, elements of 16 channels, terms.
    pub(crate) sizes: [usize; 3],
    pub(crate) left: Scalars<'a>,
    /// Elements `[term][n]`, so many values from one term to the next.
    pub(crate) right: (&'a [f32], usize),
    /// Elements `[row][n]`, so many values from one row to the next.
    pub(crate) out: (&'a mut [f32], usize),
    /// Whether what is there is added to.
    pub(crate) add: bool,
}

impl Product<'_> {
    /// Computes it with the widest vectors there are.
    pub(crate) fn run(self) {
        Arch::new().dispatch(self);
    }
}

const REAL: u8 = Kind::Real as u8;
const PLAIN: u8 = Kind::Plain as u8;
const LEFT: u8 = Kind::ConjugateLeft as u8;
const RIGHT: u8 = Kind::ConjugateRight as u8;

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        match self.kind {
            Kind::Real => self.tiles::<S, REAL>(simd),
            Kind::Plain => self.tiles::<S, PLAIN>(simd),
            Kind::ConjugateLeft => self.tiles::<S, LEFT>(simd),
            Kind::ConjugateRight => self.tiles::<S, RIGHT>(simd),
        }
    }
}

/// A tile: its first row, its first vector, and how many of each.
#[derive(Clone, Copy)]
struct Corner {
    row: usize,
    vector: usize,
}

impl Product<'_> {
    #[inline(always)]
    fn tiles<S: Simd, const K: u8>(&mut self, simd: S) {
        let [rows, elements, _] = self.sizes;
        let vectors = elements * LANES / S::F32_LANES;
        let most = if S::REGISTER_COUNT >= 32 { MOST_ROWS } else { FEW_ROWS };
        let wide = if K == REAL { 4 } else { 2 };
        let parts = rows.div_ceil(most);
        let mut vector = 0;
        while vector < vectors {
            let width = if vectors - vector >= wide { wide } else { 1 };
            for part in 0..parts {
                let (row, end) = (part * rows / parts, (part + 1) * rows / parts);
                self.tile::<S, K>(simd, Corner { row, vector }, [end - row, width]);
            }
            vector += width;
        }
    }

    #[inline(always)]
    fn tile<S: Simd, const K: u8>(&mut self, simd: S, corner: Corner, size: [usize; 2]) {
        match size {
            [1, 1] => self.registers::<S, K, 1, 1>(simd, corner),
            [2, 1] => self.registers::<S, K, 2, 1>(simd, corner),
            [3, 1] => self.registers::<S, K, 3, 1>(simd, corner),
            [4, 1] => self.registers::<S, K, 4, 1>(simd, corner),
            [5, 1] => self.registers::<S, K, 5, 1>(simd, corner),
            [_, 1] => self.registers::<S, K, 6, 1>(simd, corner),
            [rows, _] if K == REAL => match rows {
                1 => self.registers::<S, K, 1, 4>(simd, corner),
                2 => self.registers::<S, K, 2, 4>(simd, corner),
                3 => self.registers::<S, K, 3, 4>(simd, corner),
                4 => self.registers::<S, K, 4, 4>(simd, corner),
                5 => self.registers::<S, K, 5, 4>(simd, corner),
                _ => self.registers::<S, K, 6, 4>(simd, corner),
            },
            [1, _] => self.registers::<S, K, 1, 2>(simd, corner),
            [2, _] => self.registers::<S, K, 2, 2>(simd, corner),
            [3, _] => self.registers::<S, K, 3, 2>(simd, corner),
            [4, _] => self.registers::<S, K, 4, 2>(simd, corner),
            [5, _] => self.registers::<S, K, 5, 2>(simd, corner),
            _ => self.registers::<S, K, 6, 2>(simd, corner),
        }
    }

    /// `M` rows and `N` vectors.
    #[inline(always)]
    fn registers<S: Simd, const K: u8, const M: usize, const N: usize>(&mut self, simd: S, corner: Corner) {
        let terms = self.sizes[2];
        counted::multiplied(if K == REAL { 2 } else { 8 } * M * N * S::F32_LANES * terms);
        let Scalars { values, row, term } = self.left;
        let rows: [usize; M] = std::array::from_fn(|i| row.offset(corner.row + i));
        let at: [usize; N] = std::array::from_fn(|n| place::<S, K>(corner.vector + n));
        let zero = simd.splat_f32s(0.0);
        let mut sums = [[[zero; 2]; N]; M];
        for first in (0..terms).step_by(LANES) {
            let (base, count) = (term.offset(first), LANES.min(terms - first));
            for t in 0..count {
                let right = &self.right.0[(first + t) * self.right.1..];
                let mut factors = [[zero; 2]; N];
                for (factor, at) in factors.iter_mut().zip(at) {
                    *factor = load::<S, K>(simd, right, at);
                }
                for (sums, row) in sums.iter_mut().zip(rows) {
                    let scalar = row + base + t * term.inner();
                    let re = simd.splat_f32s(values[scalar]);
                    let im = if K == REAL { zero } else { simd.splat_f32s(values[scalar + LANES]) };
                    for (sum, factor) in sums.iter_mut().zip(factors) {
                        *sum = multiply_add::<S, K>(simd, [re, im], factor, *sum);
                    }
                }
            }
        }
        let add = self.add;
        for (i, sums) in sums.iter().enumerate() {
            let out = &mut self.out.0[(corner.row + i) * self.out.1..];
            for (sum, at) in sums.iter().zip(at) {
                let mut sum = *sum;
                if add {
                    let held = load::<S, K>(simd, out, at);
                    sum = [simd.add_f32s(sum[0], held[0]), simd.add_f32s(sum[1], held[1])];
                }
                store::<S, K>(out, at, sum);
            }
        }
    }
}

/// The first value of a vector among the elements of a row.
#[inline(always)]
fn place<S: Simd, const K: u8>(vector: usize) -> usize {
    let (per_element, element) = (LANES / S::F32_LANES, if K == REAL { LANES } else { 2 * LANES });
    vector / per_element * element + vector % per_element * S::F32_LANES
}

#[inline(always)]
fn load<S: Simd, const K: u8>(simd: S, values: &[f32], at: usize) -> [S::f32s; 2] {
    let vector = |at: usize| S::as_simd_f32s(&values[at..at + S::F32_LANES]).0[0];
    [vector(at), if K == REAL { simd.splat_f32s(0.0) } else { vector(at + LANES) }]
}

#[inline(always)]
fn store<S: Simd, const K: u8>(values: &mut [f32], at: usize, sum: [S::f32s; 2]) {
    S::as_mut_simd_f32s(&mut values[at..at + S::F32_LANES]).0[0] = sum[0];
    if K != REAL {
        S::as_mut_simd_f32s(&mut values[at + LANES..at + LANES + S::F32_LANES]).0[0] = sum[1];
    }
}

/// `a b + sum`, with the factor conjugated that `K` names.
#[inline(always)]
fn multiply_add<S: Simd, const K: u8>(
    simd: S,
    a: [S::f32s; 2],
    b: [S::f32s; 2],
    sum: [S::f32s; 2],
) -> [S::f32s; 2] {
    let re = simd.mul_add_e_f32s(a[0], b[0], sum[0]);
    match K {
        REAL => [re, sum[1]],
        PLAIN => {
            let im = simd.mul_add_e_f32s(a[0], b[1], sum[1]);
            [simd.negate_mul_add_e_f32s(a[1], b[1], re), simd.mul_add_e_f32s(a[1], b[0], im)]
        }
        LEFT => {
            let im = simd.mul_add_e_f32s(a[0], b[1], sum[1]);
            [simd.mul_add_e_f32s(a[1], b[1], re), simd.negate_mul_add_e_f32s(a[1], b[0], im)]
        }
        _ => {
            let im = simd.negate_mul_add_e_f32s(a[0], b[1], sum[1]);
            [simd.mul_add_e_f32s(a[1], b[1], re), simd.mul_add_e_f32s(a[1], b[0], im)]
        }
    }
}
