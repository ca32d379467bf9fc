//! Layers whose kernel is as large as their input: images are the columns of one product a group.

use std::ops::Range;

use conv_core::{ConvProblem, Cost, Machine, Pass};

use super::dots::{Dots, Rows};
use super::tensor_bytes;
use crate::blocking::{Blocking, Epilogue};
use crate::epilogue;
use crate::raw::{Matrix, MatrixMut, for_each_part, for_each_rectangle, product};
use crate::split::groups_of;

/// Columns of a register tile of `gemm`, and rows: what sizes are rounded up to when operations are counted.
const TILE: [usize; 2] = [16, 8];

/// Moves that calling a product takes.
const CALL: f64 = 64.0;

/// Tasks a thread should find, so that threads end together.
const TASKS_PER_THREAD: usize = 4;

/// Most images, and fewest input channels, of dot products: `gemm` would pack weights that are used for few images.
const FEW_IMAGES: usize = 16;
const MANY_CHANNELS: usize = 1024;

/// One pass of a layer without points: its channels are those and the points of the layer it stands for.
pub(super) struct Linear {
    problem: ConvProblem,
    pass: Pass,
    threads: usize,
}

impl Linear {
    pub(super) fn new(machine: &Machine, problem: &ConvProblem, pass: Pass) -> Linear {
        Linear { problem: *problem, pass, threads: machine.threads.max(1) }
    }

    fn channels(&self) -> [usize; 3] {
        [self.problem.groups(), self.problem.group_in(), self.problem.group_out()]
    }

    /// The blocks of images of a group, and in backward-weights those of output channels.
    fn image_blocks(&self) -> Vec<Range<usize>> {
        divide(self.problem.batch(), self.threads * TASKS_PER_THREAD / self.problem.groups().min(4), 16)
    }

    fn output_blocks(&self) -> Vec<Range<usize>> {
        divide(self.problem.group_out(), (self.threads * TASKS_PER_THREAD).div_ceil(self.problem.groups()), 8)
    }

    /// The columns of each group in a tensor of `channels` a group, cut where the blocks of images are few.
    fn columns(&self, channels: usize) -> Vec<Range<usize>> {
        let groups = self.problem.groups();
        let wanted =
            (self.threads * TASKS_PER_THREAD).div_ceil(self.image_blocks().len().saturating_mul(groups));
        let parts = divide(channels, wanted, 16);
        groups_of(&parts, channels, groups)
    }

    /// Whether the forward pass is one of dot products.
    fn is_dots(&self) -> bool {
        let [_, group_in, _] = self.channels();
        self.problem.batch() <= FEW_IMAGES && group_in >= MANY_CHANNELS
    }

    /// `Y = X Wᵀ`.
    fn forward(&self, [input, weights]: [&[f32]; 2], out: &mut [f32], bias: Option<&[f32]>, relu: bool) {
        let [groups, group_in, group_out] = self.channels();
        let (images, columns) = (self.image_blocks(), self.columns(group_out));
        let parts: [&[Range<usize>]; 2] = [&images, &columns];
        for_each_rectangle(out, groups * group_out, parts, (&mut [], 0), |[block, column], mut part, _| {
            let (images, columns) = (images[block].clone(), columns[column].clone());
            let (input, apart) = (
                &input[images.start * groups * group_in + columns.start / group_out * group_in..],
                groups * group_in,
            );
            let weights = &weights[columns.start * group_in..columns.end * group_in];
            if self.is_dots() {
                let (images, count) = (Rows { values: input, apart }, images.len());
                let weights = Rows { values: weights, apart: group_in };
                Dots { images, count, weights, terms: group_in, out: &mut part }.run();
            } else {
                let input = Matrix::new(input, images.len(), group_in, apart);
                let weights = Matrix::new(weights, columns.len(), group_in, group_in);
                product(part.matrix(images.len()), false, input, weights.transposed());
            }
            for image in 0..images.len() {
                let row = part.row(image);
                if let Some(bias) = bias {
                    let bias = &bias[columns.clone()];
                    row.iter_mut().zip(bias).for_each(|(value, bias)| *value += bias);
                }
                epilogue::apply(row, None, relu);
            }
        });
    }

