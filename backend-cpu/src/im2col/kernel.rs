//! The three passes over panels.

use std::ops::Range;

use conv_core::algorithm::check_len;
use conv_core::{ConvKernel, ConvProblem, Operands, Pass, Result, Role, Scratch};

use super::panel::Panel;
use super::{Form, Plan, TASKS_PER_THREAD};
use crate::raw::{Matrix, MatrixMut, for_each_part, for_each_rectangle, product};
use crate::{Cpu, epilogue};

/// A pass of a problem by matrix products.
pub(super) struct Im2colKernel {
    pub(super) plan: Plan,
    pub(super) original: ConvProblem,
}

impl ConvKernel<Cpu> for Im2colKernel {
    fn workspace_len(&self) -> usize {
        self.plan.workspace_len().unwrap_or(usize::MAX)
    }

    fn run(&self, backend: &Cpu, operands: Operands<'_, Cpu>, scratch: Scratch<'_, Cpu>) -> Result<()> {
        operands.check(backend, &self.original, self.plan.pass)?;
        let found = scratch.workspace.len();
        check_len("workspace", self.workspace_len().max(found), found)?;
        let workspace = &mut scratch.workspace[..self.workspace_len()];
        let run = Run { plan: &self.plan, lhs: operands.lhs, rhs: operands.rhs, out: operands.out };
        let bias = operands.bias.map(|bias| &bias[..]);
        match (self.plan.form, self.plan.pass) {
            (Form::Linear, Pass::Forward) => run.linear_forward(bias, operands.relu),
            (Form::Linear, Pass::BackwardInput) => run.linear_backward_input(),
            (Form::Linear, Pass::BackwardWeights) => run.linear_backward_weights(),
            (_, Pass::Forward) => run.forward(workspace, bias, operands.relu),
            (Form::Pointwise, Pass::BackwardInput) => run.pointwise_backward_input(),
            (_, Pass::BackwardInput) => run.backward_input(workspace),
            (_, Pass::BackwardWeights) => run.backward_weights(workspace),
        }
        Ok(())
    }
}

/// One run's plan and tensors.
struct Run<'a> {
    plan: &'a Plan,
    lhs: &'a [f32],
    rhs: &'a [f32],
    out: &'a mut [f32],
}

impl Plan {
    fn channels(&self) -> [usize; 3] {
        [self.problem.groups(), self.problem.group_in(), self.problem.group_out()]
    }

    /// The weights of one group, output channels by depth.
    fn weights<'w>(&self, weights: &'w [f32], group: usize) -> Matrix<'w> {
        let len = self.problem.group_out() * self.depth;
        Matrix::new(
            &weights[group * len..(group + 1) * len],
            self.problem.group_out(),
            self.depth,
            self.depth,
        )
    }

    /// Ranges of the panels of one image.
    fn panel_ranges(&self) -> Vec<Range<usize>> {
        (0..self.panels()).map(|p| p * self.panel..((p + 1) * self.panel).min(self.points)).collect()
    }

    /// The planes of an image and group, `index` counting groups fastest.
    fn planes(&self, index: usize, per_group: usize) -> Range<usize> {
        index * per_group..(index + 1) * per_group
    }

    /// Columns `points` of the maps of one image and group of an output tensor.
    fn outputs<'t>(&self, tensor: &'t [f32], index: usize, points: &Range<usize>) -> Matrix<'t> {
        let rows = self.problem.group_out();
        Matrix::new(&tensor[index * rows * self.points + points.start..], rows, points.len(), self.points)
    }

    /// A panel of the unfolded matrix of one image and group, in `panel` where it must be copied.
    fn unfolded<'p>(
        &'p self,
        input: &'p [f32],
        index: usize,
        points: &Range<usize>,
        panel: &'p mut [f32],
    ) -> Matrix<'p> {
        let size = self.problem.points(Role::Input);
        let image = &input[index * self.problem.group_in() * size..];
        if self.form == Form::Pointwise {
            return Matrix::new(&image[points.start..], self.depth, points.len(), size);
        }
        let panel = &mut panel[..self.depth * points.len()];
        Panel { problem: &self.problem, points: points.clone() }.unfold(
            self.problem.group_in(),
            image,
            panel,
        );
        Matrix::new(panel, self.depth, points.len(), points.len())
    }

    fn panel_scratch<'s>(&self, workspace: &'s mut [f32]) -> (&'s mut [f32], usize) {
        (workspace, self.panel_len().unwrap_or(0))
    }
}

