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

/// A pass from one line to another, either perhaps strided.
///
/// In all passes `swap` exchanges real and imaginary parts of input and output, which inverts the
/// transform.
pub(crate) struct Apart<'a, const R: usize> {
    pub(crate) swap: bool,
    pub(crate) stage: &'a Stage,
    pub(crate) src: &'a [Point],
    pub(crate) src_stride: usize,
    pub(crate) dst: &'a mut [Point],
    pub(crate) dst_stride: usize,
}

/// The only pass of a line of `R` points that is its own destination.
pub(crate) struct InPlace<'a, const R: usize> {
    pub(crate) swap: bool,
    pub(crate) data: &'a mut [Point],
    pub(crate) stride: usize,
}

impl<const R: usize> WithSimd for Apart<'_, R>
where
    Dft: Codelet<R>,
{
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let Stage { m, s, twiddles, .. } = self.stage;
        for q in 0..*s {
            self.butterfly(simd, [0, q], None);
        }
        let (groups, _) = twiddles.as_chunks::<R>();
        for (p, w) in (1..*m).zip(groups) {
            for q in 0..*s {
                self.butterfly(simd, [p, q], Some(w));
            }
        }
    }
}

impl<const R: usize> Apart<'_, R>
where
    Dft: Codelet<R>,
{
    /// One butterfly of all lanes, outputs multiplied by the twiddles if there are any.
    #[inline(always)]
    fn butterfly<S: Simd>(&mut self, simd: S, [p, q]: [usize; 2], twiddles: Option<&[[f32; 2]; R]>) {
        let (Stage { m, s, .. }, swap) = (self.stage, self.swap);
        let from = Strided { at: (q + s * p) * self.src_stride, step: m * s * self.src_stride };
        let to = Strided { at: (q + s * R * p) * self.dst_stride, step: s * self.dst_stride };
        for part in 0..LANES / S::F32_LANES {
            let mut y = transformed::<S, R>(simd, swap, self.src, from, part);
            if let Some(w) = twiddles {
                for j in 1..R {
                    y[j] = twiddle(simd, y[j], w[j]);
                }
            }
            stored::<S, R>(swap, self.dst, to, part, y);
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
        let points = Strided { at: 0, step: stride };
        for part in 0..LANES / S::F32_LANES {
            let y = transformed::<S, R>(simd, swap, data, points, part);
            stored::<S, R>(swap, data, points, part, y);
        }
    }
}

/// Where the points of a butterfly are: the first, and from one to the next.
#[derive(Clone, Copy)]
struct Strided {
    at: usize,
    step: usize,
}

/// Loads and transforms `R` points.
#[inline(always)]
fn transformed<S: Simd, const R: usize>(
    simd: S,
    swap: bool,
    points: &[Point],
    Strided { at, step }: Strided,
    part: usize,
) -> [Complex<S::f32s>; R]
where
    Dft: Codelet<R>,
{
    let mut x = [load::<S>(swap, &points[at], part); R];
    for j in 1..R {
        x[j] = load::<S>(swap, &points[at + j * step], part);
    }
    <Dft as Codelet<R>>::run(simd, x)
}

/// Stores `R` points.
#[inline(always)]
fn stored<S: Simd, const R: usize>(
    swap: bool,
    points: &mut [Point],
    Strided { at, step }: Strided,
    part: usize,
    y: [Complex<S::f32s>; R],
) {
    for j in 0..R {
        store::<S>(swap, &mut points[at + j * step], part, y[j]);
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
