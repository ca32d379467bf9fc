//! The real transform of one map of 1 to 3 axes, 16 neighbouring points in the lanes.
//!
//! [`RealFft`](crate::RealFft) takes 16 maps at a time: lanes are empty where maps are few, and the lane block is
//! larger than the cache where maps are large.  Here one map is cut into *strips* of 16 columns.  The transform along
//! axis 1 is real and along axis 0 complex, for the columns of a strip at once; then tiles of 16 × 16 points are
//! transposed, and the transform along axis 2 is complex, for 16 neighbouring frequencies of axis 1 at once.
//!
//! A single axis of `n = n1 n2` points is folded to `n1` rows of `n2` points.  Frequency `k1 + n1 k2` is then
//! `Σ_x exp(-2πi x k2/n2) exp(-2πi x k1/n) Σ_y exp(-2πi y k1/n1) v[y n2 + x]` (Gentleman and Sande 1966): the same
//! two steps with a factor between them.

mod nyquist;
mod steps;

use crate::arith::TWIDDLE_FLOPS;
use crate::error::{ShapeError, check_len};
use crate::grid::{check_scratch, crop_of, points_of, support_of};
use crate::line::{self, LineFft};
use crate::real::{RealLine, row_flops, row_scratch_len};
use crate::recipe::Recipe;
use crate::{COMPLEX_POINT, LANES, Point};
use num_complex::Complex;
use pulp::Arch;
use std::ops::Range;
use steps::{Forward, Inverse, Placed};

/// Real to half-complex transforms of a shape, one map at a time.
///
/// A map of shape `[n0, n1, n2]` (missing leading axes count as length 1) is row-major.  Its spectrum has
/// `n0 b n2` complex points of 16 lanes, where `b = (n1/2 + 1) / 16`, rounded up: lane `l` of point
/// `(k0 b + block) n2 + k2` is frequency `(k0, 16 block + l, k2)`, and zero after a forward transform where there is
/// none.  A single axis is folded to the `n1` and `n2` of [`PlaneFft::points`], if it can be; its frequencies are
/// `k1 + n1 k2`.
///
/// Where `n1` is a multiple of 32 and nothing is folded, `b = n1/32`, and frequencies `(k0, n1/2, k2)` for `k2 <= n2/2`
/// come after these: of `e = (n2/2 + 1) / 16` points, rounded up, for each `k0`, lane `l` of point `k0 e + block` is
/// `k2 = 16 block + l`. The others are their conjugates.
#[derive(Clone, Debug)]
pub struct PlaneFft {
    shape: Vec<usize>,
    points: [usize; 3],
    depth: LineFft,
    column: RealLine,
    row: LineFft,
    /// `exp(-2πi x k1/n)` by point of the spectrum, where an axis is folded.
    twist: Option<Vec<Point>>,
    scratch: usize,
}

/// Sizes of a transform.
#[derive(Clone, Copy)]
struct Sizes {
    points: [usize; 3],
    folded: bool,
}

impl Sizes {
    fn new(shape: &[usize]) -> Result<Self, ShapeError> {
        let points = points_of(shape)?;
        Ok(match fold(points) {
            Some(points) => Sizes { points, folded: true },
            None => Sizes { points, folded: false },
        })
    }

    /// Frequencies of axis 1.
    fn half(self) -> usize {
        self.points[1] / 2 + 1
    }

    /// Frequencies of axis 1 that stand in blocks.
    fn in_blocks(self) -> usize {
        self.half() - usize::from(self.nyquist_apart())
    }

    /// Blocks of 16 frequencies of axis 1.
    fn blocks(self) -> usize {
        self.in_blocks().div_ceil(LANES)
    }

    /// Complex points of the blocks.
    fn block_points(self) -> usize {
        self.points[0] * self.blocks() * self.points[2]
    }

    /// Complex points of a spectrum.
    fn spectrum_len(self) -> usize {
        self.block_points() + self.points[0] * self.nyquist_points()
    }

    /// Complex points from one of the columns of a strip to that of the next slice: all frequencies, in whole blocks.
    fn columns_apart(self) -> usize {
        self.half().next_multiple_of(LANES)
    }

    /// Complex points of the columns of a strip.
    fn column_points(self) -> usize {
        self.points[0] * self.columns_apart()
    }

    /// Places of the map that hold a support or crop; where rows are folded, whole rows do.
    fn places(self, [a, b, c]: [Range<usize>; 3]) -> [Range<usize>; 3] {
        let width = self.points[2];
        match self.folded {
            false => [a, b, c],
            true if c.end <= width => [0..1, 0..1, c],
            true => [0..1, c.start / width..c.end.div_ceil(width), 0..width],
        }
    }

