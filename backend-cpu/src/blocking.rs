//! What the engines that cut a pass into tasks have in common: they are estimated, built and run in the same way.

use conv_core::algorithm::check_len;
use conv_core::{
    ConvAlgorithm, ConvKernel, ConvProblem, Cost, Error, Machine, Operands, Pass, Result, Scratch,
    Unsupported,
};

use crate::Cpu;

/// How long a byte from the third-level cache takes, in bytes from memory.
pub(crate) const CACHED: f64 = 0.2;

/// What follows the sums of a forward pass: a bias for every output channel, and whether negative outputs become zero.
pub(crate) type Epilogue<'a> = (Option<&'a [f32]>, bool);

/// Made and summed channels of a group; in backward-weights those of the gradient and of the input.
pub(crate) fn channels(problem: &ConvProblem, pass: Pass) -> [usize; 2] {
    let (group_in, group_out) = (problem.group_in(), problem.group_out());
    if pass == Pass::BackwardInput { [group_in, group_out] } else { [group_out, group_in] }
}

/// How a pass is cut into tasks; or why it is not.
pub(crate) type Planned = std::result::Result<Box<dyn Blocking>, Unsupported>;

/// How a pass is cut into tasks.
pub(crate) trait Blocking: Send + Sync {
    /// Values of workspace.
    fn workspace_len(&self) -> usize;

    /// What the pass takes, the workspace aside.
    fn cost(&self) -> Cost;

    /// Computes the pass.
    fn run(&self, factors: [&[f32]; 2], out: &mut [f32], epilogue: Epilogue<'_>, workspace: &mut [f32]);

    /// What the pass takes.
    fn estimate(&self) -> Cost {
        Cost { workspace: self.workspace_len() * size_of::<f32>(), ..self.cost() }
    }
}

type Plan = fn(&Machine, &ConvProblem, Pass) -> Planned;

/// An algorithm that cuts passes into tasks.
pub(crate) struct Blocked {
    pub(crate) name: &'static str,
    /// See [`ConvAlgorithm::max_error`].
    pub(crate) max_error: f64,
    pub(crate) plan: Plan,
}

impl Blocked {
    pub(crate) const fn new(name: &'static str, plan: Plan) -> Blocked {
        Blocked { name, max_error: 2e-6, plan }
    }
}

impl ConvAlgorithm<Cpu> for Blocked {
    fn name(&self) -> &'static str {
        self.name
    }

    fn max_error(&self) -> f64 {
        self.max_error
    }

    fn estimate(
        &self,
        machine: &Machine,
        problem: &ConvProblem,
        pass: Pass,
    ) -> std::result::Result<Cost, Unsupported> {
        (self.plan)(machine, problem, pass).map(|plan| plan.estimate())
    }

    fn build(&self, backend: &Cpu, problem: &ConvProblem, pass: Pass) -> Result<Box<dyn ConvKernel<Cpu>>> {
        let algorithm = self.name;
        let refused = |reason| Error::Refused { algorithm, pass, problem: Box::new(*problem), reason };
        let blocking = (self.plan)(&backend.machine, problem, pass).map_err(refused)?;
        Ok(Box::new(Kernel { problem: *problem, pass, blocking }))
    }
}

/// One problem and pass.
struct Kernel {
    problem: ConvProblem,
    pass: Pass,
    blocking: Box<dyn Blocking>,
}

impl ConvKernel<Cpu> for Kernel {
    fn workspace_len(&self) -> usize {
        self.blocking.workspace_len()
    }

    fn run(&self, backend: &Cpu, operands: Operands<'_, Cpu>, scratch: Scratch<'_, Cpu>) -> Result<()> {
        operands.check(backend, &self.problem, self.pass)?;
        let (len, found) = (self.workspace_len(), scratch.workspace.len());
        check_len("workspace", len.max(found), found)?;
        let Operands { lhs, rhs, out, bias, relu } = operands;
        let epilogue = (bias.map(|bias| &bias[..]), relu);
        self.blocking.run([lhs, rhs], out, epilogue, &mut scratch.workspace[..len]);
        Ok(())
    }
}
