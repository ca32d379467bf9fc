//! Convolution engines on the CPU: direct (on padded copies, with channels or images in the lanes), im2col, Winograd's and FFT, on
//! rayon and SIMD.
//!
//! [`Cpu`] is the [`Backend`]; [`conv`] is the one-call form. Work runs on the rayon pool that calls it.
//!
//! NaN and infinite values propagate. Forward, a pixel reaches, with `direct` and `im2col`, the outputs whose
//! kernel window covers it; with `fft` every output of its image and group, with `fft-tiled` those of the tiles
//! that read it. A weight reaches the outputs of its output channel: with `direct` those where it meets the
//! input, with `im2col` those where it meets padding too, with the FFT engines all. The same holds in the
//! backward passes for the tensors they read and write. `padded` is like `direct` forward and in backward-input; in
//! backward-weights a NaN pixel reaches every weight of its input channel. `depthwise` and `broadcast` are like `im2col` in rows
//! that are in the maps, and so is `images`, where neighbouring columns meet a tap.

mod blocking;
mod broadcast;
mod buffer;
#[cfg(feature = "candle")]
pub mod candle;
mod channels;
#[cfg(feature = "counted")]
pub mod counted;
#[cfg(not(feature = "counted"))]
mod counted;
mod depthwise;
mod direct;
mod epilogue;
mod fft;
mod fft_fused;
mod fft_tiled;
mod fourier;
mod im2col;
mod images;
mod machine;
mod merge;
mod ops;
mod padded;
mod padding;
mod parallel;
mod product;
mod raw;
mod registers;
mod split;
mod strip;
mod tiles;
mod winograd;

pub use buffer::Buffer;
pub use machine::{fitted_table, machine_names, machine_of};

use conv_core::algorithm::check_len;
use conv_core::{Backend, ConvAlgorithm, ConvProblem, Engine, Error, Machine, Pass, Result};
use rayon::prelude::*;

use ops::CHUNK;

/// Every algorithm, one line each.
const ALGORITHMS: &[&dyn ConvAlgorithm<Cpu>] = &[
    &direct::Direct,
    &padded::PADDED,
    &depthwise::DEPTHWISE,
    &broadcast::BROADCAST,
    &images::IMAGES,
    &im2col::IM2COL,
    &fft::FFT,
    &fft::FFT_SINGLE,
    &fft_tiled::FftTiled,
    &fft_fused::FFT_FUSED,
    &winograd::WINOGRAD,
];

/// The CPU this program runs on.
pub struct Cpu {
    machine: Machine,
}

impl Cpu {
    /// The CPU with as many threads as the current rayon pool has, and the cost table nearest to it: the
    /// user's own ([`fitted_table`]), else one of the library.
    pub fn new() -> Self {
        Cpu { machine: machine::detect() }
    }

    /// The CPU as a machine of the caller's making, for other cost tables.
    pub fn with_machine(machine: Machine) -> Self {
        Cpu { machine }
    }
}

impl Default for Cpu {
    fn default() -> Self {
        Cpu::new()
    }
}

impl Backend for Cpu {
    type Buffer = Buffer;

    fn name(&self) -> &str {
        "cpu"
    }

    fn alloc(&self, len: usize) -> Result<Buffer> {
        Buffer::zeroed(len)
            .ok_or_else(|| Error::OutOfMemory { backend: "cpu".into(), bytes: len as u128 * 4 })
    }

    fn len(&self, buffer: &Buffer) -> usize {
        buffer.len()
    }

    fn upload(&self, from: &[f32], to: &mut Buffer) -> Result<()> {
        check_len("upload", to.len(), from.len())?;
        let chunks = to.par_chunks_mut(CHUNK).zip(from.par_chunks(CHUNK));
        chunks.for_each(|(to, from)| to.copy_from_slice(from));
        Ok(())
    }

    fn download(&self, from: &Buffer, to: &mut [f32]) -> Result<()> {
        check_len("download", from.len(), to.len())?;
        to.copy_from_slice(from);
        Ok(())
    }

    fn algorithms(&self) -> &'static [&'static dyn ConvAlgorithm<Self>] {
        ALGORITHMS
    }

    fn machine(&self) -> &Machine {
        &self.machine
    }
}

/// Convolves `input` with `weight`: chooses the algorithm, runs it, returns the output.
///
/// # Errors
/// [`Error::Length`] where a slice does not have the problem's length.
pub fn conv(problem: &ConvProblem, input: &[f32], weight: &[f32], bias: Option<&[f32]>) -> Result<Vec<f32>> {
    Engine::new(Cpu::new())?.convolve(problem, Pass::Forward, input, weight, bias)
}
