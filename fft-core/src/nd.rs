//! The real transform of 1 to 3 axes of one lane block, pruned to a support and a crop.

use crate::error::{ShapeError, check_len};
use crate::grid::{Lines, check_scratch, crop_of, points_of, support_of};
use crate::line::{self, LineFft};
use crate::real::{RealLine, row_flops, row_scratch_len};
use crate::recipe::Recipe;
use crate::{COMPLEX_POINT, LANES, Point};
use pulp::{Arch, Simd, WithSimd};
use std::ops::Range;

/// Real to half-complex transforms of a shape: real on the last axis, complex on the others.
///
/// A shape `[n0, n1, n2]` (missing leading axes count as length 1) has `n0 n1 n2` real points and
/// `n0 n1 (n2/2 + 1)` frequencies, both row-major.
#[derive(Clone, Debug)]
pub struct RealFft {
    shape: Vec<usize>,
    pub(crate) points: [usize; 3],
    /// Axes 0 and 1.
    outer: [LineFft; 2],
    pub(crate) row: RealLine,
    scratch: usize,
}

impl RealFft {
    /// Plans the transform of `shape`: 1 to 3 lengths of 1 to [`crate::MAX_LENGTH`].
    ///
    /// # Errors
    /// Any other shape, and one whose lane block exceeds the address space.
    pub fn new(shape: &[usize]) -> Result<RealFft, ShapeError> {
        RealFft::with_rounding(shape, |x| x as f32)
    }

    /// [`RealFft::new`] with another rounding of the twiddle factors.
    pub(crate) fn with_rounding(shape: &[usize], round: fn(f64) -> f32) -> Result<RealFft, ShapeError> {
        let points = points_of(shape)?;
        let outer = [0, 1].map(|d| LineFft::new(points[d], round));
        let (row, scratch) = (RealLine::new(points[2], round), RealFft::scratch_len_of(shape)?);
        Ok(RealFft { shape: shape.to_vec(), points, outer, row, scratch })
    }

    /// The lengths, as given.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Points of one map.
    pub fn real_len(&self) -> usize {
        self.points.iter().product()
    }

    /// Frequencies of one map: all but the last length, times half the last plus one.
    pub fn spectrum_len(&self) -> usize {
        self.half_points().iter().product()
    }

    /// f32 values of the scratch of [`RealFft::forward`] and [`RealFft::inverse`].
    pub fn scratch_len(&self) -> usize {
        self.scratch
    }

    /// The factor that makes the inverse undo the forward transform: `1 / real_len`.
    pub fn scale(&self) -> f32 {
        (1.0 / self.real_len() as f64) as f32
    }

    /// Transforms the real lane block `real` to the complex lane block `spectrum`.
    ///
    /// `support[d]`, from 1 to the length of axis `d`, says that only points whose every coordinate is
    /// less than `support[d]` are nonzero.  All other points count as zero whatever they contain; they
    /// may be overwritten by zeros, the points within the support are not changed.  Lines without
    /// support are not transformed.
    ///
    /// `real` has `real_len * 16` values, `spectrum` `spectrum_len * 32`, all overwritten, and
    /// `scratch` at least [`RealFft::scratch_len`], of any content.
    ///
    /// # Errors
    /// A support or slice length that does not fit.
    pub fn forward(
        &self,
        support: &[usize],
        real: &mut [f32],
        spectrum: &mut [f32],
        scratch: &mut [f32],
    ) -> Result<(), ShapeError> {
        let support = support_of(&self.shape, support)?;
        self.check(real, spectrum, scratch)?;
        let spectrum = spectrum.as_chunks_mut().0;
        Arch::new().dispatch(Forward { plan: self, support, real, spectrum, scratch });
        Ok(())
    }

    /// Transforms the complex lane block `spectrum`, which is destroyed, to the real lane block `real`.
    ///
    /// Only points whose every coordinate lies in `crop[d]`, a nonempty range within axis `d`, are
    /// promised; the others are unspecified.  Lines without promised points are not transformed.
    /// The result is unnormalised: `inverse(forward(x)) = x * real_len`.  The spectrum is taken as
    /// that of a real signal: imaginary parts which that cannot have are ignored.
    ///
    /// Lengths as in [`RealFft::forward`].
    ///
    /// # Errors
    /// A crop or slice length that does not fit.
    pub fn inverse(
        &self,
        crop: &[Range<usize>],
        spectrum: &mut [f32],
        real: &mut [f32],
        scratch: &mut [f32],
    ) -> Result<(), ShapeError> {
        let crop = crop_of(&self.shape, crop)?;
        self.check(real, spectrum, scratch)?;
        let spectrum = spectrum.as_chunks_mut().0;
        Arch::new().dispatch(Inverse { plan: self, crop, real, spectrum, scratch });
        Ok(())
    }

