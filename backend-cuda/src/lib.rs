//! Convolution engines on NVIDIA GPUs: direct, im2col, FFT and Winograd, as PTX kernels through cudarc.
//!
//! [`Cuda`] is the [`Backend`]. It builds and runs without a CUDA toolkit: the driver library is looked for when
//! [`Cuda::open`] is called, and what is missing is said in one line. All work of a [`Cuda`] goes through one stream
//! in the order it is called; only [`Backend::download`] waits.
//!
//! NaN and infinite values propagate as in `backend-cpu`, except that with `direct` too a weight reaches the outputs
//! where it meets padding.

mod buffer;
mod device;
mod direct;
#[cfg(feature = "emulate")]
pub mod emulate;
mod fft;
mod fft_fused;
mod fft_tiled;
mod fourier;
mod geometry;
mod im2col;
mod machine;
#[cfg(feature = "nccl")]
mod nccl;
mod operands;
mod ops;
mod product;
mod raw;
mod winograd;

pub use buffer::Buffer;
pub use device::Device;
pub use machine::{machine_names, machine_of};
pub use raw::Borrowed;

use std::sync::{Mutex, PoisonError};

#[cfg(feature = "nccl")]
use conv_core::Ranks;
use conv_core::algorithm::check_len;
use conv_core::{Backend, ConvAlgorithm, Machine, Result, Stopwatch};

use device::failed;
use raw::Staging;

/// Every algorithm, one line each.
const ALGORITHMS: &[&dyn ConvAlgorithm<Cuda>] = &[
    &direct::Direct,
    &im2col::Im2col,
    &winograd::Winograd,
    &fft::Fft,
    &fft_tiled::FftTiled,
    &fft_fused::FftFused,
];

/// Every algorithm of this backend, which estimate without a device.
pub fn algorithms() -> &'static [&'static dyn ConvAlgorithm<Cuda>] {
    ALGORITHMS
}

/// A GPU with its engines.
#[derive(Debug)]
pub struct Cuda {
    device: Device,
    machine: Machine,
    staging: Mutex<Staging>,
}

impl Cuda {
    /// The GPU of this number, counted from 0.
    ///
    /// # Errors
    /// As [`Device::open`], and [`conv_core::Error::Device`] where memory for transfers cannot be had.
    pub fn open(ordinal: usize) -> Result<Cuda> {
        Cuda::on(Device::open(ordinal)?)
    }

    /// The engines on a device that is open.
    ///
    /// # Errors
    /// [`conv_core::Error::Device`] where memory for transfers cannot be had.
    pub fn on(device: Device) -> Result<Cuda> {
        let machine = machine::detect(&device)?;
        let staging = Staging::new(device.stream()).map_err(|error| failed("page-locked memory", &error))?;
        Ok(Cuda { device, machine, staging: Mutex::new(staging) })
    }

    /// The device.
    pub fn device(&self) -> &Device {
        &self.device
    }
}

impl Backend for Cuda {
    type Buffer = Buffer;

    fn name(&self) -> &str {
        "cuda"
    }

    fn alloc(&self, len: usize) -> Result<Buffer> {
        Buffer::zeroed(&self.device, len)
    }

    fn len(&self, buffer: &Buffer) -> usize {
        buffer.len()
    }

    fn upload(&self, from: &[f32], to: &mut Buffer) -> Result<()> {
        check_len("upload", to.len(), from.len())?;
        let mut staging = self.staging.lock().unwrap_or_else(PoisonError::into_inner);
        staging.upload(from, to.slice_mut()).map_err(|error| failed("upload", &error))
    }

    fn download(&self, from: &Buffer, to: &mut [f32]) -> Result<()> {
        check_len("download", from.len(), to.len())?;
        let mut staging = self.staging.lock().unwrap_or_else(PoisonError::into_inner);
        staging.download(from.slice(), to).map_err(|error| failed("download", &error))
    }

    /// By events on the stream.
    fn stopwatch(&self) -> Result<Stopwatch> {
        let (device, start) = (self.device.clone(), self.device.mark()?);
        Ok(Box::new(move || {
            let milliseconds = start.elapsed_ms(&device.mark()?).map_err(|error| failed("a time", &error))?;
            Ok(f64::from(milliseconds) * 1e-3)
        }))
    }

    fn algorithms(&self) -> &'static [&'static dyn ConvAlgorithm<Self>] {
        ALGORITHMS
    }

    fn machine(&self) -> &Machine {
        &self.machine
    }

    #[cfg(feature = "nccl")]
    fn connect(&self, ranks: Box<dyn Ranks<Cuda>>) -> Result<Box<dyn Ranks<Cuda>>> {
        Ok(Box::new(nccl::Nccl::over(ranks, self)?))
    }
}
