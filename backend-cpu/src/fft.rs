//! `fft`: whole images by one transform a map, as in Mathieu, Henaff, LeCun 2014; for large kernels.

use conv_core::fourier::Tiling;
use conv_core::spectra::Shared;
use conv_core::{ConvAlgorithm, ConvKernel, ConvProblem, Cost, Error, Machine, Pass, Result, Unsupported};
use fft_core::{good_even_length, good_folded_length, good_length};

use crate::Cpu;
use crate::fourier::{FourierKernel, InLanes, Plan, shares};

/// Whole-image FFT convolution: all spectra are held at once and can be shared between passes.
pub(crate) struct Fft;

impl ConvAlgorithm<Cpu> for Fft {
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
        plan(machine, problem, pass).map_or_else(|_| Vec::new(), |plan| shares(&plan))
    }

    fn build(&self, backend: &Cpu, problem: &ConvProblem, pass: Pass) -> Result<Box<dyn ConvKernel<Cpu>>> {
        let refused = |reason| Error::Refused { algorithm: "fft", pass, problem: Box::new(*problem), reason };
        let plan = plan(&backend.machine, problem, pass).map_err(refused)?;
        Ok(Box::new(FourierKernel::new("fft", plan)?))
    }
}

fn plan(machine: &Machine, problem: &ConvProblem, pass: Pass) -> std::result::Result<Plan, Unsupported> {
    let single = is_single_axis(problem);
    let length = |index, least| match index {
        2 if single && least >= SHORTEST_FOLDED => good_folded_length(least),
        _ => transform_length(index, least),
    };
    let tiling = Tiling::whole(problem, length).ok_or_else(too_long)?;
    // The same for all passes, since they share spectra.
    let forward = |in_lanes| Plan::new(problem, Pass::Forward, tiling, in_lanes, machine, true);
    let seconds = |cost: &Cost| machine.model.seconds("fft", Pass::Forward, cost, machine.threads);
    let best = least_by(InLanes::ALL.into_iter().filter_map(|in_lanes| forward(in_lanes).ok()), seconds);
    let in_lanes = best.map_or(InLanes::Maps, |(plan, _)| plan.in_lanes);
    Plan::new(problem, pass, tiling, in_lanes, machine, true)
}

/// Least length of a single axis that is made one which folds.
const SHORTEST_FOLDED: usize = 256;

/// Whether all but one of the axes are single points.
pub(crate) fn is_single_axis(problem: &ConvProblem) -> bool {
    problem.volume().iter().filter(|axis| axis.padded() > 1).count() == 1
}

/// The first of least `seconds`, with its cost.
pub(crate) fn least_by(
    plans: impl Iterator<Item = Plan>,
    seconds: impl Fn(&Cost) -> f64,
) -> Option<(Plan, Cost)> {
    let priced = plans.map(|plan| (plan.cost(), plan));
    priced.min_by(|(a, _), (b, _)| seconds(a).total_cmp(&seconds(b))).map(|(cost, plan)| (plan, cost))
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