    /// `dX = dY W`.
    fn backward_input(&self, [gradient, weights]: [&[f32]; 2], out: &mut [f32]) {
        let [groups, group_in, group_out] = self.channels();
        let (images, columns) = (self.image_blocks(), self.columns(group_in));
        let parts: [&[Range<usize>]; 2] = [&images, &columns];
        for_each_rectangle(out, groups * group_in, parts, (&mut [], 0), |[block, column], mut part, _| {
            let (images, columns) = (images[block].clone(), columns[column].clone());
            let (group, channel) = (columns.start / group_in, columns.start % group_in);
            let first = (images.start * groups + group) * group_out;
            let gradient = Matrix::new(&gradient[first..], images.len(), group_out, groups * group_out);
            let weights = &weights[group * group_out * group_in + channel..];
            let weights = Matrix::new(weights, group_out, columns.len(), group_in);
            product(part.matrix(images.len()), false, gradient, weights);
        });
    }

    /// `dW = dYᵀ X`, some output channels a task.
    fn backward_weights(&self, [input, gradient]: [&[f32]; 2], out: &mut [f32]) {
        let [groups, group_in, group_out] = self.channels();
        let (batch, blocks) = (self.problem.batch(), self.output_blocks());
        let of_task = |task: usize| (task / blocks.len(), &blocks[task % blocks.len()]);
        let range = |task| {
            let (group, block) = of_task(task);
            (group * group_out + block.start) * group_in..(group * group_out + block.end) * group_in
        };
        for_each_part(out, groups * blocks.len(), range, (&mut [], 0), |task, sum, _| {
            let (group, block) = of_task(task);
            let gradient = &gradient[group * group_out + block.start..];
            let gradient = Matrix::new(gradient, batch, block.len(), groups * group_out).transposed();
            let input = Matrix::new(&input[group * group_in..], batch, group_in, groups * group_in);
            product(MatrixMut::new(sum, block.len(), group_in, group_in), false, gradient, input);
        });
    }
}

impl Blocking for Linear {
    /// None.
    fn workspace_len(&self) -> usize {
        0
    }

    /// Operations are those of products whose sides are rounded up to register tiles, those of dot products as they are;
    /// bytes are the operands once.
    fn cost(&self) -> Cost {
        let problem = &self.problem;
        let [groups, group_in, group_out] = self.channels();
        let rounded = |count: usize, tile: usize| count.next_multiple_of(tile) as f64;
        let sides = match self.pass {
            Pass::Forward if self.is_dots() => group_out as f64 * problem.batch() as f64,
            _ => rounded(group_out, TILE[1]) * rounded(problem.batch(), TILE[0]),
        };
        let tasks = match self.pass {
            Pass::Forward => self.image_blocks().len().saturating_mul(self.columns(group_out).len()),
            Pass::BackwardInput => self.image_blocks().len().saturating_mul(self.columns(group_in).len()),
            Pass::BackwardWeights => groups.saturating_mul(self.output_blocks().len()),
        };
        let cost = Cost {
            product_flops: 2.0 * problem.groups() as f64 * sides * problem.group_in() as f64,
            moves: tasks as f64 * CALL,
            bytes: tensor_bytes(problem),
            launches: 1.0,
            ..Cost::default()
        };
        cost.in_tasks(tasks, self.threads)
    }

    /// Computes the pass.
    fn run(&self, [lhs, rhs]: [&[f32]; 2], out: &mut [f32], (bias, relu): Epilogue<'_>, _: &mut [f32]) {
        match self.pass {
            Pass::Forward => self.forward([lhs, rhs], out, bias, relu),
            Pass::BackwardInput => self.backward_input([lhs, rhs], out),
            Pass::BackwardWeights => self.backward_weights([lhs, rhs], out),
        }
    }
}

/// `count` in about `parts` ranges of a multiple of `multiple`.
fn divide(count: usize, parts: usize, multiple: usize) -> Vec<Range<usize>> {
    let len = count.div_ceil(parts.max(1)).next_multiple_of(multiple);
    (0..count.div_ceil(len)).map(|part| part * len..((part + 1) * len).min(count)).collect()
}
