//! Convolution layers for models of candle: its constructors and gradients, our choice of algorithm.
//!
//! Where a model says `candle_nn::Conv2d` and `candle_nn::conv2d`, say [`Conv2d`] and [`conv2d`]; a layer that is there
//! already is turned by `into()`:
//!
//! ```
//! use candle_core::{DType, Device, Module, Tensor};
//! use candle_nn::{Conv2dConfig, VarBuilder, VarMap};
//!
//! # fn main() -> candle_core::Result<()> {
//! let (variables, device) = (VarMap::new(), Device::Cpu);
//! let builder = VarBuilder::from_varmap(&variables, DType::F32, &device);
//! let config = Conv2dConfig { padding: 5, ..Default::default() };
//! let layer: backend_cpu::candle::Conv2d = candle_nn::conv2d(3, 8, 11, config, builder)?.into();
//! let output = layer.forward(&Tensor::zeros((1, 3, 24, 24), DType::F32, &device)?)?;
//! assert_eq!(output.dims(), [1, 8, 24, 24]);
//! # Ok(())
//! # }
//! ```
//!
//! Tensors are f32 on candle's CPU device; views that are not contiguous are copied. Gradients are those by input,
//! weight and bias; that by an input which nothing learns from is left out. They are right where candle 0.11's own of one
//! axis are not. Work runs on the rayon pool that
//! calls.

mod operation;

use candle_core::{Error, Module, Result, Tensor};
use candle_nn::{Conv1dConfig, Conv2dConfig, VarBuilder};
use conv_core::{Axis, ConvProblem, Pass};

use operation::Convolution;

/// A convolution of candle's tensors, `C` being candle's configuration of it. What that says about cuDNN does nothing.
#[derive(Clone, Debug)]
pub struct Conv<C> {
    weight: Tensor,
    bias: Option<Tensor>,
    config: C,
}

/// Along one axis: `N C L` inputs, `O C/g K` weights.
pub type Conv1d = Conv<Conv1dConfig>;
/// Along two axes: `N C H W` inputs, `O C/g H W` weights.
pub type Conv2d = Conv<Conv2dConfig>;

impl<C> Conv<C> {
    /// A layer of these tensors, the bias of `O` values.
    pub fn new(weight: Tensor, bias: Option<Tensor>, config: C) -> Self {
        Conv { weight, bias, config }
    }

    /// The weights.
    pub fn weight(&self) -> &Tensor {
        &self.weight
    }

    /// The bias, where there is one.
    pub fn bias(&self) -> Option<&Tensor> {
        self.bias.as_ref()
    }

    /// The configuration.
    pub fn config(&self) -> &C {
        &self.config
    }
}

impl From<candle_nn::Conv1d> for Conv1d {
    fn from(layer: candle_nn::Conv1d) -> Self {
        Conv::new(layer.weight().clone(), layer.bias().cloned(), *layer.config())
    }
}

impl From<candle_nn::Conv2d> for Conv2d {
    fn from(layer: candle_nn::Conv2d) -> Self {
        Conv::new(layer.weight().clone(), layer.bias().cloned(), *layer.config())
    }
}

/// As `candle_nn::conv1d`.
///
/// # Errors
/// Where the builder does not have such tensors.
pub fn conv1d(
    in_channels: usize,
    out_channels: usize,
    kernel_size: usize,
    config: Conv1dConfig,
    builder: VarBuilder<'_>,
) -> Result<Conv1d> {
    candle_nn::conv1d(in_channels, out_channels, kernel_size, config, builder).map(Conv::from)
}

/// As `candle_nn::conv1d_no_bias`.
///
/// # Errors
/// As [`conv1d`].
pub fn conv1d_no_bias(
    in_channels: usize,
    out_channels: usize,
    kernel_size: usize,
    config: Conv1dConfig,
    builder: VarBuilder<'_>,
) -> Result<Conv1d> {
    candle_nn::conv1d_no_bias(in_channels, out_channels, kernel_size, config, builder).map(Conv::from)
}

/// As `candle_nn::conv2d`.
///
/// # Errors
/// As [`conv1d`].
pub fn conv2d(
    in_channels: usize,
    out_channels: usize,
    kernel_size: usize,
    config: Conv2dConfig,
    builder: VarBuilder<'_>,
) -> Result<Conv2d> {
    candle_nn::conv2d(in_channels, out_channels, kernel_size, config, builder).map(Conv::from)
}

/// As `candle_nn::conv2d_no_bias`.
///
/// # Errors
/// As [`conv1d`].
pub fn conv2d_no_bias(
    in_channels: usize,
    out_channels: usize,
    kernel_size: usize,
    config: Conv2dConfig,
    builder: VarBuilder<'_>,
) -> Result<Conv2d> {
    candle_nn::conv2d_no_bias(in_channels, out_channels, kernel_size, config, builder).map(Conv::from)
}

impl Module for Conv1d {
    fn forward(&self, input: &Tensor) -> Result<Tensor> {
        let Conv1dConfig { padding, stride, dilation, groups, .. } = self.config;
        let axis = |axis: Axis| axis.padding(padding, padding).stride(stride).dilation(dilation);
        self.convolved(input, groups, 1, axis)
    }
}

impl Module for Conv2d {
    fn forward(&self, input: &Tensor) -> Result<Tensor> {
        let Conv2dConfig { padding, stride, dilation, groups, .. } = self.config;
        let axis = |axis: Axis| axis.padding(padding, padding).stride(stride).dilation(dilation);
        self.convolved(input, groups, 2, axis)
    }
}

impl<C> Conv<C> {
    /// Along so many axes, whose geometry `configured` completes.
    fn convolved(
        &self,
        input: &Tensor,
        groups: usize,
        axes: usize,
        configured: impl Fn(Axis) -> Axis,
    ) -> Result<Tensor> {
        let (data, weight) = (input.dims(), self.weight.dims());
        if data.len() != axes + 2 || weight.len() != axes + 2 {
            let expected = format!("input and weight of {} dimensions", axes + 2);
            candle_core::bail!("convolution: expected {expected}, found {data:?} and {weight:?}");
        }
        if weight[1].checked_mul(groups) != Some(data[1]) {
            let found = format!("an input of {data:?} and {groups} groups of weights {weight:?}");
            candle_core::bail!("convolution: expected as many channels of input and weight, found {found}");
        }
        let axes: Vec<_> =
            data[2..].iter().zip(&weight[2..]).map(|(n, k)| configured(Axis::new(*n, *k))).collect();
        let problem = ConvProblem::new(data[0], data[1], weight[0], groups, &axes).map_err(Error::wrap)?;
        let (input, weight) = (input.contiguous()?, self.weight.contiguous()?);
        let output = input.apply_op2(&weight, Convolution { problem, pass: Pass::Forward })?;
        let Some(bias) = &self.bias else { return Ok(output) };
        let mut shape = vec![1; axes.len() + 2];
        shape[1] = problem.out_channels();
        output.broadcast_add(&bias.reshape(shape)?)
    }
}
