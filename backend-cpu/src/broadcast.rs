//! `broadcast`: direct convolution with 16 made channels of a group in the lanes and values of the source, padded copies
//! of its maps, broadcast to all of them. For maps of any width under 16 channels and more.

use conv_core::{ConvAlgorithm, ConvKernel, ConvProblem, Cost, Machine, Pass, Result, Unsupported};

use crate::Cpu;
use crate::blocking::{self, Planned};
use crate::channels;
use crate::merge::merged;

/// Direct convolution by broadcast values.
pub(crate) struct Broadcast;

impl ConvAlgorithm<Cpu> for Broadcast {
    fn name(&self) -> &'static str {
        "broadcast"
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

fn plan(machine: &Machine, problem: &ConvProblem, pass: Pass) -> Planned {
    channels::plan::<f32>(machine, &merged(problem), pass)
}