    /// [`RealFft::scratch_len`] of a shape, without planning its transform.
    ///
    /// # Errors
    /// As [`RealFft::new`].
    pub fn scratch_len_of(shape: &[usize]) -> Result<usize, ShapeError> {
        let [n0, n1, n2] = points_of(shape)?;
        Ok(line::scratch_len(n0).max(line::scratch_len(n1)).max(row_scratch_len(n2)))
    }

    /// Real additions and multiplications of [`RealFft::forward`] for one of the 16 maps, without planning the
    /// transform: of the lines transformed, by [`Recipe::flops`], and the real step of the last axis.
    ///
    /// # Errors
    /// As [`RealFft::new`], and for a support that does not fit.
    pub fn forward_flops(shape: &[usize], support: &[usize]) -> Result<u64, ShapeError> {
        let [n0, n1, n2] = points_of(shape)?;
        let [s0, s1, _] = support_of(shape, support)?;
        Ok(lines_flops([s0 * s1, s0 * (n2 / 2 + 1), n1 * (n2 / 2 + 1)], row_flops(n2)[0], [n1, n0]))
    }

    /// Real additions and multiplications of [`RealFft::inverse`] for one of the 16 maps, likewise.
    ///
    /// # Errors
    /// As [`RealFft::new`], and for a crop that does not fit.
    pub fn inverse_flops(shape: &[usize], crop: &[Range<usize>]) -> Result<u64, ShapeError> {
        let [n0, n1, n2] = points_of(shape)?;
        let [c0, c1, _] = crop_of(shape, crop)?.map(|range| range.len());
        Ok(lines_flops([c0 * c1, c0 * (n2 / 2 + 1), n1 * (n2 / 2 + 1)], row_flops(n2)[1], [n1, n0]))
    }

    /// Points of the spectrum.
    fn half_points(&self) -> [usize; 3] {
        let [n0, n1, n2] = self.points;
        [n0, n1, n2 / 2 + 1]
    }

    /// Lines of axis 1, then of axis 0.
    pub(crate) fn forward_lines(&self, support: &[usize; 3]) -> [Lines<'_>; 2] {
        let points = self.half_points();
        let all = |d: usize| 0..points[d];
        [(1, [0..support[0], all(2)]), (0, [all(1), all(2)])].map(|(axis, at)| Lines {
            line: &self.outer[axis],
            points,
            axis,
            at,
            limit: support[axis],
        })
    }

    /// Lines of axis 0, then of axis 1.
    pub(crate) fn inverse_lines(&self, crop: &[Range<usize>; 3]) -> [Lines<'_>; 2] {
        let points = self.half_points();
        let all = |d: usize| 0..points[d];
        [(0, [all(1), all(2)]), (1, [crop[0].clone(), all(2)])].map(|(axis, at)| Lines {
            line: &self.outer[axis],
            points,
            axis,
            at,
            limit: points[axis],
        })
    }

    fn check(&self, real: &[f32], spectrum: &[f32], scratch: &[f32]) -> Result<(), ShapeError> {
        check_len("real", self.real_len() * LANES, real.len())?;
        check_len("spectrum", self.spectrum_len() * COMPLEX_POINT, spectrum.len())?;
        check_scratch(self.scratch_len(), scratch.len())
    }
}

/// Operations of so many rows and lines of axes 1 and 0.
fn lines_flops(counts: [usize; 3], row: u64, lengths: [usize; 2]) -> u64 {
    let [rows, lines1, lines0] = counts.map(|count| count as u64);
    let [line1, line0] = lengths.map(|n| Recipe::new(n).flops());
    rows.saturating_mul(row)
        .saturating_add(lines1.saturating_mul(line1))
        .saturating_add(lines0.saturating_mul(line0))
}

/// The places of row `(i, j)` in the real block (values) and in the spectrum (points).
pub(crate) fn row_at([_, n1, n2]: [usize; 3], i: usize, j: usize) -> (Range<usize>, Range<usize>) {
    let (row, half) = (i * n1 + j, n2 / 2 + 1);
    (row * n2 * LANES..(row + 1) * n2 * LANES, row * half..(row + 1) * half)
}

