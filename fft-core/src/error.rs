//! The error of every function of this crate that takes shapes, ranges or slices.

use crate::lengths::MAX_LENGTH;
use std::ops::Range;
use thiserror::Error;

/// A shape, range or slice length that does not fit the transform.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ShapeError {
    /// A shape without axes or with more than three.
    #[error("shape has {found} axes, expected 1 to 3")]
    Axes {
        /// Axes of the shape.
        found: usize,
    },
    /// A length that is zero or greater than [`MAX_LENGTH`].
    #[error("axis {axis} has length {found}, expected 1 to {MAX_LENGTH}")]
    AxisLength {
        /// The axis, counted from 0.
        axis: usize,
        /// Its length.
        found: usize,
    },
    /// A lane block of this shape would exceed the address space.
    #[error("shape {shape:?} has more points than the address space holds")]
    TooLarge {
        /// The shape.
        shape: Vec<usize>,
    },
    /// A support or crop with another number of axes than the transform.
    #[error("{what} has {found} axes, expected {expected}")]
    Rank {
        /// The argument.
        what: &'static str,
        /// Axes of the transform.
        expected: usize,
        /// Axes of the argument.
        found: usize,
    },
    /// A support that is zero or greater than the length of its axis.
    #[error("support of axis {axis} is {found}, expected 1 to {length}")]
    Support {
        /// The axis, counted from 0.
        axis: usize,
        /// Length of the axis.
        length: usize,
        /// The support.
        found: usize,
    },
    /// A crop that is empty or reaches beyond its axis.
    #[error("crop of axis {axis} is {found:?}, expected a nonempty range within 0..{length}")]
    Crop {
        /// The axis, counted from 0.
        axis: usize,
        /// Length of the axis.
        length: usize,
        /// The crop.
        found: Range<usize>,
    },
    /// A slice of the wrong length.
    #[error("{what} has length {found}, expected {expected}")]
    Length {
        /// The argument.
        what: &'static str,
        /// The only right length.
        expected: usize,
        /// Its length.
        found: usize,
    },
    /// A slice or stride that is too short.
    #[error("{what} is {found}, expected at least {expected}")]
    TooShort {
        /// The argument.
        what: &'static str,
        /// The least allowed value.
        expected: usize,
        /// The value.
        found: usize,
    },
    /// A slice that does not hold a whole number of maps.
    #[error("{what} has length {found}, expected a multiple of {map}, the values of one map")]
    Maps {
        /// The argument.
        what: &'static str,
        /// Values of one map.
        map: usize,
        /// Its length.
        found: usize,
    },
    /// More rows than lanes.
    #[error("{found} rows, expected at most 16")]
    Rows {
        /// The number of rows.
        found: usize,
    },
}

/// Refuses a length other than the expected one.
pub(crate) fn check_len(what: &'static str, expected: usize, found: usize) -> Result<(), ShapeError> {
    if found == expected { Ok(()) } else { Err(ShapeError::Length { what, expected, found }) }
}

/// Refuses a value smaller than the expected one.
pub(crate) fn check_min(what: &'static str, expected: usize, found: usize) -> Result<(), ShapeError> {
    if found >= expected { Ok(()) } else { Err(ShapeError::TooShort { what, expected, found }) }
}
