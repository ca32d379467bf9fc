//! The driver library: whether it is there with all functions, its version, its devices.

use cudarc::driver::{DriverError, result, sys};

/// Every function of the driver that this crate calls, by itself or through cudarc, which panics where one is missing:
/// those that the stand-in of `emulate/` has.
pub(crate) const FUNCTIONS: [&str; 51] = [
    "cuInit",
    "cuDriverGetVersion",
    "cuDeviceGetCount",
    "cuDeviceGet",
    "cuDeviceGetName",
    "cuDeviceTotalMem_v2",
    "cuDeviceGetAttribute",
    "cuDeviceGetDefaultMemPool",
    "cuMemPoolSetAttribute",
    "cuDevicePrimaryCtxRetain",
    "cuDevicePrimaryCtxSetFlags_v2",
    "cuDevicePrimaryCtxRelease_v2",
    "cuCtxGetCurrent",
    "cuCtxSetCurrent",
    "cuCtxCreate_v4",
    "cuCtxDestroy_v2",
    "cuCtxSynchronize",
    "cuStreamCreate",
    "cuStreamCreateWithPriority",
    "cuStreamDestroy_v2",
    "cuStreamGetCtx",
    "cuStreamGetDevice",
    "cuStreamSynchronize",
    "cuStreamWaitEvent",
    "cuEventCreate",
    "cuEventDestroy_v2",
    "cuEventRecord",
    "cuEventSynchronize",
    "cuEventQuery",
    "cuEventElapsedTime_v2",
    "cuEventElapsedTime",
    "cuMemAllocAsync",
    "cuMemFreeAsync",
    "cuMemAlloc_v2",
    "cuMemFree_v2",
    "cuMemHostAlloc",
    "cuMemFreeHost",
    "cuMemcpyHtoDAsync_v2",
    "cuMemcpyDtoHAsync_v2",
    "cuMemcpyHtoD_v2",
    "cuMemcpyDtoH_v2",
    "cuMemsetD8Async",
    "cuPointerGetAttribute",
    "cuModuleLoadData",
    "cuModuleUnload",
    "cuModuleGetFunction",
    "cuFuncGetParamInfo",
    "cuFuncSetAttribute",
    "cuLaunchKernel",
    "cuGetErrorName",
    "cuGetErrorString",
];

/// Whether the driver library can be loaded, without which the calls below panic.
pub(crate) fn library_present() -> bool {
    // SAFETY: loading runs the library's initialisers; libcuda has none that need anything of the caller.
    unsafe { sys::is_culib_present() }
}

/// Whether the library, which is there, has this function.
pub(crate) fn has_function(name: &str) -> bool {
    // SAFETY: the symbol is looked up under a type that can call nothing.
    unsafe { sys::culib().get::<*const ()>(name.as_bytes()).is_ok() }
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

#[cfg(test)]
mod tests {
    use super::FUNCTIONS;

    /// So that tests on the stand-in call no function that is not asked for in advance.
    #[test]
    fn functions_are_those_of_the_stand_in() {
        let lines = include_str!("../../emulate/driver.cpp").lines();
        let defined: Vec<&str> =
            lines.filter_map(|line| line.strip_prefix("API ")?.split('(').next()).collect();
        assert_eq!(FUNCTIONS[..], defined);
    }
}
