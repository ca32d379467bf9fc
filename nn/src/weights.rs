//! What all layers with weights share: weight, bias, and a planned step for every problem met.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use conv_core::{ConvProblem, Engine, Operands, Ops, Pass, Policy, Role, Step};
use rand::Rng;

use crate::{Backward, Mode, Parameter, Result, Wanted};

/// Weight, bias and steps of one layer.
pub(crate) struct Weights<B: Ops> {
    pub(crate) weight: Parameter<B>,
    pub(crate) bias: Option<Parameter<B>>,
    pub(crate) steps: Steps<B>,
    /// Whether [`Weights::forward`] ends with `max(…, 0)`.
    pub(crate) rectified: bool,
}

impl<B: Ops> Weights<B> {
    /// A weight of this shape by [`Parameter::he_uniform`] and a zero bias of `bias` values.
    pub(crate) fn new(
        backend: &B,
        shape: &[usize],
        fan_in: usize,
        bias: Option<usize>,
        steps: Steps<B>,
        random: &mut impl Rng,
    ) -> Result<Self> {
        let weight = Parameter::he_uniform(backend, "weight", shape, fan_in, random)?;
        let bias = bias.map(|len| Parameter::zeros(backend, "bias", &[len])).transpose()?;
        Ok(Weights { weight, bias, steps, rectified: false })
    }

    pub(crate) fn parameters(&self) -> Vec<&Parameter<B>> {
        [Some(&self.weight), self.bias.as_ref()].into_iter().flatten().collect()
    }

    /// Whoever asks for these may change them.
    pub(crate) fn parameters_mut(&mut self) -> Vec<&mut Parameter<B>> {
        self.steps.weights_changed();
        [Some(&mut self.weight), self.bias.as_mut()].into_iter().flatten().collect()
    }

    /// `output = input ⋆ weight + bias`, rectified where asked for.
    pub(crate) fn forward(
        &mut self,
        engine: &mut Engine<B>,
        mode: Mode,
        problem: &ConvProblem,
        input: &B::Buffer,
        output: &mut B::Buffer,
    ) -> Result<()> {
        let bias = self.bias.as_ref().map(|bias| &bias.value);
        let operands = Operands::new(input, &self.weight.value, output).bias(bias).relu(self.rectified);
        self.steps.forward(engine, mode, problem, operands)
    }

    /// Gradients of [`Weights::forward`], from that by the output before it is rectified.
    pub(crate) fn backward(
        &mut self,
        engine: &mut Engine<B>,
        problem: &ConvProblem,
        tensors: Backward<'_, B>,
    ) -> Result<()> {
        let Backward { input, grad_output, grad_input, .. } = tensors;
        if let Some(grad_input) = grad_input {
            let operands = Operands::new(grad_output, &self.weight.value, grad_input);
            self.steps.backward(engine, problem, Pass::BackwardInput, operands)?;
        }
        let operands = Operands::new(input, grad_output, &mut self.weight.grad);
        self.steps.backward(engine, problem, Pass::BackwardWeights, operands)?;
        self.bias_gradient(engine.backend(), grad_output, problem.points(Role::Output))
    }

    /// Sums the gradient of an output of `points` points a map into the bias', where there is one.
    pub(crate) fn bias_gradient(
        &mut self,
        backend: &B,
        grad_output: &B::Buffer,
        points: usize,
    ) -> Result<()> {
        match &mut self.bias {
            Some(bias) => Ok(backend.bias_gradient(grad_output, points, &mut bias.grad)?),
            None => Ok(()),
        }
    }
}

/// The steps of one layer, planned together once for every problem it meets.
pub(crate) struct Steps<B: Ops> {
    /// Output, parameters' gradient, input's gradient: the order of [`Wanted`]. The first begins a step.
    passes: [Pass; 3],
    policy: Option<Policy>,
    /// Of training: spectra are kept from the first pass to the last.
    training: HashMap<ConvProblem, Step<B>>,
    /// Of evaluation: the first pass alone, the weights' spectra kept until the weights change.
    evaluation: HashMap<ConvProblem, Step<B>>,
}

impl<B: Ops> Steps<B> {
    /// With the passes that [`Wanted`]'s three cases add; `None` takes the engine's policy.
    pub(crate) fn new(passes: [Pass; 3], policy: Option<Policy>) -> Self {
        Steps { passes, policy, training: HashMap::new(), evaluation: HashMap::new() }
    }

    /// The step of this problem, planned anew where it lacks a wanted pass.
    pub(crate) fn prepare(
        &mut self,
        engine: &mut Engine<B>,
        problem: &ConvProblem,
        wanted: Wanted,
    ) -> Result<&mut Step<B>> {
        let steps = if wanted == Wanted::Output { &mut self.evaluation } else { &mut self.training };
        let last = self.passes[wanted as usize];
        match steps.entry(*problem) {
            Entry::Occupied(entry) if entry.get().planned(last).is_some() => Ok(entry.into_mut()),
            entry => {
                let policy = self.policy.clone().unwrap_or_else(|| engine.policy().clone());
                let step = match wanted {
                    Wanted::Output => engine.plan_inference(problem, last, &policy)?,
                    _ => engine.plan_step(problem, &self.passes[..=wanted as usize], &policy)?,
                };
                Ok(entry.insert_entry(step).into_mut())
            }
        }
    }

    /// Runs the first pass, of a step of training where one has been prepared for.
    pub(crate) fn forward(
        &mut self,
        engine: &mut Engine<B>,
        mode: Mode,
        problem: &ConvProblem,
        operands: Operands<'_, B>,
    ) -> Result<()> {
        let learns = mode.trains() && self.training.contains_key(problem);
        let wanted = if learns { Wanted::Parameters } else { Wanted::Output };
        let (pass, step) = (self.passes[0], self.prepare(engine, problem, wanted)?);
        Ok(engine.run_step(step, pass, operands)?)
    }

    /// Runs another pass of a step of training.
    pub(crate) fn backward(
        &mut self,
        engine: &mut Engine<B>,
        problem: &ConvProblem,
        pass: Pass,
        operands: Operands<'_, B>,
    ) -> Result<()> {
        let wanted = if pass == self.passes[1] { Wanted::Parameters } else { Wanted::Input };
        let step = self.prepare(engine, problem, wanted)?;
        Ok(engine.run_step(step, pass, operands)?)
    }

    /// Forgets what was made of the weights for evaluation.
    pub(crate) fn weights_changed(&mut self) {
        self.evaluation.values_mut().for_each(Step::weights_changed);
    }

    /// Algorithms planned for this problem, named by the layer's own direction.
    pub(crate) fn algorithms(&self, problem: &ConvProblem) -> Vec<(Pass, &'static str)> {
        let names = [Pass::Forward, Pass::BackwardWeights, Pass::BackwardInput];
        let step = self.training.get(problem).or_else(|| self.evaluation.get(problem));
        let named = |(name, pass)| Some((name, step?.planned(pass)?.algorithm()));
        names.into_iter().zip(self.passes).filter_map(named).collect()
    }
}
