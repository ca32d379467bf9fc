//! `fft`: whole images by one transform a map, as in Mathieu, Henaff, LeCun 2014; for large kernels.

use conv_core::fourier::Tiling;
use conv_core::spectra::Shared;
use conv_core::{
    Backend, ConvAlgorithm, ConvKernel, ConvProblem, Cost, Error, Machine, Pass, Result, Unsupported,
};
use fft_core::good_length;

use crate::Cuda;
use crate::fourier::{FourierKernel, Plan};

/// Whole-image FFT convolution: all spectra are held at once and can be shared between passes.
pub(crate) struct Fft;

impl ConvAlgorithm<Cuda> for Fft {
    fn name(&self) -> &'static str {
        "fft"
    }

    fn estimate(
        &self,
        machine: &Machine,
        problem: &ConvProblem,
        pass: Pass,
    ) -> std::result::Result<Cost, Unsupported> {
        plan(machine, problem, pass).map(|plan| plan.cost())
    }

    fn shares(&self, machine: &Machine, problem: &ConvProblem, pass: Pass) -> Vec<Shared> {
        plan(machine, problem, pass).map_or_else(|_| Vec::new(), |plan| plan.shares())
    }

    fn build(&self, backend: &Cuda, problem: &ConvProblem, pass: Pass) -> Result<Box<dyn ConvKernel<Cuda>>> {
        let refused = |reason| Error::Refused { algorithm: "fft", pass, problem: Box::new(*problem), reason };
        let plan = plan(backend.machine(), problem, pass).map_err(refused)?;
        Ok(Box::new(FourierKernel::new(backend, plan)?))
    }
}

fn plan(machine: &Machine, problem: &ConvProblem, pass: Pass) -> std::result::Result<Plan, Unsupported> {
    let tiling = Tiling::whole(problem, |_, least| good_length(least)).ok_or_else(too_long)?;
    Plan::new(problem, pass, tiling, machine, true)
}

/// The refusal of axes beyond the longest transform.
pub(crate) fn too_long() -> Unsupported {
    Unsupported::Geometry(format!("an axis is longer than {} points", fft_core::MAX_LENGTH).into())
}