/// [`RealFft::forward`] with checked arguments.
struct Forward<'a> {
    plan: &'a RealFft,
    support: [usize; 3],
    real: &'a mut [f32],
    spectrum: &'a mut [Point],
    scratch: &'a mut [f32],
}

impl WithSimd for Forward<'_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Forward { plan, support, real, spectrum, scratch } = self;
        for i in 0..support[0] {
            for j in 0..support[1] {
                let (at, half) = row_at(plan.points, i, j);
                plan.row.forward(simd, support[2], &mut real[at], &mut spectrum[half], scratch);
            }
        }
        for lines in plan.forward_lines(&support) {
            lines.run(simd, false, spectrum, scratch);
        }
    }
}

/// [`RealFft::inverse`] with checked arguments.
struct Inverse<'a> {
    plan: &'a RealFft,
    crop: [Range<usize>; 3],
    real: &'a mut [f32],
    spectrum: &'a mut [Point],
    scratch: &'a mut [f32],
}

impl WithSimd for Inverse<'_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Inverse { plan, crop, real, spectrum, scratch } = self;
        for lines in plan.inverse_lines(&crop) {
            lines.run(simd, true, spectrum, scratch);
        }
        for i in crop[0].clone() {
            for j in crop[1].clone() {
                let (at, half) = row_at(plan.points, i, j);
                plan.row.inverse(simd, &mut spectrum[half], &mut real[at], scratch);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Forward, Inverse, RealFft};
    use crate::common::*;
    use crate::{COMPLEX_POINT, ComplexFft, LANES};
    use pulp::Simd;

    /// Rounds to 8 significant bits.
    fn bf16(x: f64) -> f32 {
        f32::from_bits(((x as f32).to_bits() + 0x8000) & 0xFFFF_0000)
    }

    #[test]
    fn twiddles_of_low_precision_exceed_the_bound() {
        for shape in [&[32][..], &[4, 16], &[2, 24, 6]] {
            let real = RealFft::with_rounding(shape, bf16).unwrap();
            let complex = ComplexFft::with_rounding(shape, bf16).unwrap();
            assert!(real_forward_error(&real, shape) > 100.0 * BOUND);
            assert!(real_inverse_error(&real, &from_zero(shape)) > 100.0 * BOUND);
            assert!(complex_forward_error(&complex, shape) > 100.0 * BOUND);
            assert!(complex_inverse_error(&complex, &from_zero(shape)) > 100.0 * BOUND);
        }
    }

    /// Forward and inverse with one instruction set.
    fn with_simd<S: Simd>(simd: S, plan: &RealFft, input: &[f32]) -> [Vec<f32>; 2] {
        let (mut real, mut scratch) = (input.to_vec(), vec![0.0; plan.scratch_len()]);
        let mut spectrum = vec![[0.0; COMPLEX_POINT]; plan.spectrum_len()];
        let (support, crop) = (plan.points, plan.points.map(|n| 0..n));
        let (real, scratch) = (&mut real[..], &mut scratch[..]);
        simd.vectorize(Forward { plan, support, real, spectrum: &mut spectrum, scratch });
        let transformed = spectrum.as_flattened().to_vec();
        simd.vectorize(Inverse { plan, crop, real, spectrum: &mut spectrum, scratch });
        [transformed, real.to_vec()]
    }

    #[test]
    fn all_instruction_sets_agree() {
        for shape in [[2, 15, 32], [8, 7, 12], [4, 9, 5], [3, 1, 22]] {
            let plan = RealFft::new(&shape).unwrap();
            let input = noise(5, plan.real_len() * LANES);
            let mut results = vec![with_simd(pulp::Scalar, &plan, &input)];
            #[cfg(target_arch = "x86_64")]
            results.extend(pulp::x86::V3::try_new().map(|v3| with_simd(v3, &plan, &input)));
            #[cfg(all(target_arch = "x86_64", feature = "avx512"))]
            results.extend(pulp::x86::V4::try_new().map(|v4| with_simd(v4, &plan, &input)));
            for [transformed, back] in &results {
                for (x, y) in results[0][0].iter().zip(transformed) {
                    assert!((x - y).abs() <= 1e-4);
                }
                for (x, y) in input.iter().zip(back) {
                    assert!((x - y * plan.scale()).abs() <= 1e-5);
                }
            }
        }
    }
}