    /// Operations of all lanes: columns of the places `at`, of so many operations each, and rows.
    fn flops(self, at: [Range<usize>; 3], column: u64) -> u64 {
        let [n0, _, n2] = self.points;
        let first = at[2].start / LANES;
        let strips = (at[2].end.div_ceil(LANES) - first) as u64;
        let depth = if n0 > 1 { self.in_blocks() as u64 * Recipe::new(n0).flops() } else { 0 };
        let lines = (n0 * self.blocks()) as u64;
        let columns = ((first * LANES)..(at[2].end.next_multiple_of(LANES).min(n2))).len() as u64;
        let twist = if self.folded { lines * columns * TWIDDLE_FLOPS } else { 0 };
        let row = lines * Recipe::new(n2).flops();
        LANES as u64 * (strips * (at[0].len() as u64 * column + depth) + twist + row)
    }
}

/// The fold of a single axis of fewest operations: rows of a multiple of 16 points, an even number of them.
fn fold([n0, n1, n]: [usize; 3]) -> Option<[usize; 3]> {
    if n0 * n1 > 1 {
        return None;
    }
    let widths = (LANES..=n / 2).step_by(LANES).filter(|width| n.is_multiple_of(2 * width));
    let folds = widths.map(|width| Sizes { points: [1, n / width, width], folded: true });
    let flops = |sizes: &Sizes| sizes.flops(sizes.points.map(|n| 0..n), row_flops(sizes.points[1])[0]);
    folds.min_by_key(flops).map(|sizes| sizes.points)
}

impl PlaneFft {
    /// Plans the transform of `shape`: 1 to 3 lengths of 1 to [`crate::MAX_LENGTH`].
    ///
    /// # Errors
    /// As [`RealFft::new`](crate::RealFft::new).
    pub fn new(shape: &[usize]) -> Result<PlaneFft, ShapeError> {
        let sizes = Sizes::new(shape)?;
        let round = |x: f64| x as f32;
        let [depth, row] = [0, 2].map(|d| LineFft::new(sizes.points[d], round));
        let (points, column) = (sizes.points, RealLine::new(sizes.points[1], round));
        let twist = sizes.folded.then(|| twist(sizes));
        let scratch = PlaneFft::scratch_len_of(shape)?;
        Ok(PlaneFft { shape: shape.to_vec(), points, depth, column, row, twist, scratch })
    }

    fn sizes(&self) -> Sizes {
        Sizes { points: self.points, folded: self.twist.is_some() }
    }

    /// Lengths of the three axes as they are transformed.
    pub fn points(&self) -> [usize; 3] {
        self.points
    }

    /// Points of a map.
    pub fn real_len(&self) -> usize {
        self.points.iter().product()
    }

    /// Complex points of 16 lanes of a spectrum.
    pub fn spectrum_len(&self) -> usize {
        self.sizes().spectrum_len()
    }

    /// [`PlaneFft::spectrum_len`] of a shape, without planning its transform.
    ///
    /// # Errors
    /// As [`PlaneFft::new`].
    pub fn spectrum_len_of(shape: &[usize]) -> Result<usize, ShapeError> {
        Ok(Sizes::new(shape)?.spectrum_len())
    }

    /// f32 values of the scratch of both directions, without planning the transform.
    ///
    /// # Errors
    /// As [`PlaneFft::new`].
    pub fn scratch_len_of(shape: &[usize]) -> Result<usize, ShapeError> {
        let sizes = Sizes::new(shape)?;
        let [n0, n1, n2] = sizes.points;
        let lines = line::scratch_len(n0).max(line::scratch_len(n2)).max(row_scratch_len(n1));
        let points = sizes.block_points() + sizes.column_points();
        Ok(points * COMPLEX_POINT + n1 * LANES + lines)
    }

    /// The factor that makes the inverse undo the forward transform: `1 / real_len`.
    fn scale(&self) -> f32 {
        (1.0 / self.real_len() as f64) as f32
    }

    /// Transforms the map that has `values`, a row-major box without gaps, at these places and zeros elsewhere to
    /// `spectrum` (`spectrum_len * 32` values, all overwritten).
    ///
    /// `support[d]`, from 1 to the length of axis `d`, is the part of the axis that is transformed: `at` lies in it.
    /// `scratch` has at least [`PlaneFft::scratch_len_of`] values of any content.
    ///
    /// # Errors
    /// A support, place or slice length that does not fit.
    pub fn forward(
        &self,
        support: &[usize],
        (values, at): (&[f32], &[Range<usize>]),
        spectrum: &mut [f32],
        scratch: &mut [f32],
    ) -> Result<(), ShapeError> {
        let support = support_of(&self.shape, support)?.map(|end| 0..end);
        let placed = self.placed(&support, at, values.len())?;
        self.check(spectrum, scratch)?;
        let support = self.sizes().places(support);
        let spectrum = spectrum.as_chunks_mut().0;
        Arch::new().dispatch(Forward { plan: self, support, values, placed, spectrum, scratch });
        Ok(())
    }

