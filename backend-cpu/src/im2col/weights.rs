//! Backward-weights: tasks sum over boxes of targets for some input channels of a group, output channels in the lanes;
//! then the sums of the parts are added.

use std::ops::Range;

use conv_core::{ConvProblem, Cost, Machine, Pass, Role, Unsupported};

use super::cut::Cut;
use super::lanes::{Rows, STRIP, Sums};
use super::unfold::{Source, Unfold, for_each_row};
use super::{MOST_VALUES, tensor_bytes, too_large};
use crate::blocking::{Blocking, Epilogue};
use crate::padding::{Class, Layout, Tap, classes};
use crate::product::{Elements, Kind, LANES, Product, Scalars};
use crate::raw::for_each_part;

/// Tasks a thread should find, so that threads end together.
const TASKS_PER_THREAD: usize = 2;

/// Targets of a box at most.
const MOST_TARGETS: usize = 256;

/// The blocking of one problem.
pub(super) struct Weights {
    problem: ConvProblem,
    axes: [(Class, Vec<Tap>); 3],
    cut: Cut,
    /// Input channels of a task.
    channels: usize,
    /// Sums of their own, added up in the end.
    parts: usize,
    /// Values of a task's padded maps, unfolded rows and gradients, and of a row of targets.
    lens: [usize; 4],
    threads: usize,
}

impl Weights {
    /// # Errors
    /// A refusal where matrices are very large.
    pub(super) fn new(machine: &Machine, problem: &ConvProblem) -> Result<Weights, Unsupported> {
        let far = |axis: &conv_core::Axis| axis.stride.max(axis.kernel) > 1 << 24;
        if problem.volume().iter().any(far) {
            return Err(too_large());
        }
        let axes =
            problem.volume().each_ref().map(|axis| classes(axis, Pass::BackwardWeights).swap_remove(0));
        let (threads, cached) = (machine.threads.max(1), machine.caches[1] / 4 / size_of::<f32>());
        let (kernel, group_in) = (problem.points(Role::Weight), problem.group_in());
        let outputs = problem.group_out().next_multiple_of(LANES);
        let channels = (cached / kernel / outputs.max(MOST_TARGETS)).clamp(1, group_in);
        let channels = group_in.div_ceil(group_in.div_ceil(channels));
        let most = (cached / (channels * kernel).max(outputs)).clamp(LANES, MOST_TARGETS);
        let [z, y, x] = problem.output_shape();
        let blocks = problem.groups().saturating_mul(group_in.div_ceil(channels));
        let cut = Cut::new([problem.batch(), z, y, x], [1; 4], most, 1);
        let parts = (threads * TASKS_PER_THREAD).div_ceil(blocks).min(cut.len());
        let mut weights = Weights { problem: *problem, axes, cut, channels, parts, lens: [0; 4], threads };
        let fits = |lens: &[usize; 4]| lens.iter().all(|len| *len < MOST_VALUES);
        weights.lens = weights.largest().filter(fits).ok_or_else(too_large)?;
        weights.sums_len().filter(|len| *len < MOST_VALUES).ok_or_else(too_large)?;
        Ok(weights)
    }

    /// Values that the largest box needs.
    fn largest(&self) -> Option<[usize; 4]> {
        let [images, lens @ ..] = self.cut.lens();
        let mut classes = self.axes.each_ref().map(|(class, _)| *class);
        for (class, len) in classes.iter_mut().zip(lens) {
            class.count = class.count.min(len);
        }
        let targets = images * classes.iter().map(|class| class.count).product::<usize>();
        let padded = Layout::values(classes, images.checked_mul(self.channels)?)?;
        let row = row_len(targets);
        let terms = self.channels.checked_mul(self.problem.points(Role::Weight))?;
        let unfolded = terms.checked_mul(row)?;
        let gradients = self.outputs().checked_mul(targets)?;
        Some([
            padded.checked_next_multiple_of(LANES)?,
            unfolded.checked_next_multiple_of(LANES)?,
            gradients,
            STRIP,
        ])
    }

    /// Output channels rounded up to lanes.
    fn outputs(&self) -> usize {
        self.problem.group_out().next_multiple_of(LANES)
    }

    /// Terms of a group: input channels and taps.
    fn terms(&self) -> usize {
        self.problem.group_in() * self.problem.points(Role::Weight)
    }

    fn sums(&self) -> Sums {
        Sums { groups: self.problem.groups(), terms: self.terms(), outputs: self.problem.group_out() }
    }

    /// Values of the sums of all parts.
    fn sums_len(&self) -> Option<usize> {
        self.sums().part()?.checked_mul(self.parts)
    }

    /// The blocks of input channels of a group.
    fn blocks(&self) -> Vec<Range<usize>> {
        let group_in = self.problem.group_in();
        (0..group_in).step_by(self.channels).map(|c| c..(c + self.channels).min(group_in)).collect()
    }

    fn layout(&self, [_, z, y, x]: &[Range<usize>; 4]) -> Layout {
        let [a, b, c] = self.axes.each_ref().map(|(class, _)| *class);
        Layout::new([a.within(z), b.within(y), c.within(x)])
    }
}

impl Blocking for Weights {
    /// Values of the sums, then of every thread's scratch.
    fn workspace_len(&self) -> usize {
        self.sums_len().unwrap_or(usize::MAX) + self.threads * self.lens.iter().sum::<usize>()
    }

