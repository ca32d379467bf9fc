//! `im2col`: the layer as matrix products over unfolded inputs, a panel of output points at a time.
//!
//! Row `(c, kernel point)` and column `output point` of the unfolded matrix hold the input that the two meet, or
//! a zero of the padding. Forward is `Y = W U`, backward-input `dU = Wᵀ dY` folded back, backward-weights
//! `dW = Σ dY Uᵀ`. A panel of `U` fills about half of the second-level cache; where the kernel is one point the
//! input is the matrix itself, and where it is as large as the input the images are its columns.

mod kernel;
mod panel;

use std::ops::Range;

use conv_core::{
    ConvAlgorithm, ConvKernel, ConvProblem, Cost, Error, Machine, Pass, Result, Role, Unsupported,
};

use crate::Cpu;
use crate::merge::merged;
use kernel::Im2colKernel;

/// Columns of a register tile of the product, and rows: what sizes are rounded up to when operations are
/// counted.
const TILE: [usize; 2] = [16, 8];

/// Points of a panel at most: beyond, nothing is gained.
const LONGEST_PANEL: usize = 2048;

/// Points of a panel at least, where they are that many: fewer leave the product's registers empty.
const SHORTEST_PANEL: usize = 64;

/// Moves that copying a stretch of neighbouring values takes besides their bytes.
const STRETCH: f64 = 64.0;

/// Moves that calling a product takes.
const CALL: f64 = 64.0;

/// Tasks a thread should find, so that threads end together.
const TASKS_PER_THREAD: usize = 4;

/// Matrix products over unfolded panels.
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
        Plan::new(machine, problem, pass)?.cost()
    }

    fn build(&self, backend: &Cpu, problem: &ConvProblem, pass: Pass) -> Result<Box<dyn ConvKernel<Cpu>>> {
        let refused =
            |reason| Error::Refused { algorithm: "im2col", pass, problem: Box::new(*problem), reason };
        let plan = Plan::new(&backend.machine, problem, pass).map_err(refused)?;
        Ok(Box::new(Im2colKernel { plan, original: *problem }))
    }
}

/// How the unfolded matrix is to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// The kernel covers the input: one product of all images.
    Linear,
    /// The kernel is one point that meets every input point: the input is the matrix.
    Pointwise,
    /// By copying.
    Unfolded,
}

/// The sizes of a pass.
#[derive(Clone, Copy, Debug)]
struct Plan {
    /// The merged problem.
    problem: ConvProblem,
    pass: Pass,
    form: Form,
    threads: usize,
    /// Bytes of second-level cache.
    cached: usize,
    /// Rows of the unfolded matrix of one group: channels times kernel points.
    depth: usize,
    /// Output points of one image, and of one panel.
    points: usize,
    panel: usize,
    /// Backward-input: channels of one task.
    channels: usize,
    /// Backward-weights: sums of their own, added up in the end.
    parts: usize,
}

impl Plan {
    fn new(machine: &Machine, problem: &ConvProblem, pass: Pass) -> std::result::Result<Self, Unsupported> {
        let problem = merged(problem);
        let kernel = problem.points(Role::Weight);
        let (depth, points) = (problem.group_in() * kernel, problem.points(Role::Output));
        let threads = machine.threads.max(1);
        let cached = machine.caches[1];
        let panel = (cached / 2 / size_of::<f32>() / depth)
            .clamp(SHORTEST_PANEL, LONGEST_PANEL)
            .next_multiple_of(TILE[0])
            .min(points);
        let images = problem.batch() * problem.groups();
        let blocks = (threads * TASKS_PER_THREAD).div_ceil(images).min(problem.group_in());
        let channels = problem.group_in().div_ceil(blocks);
        let parts = threads.min(problem.batch().saturating_mul(points.div_ceil(panel)));
        let form = Form::of(&problem);
        Ok(Plan { problem, pass, form, threads, cached, depth, points, panel, channels, parts })
    }

    /// Panels of one image.
    fn panels(&self) -> usize {
        self.points.div_ceil(self.panel)
    }

    /// Values of one worker's panel.
    fn panel_len(&self) -> Option<usize> {
        match (self.form, self.pass) {
            (Form::Unfolded, Pass::BackwardInput) => {
                (self.depth / self.problem.group_in() * self.channels).checked_mul(self.panel)
            }
            (Form::Unfolded, _) => self.depth.checked_mul(self.panel),
            _ => Some(0),
        }
    }

    /// Values of the partial sums of backward-weights; none where one part adds up in the product itself.
    fn sums_len(&self) -> Option<usize> {
        let summed = self.pass == Pass::BackwardWeights && self.form != Form::Linear && self.parts > 1;
        if summed { self.problem.len(Role::Weight).checked_mul(self.parts) } else { Some(0) }
    }

    fn workspace_len(&self) -> Option<usize> {
        self.panel_len()?.checked_mul(self.threads)?.checked_add(self.sums_len()?)
    }

