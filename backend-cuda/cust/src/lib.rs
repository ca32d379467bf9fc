//! The engines of `backend-cuda` for users of [`cust`]: on their context and stream, in their device memory.
//!
//! ```no_run
//! use backend_cuda_cust::{Operands, open, run};
//! use conv_core::{ConvProblem, Engine, Pass};
//! use cust::memory::DeviceBuffer;
//! use cust::stream::{Stream, StreamFlags};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let _context = cust::quick_init()?;
//! let stream: &Stream = Box::leak(Box::new(Stream::new(StreamFlags::DEFAULT, None)?));
//! let mut engine = Engine::new(open(stream)?)?;
//!
//! let problem: ConvProblem = "n8 c16 o32 i28x28 k5x5 p2".parse()?;
//! let plan = engine.plan(&problem, Pass::Forward)?;
//! let input = DeviceBuffer::from_slice(&[1.0; 8 * 16 * 28 * 28])?;
//! let weight = DeviceBuffer::from_slice(&[0.1; 32 * 16 * 5 * 5])?;
//! let mut output = DeviceBuffer::from_slice(&[0.0; 8 * 32 * 28 * 28])?;
//! run(&mut engine, &plan, Operands::new(&input, &weight, &mut output))?;
//! # Ok(())
//! # }
//! ```
//!
//! `cust` links the driver: its build looks for a CUDA toolkit, or for any folder named by `CUDA_LIBRARY_PATH` that has
//! `lib64` in it, and the program starts only where there is a driver. Nothing of the toolkit is used.
//!
//! Work is asked for and not waited for, as with [`cust`]: later work on the stream finds the results, and so do `cust`'s
//! plain copies, since its streams and the default stream wait for each other. Copies and kernels on other streams come
//! after `stream.synchronize()` or an event.

use backend_cuda::{Borrowed, Buffer, Cuda, Device};
use conv_core::{Engine, Pass, Planned, Result, Step};
use cust::memory::DeviceBuffer;
use cust::stream::Stream;

/// The backend whose work goes through this stream, on its device. What outlives everything can be had by
/// [`Box::leak`]; `unsafe` code can call [`Device::of_stream`] with less.
///
/// # Errors
/// As [`Device::of_stream`]: [`conv_core::Error::Device`] with what is missing, or for a stream of one of `cust`'s
/// `legacy` contexts.
pub fn open(stream: &'static Stream) -> Result<Cuda> {
    // SAFETY: the stream exists for ever.
    Cuda::on(unsafe { Device::of_stream(stream.as_inner().cast()) }?)
}

/// The tensors of a pass, and forward, what follows the sum: [`conv_core::Operands`] in `cust`'s memory.
pub struct Operands<'a> {
    /// First factor: input, grad_output, input (by pass).
    pub lhs: &'a DeviceBuffer<f32>,
    /// Second factor: weight, weight, grad_output.
    pub rhs: &'a DeviceBuffer<f32>,
    /// Product: output, grad_input, grad_weight. Overwritten.
    pub out: &'a mut DeviceBuffer<f32>,
    /// Forward only: one value an output channel to add.
    pub bias: Option<&'a DeviceBuffer<f32>>,
    /// Forward only: whether negative outputs become zero, after the bias.
    pub relu: bool,
}

impl<'a> Operands<'a> {
    /// Operands without an epilogue, in the order of [`Pass::roles`].
    pub fn new(
        lhs: &'a DeviceBuffer<f32>,
        rhs: &'a DeviceBuffer<f32>,
        out: &'a mut DeviceBuffer<f32>,
    ) -> Self {
        Operands { lhs, rhs, out, bias: None, relu: false }
    }
}

/// Asks for a planned pass: [`Engine::run`] in `cust`'s memory.
///
/// # Errors
/// As [`Engine::run`], and [`conv_core::Error::Device`] for memory of another device.
pub fn run(engine: &mut Engine<Cuda>, planned: &Planned<Cuda>, operands: Operands<'_>) -> Result<()> {
    with_lent(engine, operands, |engine, lent| engine.run(planned, lent))
}

/// Asks for a pass of a planned step: [`Engine::run_step`] in `cust`'s memory.
///
/// # Errors
/// As [`Engine::run_step`], and [`conv_core::Error::Device`] for memory of another device.
pub fn run_step(
    engine: &mut Engine<Cuda>,
    step: &mut Step<Cuda>,
    pass: Pass,
    operands: Operands<'_>,
) -> Result<()> {
    with_lent(engine, operands, |engine, lent| engine.run_step(step, pass, lent))
}

/// Calls `run` with the operands as the engine takes them.
fn with_lent(
    engine: &mut Engine<Cuda>,
    operands: Operands<'_>,
    run: impl FnOnce(&mut Engine<Cuda>, conv_core::Operands<'_, Cuda>) -> Result<()>,
) -> Result<()> {
    let device = engine.backend().device().clone();
    let [lhs, rhs] = [operands.lhs, operands.rhs].map(|buffer| lent(&device, buffer));
    let (lhs, rhs, mut out) = (lhs?, rhs?, lent(&device, operands.out)?);
    let bias = operands.bias.map(|buffer| lent(&device, buffer)).transpose()?;
    let bias: Option<&Buffer> = bias.as_deref();
    run(engine, conv_core::Operands::<Cuda>::new(&lhs, &rhs, &mut out).bias(bias).relu(operands.relu))
}

fn lent(device: &Device, buffer: &DeviceBuffer<f32>) -> Result<Borrowed> {
    // SAFETY: `cust` says that the values are there, and what frees or copies them without `unsafe` waits for the
    // stream. The engine leaves its operands where they are.
    unsafe { Borrowed::new(device, buffer.as_device_ptr().as_raw(), buffer.len()) }
}
