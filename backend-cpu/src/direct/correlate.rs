//! One register tile of backward-weights: `R` output channels times `J` weights, summed over one image.

use conv_core::{Axis, ConvProblem, Role};
use pulp::Simd;

use super::block::{Sums, Vectors, accumulate, each, lanes_inside};
use super::line::{Span, ceil_div};

/// What the tiles of a task have in common.
#[derive(Clone, Copy)]
pub(super) struct Frame<'a> {
    problem: &'a ConvProblem,
    input: &'a [f32],
    grad_output: &'a [f32],
    /// First output channel.
    channel: usize,
    output: [usize; 3],
    /// Input values from one output to the next along each axis.
    input_steps: [isize; 3],
    /// Input values from one tap to the next along each axis.
    input_taps: [isize; 3],
}

/// A weight: where its input rows begin and which outputs it meets them at.
#[derive(Clone, Copy, Default)]
struct Tap {
    /// Input value from the first map of the group on that output 0 meets, in the map or not.
    at: isize,
    /// Point of the last axis that output 0 meets, in the map or not.
    last: isize,
    /// Outputs along each axis that meet the input.
    outputs: [Span; 3],
}

/// The weights of a tile and, along each axis, the outputs that all of them, and any of them, meet input at.
pub(super) struct Taps<const J: usize> {
    taps: [Tap; J],
    every: [Span; 3],
    some: [Span; 3],
}

/// Outputs of the axis that meet the input at kernel point `tap`.
fn outputs_of(axis: &Axis, tap: usize) -> Span {
    let first = axis.padding.0 as isize - (tap * axis.dilation) as isize;
    let end = ceil_div(axis.input as isize + first, axis.stride).min(axis.output());
    Span { start: ceil_div(first, axis.stride).min(end), end }
}

impl<'a> Frame<'a> {
    pub(super) fn new(
        problem: &'a ConvProblem,
        input: &'a [f32],
        grad_output: &'a [f32],
        channel: usize,
    ) -> Self {
        let [_, rows, columns] = problem.input_shape();
        let (volume, steps) = (problem.volume(), [rows * columns, columns, 1]);
        let by = |count: fn(&Axis) -> usize| {
            [0, 1, 2].map(|axis| count(&volume[axis]).wrapping_mul(steps[axis]) as isize)
        };
        let (input_steps, input_taps) = (by(|axis| axis.stride), by(|axis| axis.dilation));
        let output = problem.output_shape();
        Frame { problem, input, grad_output, channel, output, input_steps, input_taps }
    }

    pub(super) fn batch(&self) -> usize {
        self.problem.batch()
    }

    /// The weights of an output channel from number `first` on; the last again where `end` is near.
    pub(super) fn taps<const J: usize>(&self, first: usize, end: usize) -> Taps<J> {
        let taps = each(Tap::default(), |j| self.tap((first + j).min(end - 1)));
        let (mut every, mut some) = (self.output.map(|end| Span { start: 0, end }), [Span::NONE; 3]);
        for (tap, axis) in taps.iter().flat_map(|tap: &Tap| [0, 1, 2].map(|axis| (tap, axis))) {
            every[axis] = every[axis].meet(tap.outputs[axis]);
            some[axis] = some[axis].join(tap.outputs[axis]);
        }
        Taps { taps, every, some }
    }

    fn tap(&self, weight: usize) -> Tap {
        let [_, rows, columns] = self.problem.kernel_shape();
        let point = weight % self.problem.points(Role::Weight);
        let channel = weight / self.problem.points(Role::Weight);
        let point = [point / columns / rows, point / columns % rows, point % columns];
        let volume = self.problem.volume();
        let steps = [0, 1, 2].map(|axis| self.input_taps[axis].wrapping_mul(point[axis] as isize));
        let [_, rows, columns] = self.problem.input_shape().map(|points| points as isize);
        let [d, h, w] = volume.map(|axis| axis.padding.0 as isize);
        let padding = d.wrapping_mul(rows).wrapping_add(h).wrapping_mul(columns).wrapping_add(w);
        let first = (channel * self.problem.points(Role::Input)) as isize;
        Tap {
            at: steps.iter().fold(first, |at, step| at.wrapping_add(*step)).wrapping_sub(padding),
            last: steps[2] - w,
            outputs: [0, 1, 2].map(|axis| outputs_of(&volume[axis], point[axis])),
        }
    }
}

/// Where a run of steps begins, and which way it goes.
struct Run {
    output: [usize; 3],
    steps: usize,
    /// Down the rows, or along the last axis by whole registers.
    down: bool,
    /// Whether every lane meets the input in all steps.
    inside: bool,
}

/// The tile of one image: `R` output channels from the frame's first on.
pub(super) struct Tile<'t, 'a, const R: usize, const J: usize> {
    pub(super) frame: &'t Frame<'a>,
    pub(super) taps: &'t Taps<J>,
    pub(super) image: usize,
}

