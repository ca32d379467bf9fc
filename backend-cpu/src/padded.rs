//! `padded`: direct convolution on padded copies of the maps, so that every tap of every target is a whole vector.
//!
//! A task copies the source maps of a group into its cache, zeros around them and strided columns side by side; then
//! neighbouring targets of a row stand in the lanes, and no tap needs a mask or a gather. Meant for few channels a
//! group: depthwise layers, first layers, LeNet's.

mod kernel;
mod made;
mod maps;
mod weights;

use conv_core::{ConvAlgorithm, ConvKernel, ConvProblem, Cost, Machine, Pass, Result, Unsupported};

use crate::Cpu;
use crate::blocking::{self, Planned};
use crate::merge::merged;
use maps::Maps;
use weights::Weights;

/// Direct convolution on padded copies.
pub(crate) struct Padded;

impl ConvAlgorithm<Cpu> for Padded {
    fn name(&self) -> &'static str {
        "padded"
    }

    fn estimate(
        &self,
        machine: &Machine,
        problem: &ConvProblem,
        pass: Pass,
    ) -> std::result::Result<Cost, Unsupported> {
        plan(machine, problem, pass).map(|plan| plan.estimate())
    }

    fn build(&self, backend: &Cpu, problem: &ConvProblem, pass: Pass) -> Result<Box<dyn ConvKernel<Cpu>>> {
        blocking::build(self.name(), problem, pass, plan(&backend.machine, problem, pass))
    }
}

/// By maps in forward and backward-input, or by weights.
fn plan(machine: &Machine, problem: &ConvProblem, pass: Pass) -> Planned {
    let layer = merged(problem);
    Ok(match pass {
        Pass::BackwardWeights => Box::new(Weights::new(machine, &layer)?),
        _ => Box::new(Maps::new(machine, &layer, pass)?),
    })
}