    /// Transforms `spectrum` to the map it is the spectrum of, divided by [`PlaneFft::real_len`]; lengths as in
    /// [`PlaneFft::forward`], which this undoes.
    ///
    /// `crop[d]`, a nonempty range within axis `d`, is the part of the axis that is computed; `values` takes the places
    /// `at` of it. A spectrum that no real map has is treated as in [`RealFft::inverse`](crate::RealFft::inverse).
    ///
    /// # Errors
    /// A crop, place or slice length that does not fit.
    pub fn inverse(
        &self,
        crop: &[Range<usize>],
        spectrum: &[f32],
        (values, at): (&mut [f32], &[Range<usize>]),
        scratch: &mut [f32],
    ) -> Result<(), ShapeError> {
        let crop = crop_of(&self.shape, crop)?;
        let placed = self.placed(&crop, at, values.len())?;
        self.check(spectrum, scratch)?;
        let crop = self.sizes().places(crop);
        let spectrum = spectrum.as_chunks().0;
        Arch::new().dispatch(Inverse { plan: self, crop, spectrum, values, placed, scratch });
        Ok(())
    }

    /// The checked places of `len` values, inside of `within`.
    fn placed(
        &self,
        within: &[Range<usize>; 3],
        at: &[Range<usize>],
        len: usize,
    ) -> Result<Placed, ShapeError> {
        let at = crop_of(&self.shape, at)?;
        for (axis, (within, at)) in within.iter().zip(&at).skip(3 - self.shape.len()).enumerate() {
            if at.start < within.start || at.end > within.end {
                return Err(ShapeError::Crop { axis, length: within.end, found: at.clone() });
            }
        }
        check_len("values", at.iter().map(Range::len).product(), len)?;
        let folded = self.twist.is_some().then_some(self.points[2]);
        Ok(Placed { at, folded })
    }

    /// Real additions and multiplications of [`PlaneFft::forward`], idle lanes included, without planning the
    /// transform.
    ///
    /// # Errors
    /// As [`PlaneFft::new`], and for a support that does not fit.
    pub fn forward_flops(shape: &[usize], support: &[usize]) -> Result<u64, ShapeError> {
        let sizes = Sizes::new(shape)?;
        let at = sizes.places(support_of(shape, support)?.map(|end| 0..end));
        Ok(sizes.flops(at, row_flops(sizes.points[1])[0]) + sizes.nyquist_flops()[0])
    }

    /// Real additions and multiplications of [`PlaneFft::inverse`], likewise.
    ///
    /// # Errors
    /// As [`PlaneFft::new`], and for a crop that does not fit.
    pub fn inverse_flops(shape: &[usize], crop: &[Range<usize>]) -> Result<u64, ShapeError> {
        let sizes = Sizes::new(shape)?;
        let at = sizes.places(crop_of(shape, crop)?);
        Ok(sizes.flops(at, row_flops(sizes.points[1])[1]) + sizes.nyquist_flops()[1])
    }

    fn check(&self, spectrum: &[f32], scratch: &[f32]) -> Result<(), ShapeError> {
        check_len("spectrum", self.spectrum_len() * COMPLEX_POINT, spectrum.len())?;
        check_scratch(self.scratch, scratch.len())
    }
}

/// The factors between the steps of a folded axis.
fn twist(sizes: Sizes) -> Vec<Point> {
    let [_, n1, n2] = sizes.points;
    let n = (n1 * n2) as f64;
    let point = |(block, x): (usize, usize)| {
        let mut point = [0.0; COMPLEX_POINT];
        for lane in 0..LANES {
            let w = Complex::cis(-std::f64::consts::TAU * ((x * (block * LANES + lane)) as f64 / n));
            (point[lane], point[LANES + lane]) = (w.re as f32, w.im as f32);
        }
        point
    };
    (0..sizes.blocks()).flat_map(|block| (0..n2).map(move |x| (block, x))).map(point).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_axes_are_folded_where_they_can_be() {
        assert_eq!(fold([1, 1, 1024]), Some([1, 64, 16]));
        assert_eq!(fold([1, 1, 48]), None);
        assert_eq!(fold([1, 2, 1024]), None);
        assert_eq!(fold([1, 1, 32]), Some([1, 2, 16]));
    }
}
