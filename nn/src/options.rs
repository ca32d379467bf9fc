//! The arguments of a convolution layer.

use conv_core::ops::PadMode;
use conv_core::{Axis, ConvProblem, MAX_LEN, Policy};

use crate::Result;

/// How far inputs are continued beyond their borders.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Padding<const D: usize> {
    /// By so many points before and after each axis.
    Points([(usize, usize); D]),
    /// So that the output has a point for every stride of the input.
    Same,
}

/// Arguments of [`crate::Conv`] and [`crate::ConvTranspose`] over `D` spatial axes, slowest first.
///
/// At first: stride 1, no padding (of zeros), dilation 1, one group, with bias, the engine's policy.
#[derive(Clone, Debug, PartialEq)]
pub struct ConvOptions<const D: usize> {
    pub(crate) in_channels: usize,
    pub(crate) out_channels: usize,
    pub(crate) kernel_size: [usize; D],
    padding: Padding<D>,
    pub(crate) padding_mode: PadMode,
    pub(crate) stride: [usize; D],
    pub(crate) dilation: [usize; D],
    pub(crate) groups: usize,
    pub(crate) bias: bool,
    pub(crate) policy: Option<Policy>,
}

impl<const D: usize> ConvOptions<D> {
    /// Channels of the layer's input and output, and points of the kernel along each axis.
    pub fn new(in_channels: usize, out_channels: usize, kernel_size: [usize; D]) -> Self {
        ConvOptions {
            in_channels,
            out_channels,
            kernel_size,
            padding: Padding::Points([(0, 0); D]),
            padding_mode: PadMode::Zeros,
            stride: [1; D],
            dilation: [1; D],
            groups: 1,
            bias: true,
            policy: None,
        }
    }

    /// The same number of points on both sides of each axis.
    pub fn padding(self, padding: [usize; D]) -> Self {
        self.padding_pairs(padding.map(|points| (points, points)))
    }

    /// Points before and after each axis.
    pub fn padding_pairs(self, padding: [(usize, usize); D]) -> Self {
        ConvOptions { padding: Padding::Points(padding), ..self }
    }

    /// As many points as make `n` points of an axis `n / stride`, rounded up; where their number is odd, one more
    /// after the axis than before it.
    pub fn same(self) -> Self {
        ConvOptions { padding: Padding::Same, ..self }
    }

    /// What stands beyond the border: zeros at first.
    pub fn padding_mode(self, padding_mode: PadMode) -> Self {
        ConvOptions { padding_mode, ..self }
    }

    /// Distance between the inputs that neighbouring outputs start at.
    pub fn stride(self, stride: [usize; D]) -> Self {
        ConvOptions { stride, ..self }
    }

    /// Distance between the inputs that neighbouring kernel points meet.
    pub fn dilation(self, dilation: [usize; D]) -> Self {
        ConvOptions { dilation, ..self }
    }

    /// Groups of channels that meet each other only.
    pub fn groups(self, groups: usize) -> Self {
        ConvOptions { groups, ..self }
    }

    /// Whether a value is added to each output channel.
    pub fn bias(self, bias: bool) -> Self {
        ConvOptions { bias, ..self }
    }

    /// How to choose this layer's algorithms, whatever the engine's policy.
    pub fn policy(self, policy: Policy) -> Self {
        ConvOptions { policy: Some(policy), ..self }
    }

    /// The axes of a convolution over `input` points.
    pub(crate) fn axes(&self, input: [usize; D]) -> [Axis; D] {
        std::array::from_fn(|i| {
            let axis = Axis::new(input[i], self.kernel_size[i]).stride(self.stride[i]);
            let axis = axis.dilation(self.dilation[i]);
            let (lo, hi) = match self.padding {
                Padding::Points(points) => points[i],
                Padding::Same => same(&axis),
            };
            axis.padding(lo, hi)
        })
    }

    /// Whether an engine can do all of the padding, whatever the input.
    pub(crate) fn pads_by_numbers_of_zeros(&self) -> bool {
        self.padding != Padding::Same && self.padding_mode == PadMode::Zeros
    }

    /// The least problem with these arguments, which says whether they are possible at all.
    pub(crate) fn check(&self) -> Result<ConvProblem> {
        let least = self.axes([1; D]).map(|axis| axis.extent().min(MAX_LEN));
        Ok(ConvProblem::new(1, self.in_channels, self.out_channels, self.groups, &self.axes(least))?)
    }

    /// Points of one kernel map.
    pub(crate) fn kernel_points(&self) -> usize {
        self.kernel_size.iter().product()
    }
}

/// The padding by which the output has `input / stride` points, rounded up.
fn same(axis: &Axis) -> (usize, usize) {
    let last = (axis.input.div_ceil(axis.stride.max(1)).saturating_sub(1)).saturating_mul(axis.stride);
    let points = last.saturating_add(axis.extent()).saturating_sub(axis.input);
    (points / 2, points - points / 2)
}
