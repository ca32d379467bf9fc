//! Transposed convolution layers: the gradient of a convolution by its input, as a layer.

use conv_core::{Axis, ConvProblem, Engine, Operands, Ops, Pass, ProblemError, Role};
use rand::Rng;

use crate::conv::points;
use crate::error::argument;
use crate::weights::{Steps, Weights};
use crate::{Backward, ConvOptions, Layer, Mode, Parameter, Result, Shape, Wanted};

/// The transpose of a convolution over `D` axes, plus bias, with `C O/g` kernels.
///
/// Its problem is that of the convolution which leads back: from this layer's output to its input. An axis of `n`
/// points becomes `(n - 1) stride - padding + (kernel - 1) dilation + 1 + output padding` points.
pub struct ConvTranspose<B: Ops, const D: usize> {
    options: ConvOptions<D>,
    output_padding: [usize; D],
    weights: Weights<B>,
}

/// Transposed convolution along one axis.
pub type ConvTranspose1d<B> = ConvTranspose<B, 1>;
/// Transposed convolution along two axes.
pub type ConvTranspose2d<B> = ConvTranspose<B, 2>;
/// Transposed convolution along three axes.
pub type ConvTranspose3d<B> = ConvTranspose<B, 3>;

impl<B: Ops, const D: usize> ConvTranspose<B, D> {
    /// A layer with weights by [`Parameter::he_uniform`] over `C/g` channels times the kernel's points, a zero
    /// bias and no output padding.
    ///
    /// # Errors
    /// [`ProblemError`] for impossible options, [`conv_core::Error::Argument`] for a padding other than numbers of
    /// zeros, or where memory cannot be had.
    pub fn new(backend: &B, options: ConvOptions<D>, random: &mut impl Rng) -> Result<Self> {
        if !options.pads_by_numbers_of_zeros() {
            let found = "another mode or the same size";
            return Err(argument("padding of a transposed convolution", "numbers of zeros", found));
        }
        let forward = options.check()?;
        let shape = [&[options.in_channels, forward.group_out()], &options.kernel_size[..]].concat();
        let fan_in = forward.group_in() * options.kernel_points();
        let bias = options.bias.then_some(options.out_channels);
        let passes = [Pass::BackwardInput, Pass::BackwardWeights, Pass::Forward];
        let steps = Steps::new(passes, options.policy.clone());
        let weights = Weights::new(backend, &shape, fan_in, bias, steps, random)?;
        Ok(ConvTranspose { options, output_padding: [0; D], weights })
    }

    /// Adds points at the end of each output axis: of the sizes that a strided convolution maps to the same
    /// size, says which one this layer gives back.
    ///
    /// # Errors
    /// [`conv_core::Error::Argument`] where it is not below the stride.
    pub fn output_padding(self, output_padding: [usize; D]) -> Result<Self> {
        let stride = self.options.stride;
        if output_padding.iter().zip(stride).any(|(points, stride)| *points >= stride) {
            let expected = format!("less than the stride {stride:?}");
            return Err(argument("output padding", expected, format!("{output_padding:?}")));
        }
        Ok(ConvTranspose { output_padding, ..self })
    }

    fn problem(&self, input: &Shape) -> Result<ConvProblem> {
        let ConvOptions { in_channels, out_channels, groups, .. } = self.options;
        let mut axes = self.options.axes(points(input, in_channels)?);
        for (axis, output_padding) in axes.iter_mut().zip(self.output_padding) {
            axis.input = output_points(axis, output_padding)?;
        }
        Ok(ConvProblem::new(input.batch(), out_channels, in_channels, groups, &axes)?)
    }
}

/// Points that the transposed convolution makes of `axis.input` points.
fn output_points(axis: &Axis, output_padding: usize) -> Result<usize> {
    let spread =
        (axis.input - 1).checked_mul(axis.stride).and_then(|points| points.checked_add(axis.extent()));
    let padded = spread.and_then(|points| points.checked_add(output_padding));
    let padded = padded.ok_or_else(|| ProblemError::TooLarge { what: "output axis".into() })?;
    let padding = axis.padding.0 + axis.padding.1;
    padded
        .checked_sub(padding)
        .filter(|points| *points > 0)
        .ok_or_else(|| argument("padding", format!("less than the {padded} points it is cut from"), padding))
}

impl<B: Ops, const D: usize> Layer<B> for ConvTranspose<B, D> {
    fn name(&self) -> &'static str {
        ["conv_transpose1d", "conv_transpose2d", "conv_transpose3d"][D - 1]
    }

    fn output_shape(&self, input: &Shape) -> Result<Shape> {
        let problem = self.problem(input)?;
        let points: Vec<_> = problem.axes().iter().map(|axis| axis.input).collect();
        Shape::new(&[&[problem.batch(), problem.in_channels()], &points[..]].concat())
    }

    fn prepare(&mut self, engine: &mut Engine<B>, input: &Shape, wanted: Wanted) -> Result<()> {
        let problem = self.problem(input)?;
        self.weights.steps.prepare(engine, &problem, wanted).map(|_| ())
    }

    fn forward(
        &mut self,
        engine: &mut Engine<B>,
        mode: Mode,
        shape: &Shape,
        input: &B::Buffer,
        output: &mut B::Buffer,
    ) -> Result<()> {
        let problem = self.problem(shape)?;
        let Weights { weight, bias, steps, .. } = &mut self.weights;
        let operands = Operands::new(input, &weight.value, output);
        steps.forward(engine, mode, &problem, operands)?;
        match bias {
            Some(bias) => Ok(engine.backend().add_bias(&bias.value, problem.points(Role::Input), output)?),
            None => Ok(()),
        }
    }

    fn backward(&mut self, engine: &mut Engine<B>, shape: &Shape, tensors: Backward<'_, B>) -> Result<()> {
        let problem = self.problem(shape)?;
        let Backward { input, grad_output, grad_input, .. } = tensors;
        let Weights { weight, steps, .. } = &mut self.weights;
        if let Some(grad_input) = grad_input {
            let operands = Operands::new(grad_output, &weight.value, grad_input);
            steps.backward(engine, &problem, Pass::Forward, operands)?;
        }
        let operands = Operands::new(grad_output, input, &mut weight.grad);
        steps.backward(engine, &problem, Pass::BackwardWeights, operands)?;
        self.weights.bias_gradient(engine.backend(), grad_output, problem.points(Role::Input))
    }

    fn parameters(&self) -> Vec<&Parameter<B>> {
        self.weights.parameters()
    }

    fn parameters_mut(&mut self) -> Vec<&mut Parameter<B>> {
        self.weights.parameters_mut()
    }

    fn algorithms(&self, input: &Shape) -> Vec<(Pass, &'static str)> {
        self.problem(input).map_or(Vec::new(), |problem| self.weights.steps.algorithms(&problem))
    }
}
