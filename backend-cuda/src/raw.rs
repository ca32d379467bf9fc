//! Everything unsafe: the driver's first calls, device memory, launches, transfers. The rest of the crate has none.
#![allow(unsafe_code)]

mod borrowed;
mod launch;
mod library;
mod staging;

use std::sync::Arc;

use cudarc::driver::{CudaContext, CudaSlice, CudaStream, DriverError, sys};

pub use borrowed::Borrowed;
pub(crate) use launch::{Argument, Function, Launch, Span};
pub(crate) use library::{FUNCTIONS, devices, driver_version, has_function, library_present};
pub(crate) use staging::Staging;

/// Whether NCCL can be loaded, so that its calls find their functions: those in use are in every version.
#[cfg(feature = "nccl")]
pub(crate) fn nccl_present() -> bool {
    // SAFETY: loading runs the library's initialisers; libnccl has none that need anything of the caller.
    unsafe { cudarc::nccl::sys::is_culib_present() }
}

/// Makes ready the context for one stream, the only one that ever uses the memory allocated on it.
pub(crate) fn prepare(context: &Arc<CudaContext>) -> Result<(), DriverError> {
    // SAFETY: this crate uses a buffer on the one stream it was allocated on, which orders all uses and the end; where
    // another stream uses one (nccl.rs), each waits for the other.
    unsafe { context.disable_event_tracking() };
    keep_freed_memory(context)
}

/// The device's pool keeps what is freed for the next allocation, rather than give it back at the next wait.
fn keep_freed_memory(context: &Arc<CudaContext>) -> Result<(), DriverError> {
    let mut pool = std::ptr::null_mut();
    let mut kept = u64::MAX;
    let attribute = sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
    if context.has_async_alloc() {
        // SAFETY: both pointers are to values that outlive the calls; this attribute's value is a u64.
        unsafe {
            sys::cuDeviceGetDefaultMemPool(&mut pool, context.cu_device()).result()?;
            sys::cuMemPoolSetAttribute(pool, attribute, (&raw mut kept).cast()).result()?;
        }
    }
    Ok(())
}

/// Memory for `len` values, at least one, with zeros.
pub(crate) fn zeroed<T: Plain>(stream: &Arc<CudaStream>, len: usize) -> Result<CudaSlice<T>, DriverError> {
    // SAFETY: the values are written before anyone can read them.
    let mut slice = unsafe { stream.alloc::<T>(len.max(1)) }?;
    stream.memset_zeros(&mut slice)?;
    Ok(slice)
}

/// Numbers as device memory holds them.
pub(crate) trait Plain: cudarc::driver::DeviceRepr + cudarc::driver::ValidAsZeroBits {}
impl Plain for f32 {}
impl Plain for i32 {}

/// Loads a driver library in advance, so that it is taken for the driver wherever cudarc looks for one.
#[cfg(feature = "emulate")]
pub(crate) mod emulated {
    use std::sync::OnceLock;

    use libloading::Library;

    fn library() -> &'static Library {
        static LIBRARY: OnceLock<Library> = OnceLock::new();
        // Tests name a library with other kernels in the environment.
        let path = || std::env::var_os("EMULATED_DRIVER").unwrap_or_else(|| env!("EMULATED_DRIVER").into());
        // SAFETY: the library is one that build.rs or a test made; its initialisers register kernels, nothing else.
        LIBRARY.get_or_init(|| unsafe { Library::new(path()) }.expect("build.rs made it"))
    }

    /// Makes the emulated driver the one that is found.
    pub(crate) fn load() {
        library();
    }

    /// Sets the order in which threads and blocks of this thread's launches take turns.
    pub(crate) fn set_order(order: i32) {
        // SAFETY: the function has this type in emulate/driver.cpp.
        unsafe { library().get::<extern "C" fn(i32)>(b"emulate_order\0").expect("it is there")(order) }
    }

    /// What the driver has counted for this thread, by the name of its function with a zero byte behind.
    pub(crate) fn count(name: &[u8]) -> u64 {
        // SAFETY: all functions that are asked for have this type in emulate/driver.cpp.
        unsafe { library().get::<extern "C" fn() -> u64>(name).expect("it is there")() }
    }

    /// Sets the driver's version, its number of devices and their compute capability.
    pub(crate) fn set_machine(version: i32, devices: i32, (major, minor): (i32, i32)) {
        // SAFETY: the function has this type in emulate/driver.cpp.
        let set = unsafe { library().get::<extern "C" fn(i32, i32, i32, i32)>(b"emulate_machine\0") };
        set.expect("it is there")(version, devices, major, minor);
    }
}
