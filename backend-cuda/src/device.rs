//! A device with its one stream and its kernels, or one line that says why there is none.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use conv_core::{Error, Result};
use cudarc::driver::sys::{CUdevice_attribute as Attribute, CUevent_flags, CUresult};
use cudarc::driver::{CudaContext, CudaEvent, CudaModule, CudaStream, DriverError};
use cudarc::nvrtc::Ptx;

use crate::raw::{self, Argument, Function, Launch};

/// What the driver must at least support, as CUDA writes it: 1000 major + 10 minor.
const OLDEST_DRIVER: i32 = 13_000;

/// What the kernels are compiled for: Ampere.
const OLDEST_DEVICE: (i32, i32) = (8, 0);

/// The kernels of one source file, compiled to PTX.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Module {
    Direct,
    Im2col,
    Fourier,
    Fused,
    Passes,
    Product,
    Winograd,
    Ops,
    Training,
}

impl Module {
    fn ptx(self) -> &'static str {
        match self {
            Module::Direct => include_str!("../kernels/ptx/direct.ptx"),
            Module::Im2col => include_str!("../kernels/ptx/im2col.ptx"),
            Module::Fourier => include_str!("../kernels/ptx/fourier.ptx"),
            Module::Fused => include_str!("../kernels/ptx/fused.ptx"),
            Module::Passes => include_str!("../kernels/ptx/passes.ptx"),
            Module::Product => include_str!("../kernels/ptx/product.ptx"),
            Module::Winograd => include_str!("../kernels/ptx/winograd.ptx"),
            Module::Ops => include_str!("../kernels/ptx/ops.ptx"),
            Module::Training => include_str!("../kernels/ptx/training.ptx"),
        }
    }
}

/// An NVIDIA GPU with its primary context, and the stream that all work of one [`crate::Cuda`] goes through.
#[derive(Clone, Debug)]
pub struct Device {
    context: Arc<CudaContext>,
    stream: Arc<CudaStream>,
    name: String,
    modules: Arc<Mutex<HashMap<Module, Arc<CudaModule>>>>,
}

impl Device {
    /// Opens the device of this number, counted from 0. Never panics, whatever is missing.
    ///
    /// # Errors
    /// [`Error::Device`]: no driver library, a driver that is too old or does not start, no device, no device of
    /// this number, one that is too old, or one that gives no context.
    pub fn open(ordinal: usize) -> Result<Device> {
        Device::with_stream(ordinal, CudaContext::new_stream)
    }

    /// The device of this number, its work going through the stream that `make` makes in its primary context.
    pub(crate) fn with_stream(
        ordinal: usize,
        make: impl FnOnce(&Arc<CudaContext>) -> std::result::Result<Arc<CudaStream>, DriverError>,
    ) -> Result<Device> {
        check_driver()?;
        let devices = raw::devices().map_err(|error| failed("the driver does not start", &error))?;
        if ordinal >= devices {
            let found = format!("expected a device number below {devices}, found {ordinal}");
            return Err(missing(if devices == 0 { "the driver finds no device".into() } else { found }));
        }
        let context = CudaContext::new(ordinal).map_err(|error| failed("no context", &error))?;
        let name = context.name().map_err(|error| failed("the device has no name", &error))?;
        let found =
            context.compute_capability().map_err(|error| failed("the device has no version", &error))?;
        if found < OLDEST_DEVICE {
            let (least, found) = (version(OLDEST_DEVICE), version(found));
            return Err(missing(format!("expected compute capability {least} or later, {name} has {found}")));
        }
        let stream = raw::prepare(&context).and_then(|()| make(&context));
        let stream = stream.map_err(|error| failed("no stream", &error))?;
        Ok(Device { context, stream, name, modules: Arc::default() })
    }

    /// What the driver calls it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its number, counted from 0.
    pub fn ordinal(&self) -> usize {
        self.context.ordinal()
    }

    /// The stream of all its work.
    pub(crate) fn stream(&self) -> &Arc<CudaStream> {
        &self.stream
    }

    /// An event behind all work that has been asked for, which keeps its time.
    pub(crate) fn mark(&self) -> Result<CudaEvent> {
        let event = self.stream.record_event(Some(CUevent_flags::CU_EVENT_DEFAULT));
        event.map_err(|error| failed("an event", &error))
    }

    /// A property of the hardware, at least 0.
    pub(crate) fn attribute(&self, attribute: Attribute) -> Result<usize> {
        let value = self.context.attribute(attribute).map_err(|error| failed("no attribute", &error))?;
        Ok(value.try_into().unwrap_or(0))
    }

    /// A kernel; its module is compiled for the device when the first of its kernels is asked for.
    ///
    /// # Errors
    /// [`Error::Device`] where the driver does not take the module.
    pub(crate) fn function(&self, module: Module, name: &'static str) -> Result<Function> {
        let mut modules = self.modules.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = |error: &DriverError| failed(&format!("kernel {name}"), error);
        let module = match modules.get(&module) {
            Some(module) => module.clone(),
            None => {
                let loaded = self.context.load_module(Ptx::from_src(module.ptx())).map_err(|e| failed(&e))?;
                modules.insert(module, loaded.clone());
                loaded
            }
        };
        Function::load(&module, name).map_err(|error| failed(&error))
    }

    /// Enqueues a kernel.
    ///
    /// # Errors
    /// [`Error::Device`] where the driver refuses.
    pub(crate) fn launch(
        &self,
        function: &Function,
        launch: Launch,
        arguments: &[&dyn Argument],
    ) -> Result<()> {
        function.launch(&self.stream, launch, arguments).map_err(|error| failed("a launch", &error))
    }
}

/// Every later call panics without the library, or where it lacks a function.
pub(crate) fn check_driver() -> Result<()> {
    if !raw::library_present() {
        return Err(missing("the driver library libcuda was not found"));
    }
    check_functions(&["cuDriverGetVersion"])?;
    let found = raw::driver_version().map_err(|error| failed("the driver has no version", &error))?;
    if found < OLDEST_DRIVER {
        let [found, least] = [found, OLDEST_DRIVER].map(|v| version((v / 1000, v % 1000 / 10)));
        return Err(missing(format!("expected a driver for CUDA {least} or later, found one for {found}")));
    }
    check_functions(&raw::FUNCTIONS)
}

fn check_functions(names: &[&str]) -> Result<()> {
    match names.iter().find(|name| !raw::has_function(name)) {
        Some(name) => Err(missing(format!("the driver library libcuda has no function {name}"))),
        None => Ok(()),
    }
}

fn version((major, minor): (i32, i32)) -> String {
    format!("{major}.{minor}")
}

/// [`Error::Device`] of this backend.
pub(crate) fn missing(reason: impl Into<String>) -> Error {
    Error::Device { backend: "cuda".into(), reason: reason.into() }
}

/// What the driver said to a call.
pub(crate) fn failed(what: &str, error: &DriverError) -> Error {
    missing(format!("{what}: {:?}", error.0))
}

/// The same for an allocation of so many bytes.
pub(crate) fn not_allocated(bytes: u128, error: &DriverError) -> Error {
    match error.0 {
        CUresult::CUDA_ERROR_OUT_OF_MEMORY => Error::OutOfMemory { backend: "cuda".into(), bytes },
        _ => failed("memory", error),
    }
}
