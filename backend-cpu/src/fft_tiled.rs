//! `fft-tiled`: overlap-save tiles of 8 to 64 points (longer along a single axis); for small kernels and
//! large images.

use conv_core::fourier::Tiling;
use conv_core::{ConvAlgorithm, ConvKernel, ConvProblem, Cost, Error, Machine, Pass, Result, Unsupported};

use crate::Cpu;
use crate::fft::{is_single_axis, transform_length};
use crate::fourier::{FourierKernel, InLanes, Plan};

/// Tile lengths along two or three axes.
const TILES: [usize; 9] = [8, 12, 16, 20, 24, 32, 40, 48, 64];

/// Tile lengths along one axis.
const LONG_TILES: [usize; 12] = [32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536];

/// Tiled FFT convolution: spectra of a group of tiles at a time.
pub(crate) struct FftTiled;

impl ConvAlgorithm<Cpu> for FftTiled {
    fn name(&self) -> &'static str {
        "fft-tiled"
    }

    fn estimate(
        &self,
        machine: &Machine,
        problem: &ConvProblem,
        pass: Pass,
    ) -> std::result::Result<Cost, Unsupported> {
        plan(machine, problem, pass).map(|(_, cost)| cost)
    }

    fn build(&self, backend: &Cpu, problem: &ConvProblem, pass: Pass) -> Result<Box<dyn ConvKernel<Cpu>>> {
        let algorithm = self.name();
        let refused = |reason| Error::Refused { algorithm, pass, problem: Box::new(*problem), reason };
        let (plan, _) = plan(&backend.machine, problem, pass).map_err(refused)?;
        Ok(Box::new(FourierKernel::new(algorithm, plan)?))
    }
}

/// The tile length of least predicted time.
fn plan(
    machine: &Machine,
    problem: &ConvProblem,
    pass: Pass,
) -> std::result::Result<(Plan, Cost), Unsupported> {
    let lengths: &[usize] = if is_single_axis(problem) { &LONG_TILES } else { &TILES };
    let seconds = |cost: &Cost| machine.model.seconds("fft-tiled", pass, cost, machine.threads);
    let tilings = lengths.iter().filter_map(|n| Tiling::tiled(problem, pass, *n, transform_length));
    let plans =
        tilings.filter_map(|tiling| Plan::new(problem, pass, tiling, InLanes::Maps, machine, false).ok());
    let whole =
        || Unsupported::Geometry("no tile is longer than the kernel and shorter than the image".into());
    let priced = plans.map(|plan| (plan.cost(), plan));
    let best = priced.min_by(|(a, _), (b, _)| seconds(a).total_cmp(&seconds(b)));
    best.map(|(cost, plan)| (plan, cost)).ok_or_else(whole)
}
