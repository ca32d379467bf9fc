//! Whole images, a few at a time: transformed, multiplied and inverted by one thread while they are in its second-level
//! cache. For few channels, depthwise ones above all, whose spectra would take longer to write and read than to make.
//!
//! Forward and backward-input: the spectra of the weights are made once for all threads. A task takes some images and
//! one group of channels. Where the factor has fewer maps than the product, its spectra are held and the product is made
//! `CHUNK` maps at a time; else the product is held and the factor's terms come `CHUNK` at a time.
//!
//! Backward-weights: a task takes one group and a part of the images, some at a time, and adds to sums of its own; the
//! sums of all parts are added and inverted in the end.

mod task;

use std::ops::Range;

use conv_core::{Cost, Operands, Pass, Role};
use fft_core::COMPLEX_POINT;

use super::lanes::Epilogue;
use super::plan::{InLanes, Plan, divided};
use super::{FourierKernel, Spectra, found};
use crate::Cpu;
use crate::raw::{for_each_block, for_each_part};
use task::{Made, Task, Worker};

/// Maps beside those that are held: rows or columns of a register tile.
const CHUNK: usize = 3;

/// The part of the second-level cache that spectra take.
const CACHE_SHARE: [usize; 2] = [3, 5];

/// Bytes of weights' spectra read again that take as long as one written, fetched before, and read later.
const READ_FOR_WRITTEN: usize = 3;

/// Tasks a thread should find.
const TASKS_PER_THREAD: usize = 4;

/// How a pass is cut.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fused {
    /// Images at a time.
    images: usize,
    /// Backward-weights: parts of the batch that are summed apart.
    parts: usize,
}

/// Maps of one group of channels in an image: of the left factor, and of the product or, in backward-weights, the right
/// factor.
struct GroupMaps {
    left: usize,
    right: usize,
}

impl GroupMaps {
    fn new(plan: &Plan) -> Self {
        let input = plan.problem.group_in() * plan.tiling.phase_count();
        let output = plan.problem.group_out();
        match plan.pass {
            Pass::Forward => GroupMaps { left: input, right: output },
            Pass::BackwardInput | Pass::BackwardWeights => GroupMaps { left: output, right: input },
        }
    }

    fn held(&self) -> usize {
        self.left.min(self.right)
    }

    /// Maps of an image that are in the cache at a time.
    fn cached(&self) -> usize {
        self.held() + CHUNK.min(self.left.max(self.right))
    }
}

impl Fused {
    /// The cut of a plan, `None` where the cache does not hold an image or weights would be read too often.
    pub(crate) fn new(plan: &Plan, caches: [usize; 3]) -> Option<Self> {
        let (batch, groups) = (plan.problem.batch(), plan.problem.groups());
        if plan.in_lanes != InLanes::Points || plan.tiling.tile_count() != 1 {
            return None;
        }
        let maps = GroupMaps::new(plan);
        let map = plan.blocks() * COMPLEX_POINT * size_of::<f32>();
        let fit = caches[1] / CACHE_SHARE[1] * CACHE_SHARE[0] / (map * maps.cached());
        let (parts, of_task) = match plan.pass {
            Pass::BackwardWeights => {
                let parts =
                    if groups >= TASKS_PER_THREAD * plan.threads { 1 } else { plan.threads.min(batch) };
                (parts, batch.div_ceil(parts))
            }
            _ => {
                let tasks = (TASKS_PER_THREAD * plan.threads).div_ceil(groups);
                (1, batch.div_ceil(tasks.min(batch)))
            }
        };
        let weights = maps.left.checked_mul(maps.right)?;
        let seldom = 2 * weights.div_ceil(maps.left + maps.right);
        let images = fit.min(of_task).min(seldom);
        let rarely = weights <= READ_FOR_WRITTEN * images * (maps.left + maps.right);
        let all = weights.checked_mul(groups)?.checked_mul(map)?;
        (images > 0 && rarely && all <= caches[2] / 2).then_some(Fused { images, parts })
    }

    /// Values of the workspace: the spectra of the weights or sums of them, and of every thread's images and scratch.
    pub(crate) fn workspace_len(&self, plan: &Plan) -> usize {
        self.weights_len(plan) + plan.threads * self.scratch_lens(plan).iter().sum::<usize>()
    }

    /// Values of the spectra of the weights, or of the sums that are to become them.
    fn weights_len(&self, plan: &Plan) -> usize {
        self.parts * plan.spectra_len(Role::Weight)
    }

    /// Values of the spectra that are held, of those that come `CHUNK` at a time, and of the scratch of one worker.
    fn scratch_lens(&self, plan: &Plan) -> [usize; 3] {
        let maps = GroupMaps::new(plan);
        let spectra = self.images * plan.blocks() * COMPLEX_POINT;
        let fft = plan.scratch_lens().iter().sum();
        [spectra * maps.held(), spectra * (maps.cached() - maps.held()), fft]
    }

