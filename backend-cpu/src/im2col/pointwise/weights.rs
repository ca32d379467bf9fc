//! Backward-weights: sums over images and points, where the fewer channels are taken into the lanes and the others are
//! read where they are.

use std::ops::Range;

use conv_core::{ConvProblem, Cost, Machine, Role};

use crate::blocking::{Blocking, Epilogue};
use crate::im2col::lanes::{Rows, STRIP, Sums};
use crate::im2col::tensor_bytes;
use crate::product::{Elements, Kind, LANES, MOST_ROWS, Product, Scalars};
use crate::raw::for_each_part;

/// Tasks a thread should find, so that threads end together.
const TASKS_PER_THREAD: usize = 2;

/// Points of a box at most.
const MOST_POINTS: usize = 256;

/// Rows that stay in the second-level cache, and their sums in the first-level one, while all elements of a box pass by.
const ROWS: usize = 16 * MOST_ROWS;

/// The blocking of one problem.
pub(super) struct Weights {
    problem: ConvProblem,
    /// Whether input channels are those in the lanes.
    inputs_in_lanes: bool,
    /// Rows of sums of a task, points of a box.
    rows: usize,
    points: usize,
    /// Sums of their own, added up in the end.
    parts: usize,
    threads: usize,
}

impl Weights {
    /// The blocking of a layer whose only axis is the last.
    pub(super) fn new(machine: &Machine, problem: &ConvProblem) -> Weights {
        let (inputs, outputs) = (problem.group_in(), problem.group_out());
        let products = |rows: usize, lanes: usize| rows * lanes.next_multiple_of(LANES);
        let (by_inputs, by_outputs) = (products(outputs, inputs), products(inputs, outputs));
        let inputs_in_lanes = by_inputs < by_outputs || (by_inputs == by_outputs && inputs <= outputs);
        let (threads, points) = (machine.threads.max(1), problem.points(Role::Output));
        let points = points.div_ceil(points.div_ceil(MOST_POINTS)).next_multiple_of(LANES);
        let mut weights = Weights { problem: *problem, inputs_in_lanes, rows: 0, points, parts: 0, threads };
        let wanted = (threads * TASKS_PER_THREAD).div_ceil(problem.groups());
        weights.parts = wanted.min(weights.boxes());
        let rows = weights.sides()[0];
        weights.rows = rows.div_ceil(wanted.div_ceil(weights.parts)).next_multiple_of(ROWS).min(rows);
        weights
    }

    /// Channels of a group that are rows of the sums, and those in the lanes.
    fn sides(&self) -> [usize; 2] {
        let (inputs, outputs) = (self.problem.group_in(), self.problem.group_out());
        if self.inputs_in_lanes { [outputs, inputs] } else { [inputs, outputs] }
    }

    fn boxes(&self) -> usize {
        self.problem.batch() * self.problem.points(Role::Output).div_ceil(self.points)
    }

    /// Values of a line of sums.
    fn line(&self) -> usize {
        self.sides()[1].next_multiple_of(LANES)
    }

    /// Values of the sums of a part.
    fn part(&self) -> usize {
        self.problem.groups() * self.sides()[0] * self.line()
    }

    /// Values of an element of a box.
    fn element(&self) -> usize {
        self.points * LANES
    }

    /// Values of a task's elements, and of a strip.
    fn lens(&self) -> [usize; 2] {
        [self.line() * self.points, STRIP]
    }

    /// Adds the parts to `out`, which is `[output channel][input channel]`.
    fn finish(&self, sums: &[f32], out: &mut [f32], scratch: (&mut [f32], usize)) {
        let groups = self.problem.groups();
        let [rows, lanes] = self.sides();
        if !self.inputs_in_lanes {
            return Sums { groups, terms: rows, outputs: lanes }.finish(sums, out, scratch);
        }
        let range = |row: usize| row * lanes..(row + 1) * lanes;
        for_each_part(out, groups * rows, range, (&mut [], 0), |row, out, _| {
            let mut parts = sums.chunks_exact(self.part()).map(|part| &part[row * self.line()..][..lanes]);
            out.copy_from_slice(parts.next().expect("there is a part"));
            for part in parts {
                out.iter_mut().zip(part).for_each(|(sum, value)| *sum += value);
            }
        });
    }
}

impl Blocking for Weights {
    /// Values of the sums, then of every thread's scratch.
    fn workspace_len(&self) -> usize {
        self.parts * self.part() + self.threads * self.lens().iter().sum::<usize>()
    }

