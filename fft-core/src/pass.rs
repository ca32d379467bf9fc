//! The passes over one line of a complex lane block: load, butterfly, twiddle, store.
//!
//! A line of `n = R m` points is a matrix of `R` rows of `m` points (Cooley and Tukey 1965): the columns are
//! transformed and multiplied by `exp(-2πi pj/n)` where they stand, `p` the column and `j` the row; then each row is
//! transformed, by the same means or, where `m` is a radix, by one butterfly, and frequency `k` of row `j` is `j + Rk`
//! of the line. No pass stores where its next butterfly loads, or a multiple of 4096 bytes from there, for which a
//! processor would have to wait.
//!
//! In all passes `swap` exchanges real and imaginary parts of input and output, which inverts the transform. The
//! points of a butterfly are found by parting slices into equal ones, so that one check of an index is enough for all.

use crate::arith::twiddle;
use crate::codelets::{Codelet, Dft};
use crate::{LANES, Point};
use num_complex::Complex;
use pulp::{Simd, WithSimd};

/// The columns of a line of `n` points.
#[derive(Clone, Debug)]
pub(crate) struct Columns {
    /// Points of a column, `R`.
    pub(crate) radix: usize,
    /// Points of a row, `m`.
    pub(crate) row: usize,
    /// `exp(-2πi pj/n)` as `[re, im]` for `1 <= p < m`, `0 <= j < R`.
    twiddles: Vec<[f32; 2]>,
}

impl Columns {
    /// The columns of `radix` points of a line of `n`.
    pub(crate) fn new(n: usize, radix: usize, round: fn(f64) -> f32) -> Columns {
        let row = n / radix;
        let root = |turn: usize| {
            let w = Complex::cis(-std::f64::consts::TAU * turn as f64 / n as f64);
            [round(w.re), round(w.im)]
        };
        let twiddles = (1..row).flat_map(|p| (0..radix).map(move |j| root(p * j))).collect();
        Columns { radix, row, twiddles }
    }
}

/// All columns, from a line whose points are `stride` apart to one without gaps.
pub(crate) struct OverColumns<'a, const R: usize> {
    pub(crate) swap: bool,
    pub(crate) columns: &'a Columns,
    pub(crate) src: &'a [Point],
    pub(crate) stride: usize,
    pub(crate) dst: &'a mut [Point],
}

/// Rows of `R` points without gaps, to a line whose points are `stride` apart: frequency `k` of row `j` of `rows` is
/// point `j + rows k`.
pub(crate) struct OverRows<'a, const R: usize> {
    pub(crate) swap: bool,
    pub(crate) rows: usize,
    pub(crate) src: &'a [Point],
    pub(crate) dst: &'a mut [Point],
    pub(crate) stride: usize,
}

/// The only pass of a line of `R` points that is its own destination.
pub(crate) struct InPlace<'a, const R: usize> {
    pub(crate) swap: bool,
    pub(crate) data: &'a mut [Point],
    pub(crate) stride: usize,
}

impl<const R: usize> WithSimd for OverColumns<'_, R>
where
    Dft: Codelet<R>,
{
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let OverColumns { swap, columns, src, stride, dst } = self;
        let m = columns.row;
        let src = parts::<R>(src, m * stride, (m - 1) * stride + 1);
        let dst = parts_mut::<R>(dst, m, m);
        for part in 0..LANES / S::F32_LANES {
            let y = transformed::<S, R>(simd, swap, &src, 0, part);
            for j in 0..R {
                store::<S>(swap, &mut dst[j][0], part, y[j]);
            }
        }
        let (twiddles, _) = columns.twiddles.as_chunks::<R>();
        for (p, w) in (1..m).zip(twiddles) {
            for part in 0..LANES / S::F32_LANES {
                let y = transformed::<S, R>(simd, swap, &src, p * stride, part);
                store::<S>(swap, &mut dst[0][p], part, y[0]);
                for j in 1..R {
                    store::<S>(swap, &mut dst[j][p], part, twiddle(simd, y[j], w[j]));
                }
            }
        }
    }
}

