//! Butterflies: forward discrete Fourier transforms of 2 to 12 complex vectors.

use crate::arith::{Arith, TWIDDLE_FLOPS, add, sub, twiddle};
use num_complex::Complex;
use std::f32::consts::FRAC_1_SQRT_2;

/// The family of butterflies; one [`Codelet`] for each radix.
pub(crate) struct Dft;

/// The forward transform of `R` values.
pub(crate) trait Codelet<const R: usize> {
    /// Real additions and multiplications of one lane.
    const FLOPS: u64;
    /// `y[k] = Σ_j x[j] exp(-2πi jk/R)`.
    fn run<A: Arith>(s: A, x: [Complex<A::V>; R]) -> [Complex<A::V>; R];
}

/// Calls `$body!(R)` with the radix `$radix` as a literal.
macro_rules! for_radix {
    ($radix:expr, $body:ident $arguments:tt) => {
        match $radix {
            2 => $body!(2 $arguments),
            3 => $body!(3 $arguments),
            4 => $body!(4 $arguments),
            5 => $body!(5 $arguments),
            6 => $body!(6 $arguments),
            7 => $body!(7 $arguments),
            8 => $body!(8 $arguments),
            9 => $body!(9 $arguments),
            10 => $body!(10 $arguments),
            _ => $body!(12 $arguments),
        }
    };
}
pub(crate) use for_radix;

/// The radices that have a butterfly.
pub(crate) const RADICES: [usize; 10] = [2, 3, 4, 5, 6, 7, 8, 9, 10, 12];

macro_rules! flops_of {
    ($radix:literal ()) => {
        <Dft as Codelet<$radix>>::FLOPS
    };
}

/// Operations of the butterfly of one of [`RADICES`].
pub(crate) fn flops(radix: usize) -> u64 {
    for_radix!(radix, flops_of())
}

/// `a - i b`: 2 operations.
#[inline(always)]
fn sub_i<A: Arith>(s: A, a: Complex<A::V>, b: Complex<A::V>) -> Complex<A::V> {
    Complex { re: s.add(a.re, b.im), im: s.sub(a.im, b.re) }
}

/// `a + i b`: 2 operations.
#[inline(always)]
fn add_i<A: Arith>(s: A, a: Complex<A::V>, b: Complex<A::V>) -> Complex<A::V> {
    Complex { re: s.sub(a.re, b.im), im: s.add(a.im, b.re) }
}

impl Codelet<2> for Dft {
    const FLOPS: u64 = 4;
    #[inline(always)]
    fn run<A: Arith>(s: A, [a, b]: [Complex<A::V>; 2]) -> [Complex<A::V>; 2] {
        [add(s, a, b), sub(s, a, b)]
    }
}

impl Codelet<4> for Dft {
    const FLOPS: u64 = 16;
    #[inline(always)]
    fn run<A: Arith>(s: A, [a, b, c, d]: [Complex<A::V>; 4]) -> [Complex<A::V>; 4] {
        let (ac, bd) = (add(s, a, c), add(s, b, d));
        let (a_c, b_d) = (sub(s, a, c), sub(s, b, d));
        [add(s, ac, bd), sub_i(s, a_c, b_d), sub(s, ac, bd), add_i(s, a_c, b_d)]
    }
}

impl Codelet<8> for Dft {
    const FLOPS: u64 = 2 * 16 + 2 * 4 + 2 * 10;
    #[inline(always)]
    fn run<A: Arith>(s: A, x: [Complex<A::V>; 8]) -> [Complex<A::V>; 8] {
        let e = <Dft as Codelet<4>>::run(s, [x[0], x[2], x[4], x[6]]);
        let o = <Dft as Codelet<4>>::run(s, [x[1], x[3], x[5], x[7]]);
        let (y1, y5) = plus_minus_eighth(s, e[1], o[1]);
        let (y3, y7) = plus_minus_three_eighths(s, e[3], o[3]);
        [add(s, e[0], o[0]), y1, sub_i(s, e[2], o[2]), y3, sub(s, e[0], o[0]), y5, add_i(s, e[2], o[2]), y7]
    }
}

