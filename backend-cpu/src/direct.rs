//! `direct`: the sums as they are defined, blocked for registers; takes every problem without workspace.

mod block;
mod correlate;
mod count;
mod line;
mod maps;
mod part;
mod steps;
mod taps;
mod terms;
mod tile;
mod walk;
mod weights;

use conv_core::{
    ConvAlgorithm, ConvKernel, ConvProblem, Cost, Machine, Operands, Pass, Result, Scratch, Unsupported,
};

use crate::Cpu;
use crate::merge::merged;
use maps::Maps;
use weights::Weights;

/// Direct convolution.
pub(crate) struct Direct;

impl ConvAlgorithm<Cpu> for Direct {
    fn name(&self) -> &'static str {
        "direct"
    }

    fn estimate(
        &self,
        machine: &Machine,
        problem: &ConvProblem,
        pass: Pass,
    ) -> std::result::Result<Cost, Unsupported> {
        Ok(count::cost(machine, &merged(problem), pass))
    }

    fn build(&self, backend: &Cpu, problem: &ConvProblem, pass: Pass) -> Result<Box<dyn ConvKernel<Cpu>>> {
        let (machine, layer) = (&backend.machine, merged(problem));
        let blocking = match pass {
            Pass::BackwardWeights => Blocking::Weights(Weights::new(machine, &layer)),
            _ => Blocking::Maps(Maps::new(machine, &layer, pass)),
        };
        Ok(Box::new(Kernel { problem: *problem, pass, blocking }))
    }
}

/// Direct convolution of one problem and pass.
struct Kernel {
    problem: ConvProblem,
    pass: Pass,
    blocking: Blocking,
}

/// How the pass is cut into tasks and tiles.
enum Blocking {
    /// By maps: forward and backward-input.
    Maps(Maps),
    /// By weights.
    Weights(Weights),
}

impl ConvKernel<Cpu> for Kernel {
    fn workspace_len(&self) -> usize {
        0
    }

    fn run(&self, backend: &Cpu, operands: Operands<'_, Cpu>, _: Scratch<'_, Cpu>) -> Result<()> {
        operands.check(backend, &self.problem, self.pass)?;
        let Operands { lhs, rhs, out, bias, relu } = operands;
        match &self.blocking {
            Blocking::Maps(maps) => maps.run(lhs, rhs, out, bias.map(|bias| &bias[..]), relu),
            Blocking::Weights(weights) => weights.run(lhs, rhs, out),
        }
        Ok(())
    }
}
