//! The step between a half-length complex and an even-length real transform: pairs of mirrored frequencies.

use crate::arith::{Arith, TWIDDLE_FLOPS, twiddle};
use crate::pass::{load, store};
use crate::{LANES, Point};
use num_complex::Complex;
use pulp::Simd;

/// Operations of [`Mirror::pair`] of [`Split`] and of [`Merge`].
pub(crate) const PAIR_FLOPS: [u64; 2] = [8 + TWIDDLE_FLOPS + 2, 8 + TWIDDLE_FLOPS];
/// Operations of [`Mirror::ends`].
pub(crate) const ENDS_FLOPS: [u64; 2] = [2, 2];
/// Operations of [`Mirror::middle`]; a change of sign is none.
pub(crate) const MIDDLE_FLOPS: [u64; 2] = [0, 2];

/// What happens to the frequencies `k` and `n/2 - k` of an even length, for `a = z[k]`, `b = z[n/2-k]`.
pub(crate) trait Mirror<A: Arith>: Copy {
    /// Of `k = 0`, where `b` is the frequency `n/2`.
    fn ends(self, a: Complex<A::V>, b: Complex<A::V>) -> [Complex<A::V>; 2];
    /// Of any other pair, with `w = -i exp(-2πi k/n) / 2`.
    fn pair(self, a: Complex<A::V>, b: Complex<A::V>, w: [f32; 2]) -> [Complex<A::V>; 2];
    /// Of `k = n/4`.
    fn middle(self, a: Complex<A::V>) -> Complex<A::V>;
}

/// From the half-length transform of even + i odd points to the spectrum.
#[derive(Clone, Copy)]
pub(crate) struct Split<A>(pub(crate) A);

/// From the spectrum to twice the half-length transform.
#[derive(Clone, Copy)]
pub(crate) struct Merge<A>(pub(crate) A);

/// `(a + conj b, a - conj b)`: 4 operations.
#[inline(always)]
fn fold<A: Arith>(s: A, a: Complex<A::V>, b: Complex<A::V>) -> (Complex<A::V>, Complex<A::V>) {
    (
        Complex { re: s.add(a.re, b.re), im: s.sub(a.im, b.im) },
        Complex { re: s.sub(a.re, b.re), im: s.add(a.im, b.im) },
    )
}

/// `[a + b, conj(a - b)]`: 4 operations.
#[inline(always)]
fn unfold<A: Arith>(s: A, a: Complex<A::V>, b: Complex<A::V>) -> [Complex<A::V>; 2] {
    [
        Complex { re: s.add(a.re, b.re), im: s.add(a.im, b.im) },
        Complex { re: s.sub(a.re, b.re), im: s.sub(b.im, a.im) },
    ]
}

impl<A: Arith> Mirror<A> for Split<A> {
    #[inline(always)]
    fn ends(self, a: Complex<A::V>, _: Complex<A::V>) -> [Complex<A::V>; 2] {
        let (s, zero) = (self.0, self.0.splat(0.0));
        [Complex { re: s.add(a.re, a.im), im: zero }, Complex { re: s.sub(a.re, a.im), im: zero }]
    }
    #[inline(always)]
    fn pair(self, a: Complex<A::V>, b: Complex<A::V>, w: [f32; 2]) -> [Complex<A::V>; 2] {
        let (s, half) = (self.0, self.0.splat(0.5));
        let (sum, dif) = fold(s, a, b);
        unfold(s, Complex { re: s.mul(half, sum.re), im: s.mul(half, sum.im) }, twiddle(s, dif, w))
    }
    #[inline(always)]
    fn middle(self, a: Complex<A::V>) -> Complex<A::V> {
        Complex { re: a.re, im: self.0.neg(a.im) }
    }
}

impl<A: Arith> Mirror<A> for Merge<A> {
    #[inline(always)]
    fn ends(self, a: Complex<A::V>, b: Complex<A::V>) -> [Complex<A::V>; 2] {
        let s = self.0;
        [Complex { re: s.add(a.re, b.re), im: s.sub(a.re, b.re) }, b]
    }
    #[inline(always)]
    fn pair(self, a: Complex<A::V>, b: Complex<A::V>, w: [f32; 2]) -> [Complex<A::V>; 2] {
        let s = self.0;
        let (sum, dif) = fold(s, a, b);
        unfold(s, sum, twiddle(s, dif, [2.0 * w[0], -2.0 * w[1]]))
    }
    #[inline(always)]
    fn middle(self, a: Complex<A::V>) -> Complex<A::V> {
        let s = self.0;
        Complex { re: s.mul(s.splat(2.0), a.re), im: s.mul(s.splat(-2.0), a.im) }
    }
}

/// Replaces all pairs of the frequencies `0 ..= n/2` of an even `n` in place.
#[inline(always)]
pub(crate) fn mirrored<S: Simd, M: Mirror<S>>(spectrum: &mut [Point], twiddles: &[[f32; 2]], mirror: M) {
    let [first, inner @ .., last] = spectrum else {
        return;
    };
    let (low, high) = inner.split_at_mut(inner.len() / 2);
    let (middle, high) = high.split_at_mut(high.len() - low.len());
    for part in 0..LANES / S::F32_LANES {
        let y = mirror.ends(load::<S>(false, first, part), load::<S>(false, last, part));
        store::<S>(false, first, part, y[0]);
        store::<S>(false, last, part, y[1]);
        for point in middle.iter_mut() {
            let y = mirror.middle(load::<S>(false, point, part));
            store::<S>(false, point, part, y);
        }
    }
    for ((a, b), &w) in low.iter_mut().zip(high.iter_mut().rev()).zip(&twiddles[1..]) {
        for part in 0..LANES / S::F32_LANES {
            let y = mirror.pair(load::<S>(false, a, part), load::<S>(false, b, part), w);
            store::<S>(false, a, part, y[0]);
            store::<S>(false, b, part, y[1]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arith::counting::count;

    #[test]
    fn counts_are_those_of_the_code() {
        let z = Complex { re: 1.0, im: 2.0 };
        let w = [3.0, 4.0];
        assert_eq!(PAIR_FLOPS[0], count(|c| _ = Split(c).pair(z, z, w)));
        assert_eq!(PAIR_FLOPS[1], count(|c| _ = Merge(c).pair(z, z, w)));
        assert_eq!(ENDS_FLOPS[0], count(|c| _ = Split(c).ends(z, z)));
        assert_eq!(ENDS_FLOPS[1], count(|c| _ = Merge(c).ends(z, z)));
        assert_eq!(MIDDLE_FLOPS[0], count(|c| _ = Split(c).middle(z)));
        assert_eq!(MIDDLE_FLOPS[1], count(|c| _ = Merge(c).middle(z)));
    }
}