    /// The ranges of the batch that are tasks.
    fn tasks(&self, plan: &Plan) -> Vec<Range<usize>> {
        let batch = plan.problem.batch();
        match plan.pass {
            Pass::BackwardWeights => divided(batch, batch.div_ceil(self.parts)),
            _ => divided(batch, self.images),
        }
    }

    /// The counted cost of the pass: its tensors read or written once; in forward and backward-input the spectra of the
    /// weights written once and read by every task, in backward-weights read and written for every few images.
    pub(crate) fn cost(&self, plan: &Plan) -> Cost {
        let (tasks, groups) = (self.tasks(plan), plan.problem.groups());
        let weights = 4.0 * plan.spectra_len(Role::Weight) as f64;
        let count = tasks.len() * groups;
        let spectra = match plan.pass {
            Pass::BackwardWeights => {
                let times = tasks.iter().map(|images| images.len().div_ceil(self.images)).sum::<usize>();
                (2 * times) as f64 * weights
            }
            _ => (1 + tasks.len()) as f64 * weights,
        };
        let transforms = plan.pass.roles().map(|role| {
            let all = plan.transform_cost(role);
            Cost { bytes: 4.0 * plan.problem.len(role) as f64, ..all }
        });
        let product = Cost { bytes: spectra, ..plan.product_cost() }.in_tasks(count, plan.threads);
        transforms.into_iter().fold(product, |sum, cost| sum + cost)
    }
}

impl FourierKernel {
    /// Runs the pass.
    pub(super) fn run_fused(
        &self,
        fused: Fused,
        operands: Operands<'_, Cpu>,
        spectra: &mut Spectra,
        workspace: &mut [f32],
    ) {
        let (weights, rest) = workspace.split_at_mut(fused.weights_len(&self.plan));
        match self.plan.pass {
            Pass::BackwardWeights => self.fused_weights(fused, operands, weights, rest),
            Pass::Forward | Pass::BackwardInput => {
                let right = self.plan.pass.roles()[1];
                let kept = self.shared(right, 0..1, operands.rhs, spectra, weights, rest);
                let weights = if kept { found(spectra, self, right) } else { weights };
                self.fused_images(fused, operands, weights, rest);
            }
        }
    }

    fn fused_images(
        &self,
        fused: Fused,
        operands: Operands<'_, Cpu>,
        weights: &[f32],
        workspace: &mut [f32],
    ) {
        let plan = &self.plan;
        let product = plan.pass.roles()[2];
        if !(product == Role::Output || plan.tiling.reaches_all_inputs()) {
            operands.out.fill(0.0);
        }
        let epilogue = Epilogue { bias: operands.bias.map(|bias| &bias[..]), relu: operands.relu };
        let lens = fused.scratch_lens(plan);
        let (tasks, shape) = (fused.tasks(plan), plan.shape(product));
        let of_group = shape[1] / plan.problem.groups();
        let [_, channels, axes @ ..] = shape;
        let [a, b, c] = axes.map(|len| divided(len, len));
        let parts = [tasks, divided(channels, of_group), a, b, c];
        let scratch = (workspace, lens.iter().sum());
        for_each_block(operands.out, shape, &parts, scratch, |_, mut out, scratch| {
            let (images, group) = (out.ranges()[0].clone(), out.ranges()[1].start / of_group);
            let task = Task { kernel: self, images, group };
            let worker = Worker::new(scratch, lens);
            task.made([operands.lhs, weights], Made { block: &mut out, epilogue }, worker);
        });
    }

    fn fused_weights(
        &self,
        fused: Fused,
        operands: Operands<'_, Cpu>,
        sums: &mut [f32],
        workspace: &mut [f32],
    ) {
        let (plan, lens) = (&self.plan, fused.scratch_lens(&self.plan));
        let (tasks, groups) = (fused.tasks(plan), plan.problem.groups());
        let len = plan.spectra_len(Role::Weight);
        let of_group = len / groups;
        let scratch = (&mut *workspace, lens.iter().sum());
        let range = |index: usize| index * of_group..(index + 1) * of_group;
        for_each_part(sums, tasks.len() * groups, range, scratch, |index, sums, scratch| {
            for images in divided(tasks[index / groups].len(), fused.images) {
                let first = tasks[index / groups].start;
                let add = images.start > 0;
                let images = first + images.start..first + images.end;
                let task = Task { kernel: self, images, group: index % groups };
                task.added([operands.lhs, operands.rhs], (sums, add), Worker::new(scratch, lens));
            }
        });
        let (sum, others) = sums.split_at_mut(len);
        let others = &others[..(tasks.len() - 1) * len];
        let block = len.div_ceil(TASKS_PER_THREAD * plan.threads);
        let range = |index: usize| index * block..((index + 1) * block).min(len);
        let count = len.div_ceil(block);
        if !others.is_empty() {
            for_each_part(sum, count, range, (&mut [], 0), |index, sum, _| {
                for other in others.chunks_exact(len) {
                    sum.iter_mut().zip(&other[range(index)]).for_each(|(sum, other)| *sum += other);
                }
            });
        }
        self.invert(Role::Weight, 0..1, sum, operands.out, Epilogue::default(), workspace);
    }
}