    /// What the pass takes: products of whole lanes of output channels; every value copied to padded maps, with 16 more
    /// a row, in unfolded lines whole vectors, with one more a row, and into lanes for every block of input channels; the
    /// operands once, and the sums of all parts written and read.
    fn cost(&self) -> Cost {
        let (groups, group_in) = (self.problem.groups() as f64, self.problem.group_in());
        let (outputs, blocks) = (self.outputs() as f64, group_in.div_ceil(self.channels));
        let terms = self.terms() as f64;
        let (mut flops, mut moves) = (0.0, 0.0);
        for (ranges, times) in self.cut.kinds() {
            let layout = self.layout(&ranges);
            let [a, b, c] = layout.classes;
            let rows = ranges[0].len() * a.count * b.count;
            let targets = (rows * c.count) as f64;
            flops += times * Kind::Real.flops() * targets * terms * outputs;
            let padded = ranges[0].len() * (layout.map + 16 * layout.spans[0] * layout.spans[1]);
            let line = rows * c.count + LANES * rows;
            let gradients = blocks as f64 * 2.0 * outputs * targets;
            moves += times * (padded as f64 * group_in as f64 + terms * line as f64 + gradients);
        }
        let sums = self.sums_len().unwrap_or(usize::MAX) as f64;
        let cost = Cost {
            product_flops: flops * groups,
            moves: moves * groups + sums,
            bytes: tensor_bytes(&self.problem) + 8.0 * sums,
            launches: 2.0,
            ..Cost::default()
        };
        let tasks = self.problem.groups().saturating_mul(blocks).saturating_mul(self.parts);
        cost.in_tasks(tasks, self.threads)
    }

    /// Computes the pass.
    fn run(&self, [input, gradient]: [&[f32]; 2], out: &mut [f32], _: Epilogue<'_>, workspace: &mut [f32]) {
        let (sums, scratch) = workspace.split_at_mut(self.sums_len().unwrap_or(usize::MAX));
        let (boxes, blocks, groups) = (self.cut.len(), self.blocks(), self.problem.groups());
        let taps = self.problem.points(Role::Weight);
        let scratch_len = self.lens.iter().sum();
        let of = |index: usize| {
            let (rest, block) = (index / blocks.len(), &blocks[index % blocks.len()]);
            (rest / groups, rest % groups, block.clone())
        };
        let range = |index: usize| {
            let (part, group, block) = of(index);
            let first = (part * groups + group) * self.terms();
            (first + block.start * taps) * self.outputs()..(first + block.end * taps) * self.outputs()
        };
        let tasks = self.parts * groups * blocks.len();
        for_each_part(sums, tasks, range, (&mut *scratch, scratch_len), |index, sums, scratch| {
            let (part, group, channels) = of(index);
            let task = Task { weights: self, input, gradient, group, channels };
            let share = part * boxes / self.parts..(part + 1) * boxes / self.parts;
            for number in share.clone() {
                task.add(&self.cut.at(number), number > share.start, sums, scratch);
            }
        });
        self.sums().finish(sums, out, (scratch, scratch_len));
    }
}

/// Values from one unfolded row to the next: whole lanes, and rows that do not compete for the same lines of the cache.
fn row_len(targets: usize) -> usize {
    targets.next_multiple_of(LANES) + LANES
}

/// The sums of some input channels of a group.
struct Task<'a> {
    weights: &'a Weights,
    input: &'a [f32],
    gradient: &'a [f32],
    group: usize,
    channels: Range<usize>,
}

impl Task<'_> {
    /// Adds the products of a box to `sums`, or writes them.
    fn add(&self, ranges: &[Range<usize>; 4], add: bool, sums: &mut [f32], scratch: &mut [f32]) {
        let Weights { problem, axes, lens, .. } = self.weights;
        let layout = self.weights.layout(ranges);
        let (padded, rest) = scratch.split_at_mut(lens[0]);
        let (unfolded, rest) = rest.split_at_mut(lens[1]);
        let gradients = &mut rest[..lens[2]];
        let (images, channels) = (ranges[0].len(), self.channels.len());
        let offsets = layout.offsets(axes.each_ref().map(|(_, taps)| &taps[..]));
        let targets = images * layout.classes.iter().map(|class| class.count).product::<usize>();
        let (line, whole) = (row_len(targets), 0..targets);
        let apart = problem.in_channels();
        let map = ranges[0].start * apart + self.group * problem.group_in() + self.channels.start;
        let source = Source { tensor: self.input, shape: problem.input_shape(), map, apart };
        let unfold = Unfold {
            layout: &layout,
            offsets: &offsets,
            images,
            channels,
            parts: std::slice::from_ref(&whole),
            line,
        };
        unfold.run(&source, padded, unfolded);
        self.load_gradients(&ranges[0], &layout, targets, gradients);
        let (rows, outputs) = (channels * offsets.len(), self.weights.outputs());
        let (sizes, left) = ([rows, outputs / LANES, targets], Scalars::Rows(unfolded, line));
        let right = Elements { values: gradients, apart: targets * LANES };
        Product { kind: Kind::Real, sizes, left, right, add, ahead: &[] }.run_to(sums, outputs);
    }

    /// Copies the gradients of a box to elements of output channels.
    fn load_gradients(&self, images: &Range<usize>, layout: &Layout, targets: usize, to: &mut [f32]) {
        let problem = &self.weights.problem;
        let (cout, points) = (problem.group_out(), problem.points(Role::Output));
        let ([_, h, w], class) = (problem.output_shape(), layout.classes[2]);
        for first in (0..cout).step_by(LANES) {
            let lines = &mut to[first * targets..][..targets * LANES];
            for_each_row(images, layout, |target, [image, z, y]| {
                let map = (image * problem.groups() + self.group) * cout + first;
                let row = map * points + (z * h + y) * w + class.first;
                let count = LANES.min(cout - first);
                let rows = Rows { values: &self.gradient[row..], apart: points, count, len: class.count };
                rows.to_lanes(&mut lines[target * LANES..]);
            });
        }
    }
}
