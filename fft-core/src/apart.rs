//! The real transform of tiles: of rows that stand in a larger block, to and from points that stand far apart.
//!
//! Rows are read and stored where they stand. Points are transformed in the scratch and copied to or from where they
//! stand: passes that load and store there themselves were measured to be slower.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use crate::error::{ShapeError, check_min};
use crate::grid::{crop_of, support_of};
use crate::nd::row_at;
use crate::{COMPLEX_POINT, LANES, Point, RealFft};

impl RealFft {
    /// f32 values of the scratch of [`RealFft::forward_apart`] and [`RealFft::inverse_apart`].
    pub fn apart_scratch_len(&self) -> usize {
        self.spectrum_len() * COMPLEX_POINT + self.row_len() + self.scratch_len()
    }

    /// [`RealFft::forward`] of the values within the support, which alone are read: slices and rows of `real` are so
    /// many values apart as `steps` says. Points of `spectrum` are `apart` points of 32 values apart, 1 at least, and what
    /// stands between them stays.
    ///
    /// # Errors
    /// A support, distance or slice length that does not fit.
    pub fn forward_apart(
        &self,
        support: &[usize],
        (real, steps): (&[f32], [usize; 2]),
        (spectrum, apart): (&mut [f32], usize),
        scratch: &mut [f32],
    ) -> Result<(), ShapeError> {
        let support = support_of(self.shape(), support)?;
        check_min("real length", end_of(support, steps), real.len())?;
        self.check_apart((spectrum.len(), apart), scratch.len())?;
        let spectrum = spectrum.as_chunks_mut().0;
        Arch::new().dispatch(Forward { plan: self, support, real, steps, spectrum, apart, scratch });
        Ok(())
    }

    /// [`RealFft::inverse`], divided by [`RealFft::real_len`], of points that are `apart` points of 32 values apart; they
    /// are not destroyed. The values within the crop, and no others, are stored: the first of them first, slices and rows
    /// so many values apart as `steps` says.
    ///
    /// # Errors
    /// A crop, distance or slice length that does not fit.
    pub fn inverse_apart(
        &self,
        crop: &[Range<usize>],
        (spectrum, apart): (&[f32], usize),
        (real, steps): (&mut [f32], [usize; 2]),
        scratch: &mut [f32],
    ) -> Result<(), ShapeError> {
        let crop = crop_of(self.shape(), crop)?;
        check_min("real length", end_of(crop.clone().map(|range| range.len()), steps), real.len())?;
        self.check_apart((spectrum.len(), apart), scratch.len())?;
        let spectrum = spectrum.as_chunks().0;
        Arch::new().dispatch(Inverse { plan: self, crop, spectrum, apart, real, steps, scratch });
        Ok(())
    }

    fn check_apart(&self, (spectrum, apart): (usize, usize), scratch: usize) -> Result<(), ShapeError> {
        check_min("distance of points", 1, apart)?;
        let last = (self.spectrum_len() - 1).saturating_mul(apart);
        check_min("spectrum length", last.saturating_add(1).saturating_mul(COMPLEX_POINT), spectrum)?;
        check_min("scratch length", self.apart_scratch_len(), scratch)
    }

    /// Values of a row.
    fn row_len(&self) -> usize {
        self.points[2] * LANES
    }

    /// Scratch as points, a row, and the scratch of lines.
    fn divide<'s>(&self, scratch: &'s mut [f32]) -> (&'s mut [Point], &'s mut [f32], &'s mut [f32]) {
        let (points, rest) = scratch.split_at_mut(self.spectrum_len() * COMPLEX_POINT);
        let (row, rest) = rest.split_at_mut(self.row_len());
        (points.as_chunks_mut().0, row, rest)
    }
}

/// Values from the first to the last of rows of a box.
fn end_of([a, b, c]: [usize; 3], steps: [usize; 2]) -> usize {
    let [slices, rows] = [(a - 1).saturating_mul(steps[0]), (b - 1).saturating_mul(steps[1])];
    slices.saturating_add(rows).saturating_add(c * LANES)
}

/// [`RealFft::forward_apart`] with checked arguments.
struct Forward<'a> {
    plan: &'a RealFft,
    support: [usize; 3],
    real: &'a [f32],
    steps: [usize; 2],
    spectrum: &'a mut [Point],
    apart: usize,
    scratch: &'a mut [f32],
}

impl WithSimd for Forward<'_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Forward { plan, support, real, steps, spectrum, apart, scratch } = self;
        let (points, row, scratch) = plan.divide(scratch);
        for (i, j) in (0..support[0]).flat_map(|i| (0..support[1]).map(move |j| (i, j))) {
            let from = &real[i * steps[0] + j * steps[1]..][..support[2] * LANES];
            let to = &mut points[row_at(plan.points, i, j).1];
            if from.len() == row.len() {
                plan.row.whole(simd, from, to, scratch);
            } else {
                row[..from.len()].copy_from_slice(from);
                plan.row.forward(simd, support[2], row, to, scratch);
            }
        }
        for lines in plan.forward_lines(&support) {
            lines.run(simd, false, points, scratch);
        }
        for (point, to) in points.iter().zip(spectrum.iter_mut().step_by(apart)) {
            *to = *point;
        }
    }
}

/// [`RealFft::inverse_apart`] with checked arguments.
struct Inverse<'a> {
    plan: &'a RealFft,
    crop: [Range<usize>; 3],
    spectrum: &'a [Point],
    apart: usize,
    real: &'a mut [f32],
    steps: [usize; 2],
    scratch: &'a mut [f32],
}

impl WithSimd for Inverse<'_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Inverse { plan, crop, spectrum, apart, real, steps, scratch } = self;
        let (points, row, scratch) = plan.divide(scratch);
        for (point, from) in points.iter_mut().zip(spectrum.iter().step_by(apart)) {
            *point = *from;
        }
        for lines in plan.inverse_lines(&crop) {
            lines.run(simd, true, points, scratch);
        }
        let scale = simd.splat_f32s(plan.scale());
        let kept = crop[2].start * LANES..crop[2].end * LANES;
        for (i, j) in crop[0].clone().flat_map(|i| crop[1].clone().map(move |j| (i, j))) {
            plan.row.inverse(simd, &mut points[row_at(plan.points, i, j).1], row, scratch);
            let first = (i - crop[0].start) * steps[0] + (j - crop[1].start) * steps[1];
            let to = S::as_mut_simd_f32s(&mut real[first..][..kept.len()]).0;
            for (to, from) in to.iter_mut().zip(S::as_simd_f32s(&row[kept.clone()]).0) {
                *to = simd.mul_f32s(*from, scale);
            }
        }
    }
}
