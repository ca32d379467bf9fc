//! `winograd`: minimal filtering over tiles, F(4×4, 3×3) and for the gradient of weights F(3×3, 4×4) (Lavin, Gray
//! 2016); for kernels of 3×3 points, stride 1 and no dilation.

mod plan;

use std::ops::Range;

use conv_core::{
    Backend, ConvAlgorithm, ConvKernel, ConvProblem, Cost, Error, Machine, Operands, Pass, Result, Role,
    Scratch, Unsupported,
};

use crate::Cuda;
use crate::device::Module;
use crate::operands::{Pointers, workspace};
use crate::product::Products;
use crate::raw::{Function, Launch, Span};
pub(crate) use plan::{Matrix, Tiles};
use plan::{Plan, Stage};

/// Threads of a block of the transforms.
const THREADS: u32 = 128;

/// Minimal filtering: transform, multiply at 36 points, transform back.
pub(crate) struct Winograd;

impl ConvAlgorithm<Cuda> for Winograd {
    fn name(&self) -> &'static str {
        "winograd"
    }

    fn estimate(
        &self,
        machine: &Machine,
        problem: &ConvProblem,
        pass: Pass,
    ) -> std::result::Result<Cost, Unsupported> {
        Plan::new(machine, problem, pass).map(|plan| plan.cost())
    }

    fn build(&self, backend: &Cuda, problem: &ConvProblem, pass: Pass) -> Result<Box<dyn ConvKernel<Cuda>>> {
        let algorithm = self.name();
        let refused = |reason| Error::Refused { algorithm, pass, problem: Box::new(*problem), reason };
        let plan = Plan::new(backend.machine(), problem, pass).map_err(refused)?;
        Ok(Box::new(Kernel::new(backend, plan)?))
    }
}

/// A pass of a problem by minimal filtering.
struct Kernel {
    plan: Plan,
    stages: [(Stage, Function); 3],
    products: Products,
}

impl Kernel {
    fn new(backend: &Cuda, plan: Plan) -> Result<Self> {
        let device = backend.device();
        let stage = |role| {
            let stage = plan.stage(role);
            Ok::<_, Error>((stage, device.function(Module::Winograd, stage.kernel)?))
        };
        let [left, right, out] = plan.pass.roles();
        let stages = [stage(left)?, stage(right)?, stage(out)?];
        let products = Products::new(device, plan.groups(), |units| plan.product(units))?;
        Ok(Kernel { plan, stages, products })
    }
}

impl ConvKernel<Cuda> for Kernel {
    fn workspace_len(&self) -> usize {
        self.plan.workspace_len()
    }

    fn run(&self, backend: &Cuda, operands: Operands<'_, Cuda>, scratch: Scratch<'_, Cuda>) -> Result<()> {
        let Plan { problem, pass, .. } = &self.plan;
        operands.check(backend, problem, *pass)?;
        let values = workspace(backend, &scratch, pass.roles().map(|role| self.plan.values_len(role)))?;
        let pointers = Pointers::new(backend, &operands);
        Run { kernel: self, backend, pointers, values }.run()
    }
}

/// One run: the kernel, its operands, and the transformed values of its three tensors.
struct Run<'a> {
    kernel: &'a Kernel,
    backend: &'a Cuda,
    pointers: Pointers,
    values: [Span; 3],
}

impl Run<'_> {
    /// Weights are transformed once, and everything that has units group after group.
    fn run(&self) -> Result<()> {
        let roles = self.kernel.plan.pass.roles();
        let one = 0..1;
        if roles[1] == Role::Weight {
            self.transform(1, self.pointers.rhs, &one)?;
        }
        for units in self.kernel.plan.groups().all() {
            self.transform(0, self.pointers.lhs, &units)?;
            if roles[1] != Role::Weight {
                self.transform(1, self.pointers.rhs, &units)?;
            }
            let sums = roles[2] == Role::Weight;
            self.multiply(&units, sums && units.start > 0)?;
            if !sums {
                self.invert(&units)?;
            }
        }
        if roles[2] == Role::Weight { self.invert(&one) } else { Ok(()) }
    }

    fn transform(&self, index: usize, tensor: Span, units: &Range<usize>) -> Result<()> {
        let _phase = tracing::trace_span!(target: "phase", "transform").entered();
        let (stage, function) = &self.kernel.stages[index];
        let tiles = stage.tiles.of(units);
        let launch = Launch { blocks: tiles.blocks(), threads: THREADS, shared: 0 };
        self.backend.device().launch(function, launch, &[&tensor, &self.values[index], &stage.matrix, &tiles])
    }

    fn multiply(&self, units: &Range<usize>, add: bool) -> Result<()> {
        let _phase = tracing::trace_span!(target: "phase", "product").entered();
        let [mut left, mut right, out] = self.values;
        if self.kernel.plan.pass == Pass::BackwardWeights {
            // Its rows are output channels.
            std::mem::swap(&mut left, &mut right);
        }
        self.kernel.products.multiply(self.backend.device(), units.len(), [left, right, out], add)
    }

    fn invert(&self, units: &Range<usize>) -> Result<()> {
        let _phase = tracing::trace_span!(target: "phase", "inverse").entered();
        let (stage, function) = &self.kernel.stages[2];
        let tiles = stage.tiles.of(units);
        let Pointers { out, bias, relu, .. } = self.pointers;
        let launch = Launch { blocks: tiles.blocks(), threads: THREADS, shared: 0 };
        let values = self.values[2];
        self.backend.device().launch(function, launch, &[&values, &out, &bias, &relu, &stage.matrix, &tiles])
    }
}
