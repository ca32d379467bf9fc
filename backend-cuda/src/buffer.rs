//! f32 values in device memory.

use conv_core::{Error, Result};
use cudarc::driver::CudaSlice;

use crate::device::{Device, failed, not_allocated};
use crate::raw::{self, Span};

/// Values in device memory, from the device's stream-ordered pool: freed when all work enqueued before is done.
#[derive(Debug)]
pub struct Buffer {
    slice: CudaSlice<f32>,
    len: usize,
}

/// Bytes that no device has.
const TOO_MANY: u128 = 1 << 46;

impl Buffer {
    pub(crate) fn zeroed(device: &Device, len: usize) -> Result<Self> {
        let bytes = len as u128 * 4;
        if bytes > TOO_MANY {
            return Err(Error::OutOfMemory { backend: "cuda".into(), bytes });
        }
        let slice = raw::zeroed(device.stream(), len).map_err(|error| not_allocated(bytes, &error))?;
        Ok(Buffer { slice, len })
    }

    /// All values of this memory.
    pub(crate) fn of(slice: CudaSlice<f32>) -> Self {
        Buffer { len: slice.len(), slice }
    }

    /// Ends without freeing the memory.
    pub(crate) fn give_back(self) {
        self.slice.leak();
    }

    /// Values it holds.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Enqueues zeros in every value.
    pub(crate) fn clear(&mut self, device: &Device) -> Result<()> {
        device.stream().memset_zeros(&mut self.slice).map_err(|error| failed("memory", &error))
    }

    /// The values as kernels take them.
    pub(crate) fn span(&self, device: &Device) -> Span {
        Span::of(&self.slice, device.stream()).part(0..self.len)
    }

    pub(crate) fn slice(&self) -> &CudaSlice<f32> {
        &self.slice
    }

    pub(crate) fn slice_mut(&mut self) -> &mut CudaSlice<f32> {
        &mut self.slice
    }
}

/// Integers in device memory that kernels read.
#[derive(Debug)]
pub(crate) struct Table {
    slice: CudaSlice<i32>,
}

impl Table {
    pub(crate) fn new(device: &Device, values: &[i32]) -> Result<Self> {
        let bytes = values.len() as u128 * 4;
        let copied = || {
            let mut slice = raw::zeroed(device.stream(), values.len())?;
            device.stream().memcpy_htod(values, &mut slice)?;
            Ok(slice)
        };
        Ok(Table { slice: copied().map_err(|error| not_allocated(bytes, &error))? })
    }

    pub(crate) fn span(&self, device: &Device) -> Span {
        Span::of(&self.slice, device.stream())
    }
}
