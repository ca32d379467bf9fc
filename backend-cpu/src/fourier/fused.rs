//! Whole images, a few at a time: transformed, multiplied and inverted by one thread while they are in its second-level
//! cache. For few channels, depthwise ones above all, whose spectra would take longer to write and read than to make.
//!
//! Forward and backward-input: the spectra of the weights are made once for all threads. A task takes some images and
//! one group of channels. Where the factor has fewer maps than the product, its spectra are held and the product is made
//! `CHUNK` maps at a time; else the product is held and the factor's terms come `CHUNK` at a time.
//!
//! Backward-weights: a task takes one group and a part of the images, some at a time, and adds to sums of its own; the
//! sums of all parts are added and inverted in the end.

use std::ops::Range;

use conv_core::{Cost, Operands, Pass, Role};
use fft_core::COMPLEX_POINT;

use super::lanes::Epilogue;
use super::plan::{InLanes, Plan, divided};
use super::points::Points;
use super::product::{Factor, Product, Target, View};
use super::{FourierKernel, Spectra, as_elements, found};
use crate::Cpu;
use crate::raw::{Block, for_each_block, for_each_part, with_columns};

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
    pub(crate) parts: usize,
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

/// A worker's spectra and scratch.
struct Worker<'a> {
    held: &'a mut [f32],
    chunk: &'a mut [f32],
    fft: &'a mut [f32],
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
        let [left, _, product] = plan.pass.roles();
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
            if task.holds_left() {
                task.left_held(left, operands.lhs, weights, (product, &mut out, epilogue), worker);
            } else {
                task.product_held(left, operands.lhs, weights, (product, &mut out, epilogue), worker);
            }
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
                task.added([operands.rhs, operands.lhs], (sums, add), Worker::new(scratch, lens));
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

impl<'a> Worker<'a> {
    fn new(scratch: &'a mut [f32], [held, chunk, fft]: [usize; 3]) -> Self {
        let (held, rest) = scratch.split_at_mut(held);
        let (chunk, rest) = rest.split_at_mut(chunk);
        Worker { held, chunk, fft: &mut rest[..fft] }
    }
}

/// Some images and a group of channels.
struct Task<'a> {
    kernel: &'a FourierKernel,
    images: Range<usize>,
    group: usize,
}

/// The map of an image that one group's maps begin with, and how many of them.
#[derive(Clone, Copy)]
struct Chosen {
    first: usize,
    count: usize,
}

