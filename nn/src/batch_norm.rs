//! Batch normalisation.

use conv_core::ops::{Normalization, NormalizeBackward};
use conv_core::{Engine, Ops};

use crate::error::argument;
use crate::{Backward, Error, Layer, Mode, Parameter, Result, Shape};

/// `weight (input - mean) / √(variance + 1e-5) + bias`, channel by channel over images and points (Ioffe, Szegedy
/// 2015), on `N C [spatial]` inputs.
///
/// Training takes the batch's mean and variance, and moves the running ones a tenth of the way towards them (the
/// variance over one value less than there are); evaluation takes the running ones. At first weights are 1, biases 0,
/// running means 0 and variances 1.
pub struct BatchNorm<B: Ops> {
    epsilon: f32,
    momentum: f32,
    weight: Parameter<B>,
    bias: Parameter<B>,
    running_mean: Parameter<B>,
    running_var: Parameter<B>,
    /// Mean and variance of the last batch.
    batch: [B::Buffer; 2],
}

impl<B: Ops> BatchNorm<B> {
    /// For so many channels.
    ///
    /// # Errors
    /// Where memory cannot be had.
    pub fn new(backend: &B, channels: usize) -> Result<Self> {
        let shape = [channels];
        Ok(BatchNorm {
            epsilon: 1e-5,
            momentum: 0.1,
            weight: Parameter::zeros(backend, "weight", &shape)?.filled(backend, 1.0)?,
            bias: Parameter::zeros(backend, "bias", &shape)?,
            running_mean: Parameter::statistic(backend, "running_mean", &shape)?,
            running_var: Parameter::statistic(backend, "running_var", &shape)?.filled(backend, 1.0)?,
            batch: [backend.alloc(channels)?, backend.alloc(channels)?],
        })
    }

    /// The same with another `ε`, added to the variance.
    ///
    /// # Errors
    /// [`conv_core::Error::Argument`] unless it is finite and above 0.
    pub fn epsilon(self, epsilon: f32) -> Result<Self> {
        if !(epsilon.is_finite() && epsilon > 0.0) {
            return Err(argument("epsilon of a batch normalisation", "a finite number above 0", epsilon));
        }
        Ok(BatchNorm { epsilon, ..self })
    }

    /// The same whose running statistics move by this share of the way in each step.
    ///
    /// # Errors
    /// [`conv_core::Error::Argument`] unless it is from 0 to 1.
    pub fn momentum(self, momentum: f32) -> Result<Self> {
        if !(0.0..=1.0).contains(&momentum) {
            return Err(argument("momentum of a batch normalisation", "0 to 1", momentum));
        }
        Ok(BatchNorm { momentum, ..self })
    }

    /// Values of a channel, at least `least`.
    fn count(&self, input: &Shape, least: usize) -> Result<usize> {
        let (channels, count) = (self.weight.elements(), input.elements() / input.channels());
        if input.channels() == channels && count >= least {
            return Ok(count);
        }
        let expected = match least {
            0 | 1 => format!("{channels} channels"),
            _ => format!("{channels} channels of at least {least} values for training"),
        };
        Err(Error::Shape { expected, found: input.clone() })
    }

    /// By the last batch's statistics, or by the running ones.
    fn normalization(&self, mode: Mode) -> Normalization<'_, B::Buffer> {
        let (mean, variance) = match mode {
            Mode::Training { .. } => (&self.batch[0], &self.batch[1]),
            Mode::Evaluation => (&self.running_mean.value, &self.running_var.value),
        };
        let (weight, bias) = (&self.weight.value, &self.bias.value);
        Normalization { mean, variance, weight, bias, epsilon: self.epsilon }
    }

    /// Takes the batch's statistics and moves the running ones.
    fn observe(&mut self, backend: &B, shape: &Shape, input: &B::Buffer) -> Result<()> {
        let count = self.count(shape, 2)? as f32;
        let [mean, variance] = &mut self.batch;
        backend.moments(input, shape.axes().iter().product(), mean, variance)?;
        let kept = 1.0 - self.momentum;
        backend.axpby(self.momentum, mean, kept, &mut self.running_mean.value)?;
        let unbiased = self.momentum * count / (count - 1.0);
        Ok(backend.axpby(unbiased, variance, kept, &mut self.running_var.value)?)
    }
}

impl<B: Ops> Layer<B> for BatchNorm<B> {
    fn name(&self) -> &'static str {
        "batch_norm"
    }

    fn output_shape(&self, input: &Shape) -> Result<Shape> {
        self.count(input, 1)?;
        Ok(input.clone())
    }

    fn forward(
        &mut self,
        engine: &mut Engine<B>,
        mode: Mode,
        shape: &Shape,
        input: &B::Buffer,
        output: &mut B::Buffer,
    ) -> Result<()> {
        self.count(shape, 1)?;
        if mode.trains() {
            self.observe(engine.backend(), shape, input)?;
        }
        let points = shape.axes().iter().product();
        Ok(engine.backend().normalize(&self.normalization(mode), points, input, output)?)
    }

    fn backward(&mut self, engine: &mut Engine<B>, shape: &Shape, tensors: Backward<'_, B>) -> Result<()> {
        let Backward { input, grad_output, grad_input, .. } = tensors;
        let BatchNorm { weight, bias, batch: [mean, variance], epsilon, .. } = self;
        let of =
            Normalization { mean, variance, weight: &weight.value, bias: &bias.value, epsilon: *epsilon };
        let (grad_weight, grad_bias) = (&mut weight.grad, &mut bias.grad);
        let tensors = NormalizeBackward { input, grad_output, grad_weight, grad_bias, grad_input };
        Ok(engine.backend().normalize_backward(&of, shape.axes().iter().product(), tensors)?)
    }

    fn parameters(&self) -> Vec<&Parameter<B>> {
        vec![&self.weight, &self.bias, &self.running_mean, &self.running_var]
    }

    fn parameters_mut(&mut self) -> Vec<&mut Parameter<B>> {
        vec![&mut self.weight, &mut self.bias, &mut self.running_mean, &mut self.running_var]
    }
}
