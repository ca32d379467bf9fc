//! Convolution layers over one to three axes.

use conv_core::{ConvProblem, Engine, Ops, Pass};
use rand::Rng;

use crate::border::Border;
use crate::weights::{Steps, Weights};
use crate::{Backward, ConvOptions, Error, Layer, Mode, Parameter, Result, Shape, Wanted};

/// Cross-correlation of `N C` maps of `D` axes with `O C/g` kernels, plus bias.
pub struct Conv<B: Ops, const D: usize> {
    options: ConvOptions<D>,
    pub(crate) weights: Weights<B>,
    border: Border<B>,
}

/// Convolution along one axis.
pub type Conv1d<B> = Conv<B, 1>;
/// Convolution along two axes.
pub type Conv2d<B> = Conv<B, 2>;
/// Convolution along three axes.
pub type Conv3d<B> = Conv<B, 3>;

impl<B: Ops, const D: usize> Conv<B, D> {
    /// A layer with weights by [`Parameter::he_uniform`] over `C/g` channels times the kernel's points, and a
    /// zero bias.
    ///
    /// # Errors
    /// [`conv_core::ProblemError`] for impossible options, or where memory cannot be had.
    pub fn new(backend: &B, options: ConvOptions<D>, random: &mut impl Rng) -> Result<Self> {
        let group_in = options.check()?.group_in();
        let shape = [&[options.out_channels, group_in], &options.kernel_size[..]].concat();
        let fan_in = group_in * options.kernel_points();
        let bias = options.bias.then_some(options.out_channels);
        let passes = [Pass::Forward, Pass::BackwardWeights, Pass::BackwardInput];
        let steps = Steps::new(passes, options.policy.clone());
        let weights = Weights::new(backend, &shape, fan_in, bias, steps, random)?;
        Ok(Conv { weights, border: Border::new(options.padding_mode), options })
    }

    /// The layer's problem, all padding included.
    fn problem(&self, input: &Shape) -> Result<ConvProblem> {
        let ConvOptions { in_channels, out_channels, groups, .. } = self.options;
        let points = points(input, in_channels)?;
        Ok(ConvProblem::new(input.batch(), in_channels, out_channels, groups, &self.options.axes(points))?)
    }

    /// The engine's problem: padding that is not of zeros is part of its input.
    fn planned(&self, input: &Shape) -> Result<ConvProblem> {
        self.border.inner(&self.problem(input)?)
    }
}

/// The points of the axes of an input that must have this many channels and `D` axes.
pub(crate) fn points<const D: usize>(input: &Shape, channels: usize) -> Result<[usize; D]> {
    let points = <[usize; D]>::try_from(input.axes()).ok().filter(|_| input.channels() == channels);
    points.ok_or_else(|| Error::Shape {
        expected: format!("{channels} channels and {D} spatial axes"),
        found: input.clone(),
    })
}

impl<B: Ops, const D: usize> Layer<B> for Conv<B, D> {
    fn name(&self) -> &'static str {
        ["conv1d", "conv2d", "conv3d"][D - 1]
    }

    fn output_shape(&self, input: &Shape) -> Result<Shape> {
        let problem = self.problem(input)?;
        let points: Vec<_> = problem.axes().iter().map(conv_core::Axis::output).collect();
        Shape::new(&[&[problem.batch(), problem.out_channels()], &points[..]].concat())
    }

    fn prepare(&mut self, engine: &mut Engine<B>, input: &Shape, wanted: Wanted) -> Result<()> {
        let problem = self.planned(input)?;
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
        let (whole, problem) = (self.problem(shape)?, self.planned(shape)?);
        let input = self.border.pad(engine.backend(), &whole, input)?;
        self.weights.forward(engine, mode, &problem, input, output)
    }

    fn backward(&mut self, engine: &mut Engine<B>, shape: &Shape, tensors: Backward<'_, B>) -> Result<()> {
        let (whole, problem) = (self.problem(shape)?, self.planned(shape)?);
        let Conv { weights, border, .. } = self;
        border
            .backward(engine, &whole, tensors, |engine, tensors| weights.backward(engine, &problem, tensors))
    }

    fn rectify(&mut self) -> bool {
        self.weights.rectified = true;
        true
    }

    fn parameters(&self) -> Vec<&Parameter<B>> {
        self.weights.parameters()
    }

    fn parameters_mut(&mut self) -> Vec<&mut Parameter<B>> {
        self.weights.parameters_mut()
    }

    fn algorithms(&self, input: &Shape) -> Vec<(Pass, &'static str)> {
        self.planned(input).map_or(Vec::new(), |problem| self.weights.steps.algorithms(&problem))
    }
}
