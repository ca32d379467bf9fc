//! Labelled images for training: handwritten digits, CIFAR-10 files, and random ones for timing.

mod cifar;
mod dataset;
mod digits;
mod error;
mod random;
mod resize;

pub use cifar::cifar10;
pub use dataset::Dataset;
pub use digits::digits;
pub use error::DataError;
pub use random::random;