/// `(e + w o, e - w o)` with `w = exp(-2πi/8)`: 10 operations.
#[inline(always)]
fn plus_minus_eighth<A: Arith>(s: A, e: Complex<A::V>, o: Complex<A::V>) -> (Complex<A::V>, Complex<A::V>) {
    let h = s.splat(FRAC_1_SQRT_2);
    let t = sub_i(s, o, o);
    (
        Complex { re: s.mul_add(h, t.re, e.re), im: s.mul_add(h, t.im, e.im) },
        Complex { re: s.neg_mul_add(h, t.re, e.re), im: s.neg_mul_add(h, t.im, e.im) },
    )
}

/// `(e + w o, e - w o)` with `w = exp(-6πi/8)`: 10 operations.
#[inline(always)]
fn plus_minus_three_eighths<A: Arith>(
    s: A,
    e: Complex<A::V>,
    o: Complex<A::V>,
) -> (Complex<A::V>, Complex<A::V>) {
    let h = s.splat(FRAC_1_SQRT_2);
    let t = add_i(s, o, o);
    (
        Complex { re: s.neg_mul_add(h, t.re, e.re), im: s.neg_mul_add(h, t.im, e.im) },
        Complex { re: s.mul_add(h, t.re, e.re), im: s.mul_add(h, t.im, e.im) },
    )
}

macro_rules! odd_codelet {
    ($radix:literal, $cos:expr, $sin:expr) => {
        impl Codelet<$radix> for Dft {
            const FLOPS: u64 = odd_flops($radix);
            #[inline(always)]
            fn run<A: Arith>(s: A, x: [Complex<A::V>; $radix]) -> [Complex<A::V>; $radix] {
                odd(s, x, &$cos, &$sin)
            }
        }
    };
}

odd_codelet!(3, [-0.5], [0.866_025_4]);
odd_codelet!(5, [0.309_017, -0.809_017], [0.951_056_54, 0.587_785_24]);
odd_codelet!(7, [0.623_489_8, -0.222_520_93, -0.900_968_9], [0.781_831_5, 0.974_927_9, 0.433_883_74]);

/// Operations of [`odd`] with `h = (r - 1) / 2` pairs: `8 h² + 8 h`.
const fn odd_flops(r: u64) -> u64 {
    let h = (r - 1) / 2;
    8 * h * h + 8 * h
}

/// The butterfly of an odd radix from its pairs `x[k] ± x[R-k]`.
///
/// `cos[k-1] = cos(2πk/R)` and `sin[k-1] = sin(2πk/R)` for `1 <= k <= (R-1)/2`.  With
/// `A = x[0] + Σ cos(2πmk/R) (x[k] + x[R-k])` and `B = Σ sin(2πmk/R) (x[k] - x[R-k])`, the outputs
/// are `y[m] = A - iB` and `y[R-m] = A + iB`.
#[inline(always)]
fn odd<A: Arith, const R: usize>(
    s: A,
    x: [Complex<A::V>; R],
    cos: &[f32],
    sin: &[f32],
) -> [Complex<A::V>; R] {
    let half = R / 2;
    let (mut sum, mut dif, mut y) = (x, x, x);
    for k in 1..=half {
        sum[k] = add(s, x[k], x[R - k]);
        dif[k] = sub(s, x[k], x[R - k]);
        y[0] = add(s, y[0], sum[k]);
    }
    for m in 1..=half {
        let (mut a, mut b) = (x[0], x[0]);
        for k in 1..=half {
            let turn = m * k % R;
            let (c, sn) = if turn <= half {
                (cos[turn - 1], sin[turn - 1])
            } else {
                (cos[R - turn - 1], -sin[R - turn - 1])
            };
            let (c, sn) = (s.splat(c), s.splat(sn));
            a = Complex { re: s.mul_add(c, sum[k].re, a.re), im: s.mul_add(c, sum[k].im, a.im) };
            b = if k == 1 {
                Complex { re: s.mul(sn, dif[k].re), im: s.mul(sn, dif[k].im) }
            } else {
                Complex { re: s.mul_add(sn, dif[k].re, b.re), im: s.mul_add(sn, dif[k].im, b.im) }
            };
        }
        y[m] = sub_i(s, a, b);
        y[R - m] = add_i(s, a, b);
    }
    y
}

/// Points `first`, then every `step`-th, around a circle of `R`.
#[inline(always)]
fn around<V: Copy, const R: usize, const N: usize>(x: [V; R], first: usize, step: usize) -> [V; N] {
    let mut y = [x[0]; N];
    for (i, y) in y.iter_mut().enumerate() {
        *y = x[(first + i * step) % R];
    }
    y
}

