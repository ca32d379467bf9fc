//! What the tiles of backward-weights read: tensors, and for each weight the rows it meets.

use conv_core::{Axis, ConvProblem, Role};

use super::block::each;
use super::line::{Span, ceil_div};

/// What the tiles of a task have in common.
#[derive(Clone, Copy)]
pub(super) struct Frame<'a> {
    pub(super) problem: &'a ConvProblem,
    pub(super) input: &'a [f32],
    pub(super) grad_output: &'a [f32],
    /// Where the first image has its first map of the group, and its first map of the task.
    pub(super) input_first: usize,
    pub(super) output_first: usize,
    /// Values from one image to the next.
    pub(super) input_image: usize,
    pub(super) output_image: usize,
    /// Outputs along the axes, and in a map.
    pub(super) output: [usize; 3],
    pub(super) output_map: usize,
    /// Input values from one output to the next along each axis.
    pub(super) input_steps: [usize; 3],
    /// Input values from one tap to the next along each axis.
    input_taps: [isize; 3],
}

/// A weight: where its input rows begin and which outputs it meets them at.
#[derive(Clone, Copy, Default)]
pub(super) struct Tap {
    /// Input value from the first map of the group on that output 0 meets, in the map or not.
    pub(super) at: isize,
    /// Point of the last axis that output 0 meets, in the map or not.
    pub(super) last: isize,
    /// Outputs along each axis that meet the input.
    pub(super) outputs: [Span; 3],
}

/// The weights of a tile and, along each axis, the outputs that all of them, and any of them, meet input at.
pub(super) struct Taps<const J: usize> {
    pub(super) taps: [Tap; J],
    pub(super) every: [Span; 3],
    pub(super) some: [Span; 3],
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
        let by =
            |count: fn(&Axis) -> usize| [0, 1, 2].map(|axis| count(&volume[axis]).wrapping_mul(steps[axis]));
        let (input_map, output_map) = (problem.points(Role::Input), problem.points(Role::Output));
        Frame {
            problem,
            input,
            grad_output,
            input_first: channel / problem.group_out() * problem.group_in() * input_map,
            output_first: channel * output_map,
            input_image: problem.in_channels() * input_map,
            output_image: problem.out_channels() * output_map,
            output: problem.output_shape(),
            output_map,
            input_steps: by(|axis| axis.stride),
            input_taps: by(|axis| axis.dilation).map(|step| step as isize),
        }
    }

    pub(super) fn batch(&self) -> usize {
        self.problem.batch()
    }

    /// Values of `maps` output maps of an image and of the input map that most weights of a tile share.
    pub(super) fn image_len(&self, maps: usize) -> usize {
        maps * self.output_map + self.problem.points(Role::Input)
    }

    /// The weights of an output channel from number `first` on; the last again where `end` is near.
    pub(super) fn taps<const J: usize>(&self, first: usize, end: usize) -> Taps<J> {
        let taps = each!(Tap::default(), |j| self.tap((first + j).min(end - 1)));
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
