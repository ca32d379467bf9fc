//! `padded`: direct convolution on padded copies of the maps, so that every tap of every target is a whole vector.
//!
//! A task copies the source maps of a group into its cache, zeros around them and strided columns side by side; then
//! neighbouring targets of a row stand in the lanes, and no tap needs a mask or a gather. Meant for few channels a
//! group: depthwise layers, first layers, LeNet's.

mod kernel;
mod made;
mod maps;
mod weights;

use conv_core::{
    ConvAlgorithm, ConvKernel, ConvProblem, Cost, Error, Machine, Operands, Pass, Result, Scratch,
    Unsupported,
};

use crate::Cpu;
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
        Blocking::new(machine, problem, pass).map(|blocking| blocking.cost())
    }

    fn build(&self, backend: &Cpu, problem: &ConvProblem, pass: Pass) -> Result<Box<dyn ConvKernel<Cpu>>> {
        let algorithm = self.name();
        let refused = |reason| Error::Refused { algorithm, pass, problem: Box::new(*problem), reason };
        let blocking = Blocking::new(&backend.machine, problem, pass).map_err(refused)?;
        Ok(Box::new(Kernel { problem: *problem, pass, blocking }))
    }
}

/// How the pass is cut into tasks.
enum Blocking {
    /// By maps: forward and backward-input.
    Maps(Maps),
    /// By weights.
    Weights(Weights),
}

impl Blocking {
    fn new(machine: &Machine, problem: &ConvProblem, pass: Pass) -> std::result::Result<Self, Unsupported> {
        let layer = merged(problem);
        Ok(match pass {
            Pass::BackwardWeights => Blocking::Weights(Weights::new(machine, &layer)?),
            _ => Blocking::Maps(Maps::new(machine, &layer, pass)?),
        })
    }

    fn cost(&self) -> Cost {
        match self {
            Blocking::Maps(maps) => maps.cost(),
            Blocking::Weights(weights) => weights.cost(),
        }
    }

    fn workspace_len(&self) -> usize {
        match self {
            Blocking::Maps(maps) => maps.workspace_len(),
            Blocking::Weights(weights) => weights.workspace_len(),
        }
    }
}

/// One problem and pass.
struct Kernel {
    problem: ConvProblem,
    pass: Pass,
    blocking: Blocking,
}

impl ConvKernel<Cpu> for Kernel {
    fn workspace_len(&self) -> usize {
        self.blocking.workspace_len()
    }

    fn run(&self, backend: &Cpu, operands: Operands<'_, Cpu>, scratch: Scratch<'_, Cpu>) -> Result<()> {
        operands.check(backend, &self.problem, self.pass)?;
        let found = scratch.workspace.len();
        conv_core::algorithm::check_len("workspace", self.workspace_len().max(found), found)?;
        let workspace = &mut scratch.workspace[..self.blocking.workspace_len()];
        let Operands { lhs, rhs, out, bias, relu } = operands;
        match &self.blocking {
            Blocking::Maps(maps) => maps.run([lhs, rhs], out, (bias.map(|bias| &bias[..]), relu), workspace),
            Blocking::Weights(weights) => weights.run([lhs, rhs], out, workspace),
        }
        Ok(())
    }
}
