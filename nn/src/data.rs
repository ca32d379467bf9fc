//! Labelled images for training: published sets, folders of images, handwritten digits, and random ones for timing.

mod augment;
mod batches;
mod cifar;
mod dataset;
mod digits;
#[cfg(feature = "download")]
pub mod download;
mod error;
mod files;
#[cfg(feature = "images")]
mod folder;
mod mnist;
mod pickle;
mod random;
mod resize;

pub use augment::Augment;
pub use batches::{Batch, Batches, Epoch};
pub use cifar::{cifar10, cifar100};
pub use dataset::{Dataset, normalise};
pub use digits::digits;
pub use error::DataError;
#[cfg(feature = "images")]
pub use folder::{image, image_folder};
pub use mnist::{fashion_mnist, mnist};
pub use random::random;