    /// What the pass takes: products of whole lanes; the channels in the lanes read and written for every block of rows;
    /// the operands once, and the sums of all parts written and read.
    fn cost(&self) -> Cost {
        let ([rows, lanes], groups) = (self.sides(), self.problem.groups());
        let values = (self.problem.batch() * self.problem.points(Role::Output) * groups) as f64;
        let (sums, blocks) = ((self.parts * self.part()) as f64, rows.div_ceil(self.rows));
        let cost = Cost {
            product_flops: Kind::Real.flops() * values * (rows * self.line()) as f64,
            moves: 2.0 * values * (lanes * blocks) as f64 + sums,
            bytes: tensor_bytes(&self.problem) + 8.0 * sums,
            launches: 2.0,
            ..Cost::default()
        };
        cost.in_tasks(self.parts * groups * blocks, self.threads)
    }

    /// Computes the pass.
    fn run(&self, [input, gradient]: [&[f32]; 2], out: &mut [f32], _: Epilogue<'_>, workspace: &mut [f32]) {
        let (sums, scratch) = workspace.split_at_mut(self.parts * self.part());
        let scratch_len = self.lens().iter().sum();
        let ([rows, _], groups, boxes) = (self.sides(), self.problem.groups(), self.boxes());
        let blocks = rows.div_ceil(self.rows);
        let of = |index: usize| {
            let (rest, first) = (index / blocks, index % blocks * self.rows);
            (rest / groups, rest % groups, first..rows.min(first + self.rows))
        };
        let range = |index: usize| {
            let (part, group, block) = of(index);
            let first = (part * groups + group) * rows;
            (first + block.start) * self.line()..(first + block.end) * self.line()
        };
        let tasks = self.parts * groups * blocks;
        for_each_part(sums, tasks, range, (&mut *scratch, scratch_len), |index, sums, scratch| {
            let (part, group, rows) = of(index);
            let tensors = if self.inputs_in_lanes { [gradient, input] } else { [input, gradient] };
            let task = Task { weights: self, tensors, group, rows };
            let share = part * boxes / self.parts..(part + 1) * boxes / self.parts;
            for number in share.clone() {
                task.add(number, number > share.start, sums, scratch);
            }
        });
        self.finish(sums, out, (scratch, scratch_len));
    }
}

/// Some rows of the sums of a group.
struct Task<'a> {
    weights: &'a Weights,
    /// Of the channels that are rows, and of those in the lanes.
    tensors: [&'a [f32]; 2],
    group: usize,
    rows: Range<usize>,
}

impl Task<'_> {
    /// Adds the products of a box to `sums`, or writes them.
    fn add(&self, number: usize, add: bool, sums: &mut [f32], scratch: &mut [f32]) {
        let Weights { problem, points: most, .. } = self.weights;
        let ([rows, lanes], points) = (self.weights.sides(), problem.points(Role::Output));
        let cuts = points.div_ceil(*most);
        let (image, first) = (number / cuts * problem.groups() + self.group, number % cuts * most);
        let len = (points - first).min(*most);
        let elements = &mut scratch[..self.weights.lens()[0]];
        self.load(&self.tensors[1][image * lanes * points + first..], len, elements);
        let left = &self.tensors[0][(image * rows + self.rows.start) * points + first..];
        self.multiply(left, elements, len, sums, add);
    }

    /// Takes the channels of a box into the lanes.
    fn load(&self, values: &[f32], len: usize, elements: &mut [f32]) {
        let (lanes, apart) = (self.weights.sides()[1], self.weights.problem.points(Role::Output));
        for (first, lines) in (0..lanes).step_by(LANES).zip(elements.chunks_exact_mut(self.weights.element()))
        {
            let count = LANES.min(lanes - first);
            Rows { values: &values[first * apart..], apart, count, len }.to_lanes(lines);
        }
    }

    /// Adds the products of the task's rows at these points to their sums, or writes them.
    fn multiply(&self, left: &[f32], elements: &[f32], len: usize, sums: &mut [f32], add: bool) {
        let (line, rows) = (self.weights.line(), self.rows.len());
        let apart = self.weights.problem.points(Role::Output);
        let right = Elements { values: elements, apart: self.weights.element() };
        for row in (0..rows).step_by(ROWS) {
            let left = Scalars::Rows(&left[row * apart..], apart);
            let sizes = [ROWS.min(rows - row), line / LANES, len];
            let product = Product { kind: Kind::Real, sizes, left, right, add, ahead: &[] };
            product.run_to(&mut sums[row * line..], line);
        }
    }
}
