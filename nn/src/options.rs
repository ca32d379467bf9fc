//! The arguments of a convolution layer.

use conv_core::{Axis, ConvProblem, MAX_LEN, Policy};

use crate::Result;

/// Arguments of [`crate::Conv`] and [`crate::ConvTranspose`] over `D` spatial axes, slowest first.
///
/// At first: stride 1, no padding, dilation 1, one group, with bias, the engine's policy.
#[derive(Clone, Debug, PartialEq)]
pub struct ConvOptions<const D: usize> {
    pub(crate) in_channels: usize,
    pub(crate) out_channels: usize,
    pub(crate) kernel_size: [usize; D],
    pub(crate) padding: [(usize, usize); D],
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
            padding: [(0, 0); D],
            stride: [1; D],
            dilation: [1; D],
            groups: 1,
            bias: true,
            policy: None,
        }
    }

    /// The same number of zeros on both sides of each axis.
    pub fn padding(self, padding: [usize; D]) -> Self {
        self.padding_pairs(padding.map(|points| (points, points)))
    }

    /// Zeros before and after each axis.
    pub fn padding_pairs(self, padding: [(usize, usize); D]) -> Self {
        ConvOptions { padding, ..self }
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
        std::array::from_fn(|i| Axis {
            input: input[i],
            kernel: self.kernel_size[i],
            stride: self.stride[i],
            padding: self.padding[i],
            dilation: self.dilation[i],
        })
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
