//! The vector arithmetic that codelets are written in, so that the same body computes and is counted.

use num_complex::Complex;
use pulp::Simd;

/// Real vector operations; every [`Simd`] instruction set implements them.
pub(crate) trait Arith: Copy {
    /// One vector register.
    type V: Copy;
    /// All elements `x`.
    fn splat(self, x: f32) -> Self::V;
    /// `a + b`, one operation.
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a - b`, one operation.
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a * b`, one operation.
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a * b + c`, two operations.
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// `c - a * b`, two operations.
    fn neg_mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// `-a`, not counted: a change of sign.
    fn neg(self, a: Self::V) -> Self::V;
}

impl<S: Simd> Arith for S {
    type V = S::f32s;
    #[inline(always)]
    fn splat(self, x: f32) -> Self::V {
        self.splat_f32s(x)
    }
    #[inline(always)]
    fn add(self, a: Self::V, b: Self::V) -> Self::V {
        self.add_f32s(a, b)
    }
    #[inline(always)]
    fn sub(self, a: Self::V, b: Self::V) -> Self::V {
        self.sub_f32s(a, b)
    }
    #[inline(always)]
    fn mul(self, a: Self::V, b: Self::V) -> Self::V {
        self.mul_f32s(a, b)
    }
    #[inline(always)]
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        self.mul_add_e_f32s(a, b, c)
    }
    #[inline(always)]
    fn neg_mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        self.negate_mul_add_e_f32s(a, b, c)
    }
    #[inline(always)]
    fn neg(self, a: Self::V) -> Self::V {
        self.neg_f32s(a)
    }
}

/// Complex `a + b`: 2 operations.
#[inline(always)]
pub(crate) fn add<A: Arith>(s: A, a: Complex<A::V>, b: Complex<A::V>) -> Complex<A::V> {
    Complex { re: s.add(a.re, b.re), im: s.add(a.im, b.im) }
}

/// Complex `a - b`: 2 operations.
#[inline(always)]
pub(crate) fn sub<A: Arith>(s: A, a: Complex<A::V>, b: Complex<A::V>) -> Complex<A::V> {
    Complex { re: s.sub(a.re, b.re), im: s.sub(a.im, b.im) }
}

/// Operations of [`twiddle`].
pub(crate) const TWIDDLE_FLOPS: u64 = 6;

/// `a * w` for one complex factor `w = [re, im]` common to all lanes: [`TWIDDLE_FLOPS`] operations.
#[inline(always)]
pub(crate) fn twiddle<A: Arith>(s: A, a: Complex<A::V>, w: [f32; 2]) -> Complex<A::V> {
    twisted(s, a, Complex { re: s.splat(w[0]), im: s.splat(w[1]) })
}

/// `a * w`, a factor a lane: [`TWIDDLE_FLOPS`] operations.
#[inline(always)]
pub(crate) fn twisted<A: Arith>(s: A, a: Complex<A::V>, w: Complex<A::V>) -> Complex<A::V> {
    Complex { re: s.neg_mul_add(a.im, w.im, s.mul(a.re, w.re)), im: s.mul_add(a.im, w.re, s.mul(a.re, w.im)) }
}

#[cfg(test)]
pub(crate) mod counting {
    //! A scalar arithmetic that counts its operations.

    use super::Arith;
    use std::cell::Cell;

    /// Counts additions and multiplications, a fused one as two.
    #[derive(Clone, Copy)]
    pub(crate) struct Counting<'a>(pub(crate) &'a Cell<u64>);

    impl Counting<'_> {
        fn count(self, operations: u64, value: f32) -> f32 {
            self.0.set(self.0.get() + operations);
            value
        }
    }

    impl Arith for Counting<'_> {
        type V = f32;
        fn splat(self, x: f32) -> f32 {
            x
        }
        fn add(self, a: f32, b: f32) -> f32 {
            self.count(1, a + b)
        }
        fn sub(self, a: f32, b: f32) -> f32 {
            self.count(1, a - b)
        }
        fn mul(self, a: f32, b: f32) -> f32 {
            self.count(1, a * b)
        }
        fn mul_add(self, a: f32, b: f32, c: f32) -> f32 {
            self.count(2, a * b + c)
        }
        fn neg_mul_add(self, a: f32, b: f32, c: f32) -> f32 {
            self.count(2, c - a * b)
        }
        fn neg(self, a: f32) -> f32 {
            -a
        }
    }

    /// The operations that `body` does.
    pub(crate) fn count(body: impl FnOnce(Counting<'_>)) -> u64 {
        let cell = Cell::new(0);
        body(Counting(&cell));
        cell.get()
    }

    #[test]
    fn a_twiddle_product_is_six_operations() {
        let one = num_complex::Complex { re: 1.0, im: 2.0 };
        let counted = count(|c| {
            let y = super::twiddle(c, one, [3.0, 4.0]);
            assert_eq!((y.re, y.im), (-5.0, 10.0));
        });
        assert_eq!(counted, super::TWIDDLE_FLOPS);
    }
}
