//! `im2col`: the layer as a matrix product over the unfolded input, which is gathered as it is needed (implicit
//! GEMM); takes every problem.

use conv_core::{
    ConvAlgorithm, ConvKernel, ConvProblem, Cost, Machine, Operands, Pass, Result, Role, Scratch, Unsupported,
};

use crate::Cuda;
use crate::device::Module;
use crate::geometry::{Index, Layer, is_narrow};
use crate::operands::{Pointers, workspace};
use crate::product::Parts;
use crate::raw::{Argument, Function, Launch, Span};

/// Columns of a block's tile, and values along the depth that are brought at once.
const COLUMNS: usize = 128;
const DEPTH: usize = 8;

/// Rows of a block's tile: of the kernel for many rows, and of that for few.
const ROWS: [usize; 2] = [128, 32];

/// Blocks that every multiprocessor should find before the depth is cut into parts.
const BLOCKS_EACH: usize = 2;

/// Depth that a part should have at least.
const LEAST_DEPTH: usize = 256;

/// Matrix products over gathered panels.
pub(crate) struct Im2col;

impl ConvAlgorithm<Cuda> for Im2col {
    fn name(&self) -> &'static str {
        "im2col"
    }

    fn estimate(
        &self,
        machine: &Machine,
        problem: &ConvProblem,
        pass: Pass,
    ) -> std::result::Result<Cost, Unsupported> {
        Ok(Plan::new(machine, problem, pass).cost(machine))
    }

    fn build(&self, backend: &Cuda, problem: &ConvProblem, pass: Pass) -> Result<Box<dyn ConvKernel<Cuda>>> {
        use conv_core::Backend;
        let plan = Plan::new(backend.machine(), problem, pass);
        let function = |name| backend.device().function(Module::Im2col, name);
        let (sums, product) = (Parts::new(backend.device())?, function(plan.kernel())?);
        let matrices = match is_narrow(problem) {
            true => Sizes::Narrow(plan.matrices()),
            false => Sizes::Wide(plan.matrices()),
        };
        Ok(Box::new(Kernel { plan, product, sums, layer: Layer::new(problem), matrices }))
    }
}

/// Sides of the product of one group: mirrors `Matrices` of `kernels/im2col.cu`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Matrices<I> {
    rows: I,
    columns: I,
    depth: I,
    part_depth: I,
}

#[derive(Clone, Copy, Debug)]
enum Sizes {
    Narrow(Matrices<i32>),
    Wide(Matrices<i64>),
}

impl Sizes {
    fn argument(&self) -> &dyn Argument {
        match self {
            Sizes::Narrow(matrices) => matrices,
            Sizes::Wide(matrices) => matrices,
        }
    }
}

/// The sizes of a pass.
#[derive(Clone, Copy, Debug)]
struct Plan {
    problem: ConvProblem,
    pass: Pass,
    rows: usize,
    columns: usize,
    depth: usize,
    /// Rows of a block's tile.
    tile: usize,
    /// Depth of a part; parts are summed apart, then added up.
    part_depth: usize,
}

impl Plan {
    fn new(machine: &Machine, problem: &ConvProblem, pass: Pass) -> Self {
        let taps = problem.points(Role::Weight);
        let images = |role| problem.batch() * problem.points(role);
        let (group_in, group_out) = (problem.group_in(), problem.group_out());
        let (rows, columns, depth) = match pass {
            Pass::Forward => (group_out, images(Role::Output), group_in * taps),
            Pass::BackwardInput => (group_in, images(Role::Input), group_out.saturating_mul(taps)),
            Pass::BackwardWeights => (group_out, group_in * taps, images(Role::Output)),
        };
        let tile = if rows > ROWS[1] && is_narrow(problem) { ROWS[0] } else { ROWS[1] };
        let mut plan = Plan { problem: *problem, pass, rows, columns, depth, tile, part_depth: depth };
        if pass == Pass::BackwardWeights {
            let wanted = (machine.threads * BLOCKS_EACH).div_ceil(plan.blocks());
            let parts = wanted.min(depth / LEAST_DEPTH).max(1);
            plan.part_depth = depth.div_ceil(parts).next_multiple_of(DEPTH);
        }
        plan
    }

    fn parts(&self) -> usize {
        self.depth.div_ceil(self.part_depth)
    }