impl Run<'_> {
    /// `Y = W U`, panel by panel.
    fn forward(self, workspace: &mut [f32], bias: Option<&[f32]>, relu: bool) {
        let Run { plan, lhs: input, rhs: weights, out } = self;
        let [groups, _, group_out] = plan.channels();
        let images: Vec<_> =
            (0..plan.problem.batch() * groups).map(|index| plan.planes(index, group_out)).collect();
        let panels = plan.panel_ranges();
        let scratch = plan.panel_scratch(workspace);
        for_each_rectangle(
            out,
            plan.points,
            [&images, &panels],
            scratch,
            |[index, panel], mut part, scratch| {
                let unfolded = plan.unfolded(input, index, &panels[panel], scratch);
                let weights = plan.weights(weights, index % groups);
                product(part.matrix(group_out), false, weights, unfolded);
                for o in 0..group_out {
                    let bias = bias.map(|bias| bias[index % groups * group_out + o]);
                    epilogue::apply(part.row(o), bias, relu);
                }
            },
        );
    }

    /// `dX = Wᵀ dY` where the input is the matrix.
    fn pointwise_backward_input(self) {
        let Run { plan, lhs: grad_output, rhs: weights, out } = self;
        let [groups, group_in, _] = plan.channels();
        let images: Vec<_> =
            (0..plan.problem.batch() * groups).map(|index| plan.planes(index, group_in)).collect();
        let panels = plan.panel_ranges();
        for_each_rectangle(
            out,
            plan.points,
            [&images, &panels],
            (&mut [], 0),
            |[index, panel], mut part, _| {
                let weights = plan.weights(weights, index % groups).transposed();
                product(
                    part.matrix(group_in),
                    false,
                    weights,
                    plan.outputs(grad_output, index, &panels[panel]),
                );
            },
        );
    }

    /// `dU = Wᵀ dY` for a block of channels, folded into their planes panel after panel.
    fn backward_input(self, workspace: &mut [f32]) {
        let Run { plan, lhs: grad_output, rhs: weights, out } = self;
        let [groups, group_in, group_out] = plan.channels();
        let size = plan.problem.points(Role::Input);
        let kernel = plan.depth / group_in;
        let blocks = plan.channel_blocks();
        let of_task = |task: usize| (task / blocks.len(), &blocks[task % blocks.len()]);
        let range = |task| {
            let (index, block) = of_task(task);
            (index * group_in + block.start) * size..(index * group_in + block.end) * size
        };
        let tasks = plan.problem.batch() * groups * blocks.len();
        for_each_part(out, tasks, range, plan.panel_scratch(workspace), |task, planes, scratch| {
            let (index, block) = of_task(task);
            let rows = block.len() * kernel;
            let first = index % groups * group_out * plan.depth + block.start * kernel;
            let weights = Matrix::new(&weights[first..], group_out, rows, plan.depth).transposed();
            planes.fill(0.0);
            for points in plan.panel_ranges() {
                let panel = &mut scratch[..rows * points.len()];
                let gradient = plan.outputs(grad_output, index, &points);
                product(MatrixMut::new(panel, rows, points.len(), points.len()), false, weights, gradient);
                Panel { problem: &plan.problem, points }.fold(block.len(), panel, planes);
            }
        });
    }

    /// `dW = Σ dY Uᵀ`: each part sums its own images and panels, then the parts are added in order.
    fn backward_weights(self, workspace: &mut [f32]) {
        let Run { plan, lhs: input, rhs: grad_output, out } = self;
        let [groups, _, group_out] = plan.channels();
        let (sums, scratch) = workspace.split_at_mut(plan.sums_len().unwrap_or(0));
        let len = plan.problem.len(Role::Weight);
        let panels = plan.panel_ranges();
        let units = plan.problem.batch() * panels.len();
        let of_part = |part: usize| part * units / plan.parts..(part + 1) * units / plan.parts;
        let targets = if plan.parts > 1 { &mut *sums } else { &mut *out };
        let range = |part| part * len..(part + 1) * len;
        for_each_part(targets, plan.parts, range, plan.panel_scratch(scratch), |part, sum, scratch| {
            for (unit, group) in of_part(part).flat_map(|unit| (0..groups).map(move |group| (unit, group))) {
                let (index, points) = (unit / panels.len() * groups + group, &panels[unit % panels.len()]);
                let unfolded = plan.unfolded(input, index, points, scratch).transposed();
                let sum = &mut sum[group * group_out * plan.depth..][..group_out * plan.depth];
                let target = MatrixMut::new(sum, group_out, plan.depth, plan.depth);
                let add = unit > of_part(part).start;
                product(target, add, plan.outputs(grad_output, index, points), unfolded);
            }
        });
        if plan.parts > 1 {
            add_up(sums, out, plan.threads);
        }
    }

    /// `Y = X Wᵀ` over all images.
    fn linear_forward(self, bias: Option<&[f32]>, relu: bool) {
        let Run { plan, lhs: input, rhs: weights, out } = self;
        let [groups, group_in, group_out] = plan.channels();
        let images = plan.image_blocks();
        let columns: Vec<_> = (0..groups).map(|group| plan.planes(group, group_out)).collect();
        for_each_rectangle(
            out,
            groups * group_out,
            [&images, &columns],
            (&mut [], 0),
            |[block, group], mut part, _| {
                let images = images[block].clone();
                let first = images.start * groups * group_in + group * group_in;
                let input = Matrix::new(&input[first..], images.len(), group_in, groups * group_in);
                let weights = plan.weights(weights, group).transposed();
                product(part.matrix(images.len()), false, input, weights);
                for image in 0..images.len() {
                    let row = part.row(image);
                    if let Some(bias) = bias {
                        let bias = &bias[columns[group].clone()];
                        row.iter_mut().zip(bias).for_each(|(value, bias)| *value += bias);
                    }
                    epilogue::apply(row, None, relu);
                }
            },
        );
    }

    /// `dX = dY W` over all images.
    fn linear_backward_input(self) {
        let Run { plan, lhs: grad_output, rhs: weights, out } = self;
        let [groups, group_in, group_out] = plan.channels();
        let images = plan.image_blocks();
        let columns: Vec<_> = (0..groups).map(|group| plan.planes(group, group_in)).collect();
        for_each_rectangle(
            out,
            groups * group_in,
            [&images, &columns],
            (&mut [], 0),
            |[block, group], mut part, _| {
                let images = images[block].clone();
                let first = images.start * groups * group_out + group * group_out;
                let gradient =
                    Matrix::new(&grad_output[first..], images.len(), group_out, groups * group_out);
                product(part.matrix(images.len()), false, gradient, plan.weights(weights, group));
            },
        );
    }

    /// `dW = dYᵀ X` over all images, some output channels a task.
    fn linear_backward_weights(self) {
        let Run { plan, lhs: input, rhs: grad_output, out } = self;
        let [groups, group_in, group_out] = plan.channels();
        let batch = plan.problem.batch();
        let blocks = plan.output_blocks();
        let of_task = |task: usize| (task / blocks.len(), &blocks[task % blocks.len()]);
        let range = |task| {
            let (group, block) = of_task(task);
            (group * group_out + block.start) * group_in..(group * group_out + block.end) * group_in
        };
        for_each_part(out, groups * blocks.len(), range, (&mut [], 0), |task, sum, _| {
            let (group, block) = of_task(task);
            let gradient = &grad_output[group * group_out + block.start..];
            let gradient = Matrix::new(gradient, batch, block.len(), groups * group_out).transposed();
            let input = Matrix::new(&input[group * group_in..], batch, group_in, groups * group_in);
            product(MatrixMut::new(sum, block.len(), group_in, group_in), false, gradient, input);
        });
    }
}

/// `out` becomes the sum of the tensors of its length that `sums` is made of, first to last.
fn add_up(sums: &[f32], out: &mut [f32], threads: usize) {
    let len = out.len();
    let chunk = len.div_ceil(threads * TASKS_PER_THREAD);
    let range = |task: usize| task * chunk..((task + 1) * chunk).min(len);
    for_each_part(out, len.div_ceil(chunk), range, (&mut [], 0), |task, part, _| {
        part.copy_from_slice(&sums[range(task)]);
        for sum in sums.chunks_exact(len).skip(1) {
            part.iter_mut().zip(&sum[range(task)]).for_each(|(total, value)| *total += value);
        }
    });
}
