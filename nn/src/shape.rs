//! The shape of a batch of activations.

use std::fmt;

use conv_core::{MAX_LEN, ProblemError};

use crate::Result;
use crate::error::argument;

/// Sizes of a dense, row-major tensor `N C [spatial axes]`, slowest first; none is 0.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Shape(Vec<usize>);

impl Shape {
    /// Checks the sizes: batch, channels (or features) and any number of spatial axes.
    ///
    /// # Errors
    /// [`conv_core::Error`] for fewer than two sizes, a zero, or more than [`MAX_LEN`] values.
    pub fn new(sizes: &[usize]) -> Result<Self> {
        if sizes.len() < 2 {
            return Err(argument("shape", "batch, channels and any spatial axes", format!("{sizes:?}")));
        }
        if let Some(index) = sizes.iter().position(|size| *size == 0) {
            return Err(ProblemError::Zero { what: format!("size {index} of the shape") }.into());
        }
        let len = sizes.iter().try_fold(1usize, |len, &size| len.checked_mul(size));
        if len.is_none_or(|len| len > MAX_LEN) {
            return Err(ProblemError::TooLarge { what: "activation tensor".into() }.into());
        }
        Ok(Shape(sizes.to_vec()))
    }

    /// The same images, `batch` of them.
    ///
    /// # Errors
    /// As [`Shape::new`].
    pub fn with_batch(&self, batch: usize) -> Result<Self> {
        Shape::new(&[&[batch], &self.0[1..]].concat())
    }

    /// All sizes.
    pub fn sizes(&self) -> &[usize] {
        &self.0
    }

    /// Images.
    pub fn batch(&self) -> usize {
        self.0[0]
    }

    /// Channels, or features where there are no spatial axes.
    pub fn channels(&self) -> usize {
        self.0[1]
    }

    /// Points of each spatial axis, slowest first.
    pub fn axes(&self) -> &[usize] {
        &self.0[2..]
    }

    /// Values of one image: channels times points.
    pub fn features(&self) -> usize {
        self.0[1..].iter().product()
    }

    /// Values of the whole batch.
    pub fn elements(&self) -> usize {
        self.0.iter().product()
    }
}

impl fmt::Display for Shape {
    /// `(128, 3, 32, 32)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sizes: Vec<_> = self.0.iter().map(usize::to_string).collect();
        f.pad(&format!("({})", sizes.join(", ")))
    }
}
