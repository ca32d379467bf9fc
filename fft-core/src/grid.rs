//! Lines of a three-axis complex lane block: shapes, supports, crops, and transforms along one axis.

use crate::COMPLEX_POINT;
use crate::Point;
use crate::error::{ShapeError, check_min};
use crate::lengths::MAX_LENGTH;
use crate::line::LineFft;
use pulp::Simd;
use std::ops::Range;

/// The shape with leading axes of length 1 added up to three.
pub(crate) fn points_of(shape: &[usize]) -> Result<[usize; 3], ShapeError> {
    if shape.is_empty() || shape.len() > 3 {
        return Err(ShapeError::Axes { found: shape.len() });
    }
    if let Some(axis) = shape.iter().position(|n| !(1..=MAX_LENGTH).contains(n)) {
        return Err(ShapeError::AxisLength { axis, found: shape[axis] });
    }
    let bytes = COMPLEX_POINT * size_of::<f32>() * 2;
    let product = shape.iter().try_fold(bytes, |product, &n| product.checked_mul(n));
    if product.is_none_or(|bytes| bytes > isize::MAX as usize) {
        return Err(ShapeError::TooLarge { shape: shape.to_vec() });
    }
    Ok(padded(shape, 1))
}

/// `values` in the last places of three, `fill` in the others.
fn padded<T: Clone>(values: &[T], fill: T) -> [T; 3] {
    let missing = 3 - values.len();
    std::array::from_fn(|d| if d < missing { fill.clone() } else { values[d - missing].clone() })
}

/// Refuses another number of axes.
fn check_rank(what: &'static str, expected: usize, found: usize) -> Result<(), ShapeError> {
    if found == expected { Ok(()) } else { Err(ShapeError::Rank { what, expected, found }) }
}

/// A checked support with leading axes added.
pub(crate) fn support_of(shape: &[usize], support: &[usize]) -> Result<[usize; 3], ShapeError> {
    check_rank("support", shape.len(), support.len())?;
    for (axis, (&length, &found)) in shape.iter().zip(support).enumerate() {
        if !(1..=length).contains(&found) {
            return Err(ShapeError::Support { axis, length, found });
        }
    }
    Ok(padded(support, 1))
}

/// A checked crop with leading axes added.
pub(crate) fn crop_of(shape: &[usize], crop: &[Range<usize>]) -> Result<[Range<usize>; 3], ShapeError> {
    check_rank("crop", shape.len(), crop.len())?;
    for (axis, (&length, found)) in shape.iter().zip(crop).enumerate() {
        if found.is_empty() || found.end > length {
            return Err(ShapeError::Crop { axis, length, found: found.clone() });
        }
    }
    Ok(padded(crop, 0..1))
}

/// Refuses scratch that is too short.
pub(crate) fn check_scratch(expected: usize, found: usize) -> Result<(), ShapeError> {
    check_min("scratch length", expected, found)
}

/// A set of parallel lines of a complex lane block.
pub(crate) struct Lines<'a> {
    /// The transform of each line.
    pub(crate) line: &'a LineFft,
    /// Points of the block.
    pub(crate) points: [usize; 3],
    /// The axis of the lines.
    pub(crate) axis: usize,
    /// The lines to transform: the coordinates on the other two axes, in order.
    pub(crate) at: [Range<usize>; 2],
    /// Points of each line that count; the others are made zero before the transform.
    pub(crate) limit: usize,
}

impl Lines<'_> {
    /// The number of lines, none on an axis of length 1, whose transform does nothing.
    fn count(&self) -> u64 {
        if self.points[self.axis] == 1 { 0 } else { (self.at[0].len() * self.at[1].len()) as u64 }
    }

    /// Operations in one lane.
    pub(crate) fn flops(&self) -> u64 {
        self.count() * self.line.recipe().flops()
    }

    /// Transforms the lines in place; `swap` makes it the unnormalised inverse.
    #[inline(always)]
    pub(crate) fn run<S: Simd>(&self, simd: S, swap: bool, block: &mut [Point], scratch: &mut [f32]) {
        if self.count() == 0 {
            return;
        }
        let strides = [self.points[1] * self.points[2], self.points[2], 1];
        let across = [[1, 2], [0, 2], [0, 1]][self.axis].map(|d| strides[d]);
        let stride = strides[self.axis];
        for i in self.at[0].clone() {
            for j in self.at[1].clone() {
                let first = i * across[0] + j * across[1];
                let data = &mut block[first..][..(self.points[self.axis] - 1) * stride + 1];
                for point in data.iter_mut().step_by(stride).skip(self.limit) {
                    *point = [0.0; COMPLEX_POINT];
                }
                self.line.in_place(simd, swap, data, stride, scratch);
            }
        }
    }
}
