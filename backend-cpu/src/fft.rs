//! `fft` and `fft-single`: whole images by one transform a map, as in Mathieu, Henaff, LeCun 2014; for large kernels.

use conv_core::fourier::Tiling;
use conv_core::spectra::Shared;
use conv_core::{ConvAlgorithm, ConvKernel, ConvProblem, Cost, Error, Machine, Pass, Result, Unsupported};
use fft_core::{good_even_length, good_folded_length, good_length};

use crate::Cpu;
use crate::fourier::{FourierKernel, InLanes, Plan};

/// Whole-image FFT convolution: all spectra are held at once and can be shared between passes.
pub(crate) struct Fft {
    name: &'static str,
    in_lanes: InLanes,
}

/// 16 maps at a time.
pub(crate) const FFT: Fft = Fft { name: "fft", in_lanes: InLanes::Maps };

/// One map at a time: for few maps, and for maps of which 16 would not fit the cache.
pub(crate) const FFT_SINGLE: Fft = Fft { name: "fft-single", in_lanes: InLanes::Points };

/// Least length of a single axis that is made one which folds.
const SHORTEST_FOLDED: usize = 256;

impl Fft {
    fn plan(
        &self,
        machine: &Machine,
        problem: &ConvProblem,
        pass: Pass,
    ) -> std::result::Result<Plan, Unsupported> {
        let folds = self.in_lanes == InLanes::Points && is_single_axis(problem);
        let length = |index, least| match index {
            2 if folds && least >= SHORTEST_FOLDED => good_folded_length(least),
            _ => transform_length(index, least),
        };
        let tiling = Tiling::whole(problem, length).ok_or_else(too_long)?;
        Plan::new(problem, pass, tiling, self.in_lanes, machine, true)
    }
}

impl ConvAlgorithm<Cpu> for Fft {
    fn name(&self) -> &'static str {
        self.name
    }

    fn estimate(
        &self,
        machine: &Machine,
        problem: &ConvProblem,
        pass: Pass,
    ) -> std::result::Result<Cost, Unsupported> {
        self.plan(machine, problem, pass).map(|plan| plan.cost())
    }

    fn shares(&self, machine: &Machine, problem: &ConvProblem, pass: Pass) -> Vec<Shared> {
        self.plan(machine, problem, pass).map_or_else(|_| Vec::new(), |plan| plan.shares())
    }

    fn build(&self, backend: &Cpu, problem: &ConvProblem, pass: Pass) -> Result<Box<dyn ConvKernel<Cpu>>> {
        let algorithm = self.name;
        let refused = |reason| Error::Refused { algorithm, pass, problem: Box::new(*problem), reason };
        let plan = self.plan(&backend.machine, problem, pass).map_err(refused)?;
        Ok(Box::new(FourierKernel::new(algorithm, plan)?))
    }
}

/// Whether all but one of the axes are single points.
pub(crate) fn is_single_axis(problem: &ConvProblem) -> bool {
    problem.volume().iter().filter(|axis| axis.padded() > 1).count() == 1
}

/// The transform length for axis `index` that is at least `least`: even along the last axis, where the
/// transform is real.
pub(crate) fn transform_length(index: usize, least: usize) -> Option<usize> {
    match index {
        2 if least > 1 => good_even_length(least),
        _ => good_length(least),
    }
}

/// The refusal of axes beyond the longest transform.
pub(crate) fn too_long() -> Unsupported {
    Unsupported::Geometry(format!("an axis is longer than {} points", fft_core::MAX_LENGTH).into())
}
