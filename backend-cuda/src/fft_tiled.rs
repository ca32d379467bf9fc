//! `fft-tiled`: overlap-save tiles of 8 to 64 points (longer along a single axis); for small kernels and large
//! images.

use conv_core::fourier::Tiling;
use conv_core::{
    Backend, ConvAlgorithm, ConvKernel, ConvProblem, Cost, Error, Machine, Pass, Result, Unsupported,
};
use fft_core::good_length;

use crate::Cuda;
use crate::fourier::{FourierKernel, Plan};

/// Tile lengths along two or three axes.
const TILES: [usize; 8] = [8, 12, 16, 20, 24, 32, 48, 64];

/// Tile lengths along one axis.
const LONG_TILES: [usize; 10] = [32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384];

/// Tiled FFT convolution: spectra of a group of tiles at a time.
pub(crate) struct FftTiled;

impl ConvAlgorithm<Cuda> for FftTiled {
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

    fn build(&self, backend: &Cuda, problem: &ConvProblem, pass: Pass) -> Result<Box<dyn ConvKernel<Cuda>>> {
        let algorithm = self.name();
        let refused = |reason| Error::Refused { algorithm, pass, problem: Box::new(*problem), reason };
        let (plan, _) = plan(backend.machine(), problem, pass).map_err(refused)?;
        Ok(Box::new(FourierKernel::new(backend, plan)?))
    }
}

/// The tile length of least predicted time.
fn plan(
    machine: &Machine,
    problem: &ConvProblem,
    pass: Pass,
) -> std::result::Result<(Plan, Cost), Unsupported> {
    let seconds = |cost: &Cost| machine.model.seconds("fft-tiled", pass, cost, machine.threads);
    let plans =
        tilings(problem, pass).filter_map(|tiling| Plan::new(problem, pass, tiling, machine, false).ok());
    let priced = plans.map(|plan| (plan.cost(), plan));
    let best = priced.min_by(|(a, _), (b, _)| seconds(a).total_cmp(&seconds(b)));
    let whole =
        || Unsupported::Geometry("no tile is longer than the kernel and shorter than the image".into());
    best.map(|(cost, plan)| (plan, cost)).ok_or_else(whole)
}

/// The problem cut by every tile length that suits its axes.
pub(crate) fn tilings(problem: &ConvProblem, pass: Pass) -> impl Iterator<Item = Tiling> {
    let long = problem.volume().iter().filter(|axis| axis.padded() > 1).count() == 1;
    let lengths: &[usize] = if long { &LONG_TILES } else { &TILES };
    lengths.iter().filter_map(move |n| Tiling::tiled(problem, pass, *n, |_, least| good_length(least)))
}
