//! Why data cannot be had.

use std::path::PathBuf;

use conv_core::ProblemError;

/// A set of images that cannot be made or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// Not the number of values or labels that the shape says.
    #[error("{what}: expected {expected} for a shape of {shape}, found {found}")]
    Length {
        /// What is counted.
        what: &'static str,
        /// The shape.
        shape: String,
        /// How many it takes.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// A label that is not a class.
    #[error("label of image {image}: expected a class below {classes}, found {found}")]
    Label {
        /// The image, counted from 0.
        image: usize,
        /// Classes there are.
        classes: usize,
        /// The label.
        found: usize,
    },
    /// An image that is not there.
    #[error("expected an image number below {images}, found {found}")]
    Image {
        /// Images there are.
        images: usize,
        /// The number asked for.
        found: usize,
    },
    /// Not one name a class.
    #[error("names of classes: expected {classes}, found {found}")]
    Names {
        /// Classes there are.
        classes: usize,
        /// Names given.
        found: usize,
    },
    /// A worker that makes minibatches did not start, or has ended.
    #[error("a thread that makes minibatches has ended")]
    Worker,
    /// More values than there is memory for.
    #[error("images of shape {0} need more memory than there is")]
    Memory(String),
    /// A shape that no images can have.
    #[error(transparent)]
    Shape(#[from] crate::Error),
    /// A file that could not be fetched.
    #[error("{url}: {reason}")]
    Download {
        /// Its address.
        url: String,
        /// What was expected and found.
        reason: String,
    },
    /// A file that does not hold what it should.
    #[error("{}: {reason}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What was expected and found.
        reason: String,
    },
}

impl From<ProblemError> for DataError {
    fn from(error: ProblemError) -> Self {
        DataError::Shape(error.into())
    }
}
