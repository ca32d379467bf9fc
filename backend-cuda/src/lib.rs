//! Convolution engines on NVIDIA GPUs through cudarc: so far the way to a device, and no engine yet.
//!
//! Builds and runs on machines without CUDA: the driver library is looked for when [`Device::open`] is called.

mod device;
mod probe;

pub use device::Device;

use conv_core::{Error, Result};

/// A GPU with its engines. It has no values, because this version has no engines to give it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cuda {}

impl Cuda {
    /// The GPU of this number, counted from 0.
    ///
    /// # Errors
    /// [`Error::Device`] with one line that says what is missing: always, as there are no engines yet.
    pub fn open(ordinal: usize) -> Result<Cuda> {
        let device = Device::open(ordinal)?;
        Err(missing(format!("{} opens, but this version has no CUDA engines", device.name())))
    }
}

/// [`Error::Device`] of this backend.
fn missing(reason: impl Into<String>) -> Error {
    Error::Device { backend: "cuda".into(), reason: reason.into() }
}
