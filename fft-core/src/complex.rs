//! The complex transform of 1 to 3 axes of one lane block, in place, pruned to a support and a crop.

use crate::error::{ShapeError, check_len};
use crate::grid::{Lines, check_scratch, crop_of, points_of, support_of};
use crate::line::{self, LineFft};
use crate::{COMPLEX_POINT, Point};
use pulp::{Arch, Simd, WithSimd};
use std::ops::Range;

/// Complex transforms of a shape of 1 to 3 axes, row-major.
#[derive(Clone, Debug)]
pub struct ComplexFft {
    shape: Vec<usize>,
    points: [usize; 3],
    axes: [LineFft; 3],
    scratch: usize,
}

impl ComplexFft {
    /// Plans the transform of `shape`: 1 to 3 lengths of 1 to [`crate::MAX_LENGTH`].
    ///
    /// # Errors
    /// Any other shape, and one whose lane block exceeds the address space.
    pub fn new(shape: &[usize]) -> Result<ComplexFft, ShapeError> {
        ComplexFft::with_rounding(shape, |x| x as f32)
    }

    /// [`ComplexFft::new`] with another rounding of the twiddle factors.
    pub(crate) fn with_rounding(shape: &[usize], round: fn(f64) -> f32) -> Result<ComplexFft, ShapeError> {
        let points = points_of(shape)?;
        let axes = points.map(|n| LineFft::new(n, round));
        let scratch = points.map(line::scratch_len).into_iter().fold(0, usize::max);
        Ok(ComplexFft { shape: shape.to_vec(), points, axes, scratch })
    }

    /// The lengths, as given.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Points of one map, which are also its frequencies.
    pub fn points_len(&self) -> usize {
        self.points.iter().product()
    }

    /// f32 values of the scratch of [`ComplexFft::forward`] and [`ComplexFft::inverse`].
    pub fn scratch_len(&self) -> usize {
        self.scratch
    }

    /// The factor that makes the inverse undo the forward transform: `1 / points_len`.
    pub fn scale(&self) -> f32 {
        (1.0 / self.points_len() as f64) as f32
    }

    /// Transforms the complex lane block `data` in place.
    ///
    /// `support[d]`, from 1 to the length of axis `d`, says that only points whose every coordinate is
    /// less than `support[d]` are nonzero; all others count as zero whatever they contain.
    ///
    /// `data` has `points_len * 32` values and `scratch` at least [`ComplexFft::scratch_len`], of any
    /// content.
    ///
    /// # Errors
    /// A support or slice length that does not fit.
    pub fn forward(
        &self,
        support: &[usize],
        data: &mut [f32],
        scratch: &mut [f32],
    ) -> Result<(), ShapeError> {
        let lines = self.forward_lines(support)?;
        self.check(data, scratch)?;
        let data = data.as_chunks_mut().0;
        Arch::new().dispatch(Run { swap: false, lines, data, scratch });
        Ok(())
    }

    /// Transforms the complex lane block `data` in place with the opposite sign, unnormalised.
    ///
    /// Only points whose every coordinate lies in `crop[d]`, a nonempty range within axis `d`, are
    /// promised; the others are unspecified.  Lengths as in [`ComplexFft::forward`].
    ///
    /// # Errors
    /// A crop or slice length that does not fit.
    pub fn inverse(
        &self,
        crop: &[Range<usize>],
        data: &mut [f32],
        scratch: &mut [f32],
    ) -> Result<(), ShapeError> {
        let lines = self.inverse_lines(crop)?;
        self.check(data, scratch)?;
        let data = data.as_chunks_mut().0;
        Arch::new().dispatch(Run { swap: true, lines, data, scratch });
        Ok(())
    }

    /// Real additions and multiplications of [`ComplexFft::forward`] for one of the 16 maps.
    ///
    /// # Errors
    /// A support that does not fit.
    pub fn forward_flops(&self, support: &[usize]) -> Result<u64, ShapeError> {
        Ok(self.forward_lines(support)?.iter().map(Lines::flops).sum())
    }

    /// Real additions and multiplications of [`ComplexFft::inverse`] for one of the 16 maps.
    ///
    /// # Errors
    /// A crop that does not fit.
    pub fn inverse_flops(&self, crop: &[Range<usize>]) -> Result<u64, ShapeError> {
        Ok(self.inverse_lines(crop)?.iter().map(Lines::flops).sum())
    }

    /// Lines of axis 2, 1 and 0.
    fn forward_lines(&self, support: &[usize]) -> Result<[Lines<'_>; 3], ShapeError> {
        let [m0, m1, m2] = support_of(&self.shape, support)?;
        let [_, n1, n2] = self.points;
        Ok([
            self.lines(2, [0..m0, 0..m1], m2),
            self.lines(1, [0..m0, 0..n2], m1),
            self.lines(0, [0..n1, 0..n2], m0),
        ])
    }

    /// Lines of axis 0, 1 and 2.
    fn inverse_lines(&self, crop: &[Range<usize>]) -> Result<[Lines<'_>; 3], ShapeError> {
        let [c0, c1, _] = crop_of(&self.shape, crop)?;
        let [n0, n1, n2] = self.points;
        Ok([
            self.lines(0, [0..n1, 0..n2], n0),
            self.lines(1, [c0.clone(), 0..n2], n1),
            self.lines(2, [c0, c1], n2),
        ])
    }

    fn lines(&self, axis: usize, at: [Range<usize>; 2], limit: usize) -> Lines<'_> {
        Lines { line: &self.axes[axis], points: self.points, axis, at, limit }
    }

    fn check(&self, data: &[f32], scratch: &[f32]) -> Result<(), ShapeError> {
        check_len("data", self.points_len() * COMPLEX_POINT, data.len())?;
        check_scratch(self.scratch_len(), scratch.len())
    }
}

/// All lines of one direction with checked arguments.
struct Run<'a> {
    swap: bool,
    lines: [Lines<'a>; 3],
    data: &'a mut [Point],
    scratch: &'a mut [f32],
}

impl WithSimd for Run<'_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        for lines in &self.lines {
            lines.run(simd, self.swap, self.data, self.scratch);
        }
    }
}
