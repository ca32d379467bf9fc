//! A device and its context, or one line that says why there is none.

use std::sync::Arc;

use conv_core::Result;
use cudarc::driver::CudaContext;

use crate::{missing, probe};

/// What the driver must at least support, as CUDA writes it: 1000 major + 10 minor.
const OLDEST_DRIVER: i32 = 13_000;

/// An NVIDIA GPU with its primary context.
#[derive(Clone, Debug)]
pub struct Device {
    context: Arc<CudaContext>,
    name: String,
}

impl Device {
    /// Opens the device of this number, counted from 0. Never panics, whatever is missing.
    ///
    /// # Errors
    /// [`conv_core::Error::Device`]: no driver library, a driver that is too old or does not start, no device,
    /// no device of this number, or one that gives no context.
    pub fn open(ordinal: usize) -> Result<Device> {
        check_driver()?;
        let devices = probe::devices().map_err(|error| failed("the driver does not start", &error))?;
        if ordinal >= devices {
            let found = format!("expected a device number below {devices}, found {ordinal}");
            return Err(missing(if devices == 0 { "the driver finds no device".into() } else { found }));
        }
        let context = CudaContext::new(ordinal).map_err(|error| failed("no context", &error))?;
        let name = context.name().map_err(|error| failed("the device has no name", &error))?;
        Ok(Device { context, name })
    }

    /// What the driver calls it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its number, counted from 0.
    pub fn ordinal(&self) -> usize {
        self.context.ordinal()
    }
}

/// Every later call panics without the library, or where it lacks a function of [`OLDEST_DRIVER`].
fn check_driver() -> Result<()> {
    if !probe::library_present() {
        return Err(missing("the driver library libcuda was not found"));
    }
    let version = probe::driver_version().map_err(|error| failed("the driver has no version", &error))?;
    if version < OLDEST_DRIVER {
        let [found, least] = [version, OLDEST_DRIVER].map(|v| format!("{}.{}", v / 1000, v % 1000 / 10));
        return Err(missing(format!("expected a driver for CUDA {least} or later, found one for {found}")));
    }
    Ok(())
}

fn failed(what: &str, error: &cudarc::driver::DriverError) -> conv_core::Error {
    missing(format!("{what}: {:?}", error.0))
}
