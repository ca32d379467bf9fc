//! What can go wrong in a network, with the layer it went wrong in.

use std::path::PathBuf;

use crate::Shape;

/// A failure the caller has to act on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A problem, buffer, argument or backend is at fault.
    #[error(transparent)]
    Conv(#[from] conv_core::Error),
    /// A layer of a network failed.
    #[error("layer {index} ({name}): {source}")]
    Layer {
        /// Its position in the network, from 0.
        index: usize,
        /// Its kind.
        name: &'static str,
        /// What went wrong in it.
        source: Box<Error>,
    },
    /// An input that the layer does not take.
    #[error("expected an input of {expected}, found {found}")]
    Shape {
        /// What the layer takes.
        expected: String,
        /// The shape found.
        found: Shape,
    },
    /// Branches whose outputs cannot be added.
    #[error("expected branches of one output shape, {expected}, found {found}")]
    Branch {
        /// The first branch's.
        expected: Shape,
        /// The first other.
        found: Shape,
    },
    /// A label that is not a class.
    #[error("label {index} of the batch: expected a class below {classes}, found {label}")]
    Label {
        /// Its position in the batch, from 0.
        index: usize,
        /// The label.
        label: usize,
        /// Classes there are.
        classes: usize,
    },
    /// A loss that is no number any more.
    #[error("the loss is not finite; the first values that are not: {what}")]
    NotFinite {
        /// Where it began: the images, a parameter or a layer's output.
        what: String,
    },
    /// A checkpoint that cannot be written or read.
    #[error("checkpoint {}: {reason}", .path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl From<conv_core::ProblemError> for Error {
    fn from(error: conv_core::ProblemError) -> Self {
        Error::Conv(error.into())
    }
}

/// Result of everything that can fail with [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// An argument outside what a function takes.
pub(crate) fn argument(what: &'static str, expected: impl Into<String>, found: impl ToString) -> Error {
    conv_core::Error::Argument { what, expected: expected.into(), found: found.to_string() }.into()
}
