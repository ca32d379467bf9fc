//! The real transform of one contiguous line: half-length complex if even, full-length if odd.

use crate::line::{self, LineFft};
use crate::mirror::{ENDS_FLOPS, MIDDLE_FLOPS, Merge, PAIR_FLOPS, Split, mirrored};
use crate::recipe::Recipe;
use crate::{COMPLEX_POINT, LANES, Point};
use num_complex::Complex;
use pulp::Simd;

/// The real transform of `n` points of 16 lanes to and from `n / 2 + 1` frequencies.
#[derive(Clone, Debug)]
pub(crate) struct RealLine {
    n: usize,
    /// Complex, of `n / 2` points if `n` is even, of `n` points if odd.
    line: LineFft,
    /// `-i exp(-2πi k/n) / 2` for `k < n/4 + 1`, used if `n` is even.
    twiddles: Vec<[f32; 2]>,
}

/// Operations of one line of `n` points in one lane, forward and inverse.
pub(crate) fn row_flops(n: usize) -> [u64; 2] {
    if !n.is_multiple_of(2) {
        return [Recipe::new(n).flops(); 2];
    }
    let line = Recipe::new(n / 2).flops();
    let pairs = ((n / 2).saturating_sub(1) / 2) as u64;
    let middle = u64::from(n.is_multiple_of(4));
    [0, 1].map(|d| line + ENDS_FLOPS[d] + pairs * PAIR_FLOPS[d] + middle * MIDDLE_FLOPS[d])
}

/// Values of the scratch of both directions for a line of `n` points.
pub(crate) fn row_scratch_len(n: usize) -> usize {
    match n.is_multiple_of(2) {
        true => line::scratch_len(n / 2),
        false => n * COMPLEX_POINT + line::scratch_len(n),
    }
}

impl RealLine {
    /// The transform of `n >= 1` points, with twiddles rounded from f64 by `round`.
    pub(crate) fn new(n: usize, round: fn(f64) -> f32) -> RealLine {
        let even = n.is_multiple_of(2);
        let turn = |k: usize| {
            let w = Complex::cis(-std::f64::consts::TAU * (k as f64 / n as f64 + 0.25)) / 2.0;
            [round(w.re), round(w.im)]
        };
        let twiddles = if even { (0..n / 4 + 1).map(turn).collect() } else { vec![] };
        RealLine { n, line: LineFft::new(if even { n / 2 } else { n }, round), twiddles }
    }

    fn is_even(&self) -> bool {
        self.n.is_multiple_of(2)
    }

    /// `real` (`n` rows of 16 lanes, of which the first `support` count) to `spectrum` (`n/2 + 1` points).
    ///
    /// Rows from `support` on are overwritten by zeros.
    #[inline(always)]
    pub(crate) fn forward<S: Simd>(
        &self,
        simd: S,
        support: usize,
        real: &mut [f32],
        spectrum: &mut [Point],
        scratch: &mut [f32],
    ) {
        real[support * LANES..].fill(0.0);
        self.whole(simd, real, spectrum, scratch);
    }

    /// All `n` rows of `real` to `spectrum` (`n/2 + 1` points).
    #[inline(always)]
    pub(crate) fn whole<S: Simd>(&self, simd: S, real: &[f32], spectrum: &mut [Point], scratch: &mut [f32]) {
        if !self.is_even() {
            return self.forward_odd(simd, real, spectrum, scratch);
        }
        let (src, _) = real.as_chunks();
        self.line.apart(simd, false, src, &mut spectrum[..self.n / 2], scratch);
        mirrored(spectrum, &self.twiddles, Split(simd));
    }

    /// `spectrum` (`n/2 + 1` points, destroyed) to `real` (`n` rows), unnormalised.
    ///
    /// Imaginary parts that a real signal does not have (frequency 0, and `n/2` if even) are not used.
    #[inline(always)]
    pub(crate) fn inverse<S: Simd>(
        &self,
        simd: S,
        spectrum: &mut [Point],
        real: &mut [f32],
        scratch: &mut [f32],
    ) {
        if !self.is_even() {
            return self.inverse_odd(simd, spectrum, real, scratch);
        }
        mirrored(spectrum, &self.twiddles, Merge(simd));
        let (dst, _) = real.as_chunks_mut();
        self.line.apart(simd, true, &spectrum[..self.n / 2], dst, scratch);
    }

    /// A complex transform whose imaginary input is zero, of which half the output is kept.
    #[inline(always)]
    fn forward_odd<S: Simd>(&self, simd: S, real: &[f32], spectrum: &mut [Point], scratch: &mut [f32]) {
        let (copy, rest) = scratch.split_at_mut(self.n * COMPLEX_POINT);
        let (line, _) = copy.as_chunks_mut::<COMPLEX_POINT>();
        let (rows, _) = real.as_chunks::<LANES>();
        for (point, row) in line.iter_mut().zip(rows) {
            point[..LANES].copy_from_slice(row);
            point[LANES..].fill(0.0);
        }
        self.line.in_place(simd, false, line, 1, rest);
        spectrum.copy_from_slice(&line[..spectrum.len()]);
    }

    /// A complex inverse of the conjugate-symmetric extension, of which the real part is kept.
    #[inline(always)]
    fn inverse_odd<S: Simd>(&self, simd: S, spectrum: &[Point], real: &mut [f32], scratch: &mut [f32]) {
        let n = self.n;
        let (copy, rest) = scratch.split_at_mut(n * COMPLEX_POINT);
        let (line, _) = copy.as_chunks_mut::<COMPLEX_POINT>();
        line[0] = spectrum[0];
        line[0][LANES..].fill(0.0);
        for (k, point) in spectrum.iter().enumerate().skip(1) {
            line[k] = *point;
            line[n - k] = *point;
            line[n - k][LANES..].iter_mut().for_each(|x| *x = -*x);
        }
        self.line.in_place(simd, true, line, 1, rest);
        for (row, point) in real.as_chunks_mut::<LANES>().0.iter_mut().zip(&*line) {
            row.copy_from_slice(&point[..LANES]);
        }
    }
}
