//! Kernels as functions: loaded with the sizes of their parameters, launched with arguments of just these sizes.

use std::ffi::c_void;
use std::ops::Range;
use std::sync::Arc;

use cudarc::driver::{CudaFunction, CudaModule, CudaSlice, CudaStream, DevicePtr, DriverError, result, sys};

use crate::fourier::{Lines, Maps, Transform};
use crate::geometry::Geometry;
use crate::im2col::Matrices;
use crate::ops::{Channels, Moments, Window};
use crate::product::Product;
use crate::winograd::{Matrix, Tiles};

/// Values of a buffer, as a kernel sees them: the address of the first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    address: u64,
    len: usize,
}

impl Span {
    /// No values: a null pointer.
    pub(crate) const NONE: Span = Span { address: 0, len: 0 };

    /// All values of device memory.
    pub(crate) fn of<T>(slice: &CudaSlice<T>, stream: &CudaStream) -> Span {
        Span { address: slice.device_ptr(stream).0, len: slice.num_bytes() / 4 }
    }

    /// How many there are.
    pub(crate) fn len(self) -> usize {
        self.len
    }

    /// Some of them, which must be there.
    pub(crate) fn part(self, range: Range<usize>) -> Span {
        assert!(range.start <= range.end && range.end <= self.len, "{range:?} of {} values", self.len);
        Span { address: self.address + 4 * range.start as u64, len: range.len() }
    }
}

/// What a kernel takes by value.
///
/// # Safety
/// The bytes of the value are those of the kernel's parameter: the same fields in the same order as its type in the
/// kernel's source, without padding.
pub(crate) unsafe trait Argument {
    /// The first byte of the value, and how many there are.
    fn bytes(&self) -> (*mut c_void, usize);
}

macro_rules! by_value {
    ($($type:ty),*) => {$(
        // SAFETY: a number, or a `repr(C)` structure of numbers that mirrors one of kernels/.
        unsafe impl Argument for $type {
            fn bytes(&self) -> (*mut c_void, usize) {
                ((&raw const *self).cast_mut().cast(), size_of::<$type>())
            }
        }
    )*};
}
by_value!(i32, i64, f32, Geometry<i32>, Geometry<i64>, Matrices<i32>, Matrices<i64>);
by_value!(Channels, Moments, Lines, Maps, Matrix, Product, Tiles, Transform, Window);

// SAFETY: a kernel takes the address alone, 8 bytes.
unsafe impl Argument for Span {
    fn bytes(&self) -> (*mut c_void, usize) {
        ((&raw const self.address).cast_mut().cast(), size_of::<u64>())
    }
}

/// Blocks, threads of a block, and bytes of dynamic shared memory of a block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Launch {
    pub(crate) blocks: u64,
    pub(crate) threads: u32,
    pub(crate) shared: u32,
}

/// A kernel that can be launched.
#[derive(Clone, Debug)]
pub(crate) struct Function {
    name: &'static str,
    function: CudaFunction,
    sizes: Vec<usize>,
}

/// Bytes of dynamic shared memory a kernel may use without being allowed more.
const USUAL_SHARED: u32 = 48 << 10;

impl Function {
    /// Finds the kernel in its module and asks for the sizes of its parameters.
    pub(crate) fn load(module: &Arc<CudaModule>, name: &'static str) -> Result<Self, DriverError> {
        let function = module.load_function(name)?;
        let mut sizes = Vec::new();
        let (mut offset, mut size) = (0, 0);
        // SAFETY: the function was loaded, and the pointers are to integers that outlive the call.
        while unsafe { sys::cuFuncGetParamInfo(function.cu_function(), sizes.len(), &mut offset, &mut size) }
            == sys::CUresult::CUDA_SUCCESS
        {
            sizes.push(size);
        }
        Ok(Function { name, function, sizes })
    }

    /// Allows so many bytes of dynamic shared memory.
    pub(crate) fn allow_shared(&self, bytes: u32) -> Result<(), DriverError> {
        let attribute = sys::CUfunction_attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
        match bytes > USUAL_SHARED {
            true => self.function.set_attribute(attribute, bytes as i32),
            false => Ok(()),
        }
    }

    /// Enqueues the kernel; it runs after all that was enqueued before. Without blocks nothing happens.
    ///
    /// # Panics
    /// Where the arguments are not of the parameters' number and sizes.
    pub(crate) fn launch(
        &self,
        stream: &CudaStream,
        launch: Launch,
        arguments: &[&dyn Argument],
    ) -> Result<(), DriverError> {
        let sizes: Vec<usize> = arguments.iter().map(|argument| argument.bytes().1).collect();
        assert_eq!(sizes, self.sizes, "arguments of {}", self.name);
        if launch.blocks == 0 {
            return Ok(());
        }
        let too_large = DriverError(sys::CUresult::CUDA_ERROR_INVALID_VALUE);
        let blocks = u32::try_from(launch.blocks).ok().filter(|blocks| *blocks < 1 << 31).ok_or(too_large)?;
        let mut pointers: Vec<*mut c_void> = arguments.iter().map(|argument| argument.bytes().0).collect();
        stream.context().bind_to_thread()?;
        let (grid, threads) = ((blocks, 1, 1), (launch.threads, 1, 1));
        let (function, stream) = (self.function.cu_function(), stream.cu_stream());
        // SAFETY: the arguments have the parameters' sizes, and are copied by the call. What spans point to lives
        // until its end is enqueued on the same stream. That kernels stay inside their spans is what the emulator
        // and compute-sanitizer check.
        unsafe { result::launch_kernel(function, grid, threads, launch.shared, stream, &mut pointers) }
    }
}