/// Value `index` of each of `N` arrays.
#[inline(always)]
fn across<V: Copy, const M: usize, const N: usize>(x: [[V; M]; N], index: usize) -> [V; N] {
    let mut y = [x[0][0]; N];
    for i in 0..N {
        y[i] = x[i][index];
    }
    y
}

/// Radix `R = A B` of factors without a common one: as a transform of two axes (Good 1958), with no twiddles. Of
/// `x[(B i + A j) mod R]`, frequency `k` is `(k mod A, k mod B)`.
macro_rules! good {
    ($r:literal = $a:literal * $b:literal, $($j:literal)*, $($k:literal)*) => {
        impl Codelet<$r> for Dft {
            const FLOPS: u64 = $b * <Dft as Codelet<$a>>::FLOPS + $a * <Dft as Codelet<$b>>::FLOPS;
            #[inline(always)]
            fn run<S: Arith>(s: S, x: [Complex<S::V>; $r]) -> [Complex<S::V>; $r] {
                let z: [[_; $a]; $b] = [$(<Dft as Codelet<$a>>::run(s, around(x, $a * $j, $b))),*];
                let y: [[_; $b]; $a] = [$(<Dft as Codelet<$b>>::run(s, across(z, $k))),*];
                let mut found = x;
                for k in 0..$r {
                    found[k] = y[k % $a][k % $b];
                }
                found
            }
        }
    };
}

good!(6 = 3 * 2, 0 1, 0 1 2);
good!(10 = 5 * 2, 0 1, 0 1 2 3 4);
good!(12 = 4 * 3, 0 1 2, 0 1 2 3);

/// `exp(-2πi/9)`, its square and its fourth power.
const NINTHS: [[f32; 2]; 3] =
    [[0.766_044_44, -0.642_787_64], [0.173_648_18, -0.984_807_7], [-0.939_692_6, -0.342_020_15]];

impl Codelet<9> for Dft {
    const FLOPS: u64 = 6 * <Dft as Codelet<3>>::FLOPS + 4 * TWIDDLE_FLOPS;
    #[inline(always)]
    fn run<S: Arith>(s: S, x: [Complex<S::V>; 9]) -> [Complex<S::V>; 9] {
        let [w1, w2, w4] = NINTHS;
        let [a, mut b, mut c]: [[_; 3]; 3] = [
            <Dft as Codelet<3>>::run(s, around(x, 0, 3)),
            <Dft as Codelet<3>>::run(s, around(x, 1, 3)),
            <Dft as Codelet<3>>::run(s, around(x, 2, 3)),
        ];
        (b[1], b[2]) = (twiddle(s, b[1], w1), twiddle(s, b[2], w2));
        (c[1], c[2]) = (twiddle(s, c[1], w2), twiddle(s, c[2], w4));
        let [d, e, f] = [
            <Dft as Codelet<3>>::run(s, [a[0], b[0], c[0]]),
            <Dft as Codelet<3>>::run(s, [a[1], b[1], c[1]]),
            <Dft as Codelet<3>>::run(s, [a[2], b[2], c[2]]),
        ];
        [d[0], e[0], f[0], d[1], e[1], f[1], d[2], e[2], f[2]]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arith::counting::count;
    use crate::definition::{Direction, dft};

    fn check<const R: usize>()
    where
        Dft: Codelet<R>,
    {
        let x: [Complex<f32>; R] =
            std::array::from_fn(|i| Complex { re: (i * i) as f32 - 3.0, im: 1.0 - 2.0 * i as f32 });
        let wide: Vec<_> = x.iter().map(|c| Complex::new(f64::from(c.re), f64::from(c.im))).collect();
        let expected = dft(&[R], &wide, Direction::Forward).unwrap();
        let counted = count(|c| {
            let y = <Dft as Codelet<R>>::run(c, x);
            for (y, e) in y.iter().zip(&expected) {
                let d = Complex::new(f64::from(y.re), f64::from(y.im)) - e;
                assert!(d.norm() <= 2e-5, "radix {R}: {y} instead of {e}");
            }
        });
        assert_eq!(counted, flops(R), "radix {R}");
    }

    #[test]
    fn codelets_agree_with_the_definition_and_their_counts() {
        macro_rules! checked {
            ($radix:literal ()) => {
                check::<$radix>()
            };
        }
        for radix in RADICES {
            for_radix!(radix, checked());
        }
    }
}
