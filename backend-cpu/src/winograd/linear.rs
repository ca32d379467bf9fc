//! A matrix of [`conv_core::winograd`] times vectors, known to the compiler value for value: zeros are left out, and
//! two rows (or columns) that differ in signs alone share their multiplications.

use std::marker::PhantomData;

use conv_core::winograd::{self, MAX_TILE, Matrix};
use pulp::Simd;

/// Pairs of neighbouring rows or columns.
const PAIRS: usize = MAX_TILE / 2;

/// A matrix as it is applied.
#[derive(Clone, Copy)]
pub(super) struct Mixed {
    /// Its rows; of paired ones half their sum and half their difference.
    matrix: Matrix,
    paired: [bool; PAIRS],
}

/// Which matrix: a tile of `T` values, a kernel of `K`.
pub(super) trait Evaluation {
    const ROWS: usize;
    const COLUMNS: usize;
    const MIXED: Mixed;
}

/// Tile to points.
pub(super) struct Data<const T: usize>;

impl<const T: usize> Evaluation for Data<T> {
    const ROWS: usize = T;
    const COLUMNS: usize = T;
    const MIXED: Mixed = mixed(winograd::data(T));
}

/// Kernel to points.
pub(super) struct Kernel<const T: usize, const K: usize>;

impl<const T: usize, const K: usize> Evaluation for Kernel<T, K> {
    const ROWS: usize = T;
    const COLUMNS: usize = K;
    const MIXED: Mixed = mixed(winograd::kernel(T, K));
}

/// Points to targets, as the transpose of an evaluation: the rows of `MIXED` are columns of the matrix.
pub(super) struct Target<const T: usize, const K: usize>;

impl<const T: usize, const K: usize> Evaluation for Target<T, K> {
    const ROWS: usize = T;
    const COLUMNS: usize = T - K + 1;
    const MIXED: Mixed = mixed(transposed(winograd::target(T, T - K + 1)));
}

const fn transposed(matrix: Matrix) -> Matrix {
    let mut rows = matrix;
    let mut i = 0;
    while i < MAX_TILE * MAX_TILE {
        rows[i / MAX_TILE][i % MAX_TILE] = matrix[i % MAX_TILE][i / MAX_TILE];
        i += 1;
    }
    rows
}

/// Pairs rows where that leaves fewer multiplications.
const fn mixed(matrix: Matrix) -> Mixed {
    let mut mixed = Mixed { matrix, paired: [false; PAIRS] };
    let mut pair = 0;
    while pair < PAIRS {
        let [first, second] = [matrix[2 * pair], matrix[2 * pair + 1]];
        let [mut even, mut odd] = [first, first];
        let mut i = 0;
        while i < MAX_TILE {
            even[i] = (first[i] + second[i]) / 2.0;
            odd[i] = (first[i] - second[i]) / 2.0;
            i += 1;
        }
        if count(even) + count(odd) + 2 < count(first) + count(second) {
            mixed.matrix[2 * pair] = even;
            mixed.matrix[2 * pair + 1] = odd;
            mixed.paired[pair] = true;
        }
        pair += 1;
    }
    mixed
}

/// Values other than zero.
const fn count(row: [f32; MAX_TILE]) -> usize {
    let (mut count, mut i) = (0, 0);
    while i < MAX_TILE {
        count += (row[i] != 0.0) as usize;
        i += 1;
    }
    count
}

impl Mixed {
    /// Additions and multiplications of one application: two for every value, two for every pair.
    pub(super) const fn flops(&self) -> usize {
        let (mut flops, mut i) = (0, 0);
        while i < MAX_TILE {
            flops += 2 * count(self.matrix[i]) + self.paired[i / 2] as usize;
            i += 1;
        }
        flops
    }
}

/// Rows that are multiplied with vectors.
trait Rows {
    const ROWS: Matrix;
}

/// Those of an evaluation, as mixed.
struct Evaluated<M>(PhantomData<M>);

impl<M: Evaluation> Rows for Evaluated<M> {
    const ROWS: Matrix = M::MIXED.matrix;
}

/// Its columns.
struct Interpolated<M>(PhantomData<M>);

impl<M: Evaluation> Rows for Interpolated<M> {
    const ROWS: Matrix = transposed(M::MIXED.matrix);
}

