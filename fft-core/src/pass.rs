//! Stockham passes over one line of a complex lane block: load, butterfly, twiddle, store.

use crate::arith::twiddle;
use crate::codelets::{Codelet, Dft};
use crate::{LANES, Point};
use num_complex::Complex;
use pulp::{Simd, WithSimd};

/// The constants of one pass of radix `R` on a line of `n = R m s` points.
///
/// The pass is `y[q + s(Rp + j)] = exp(-2πi pj/(Rm)) Σ_k x[q + s(p + mk)] exp(-2πi jk/R)`
/// for all `p < m` and `q < s`.
#[derive(Clone, Debug)]
pub(crate) struct Stage {
    /// `R`.
    pub(crate) radix: usize,
    /// Groups with one set of twiddles each.
    m: usize,
    /// Product of the radices of the passes before.
    s: usize,
    /// `exp(-2πi pj/(Rm))` as `[re, im]` for `1 <= p < m`, `0 <= j < R`.
    twiddles: Vec<[f32; 2]>,
}

impl Stage {
    /// The pass of `radix` after passes whose radices multiply to `s`, on a line of `n` points.
    pub(crate) fn new(n: usize, radix: usize, s: usize, round: fn(f64) -> f32) -> Stage {
        let m = n / (radix * s);
        let root = |turn: usize| {
            let w = Complex::cis(-std::f64::consts::TAU * turn as f64 / (radix * m) as f64);
            [round(w.re), round(w.im)]
        };
        let twiddles = (1..m).flat_map(|p| (0..radix).map(move |j| root(p * j))).collect();
        Stage { radix, m, s, twiddles }
    }
}

/// The first pass (`s = 1`): strided source, contiguous destination.
///
/// In all passes `swap` exchanges real and imaginary parts of input and output, which inverts the
/// transform.
pub(crate) struct First<'a, const R: usize> {
    pub(crate) swap: bool,
    pub(crate) stage: &'a Stage,
    pub(crate) src: &'a [Point],
    pub(crate) stride: usize,
    pub(crate) dst: &'a mut [Point],
}

/// Any other pass: contiguous source; the destination may be strided in the last one (`m = 1`).
pub(crate) struct Later<'a, const R: usize> {
    pub(crate) swap: bool,
    pub(crate) stage: &'a Stage,
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

impl<const R: usize> WithSimd for First<'_, R>
where
    Dft: Codelet<R>,
{
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let First { swap, stage: Stage { m, twiddles, .. }, src, stride, dst } = self;
        let x: [&[Point]; R] = segments(src, m * stride, (m - 1) * stride + 1);
        let (chunks, _) = dst.as_chunks_mut::<R>();
        let Some((first, chunks)) = chunks.split_first_mut() else {
            return;
        };
        butterfly::<S, R>(simd, swap, x.map(|x| &x[0]), &mut first.each_mut(), None);
        let (groups, _) = twiddles.as_chunks::<R>();
        for (p, (y, w)) in (1..*m).zip(chunks.iter_mut().zip(groups)) {
            butterfly::<S, R>(simd, swap, x.map(|x| &x[p * stride]), &mut y.each_mut(), Some(w));
        }
    }
}

impl<const R: usize> WithSimd for Later<'_, R>
where
    Dft: Codelet<R>,
{
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Later { swap, stage: Stage { m, s, twiddles, .. }, src, dst, stride } = self;
        let len = (s - 1) * stride + 1;
        let x: [&[Point]; R] = segments(src, m * s, *s);
        let mut y: [&mut [Point]; R] = segments_mut(dst, s * stride, len);
        for q in 0..*s {
            let mut y = y.each_mut().map(|y| &mut y[q * stride]);
            butterfly::<S, R>(simd, swap, x.map(|x| &x[q]), &mut y, None);
        }
        let (groups, _) = twiddles.as_chunks::<R>();
        for (p, w) in (1..*m).zip(groups) {
            let x: [&[Point]; R] = segments(&src[s * p..], m * s, *s);
            let mut y: [&mut [Point]; R] = segments_mut(&mut dst[s * R * p..], *s, *s);
            for q in 0..*s {
                let mut y = y.each_mut().map(|y| &mut y[q]);
                butterfly::<S, R>(simd, swap, x.map(|x| &x[q]), &mut y, Some(w));
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
        let mut points: [&mut [Point]; R] = segments_mut(data, stride, 1);
        for part in 0..LANES / S::F32_LANES {
            let x = points.each_ref().map(|point| &point[0]);
            let y = transformed::<S, R>(simd, swap, x, part);
            stored::<S, R>(swap, &mut points.each_mut().map(|point| &mut point[0]), part, y);
        }
    }
}

/// `R` slices of `len` points, `step` points apart.
#[inline(always)]
fn segments<const R: usize>(src: &[Point], step: usize, len: usize) -> [&[Point]; R] {
    let mut segments = [&src[..len]; R];
    for j in 1..R {
        segments[j] = &src[j * step..][..len];
    }
    segments
}

/// `R` slices of `len <= step` points, `step` points apart.
#[inline(always)]
fn segments_mut<const R: usize>(dst: &mut [Point], step: usize, len: usize) -> [&mut [Point]; R] {
    let mut rest = dst;
    std::array::from_fn(|_| {
        let (head, tail) = std::mem::take(&mut rest).split_at_mut(len);
        rest = tail.get_mut(step - len..).unwrap_or_default();
        head
    })
}

/// One butterfly of all lanes, outputs multiplied by the twiddles if there are any.
#[inline(always)]
fn butterfly<S: Simd, const R: usize>(
    simd: S,
    swap: bool,
    x: [&Point; R],
    out: &mut [&mut Point; R],
    twiddles: Option<&[[f32; 2]; R]>,
) where
    Dft: Codelet<R>,
{
    for part in 0..LANES / S::F32_LANES {
        let mut y = transformed::<S, R>(simd, swap, x, part);
        if let Some(w) = twiddles {
            for j in 1..R {
                y[j] = twiddle(simd, y[j], w[j]);
            }
        }
        stored::<S, R>(swap, out, part, y);
    }
}

/// Loads and transforms `R` points.
#[inline(always)]
fn transformed<S: Simd, const R: usize>(
    simd: S,
    swap: bool,
    points: [&Point; R],
    part: usize,
) -> [Complex<S::f32s>; R]
where
    Dft: Codelet<R>,
{
    let mut x = [load::<S>(swap, points[0], part); R];
    for j in 1..R {
        x[j] = load::<S>(swap, points[j], part);
    }
    <Dft as Codelet<R>>::run(simd, x)
}

/// Stores `R` points.
#[inline(always)]
fn stored<S: Simd, const R: usize>(
    swap: bool,
    points: &mut [&mut Point; R],
    part: usize,
    y: [Complex<S::f32s>; R],
) {
    for j in 0..R {
        store::<S>(swap, points[j], part, y[j]);
    }
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