impl Task<'_> {
    fn plan(&self) -> &Plan {
        &self.kernel.plan
    }

    fn holds_left(&self) -> bool {
        let maps = GroupMaps::new(self.plan());
        maps.left <= maps.right
    }

    /// Maps of the images from `from` on, up to `CHUNK` of `all`.
    fn chunks(all: usize) -> impl Iterator<Item = Chosen> {
        divided(all, CHUNK).into_iter().map(|range| Chosen { first: range.start, count: range.len() })
    }

    /// Spectra of some maps of the group, image after image.
    fn transform(&self, role: Role, tensor: &[f32], chosen: Chosen, spectra: &mut [f32], fft: &mut [f32]) {
        let plan = self.plan();
        let points = Points { plan, fft: self.kernel.plane() };
        let of_group = plan.maps(role, 0..1).count() / plan.problem.groups();
        let mut spectra = spectra.chunks_exact_mut(plan.blocks() * COMPLEX_POINT);
        for image in self.images.clone() {
            let maps = plan.maps(role, image..image + 1);
            let first = self.group * of_group + chosen.first;
            for (number, spectrum) in (first..first + chosen.count).zip(&mut spectra) {
                points.forward(role, maps.map(number), tensor, spectrum, fft);
            }
        }
    }

    /// Planes of some maps of the group, from spectra image after image.
    fn invert(
        &self,
        (role, out, epilogue): &mut (Role, &mut Block<'_>, Epilogue<'_>),
        chosen: Chosen,
        spectra: &[f32],
        fft: &mut [f32],
    ) {
        let plan = self.plan();
        let points = Points { plan, fft: self.kernel.plane() };
        let of_group = plan.maps(*role, 0..1).count() / plan.problem.groups();
        let mut spectra = spectra.chunks_exact(plan.blocks() * COMPLEX_POINT);
        for image in self.images.clone() {
            let maps = plan.maps(*role, image..image + 1);
            let first = self.group * of_group + chosen.first;
            for (number, spectrum) in (first..first + chosen.count).zip(&mut spectra) {
                let map = maps.map(number);
                let plane = out.plane(image, map.plane % maps.planes_per_unit);
                points.inverse(*role, map, spectrum, (map.plane, plane), *epilogue, fft);
            }
        }
    }

    /// `out (rows × columns) = left (rows × terms) · right (terms × columns)` at every frequency.
    fn multiply(
        &self,
        [rows, columns, terms]: [usize; 3],
        [(left, left_view), (right, right_view)]: [(&[f32], View); 2],
        (out, view): (&mut [f32], View),
        add: bool,
    ) {
        let (pass, blocks) = (self.plan().pass, self.plan().blocks());
        let factor = |spectra, view| Factor { elements: as_elements(spectra), view, steps: [blocks, 1] };
        let (left, right) = (factor(left, left_view), factor(right, right_view));
        with_columns(out, blocks * COMPLEX_POINT, |out| {
            let out = Target { columns: out, view, rows_are_maps: true };
            Product { pass, sizes: [rows, columns, terms], blocks: 0..blocks, left, right, out, add }.run();
        });
    }

    /// The weights' maps as terms and columns, from these of the group on.
    fn weights(&self, term: usize, column: usize) -> View {
        let maps = GroupMaps::new(self.plan());
        let (rows_apart, columns_apart) = match self.plan().pass {
            Pass::Forward => (1, maps.left),
            _ => (maps.right, 1),
        };
        let group = self.group * maps.left * maps.right;
        View { first: group + term * rows_apart + column * columns_apart, rows_apart, columns_apart }
    }

    /// The factor's spectra held, the product a few maps at a time.
    fn left_held(
        &self,
        left: Role,
        tensor: &[f32],
        weights: &[f32],
        mut out: (Role, &mut Block<'_>, Epilogue<'_>),
        Worker { held, chunk, fft }: Worker<'_>,
    ) {
        let (rows, maps) = (self.images.len(), GroupMaps::new(self.plan()));
        self.transform(left, tensor, Chosen { first: 0, count: maps.left }, held, fft);
        for columns in Self::chunks(maps.right) {
            let sizes = [rows, columns.count, maps.left];
            let factors = [(&*held, down(maps.left)), (weights, self.weights(0, columns.first))];
            self.multiply(sizes, factors, (chunk, down(columns.count)), false);
            self.invert(&mut out, columns, chunk, fft);
        }
    }

    /// The product held, the factor's terms a few at a time.
    fn product_held(
        &self,
        left: Role,
        tensor: &[f32],
        weights: &[f32],
        mut out: (Role, &mut Block<'_>, Epilogue<'_>),
        Worker { held, chunk, fft }: Worker<'_>,
    ) {
        let (rows, maps) = (self.images.len(), GroupMaps::new(self.plan()));
        for terms in Self::chunks(maps.left) {
            self.transform(left, tensor, terms, chunk, fft);
            let sizes = [rows, maps.right, terms.count];
            let factors = [(&*chunk, down(terms.count)), (weights, self.weights(terms.first, 0))];
            self.multiply(sizes, factors, (held, down(maps.right)), terms.first > 0);
        }
        self.invert(&mut out, Chosen { first: 0, count: maps.right }, held, fft);
    }

    /// Backward-weights: the products of the images, added to the group's sums.
    fn added(
        &self,
        [outputs, inputs]: [&[f32]; 2],
        (sums, add): (&mut [f32], bool),
        Worker { held, chunk, fft }: Worker<'_>,
    ) {
        let (images, maps) = (self.images.len(), GroupMaps::new(self.plan()));
        let all = |count| Chosen { first: 0, count };
        let part = |first| View { first, ..down(maps.right) };
        if self.holds_left() {
            self.transform(Role::Output, outputs, all(maps.left), held, fft);
            for columns in Self::chunks(maps.right) {
                self.transform(Role::Input, inputs, columns, chunk, fft);
                let factors = [(&*held, down(maps.left).transposed()), (&*chunk, down(columns.count))];
                self.multiply([maps.left, columns.count, images], factors, (sums, part(columns.first)), add);
            }
        } else {
            self.transform(Role::Input, inputs, all(maps.right), held, fft);
            for rows in Self::chunks(maps.left) {
                self.transform(Role::Output, outputs, rows, chunk, fft);
                let factors = [(&*chunk, down(rows.count).transposed()), (&*held, down(maps.right))];
                let sums = (&mut *sums, part(rows.first * maps.right));
                self.multiply([rows.count, maps.right, images], factors, sums, add);
            }
        }
    }
}

/// A matrix of maps without gaps, this many a row.
fn down(columns: usize) -> View {
    View { first: 0, rows_apart: columns, columns_apart: 1 }
}
