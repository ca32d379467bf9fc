//! `depthwise`: direct convolution of layers whose groups have one channel, 16 channels in the lanes.

use conv_core::{ConvAlgorithm, ConvKernel, ConvProblem, Cost, Machine, Pass, Result, Unsupported};

use crate::Cpu;
use crate::blocking::{self, Planned};
use crate::channels::{self, Element, MOST_STEP};

/// Direct convolution of depthwise layers.
pub(crate) struct Depthwise;

impl ConvAlgorithm<Cpu> for Depthwise {
    fn name(&self) -> &'static str {
        "depthwise"
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
    let refused = |reason: &'static str| Err(Unsupported::Geometry(reason.into()));
    if problem.group_in() != 1 || problem.group_out() != 1 {
        return refused("its groups have more than one channel");
    }
    if problem.volume()[2].stride > MOST_STEP {
        return refused("the stride of its last axis is above 2");
    }
    channels::plan::<Element>(machine, problem, pass)
}
