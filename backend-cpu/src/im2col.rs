//! `im2col`: the layer as matrix products over unfolded sources, some targets at a time.
//!
//! Row `(channel, tap)` and column `target` of the unfolded matrix hold the source value that the two meet, or a zero
//! of the padding. Forward ([`maps`]) is `Y = W U`; backward-input is the same with the gradient for a source, one
//! product for each class of targets that meet the same taps; backward-weights ([`weights`]) is `dW = Σ dY Uᵀ`. What is
//! unfolded at a time stays in the second-level cache. Where the kernel is as large as the input, images are the
//! columns ([`linear`]).

mod cut;
mod linear;
mod maps;
mod pack;
mod unfold;
mod weights;

use conv_core::{
    ConvAlgorithm, ConvKernel, ConvProblem, Cost, Error, Machine, Operands, Pass, Result, Role, Scratch,
    Unsupported,
};

use crate::Cpu;
use crate::merge::merged;
use linear::Linear;
use maps::Maps;
use weights::Weights;

/// Values of the largest matrices that a task may need.
const MOST_VALUES: usize = 1 << 36;

/// Matrix products over unfolded sources.
pub(crate) struct Im2col;

impl ConvAlgorithm<Cpu> for Im2col {
    fn name(&self) -> &'static str {
        "im2col"
    }

    fn estimate(
        &self,
        machine: &Machine,
        problem: &ConvProblem,
        pass: Pass,
    ) -> std::result::Result<Cost, Unsupported> {
        Plan::new(machine, problem, pass).map(|plan| plan.cost())
    }

    fn build(&self, backend: &Cpu, problem: &ConvProblem, pass: Pass) -> Result<Box<dyn ConvKernel<Cpu>>> {
        let refused =
            |reason| Error::Refused { algorithm: "im2col", pass, problem: Box::new(*problem), reason };
        let plan = Plan::new(&backend.machine, problem, pass).map_err(refused)?;
        Ok(Box::new(Kernel { problem: *problem, pass, plan }))
    }
}

/// How the pass is cut into products.
enum Plan {
    /// One product of all images.
    Linear(Linear),
    /// By targets: forward and backward-input.
    Maps(Maps),
    /// By weights.
    Weights(Weights),
}

impl Plan {
    fn new(machine: &Machine, problem: &ConvProblem, pass: Pass) -> std::result::Result<Self, Unsupported> {
        let layer = merged(problem);
        if layer.volume().iter().all(|axis| axis.padded() == 1) {
            return Ok(Plan::Linear(Linear::new(machine, &layer, pass)));
        }
        Ok(match pass {
            Pass::BackwardWeights => Plan::Weights(Weights::new(machine, &layer)?),
            _ => Plan::Maps(Maps::new(machine, &layer, pass)?),
        })
    }

    fn cost(&self) -> Cost {
        let cost = match self {
            Plan::Linear(linear) => linear.cost(),
            Plan::Maps(maps) => maps.cost(),
            Plan::Weights(weights) => weights.cost(),
        };
        Cost { workspace: self.workspace_len() * size_of::<f32>(), ..cost }
    }

    fn workspace_len(&self) -> usize {
        match self {
            Plan::Linear(_) => 0,
            Plan::Maps(maps) => maps.workspace_len(),
            Plan::Weights(weights) => weights.workspace_len(),
        }
    }
}

/// One problem and pass.
struct Kernel {
    problem: ConvProblem,
    pass: Pass,
    plan: Plan,
}

impl ConvKernel<Cpu> for Kernel {
    fn workspace_len(&self) -> usize {
        self.plan.workspace_len()
    }

    fn run(&self, backend: &Cpu, operands: Operands<'_, Cpu>, scratch: Scratch<'_, Cpu>) -> Result<()> {
        operands.check(backend, &self.problem, self.pass)?;
        let found = scratch.workspace.len();
        conv_core::algorithm::check_len("workspace", self.workspace_len().max(found), found)?;
        let workspace = &mut scratch.workspace[..self.workspace_len()];
        let Operands { lhs, rhs, out, bias, relu } = operands;
        let epilogue = (bias.map(|bias| &bias[..]), relu);
        match &self.plan {
            Plan::Linear(linear) => linear.run([lhs, rhs], out, epilogue),
            Plan::Maps(maps) => maps.run([lhs, rhs], out, epilogue, workspace),
            Plan::Weights(weights) => weights.run([lhs, rhs], out, workspace),
        }
        Ok(())
    }
}

/// What is refused.
fn too_large() -> Unsupported {
    Unsupported::Geometry("its unfolded matrices are larger than any memory".into())
}

/// Bytes of all operands.
fn tensor_bytes(problem: &ConvProblem) -> f64 {
    let lens = [Role::Input, Role::Weight, Role::Output].map(|role| problem.len(role) as f64);
    size_of::<f32>() as f64 * lens.iter().sum::<f64>()
}
