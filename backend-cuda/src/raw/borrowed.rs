//! Streams and device memory of another library, such as `cust` or the CUDA runtime, under this crate's names.

use std::ffi::c_void;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};

use conv_core::Result;
use cudarc::driver::{DriverError, result, sys};

use crate::Buffer;
use crate::device::{Device, check_driver, failed, missing};

impl Device {
    /// The device of another library's stream (a `CUstream` or `cudaStream_t`), through which all work then goes.
    ///
    /// # Safety
    /// The stream exists, and outlives the device and all that is made of it: backends, engines, kernels, buffers.
    ///
    /// # Errors
    /// As [`Device::open`], and [`conv_core::Error::Device`] for a stream of another context than the device's
    /// primary one, which the CUDA runtime, `cudarc` and `cust` use unless they are told otherwise.
    pub unsafe fn of_stream(stream: *mut c_void) -> Result<Device> {
        check_driver()?;
        let stream: sys::CUstream = stream.cast();
        // SAFETY: the caller says that the stream exists.
        let found = unsafe { place_of(stream) };
        let (ordinal, own) = found.map_err(|error| failed("the stream has no device", &error))?;
        // SAFETY: the caller says that the stream outlives the device.
        let device =
            Device::with_stream(ordinal, |context| Ok(unsafe { context.wrap_borrowed_stream(stream) }))?;
        if device.stream().context().cu_ctx() != own {
            let reason = "expected a stream of the device's primary context, found one of another context";
            return Err(missing(reason));
        }
        Ok(device)
    }
}

/// The number of a stream's device, and the stream's context.
///
/// # Safety
/// The stream exists.
unsafe fn place_of(stream: sys::CUstream) -> std::result::Result<(usize, sys::CUcontext), DriverError> {
    let (mut device, mut context) = (0, std::ptr::null_mut());
    result::init()?;
    // SAFETY: the stream exists, and the pointers are to values that outlive the calls.
    unsafe {
        sys::cuStreamGetDevice(stream, &mut device).result()?;
        sys::cuStreamGetCtx(stream, &mut context).result()?;
    }
    let mut numbers = 0..result::device::get_count()?;
    let number = numbers.find(|number| result::device::get(*number) == Ok(device)).unwrap_or(device);
    Ok((number.try_into().unwrap_or(0), context))
}

/// Device memory of another library as a [`Buffer`], left to it in the end.
///
/// ```no_run
/// # use backend_cuda::{Borrowed, Cuda};
/// # fn halve(cuda: &Cuda, address: u64) -> conv_core::Result<()> {
/// use conv_core::Backend;
///
/// // SAFETY: 2 values are there, and nobody else uses them on another stream meanwhile.
/// let mut pair = unsafe { Borrowed::new(cuda.device(), address, 2) }?;
/// cuda.upload(&[0.5, 0.5], &mut pair)
/// # }
/// ```
#[derive(Debug)]
pub struct Borrowed(ManuallyDrop<Buffer>);

impl Borrowed {
    /// The `len` values of f32 from this address on, which is a multiple of 4; without values any address will do.
    ///
    /// # Safety
    /// The values lie in one allocation that remains until the work asked for with them is done: their owner waits
    /// for the device's stream, or frees them on it. Nothing else uses them meanwhile but through that stream. The
    /// [`Buffer`] that is lent stays where it is: nobody swaps it for another.
    ///
    /// # Errors
    /// [`conv_core::Error::Device`] where the memory is not of this device.
    pub unsafe fn new(device: &Device, address: u64, len: usize) -> Result<Borrowed> {
        if len > 0 {
            let found = owner_of(address).map_err(|error| failed("memory of another library", &error))?;
            let own = device.ordinal();
            if found != own as i64 {
                return Err(missing(format!(
                    "expected memory of device {own}, found memory of device {found}"
                )));
            }
        }
        // SAFETY: the caller says that the values are there; any bits are an f32.
        let slice = unsafe { device.stream().upgrade_device_ptr(address, len) };
        Ok(Borrowed(ManuallyDrop::new(Buffer::of(slice))))
    }
}

/// The number of the device that holds this address.
fn owner_of(address: u64) -> std::result::Result<i64, DriverError> {
    let mut number = 0i32;
    let wanted = sys::CUpointer_attribute::CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL;
    // SAFETY: this attribute's value is an i32, and the pointer is to one that outlives the call; the driver knows
    // which addresses are its own.
    unsafe { sys::cuPointerGetAttribute((&raw mut number).cast(), wanted, address) }.result()?;
    Ok(number.into())
}

impl Deref for Borrowed {
    type Target = Buffer;

    fn deref(&self) -> &Buffer {
        &self.0
    }
}

impl DerefMut for Borrowed {
    fn deref_mut(&mut self) -> &mut Buffer {
        &mut self.0
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        // SAFETY: nobody uses the field after its end.
        unsafe { ManuallyDrop::take(&mut self.0) }.give_back();
    }
}