impl<const R: usize> WithSimd for OverRows<'_, R>
where
    Dft: Codelet<R>,
{
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let OverRows { swap, rows, src, dst, stride } = self;
        let dst = parts_mut::<R>(dst, rows * stride, (rows - 1) * stride + 1);
        for (j, row) in src.as_chunks::<R>().0[..rows].iter().enumerate() {
            for part in 0..LANES / S::F32_LANES {
                let mut x = [load::<S>(swap, &row[0], part); R];
                for k in 1..R {
                    x[k] = load::<S>(swap, &row[k], part);
                }
                let y = <Dft as Codelet<R>>::run(simd, x);
                for k in 0..R {
                    store::<S>(swap, &mut dst[k][j * stride], part, y[k]);
                }
            }
        }
    }
}

impl<const R: usize> WithSimd for InPlace<'_, R>
where
    Dft: Codelet<R>,
{
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let InPlace { swap, data, stride } = self;
        let data = parts_mut::<R>(data, stride, 1);
        for part in 0..LANES / S::F32_LANES {
            let mut x = [load::<S>(swap, &data[0][0], part); R];
            for k in 1..R {
                x[k] = load::<S>(swap, &data[k][0], part);
            }
            let y = <Dft as Codelet<R>>::run(simd, x);
            for j in 0..R {
                store::<S>(swap, &mut data[j][0], part, y[j]);
            }
        }
    }
}

/// `R` slices of `len` points, `step` from one to the next.
#[inline(always)]
fn parts<const R: usize>(points: &[Point], step: usize, len: usize) -> [&[Point]; R] {
    let mut parts = [&points[..len]; R];
    for k in 1..R {
        parts[k] = &points[k * step..][..len];
    }
    parts
}

/// The same of points that are written.
#[inline(always)]
fn parts_mut<const R: usize>(mut points: &mut [Point], step: usize, len: usize) -> [&mut [Point]; R] {
    const fn none<'a>() -> &'a mut [Point] {
        &mut []
    }
    let mut parts = [const { none() }; R];
    for (k, found) in parts.iter_mut().enumerate() {
        let after = if k + 1 < R { step } else { len };
        let (part, rest) = std::mem::take(&mut points).split_at_mut(after);
        points = rest;
        *found = &mut part[..len];
    }
    parts
}

/// The transform of point `at` of each part.
#[inline(always)]
fn transformed<S: Simd, const R: usize>(
    simd: S,
    swap: bool,
    parts: &[&[Point]; R],
    at: usize,
    part: usize,
) -> [Complex<S::f32s>; R]
where
    Dft: Codelet<R>,
{
    let mut x = [load::<S>(swap, &parts[0][at], part); R];
    for k in 1..R {
        x[k] = load::<S>(swap, &parts[k][at], part);
    }
    <Dft as Codelet<R>>::run(simd, x)
}

/// Lanes `part * F32_LANES ..` of a point, real and imaginary parts exchanged if `swap`.
#[inline(always)]
pub(crate) fn load<S: Simd>(swap: bool, point: &Point, part: usize) -> Complex<S::f32s> {
    let (halves, _) = point.as_chunks::<LANES>();
    let (re, im) = (usize::from(swap), usize::from(!swap));
    Complex { re: S::as_simd_f32s(&halves[re]).0[part], im: S::as_simd_f32s(&halves[im]).0[part] }
}

/// The inverse of [`load`].
#[inline(always)]
pub(crate) fn store<S: Simd>(swap: bool, point: &mut Point, part: usize, value: Complex<S::f32s>) {
    let (halves, _) = point.as_chunks_mut::<LANES>();
    let (re, im) = (usize::from(swap), usize::from(!swap));
    S::as_mut_simd_f32s(&mut halves[re]).0[part] = value.re;
    S::as_mut_simd_f32s(&mut halves[im]).0[part] = value.im;
}