    /// Operations are those of products whose sides are rounded up to register tiles. Moves are [`STRETCH`] for
    /// each output row of a panel's row, which is copied by itself, one for each value where the stride lets none be
    /// copied together, [`CALL`] for each product, and in backward-input one for each weight that a product reads
    /// across its rows from beyond the second-level cache. Bytes are the operands once, the unfolded panels written
    /// and read, and the partial sums likewise.
    fn cost(&self) -> std::result::Result<Cost, Unsupported> {
        let too_large = || Unsupported::Geometry("its panels are larger than any memory".into());
        let workspace = self.workspace_len().and_then(|len| len.checked_mul(size_of::<f32>()));
        let workspace = workspace.filter(|bytes| *bytes < 1 << 48).ok_or_else(too_large)?;
        let problem = &self.problem;
        let rounded = |count: usize, tile: usize| count.next_multiple_of(tile) as f64;
        let (batch, groups) = (problem.batch() as f64, problem.groups() as f64);
        let columns = match self.form {
            Form::Linear => rounded(problem.batch(), TILE[0]),
            _ => batch * rounded(self.points, TILE[0]),
        };
        let rows = rounded(problem.group_out(), TILE[1]);
        let product_flops = 2.0 * groups * rows * columns * self.depth as f64;
        let unfolded = match self.form {
            Form::Unfolded => batch * groups * self.depth as f64 * self.points as f64,
            _ => 0.0,
        };
        let [_, _, width] = problem.output_shape();
        let gathered = if problem.volume()[2].stride > 1 { 1.0 } else { 0.0 };
        let (tasks, products) = self.tasks();
        let block = self.depth / problem.group_in() * self.channels * problem.group_out();
        let across = match (self.form, self.pass) {
            (Form::Unfolded, Pass::BackwardInput) if block * size_of::<f32>() > self.cached => {
                batch * self.panels() as f64 * problem.len(Role::Weight) as f64
            }
            _ => 0.0,
        };
        let moves = unfolded * (STRETCH / width as f64 + gathered) + products as f64 * CALL + across;
        let tensors: usize = [Role::Input, Role::Weight, Role::Output].iter().map(|r| problem.len(*r)).sum();
        let sums = self.sums_len().unwrap_or(0) as f64;
        let bytes = 4.0 * (tensors as f64 + 2.0 * unfolded + 2.0 * sums);
        let launches = if sums > 0.0 { 2.0 } else { 1.0 };
        let cost = Cost { product_flops, moves, bytes, launches, workspace, ..Cost::default() };
        Ok(cost.in_tasks(tasks, self.threads))
    }

    /// Tasks of the pass and products of all of them.
    fn tasks(&self) -> (usize, usize) {
        let (batch, groups) = (self.problem.batch(), self.problem.groups());
        match (self.form, self.pass) {
            (Form::Linear, Pass::BackwardWeights) => {
                let tasks = groups.saturating_mul(self.output_blocks().len());
                (tasks, tasks)
            }
            (Form::Linear, _) => {
                let tasks = groups.saturating_mul(self.image_blocks().len());
                (tasks, tasks)
            }
            (Form::Unfolded, Pass::BackwardInput) => {
                let tasks = batch * groups * self.channel_blocks().len();
                (tasks, tasks.saturating_mul(self.panels()))
            }
            (_, Pass::BackwardWeights) => {
                (self.parts, batch.saturating_mul(groups).saturating_mul(self.panels()))
            }
            _ => {
                let tasks = batch.saturating_mul(groups).saturating_mul(self.panels());
                (tasks, tasks)
            }
        }
    }

    /// Backward-input: the blocks of channels of an image and group.
    fn channel_blocks(&self) -> Vec<Range<usize>> {
        let group_in = self.problem.group_in();
        divide(group_in, group_in.div_ceil(self.channels), self.channels)
    }

    /// [`Form::Linear`]: the blocks of images of a group, and in backward-weights those of output channels.
    fn image_blocks(&self) -> Vec<Range<usize>> {
        divide(self.problem.batch(), self.threads * TASKS_PER_THREAD / self.problem.groups().min(4), 16)
    }

    fn output_blocks(&self) -> Vec<Range<usize>> {
        divide(self.problem.group_out(), (self.threads * TASKS_PER_THREAD).div_ceil(self.problem.groups()), 8)
    }
}

/// `count` in about `parts` ranges of a multiple of `multiple`.
fn divide(count: usize, parts: usize, multiple: usize) -> Vec<Range<usize>> {
    let len = count.div_ceil(parts.max(1)).next_multiple_of(multiple);
    (0..count.div_ceil(len)).map(|part| part * len..((part + 1) * len).min(count)).collect()
}

impl Form {
    fn of(problem: &ConvProblem) -> Form {
        let axes = problem.volume();
        if axes.iter().all(|axis| axis.padded() == 1) {
            Form::Linear
        } else if axes
            .iter()
            .all(|axis| axis.kernel == 1 && axis.output() == axis.input && axis.padding == (0, 0))
        {
            Form::Pointwise
        } else {
            Form::Unfolded
        }
    }
}
