//! Fully connected layers.

use conv_core::{Axis, ConvProblem, Engine, Ops, Pass, Policy};
use rand::Rng;

use crate::weights::{Steps, Weights};
use crate::{Backward, Error, Layer, Mode, Parameter, Result, Shape, Wanted};

/// `output = input weightᵀ + bias` on `N C` inputs: a convolution of one point. Always chooses by predicted time.
pub struct Linear<B: Ops> {
    in_features: usize,
    out_features: usize,
    weights: Weights<B>,
}

impl<B: Ops> Linear<B> {
    /// A layer with `out × in` weights by [`Parameter::he_uniform`] over `in_features`, and a zero bias.
    ///
    /// # Errors
    /// [`conv_core::ProblemError`] for impossible sizes, or where memory cannot be had.
    pub fn new(backend: &B, in_features: usize, out_features: usize, random: &mut impl Rng) -> Result<Self> {
        ConvProblem::new(1, in_features, out_features, 1, &[Axis::UNIT])?;
        let passes = [Pass::Forward, Pass::BackwardWeights, Pass::BackwardInput];
        let steps = Steps::new(passes, Some(Policy::Predicted));
        let shape = [out_features, in_features];
        let weights = Weights::new(backend, &shape, in_features, Some(out_features), steps, random)?;
        Ok(Linear { in_features, out_features, weights })
    }

    fn problem(&self, input: &Shape) -> Result<ConvProblem> {
        if input.sizes() != [input.batch(), self.in_features] {
            let expected = format!("{} features and no spatial axes", self.in_features);
            return Err(Error::Shape { expected, found: input.clone() });
        }
        Ok(ConvProblem::new(input.batch(), self.in_features, self.out_features, 1, &[Axis::UNIT])?)
    }
}

impl<B: Ops> Layer<B> for Linear<B> {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn output_shape(&self, input: &Shape) -> Result<Shape> {
        let problem = self.problem(input)?;
        Shape::new(&[problem.batch(), self.out_features])
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
        self.weights.forward(engine, mode, &problem, input, output)
    }

    fn backward(&mut self, engine: &mut Engine<B>, shape: &Shape, tensors: Backward<'_, B>) -> Result<()> {
        let problem = self.problem(shape)?;
        self.weights.backward(engine, &problem, tensors)
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
        self.problem(input).map_or(Vec::new(), |problem| self.weights.steps.algorithms(&problem))
    }
}