    /// Blocks of one part.
    fn blocks(&self) -> usize {
        let tiles = self.rows.div_ceil(self.tile).saturating_mul(self.columns.div_ceil(COLUMNS));
        tiles.saturating_mul(self.problem.groups())
    }

    fn workspace_len(&self) -> usize {
        match self.parts() {
            1 => 0,
            parts => parts * self.problem.len(Role::Weight),
        }
    }

    fn kernel(&self) -> &'static str {
        match (self.pass, is_narrow(&self.problem), self.tile == ROWS[0]) {
            (Pass::Forward, true, true) => "im2col_forward",
            (Pass::Forward, true, false) => "im2col_forward_low",
            (Pass::Forward, false, _) => "im2col_forward_wide",
            (Pass::BackwardInput, true, true) => "im2col_backward_input",
            (Pass::BackwardInput, true, false) => "im2col_backward_input_low",
            (Pass::BackwardInput, false, _) => "im2col_backward_input_wide",
            (Pass::BackwardWeights, true, true) => "im2col_backward_weights",
            (Pass::BackwardWeights, true, false) => "im2col_backward_weights_low",
            (Pass::BackwardWeights, false, _) => "im2col_backward_weights_wide",
        }
    }

    fn matrices<I: Index>(&self) -> Matrices<I> {
        let Plan { rows, columns, depth, part_depth, .. } = *self;
        let [rows, columns, depth, part_depth] = [rows, columns, depth, part_depth].map(I::of);
        Matrices { rows, columns, depth, part_depth }
    }

    /// Operations of whole tiles. A move is a value gathered: each column's depth once for every tile of rows.
    /// Bytes are the operands once, and the parts written and read.
    fn cost(&self, machine: &Machine) -> Cost {
        let groups = self.problem.groups() as f64;
        let rows = self.rows.next_multiple_of(self.tile) as f64;
        let columns = self.columns.next_multiple_of(COLUMNS) as f64;
        // Every part brings its depth in whole steps.
        let (parts, last) = (self.depth / self.part_depth, self.depth % self.part_depth);
        let steps = parts * self.part_depth.div_ceil(DEPTH) + last.div_ceil(DEPTH);
        let product_flops = 2.0 * groups * rows * columns * (steps * DEPTH) as f64;
        let moves = product_flops / 2.0 / self.tile as f64;
        let tensors: usize = self.pass.roles().iter().map(|role| self.problem.len(*role)).sum();
        let workspace = self.workspace_len() * size_of::<f32>();
        let bytes = 4.0 * tensors as f64 + 2.0 * workspace as f64;
        let launches = if self.parts() > 1 { 2.0 } else { 1.0 };
        let cost = Cost { product_flops, moves, bytes, launches, workspace, ..Cost::default() };
        cost.in_tasks(self.blocks().saturating_mul(self.parts()), machine.threads)
    }
}

struct Kernel {
    plan: Plan,
    product: Function,
    sums: Parts,
    layer: Layer,
    matrices: Sizes,
}

impl ConvKernel<Cuda> for Kernel {
    fn workspace_len(&self) -> usize {
        self.plan.workspace_len()
    }

    fn run(&self, backend: &Cuda, operands: Operands<'_, Cuda>, scratch: Scratch<'_, Cuda>) -> Result<()> {
        operands.check(backend, &self.plan.problem, self.plan.pass)?;
        let [sums] = workspace(backend, &scratch, [self.workspace_len()])?;
        let Pointers { lhs, rhs, out, bias, relu } = Pointers::new(backend, &operands);
        let (device, parts) = (backend.device(), self.plan.parts());
        // The rows come from the weights, or in backward-weights from the output's gradient.
        let (left, right): (Span, Span) = (rhs, lhs);
        let product = if parts > 1 { sums } else { out };
        let blocks = self.plan.blocks() as u64 * parts as u64;
        let (layer, matrices) = (self.layer.argument(), self.matrices.argument());
        let launch = Launch { blocks, threads: 256, shared: 0 };
        device.launch(&self.product, launch, &[&left, &right, &product, &bias, &relu, matrices, layer])?;
        if parts > 1 {
            self.sums.sum(device, sums, out, parts, self.plan.problem.len(Role::Weight))?;
        }
        Ok(())
    }
}