impl<const R: usize, const J: usize> Tile<'_, '_, R, J> {
    /// The sums of products over the image. Runs go down the rows where those are more than the registers of
    /// a row.
    #[inline(always)]
    pub(super) fn sums<S: Simd>(&self, simd: S) -> Sums<S, R, J> {
        let mut sums = [[simd.splat_f32s(0.0); J]; R];
        let [_, rows, columns] = self.frame.output;
        if rows >= columns.div_ceil(S::F32_LANES) {
            self.down(simd, &mut sums);
        } else {
            self.along(simd, &mut sums);
        }
        sums
    }

    #[inline(always)]
    fn down<S: Simd>(&self, simd: S, sums: &mut Sums<S, R, J>) {
        let Taps { every, some, .. } = self.taps;
        for w in (0..self.frame.output[2]).step_by(S::F32_LANES) {
            let inside = every[2].start <= w && w + S::F32_LANES <= every[2].end;
            for d in some[0].start..some[0].end {
                let mut h = some[1].start;
                while h < some[1].end {
                    let all = every[0].contains(d) && every[1].contains(h);
                    let steps = if all { every[1].end - h } else { 1 };
                    self.run(
                        simd,
                        sums,
                        &Run { output: [d, h, w], steps, down: true, inside: all && inside },
                    );
                    h += steps;
                }
            }
        }
    }

    #[inline(always)]
    fn along<S: Simd>(&self, simd: S, sums: &mut Sums<S, R, J>) {
        let Taps { every, some, .. } = self.taps;
        for d in some[0].start..some[0].end {
            for h in some[1].start..some[1].end {
                let all = every[0].contains(d) && every[1].contains(h);
                let mut w = 0;
                while w < self.frame.output[2] {
                    let whole = every[2].end.saturating_sub(w) / S::F32_LANES;
                    let inside = all && every[2].start <= w && whole > 0;
                    let steps = if inside { whole } else { 1 };
                    self.run(simd, sums, &Run { output: [d, h, w], steps, down: false, inside });
                    w += steps * S::F32_LANES;
                }
            }
        }
    }

    #[inline(always)]
    fn run<S: Simd>(&self, simd: S, sums: &mut Sums<S, R, J>, run: &Run) {
        let Frame { problem, input, grad_output, input_steps, channel, .. } = *self.frame;
        let [d, h, w] = run.output;
        let [_, rows, columns] = self.frame.output;
        let points = problem.points(Role::Output);
        let group = self.image * problem.groups() + channel / problem.group_out();
        let map = group * problem.group_in() * problem.points(Role::Input);
        let mut at = map as isize;
        for (output, step) in run.output.into_iter().zip(input_steps) {
            at = at.wrapping_add((output as isize).wrapping_mul(step));
        }
        let lanes = S::F32_LANES as isize;
        let [row_step, vector_step] = match run.down {
            true => [columns as isize, input_steps[1]],
            false => [lanes, lanes.wrapping_mul(input_steps[2])],
        };
        let first = (self.image * problem.out_channels() + channel) * points + (d * rows + h) * columns + w;
        let at_rows = each(0, |r| (first + r * points) as isize);
        let rows: Vectors<'_, R> = Vectors { values: grad_output, at: at_rows, step: row_step, lanes_apart: 1 };
        let at = each(0, |j| at.wrapping_add(self.taps.taps[j].at));
        let lanes_apart = input_steps[2] as usize;
        let vectors: Vectors<'_, J> = Vectors { values: input, at, step: vector_step, lanes_apart };
        let row = |k: usize, r: usize| rows.whole::<S>(k, r);
        let vector = |k: usize, j: usize| vectors.whole::<S>(k, j);
        let are_whole = rows.are_whole::<S>(run.steps) && vectors.are_whole::<S>(run.steps);
        if run.inside && are_whole {
            return accumulate::<S, R, J>(simd, sums, run.steps, row, vector, |_, new, _| new);
        }
        let masks = self.masks(simd, run);
        let keep = |j: usize, new: S::f32s, old: S::f32s| simd.select_f32s(masks[j], new, old);
        if are_whole {
            return accumulate::<S, R, J>(simd, sums, run.steps, row, vector, keep);
        }
        let row = |k: usize, r: usize| rows.gathered::<S>(k, r);
        accumulate::<S, R, J>(simd, sums, run.steps, row, |k, j| vectors.gathered::<S>(k, j), keep);
    }

    /// The lanes in which each weight meets the input in the run's first step. All steps of longer runs are
    /// alike.
    #[inline(always)]
    fn masks<S: Simd>(&self, simd: S, run: &Run) -> [S::m32s; J] {
        let [d, h, w] = run.output;
        let axis = &self.frame.problem.volume()[2];
        each(lanes_inside(simd, 0, 1, 0, 0), |j| {
            let Tap { last, outputs, .. } = &self.taps.taps[j];
            let row_inside = outputs[0].contains(d) && outputs[1].contains(h);
            let limit = if row_inside { S::F32_LANES.min(self.frame.output[2] - w) } else { 0 };
            lanes_inside(simd, last + (w * axis.stride) as isize, axis.stride, axis.input, limit)
        })
    }
}