/// `M x`.
#[inline(always)]
pub(super) fn evaluate<S: Simd, M: Evaluation>(simd: S, x: [S::f32s; MAX_TILE]) -> [S::f32s; MAX_TILE] {
    let [a, b, c, d, e, f, g, h] = rows::<S, Evaluated<M>>(simd, x);
    let ([a, b], [c, d]) = (unmixed::<S, M, 0>(simd, [a, b]), unmixed::<S, M, 1>(simd, [c, d]));
    let ([e, f], [g, h]) = (unmixed::<S, M, 2>(simd, [e, f]), unmixed::<S, M, 3>(simd, [g, h]));
    [a, b, c, d, e, f, g, h]
}

/// `Mᵀ x`.
#[inline(always)]
pub(super) fn interpolate<S: Simd, M: Evaluation>(simd: S, x: [S::f32s; MAX_TILE]) -> [S::f32s; MAX_TILE] {
    let [a, b, c, d, e, f, g, h] = x;
    let ([a, b], [c, d]) = (unmixed::<S, M, 0>(simd, [a, b]), unmixed::<S, M, 1>(simd, [c, d]));
    let ([e, f], [g, h]) = (unmixed::<S, M, 2>(simd, [e, f]), unmixed::<S, M, 3>(simd, [g, h]));
    rows::<S, Interpolated<M>>(simd, [a, b, c, d, e, f, g, h])
}

/// Sum and difference of a pair.
#[inline(always)]
fn unmixed<S: Simd, M: Evaluation, const PAIR: usize>(simd: S, [a, b]: [S::f32s; 2]) -> [S::f32s; 2] {
    if const { M::MIXED.paired[PAIR] } { [simd.add_f32s(a, b), simd.sub_f32s(a, b)] } else { [a, b] }
}

#[inline(always)]
fn rows<S: Simd, R: Rows>(simd: S, x: [S::f32s; MAX_TILE]) -> [S::f32s; MAX_TILE] {
    [
        dot::<S, R, 0>(simd, x),
        dot::<S, R, 1>(simd, x),
        dot::<S, R, 2>(simd, x),
        dot::<S, R, 3>(simd, x),
        dot::<S, R, 4>(simd, x),
        dot::<S, R, 5>(simd, x),
        dot::<S, R, 6>(simd, x),
        dot::<S, R, 7>(simd, x),
    ]
}

/// The sum of products, without those by zero. No loop: the compiler is to see every factor.
#[inline(always)]
fn dot<S: Simd, R: Rows, const ROW: usize>(
    simd: S,
    [a, b, c, d, e, f, g, h]: [S::f32s; MAX_TILE],
) -> S::f32s {
    let sum = term::<S, R, ROW, 0>(simd, simd.splat_f32s(0.0), a);
    let sum = term::<S, R, ROW, 1>(simd, sum, b);
    let sum = term::<S, R, ROW, 2>(simd, sum, c);
    let sum = term::<S, R, ROW, 3>(simd, sum, d);
    let sum = term::<S, R, ROW, 4>(simd, sum, e);
    let sum = term::<S, R, ROW, 5>(simd, sum, f);
    let sum = term::<S, R, ROW, 6>(simd, sum, g);
    term::<S, R, ROW, 7>(simd, sum, h)
}

#[inline(always)]
fn term<S: Simd, R: Rows, const ROW: usize, const I: usize>(simd: S, sum: S::f32s, x: S::f32s) -> S::f32s {
    let factor = const { R::ROWS[ROW][I] };
    match (const { leading_zeros(R::ROWS[ROW]) == I }, factor) {
        (_, 0.0) => sum,
        (true, 1.0) => x,
        (true, _) => simd.mul_f32s(simd.splat_f32s(factor), x),
        (false, 1.0) => simd.add_f32s(sum, x),
        (false, -1.0) => simd.sub_f32s(sum, x),
        (false, _) => simd.mul_add_e_f32s(simd.splat_f32s(factor), x, sum),
    }
}

const fn leading_zeros(row: [f32; MAX_TILE]) -> usize {
    let mut i = 0;
    while i < MAX_TILE && row[i] == 0.0 {
        i += 1;
    }
    i
}
