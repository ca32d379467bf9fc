//! The first calls to the driver, before cudarc may touch it: the crate's only unsafe code.
#![allow(unsafe_code)]

use cudarc::driver::{DriverError, result, sys};

/// Whether the driver library can be loaded and tells its version, so that the calls below find their functions.
pub(crate) fn library_present() -> bool {
    // SAFETY: loading runs the library's initialisers; libcuda has none that need anything of the caller.
    if !unsafe { sys::is_culib_present() } {
        return false;
    }
    // SAFETY: the library is there; the symbol is looked up under a type that can call nothing.
    unsafe { sys::culib().get::<*const ()>(b"cuDriverGetVersion\0").is_ok() }
}

/// CUDA version the driver supports, 1000 major + 10 minor. Needs the library, not the driver's start.
pub(crate) fn driver_version() -> Result<i32, DriverError> {
    let mut version = 0;
    // SAFETY: the library is there, and the pointer is to an integer that outlives the call.
    unsafe { sys::cuDriverGetVersion(&mut version) }.result()?;
    Ok(version)
}

/// Starts the driver and counts its devices.
pub(crate) fn devices() -> Result<usize, DriverError> {
    result::init()?;
    Ok(result::device::get_count()?.try_into().unwrap_or(0))
}
