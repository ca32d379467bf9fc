//! Dropout.

use conv_core::ops::Dropout as Settings;
use conv_core::{Engine, Ops, host};

use crate::error::argument;
use crate::{Backward, Layer, Mode, Result, Shape};

/// In training every value becomes 0 with probability `rate`, the others are divided by `1 - rate` (Srivastava,
/// Hinton, Krizhevsky, Sutskever, Salakhutdinov 2014); in evaluation the output is the input.
///
/// Which values depends on seed, step and position alone, so that a resumed training drops the same.
pub struct Dropout {
    rate: f32,
    seed: u64,
    /// Of the last forward direction in training.
    last: Settings,
}

impl Dropout {
    /// Drops this share of values. Layers of one network want different seeds.
    ///
    /// # Errors
    /// [`conv_core::Error::Argument`] unless the rate is from 0 to below 1.
    pub fn new(rate: f32, seed: u64) -> Result<Self> {
        if !(0.0..1.0).contains(&rate) {
            return Err(argument("dropout rate", "at least 0 and below 1", rate));
        }
        Ok(Dropout { rate, seed, last: Settings { rate: 0.0, key: 0 } })
    }
}

impl<B: Ops> Layer<B> for Dropout {
    fn name(&self) -> &'static str {
        "dropout"
    }

    fn output_shape(&self, input: &Shape) -> Result<Shape> {
        Ok(input.clone())
    }

    fn forward(
        &mut self,
        engine: &mut Engine<B>,
        mode: Mode,
        _shape: &Shape,
        input: &B::Buffer,
        output: &mut B::Buffer,
    ) -> Result<()> {
        let Mode::Training { step } = mode else {
            return Ok(engine.backend().axpby(1.0, input, 0.0, output)?);
        };
        self.last =
            Settings { rate: self.rate, key: host::random_bits(host::random_bits(self.seed, 0), step) };
        Ok(engine.backend().dropout(&self.last, input, output)?)
    }

    fn backward(&mut self, engine: &mut Engine<B>, _shape: &Shape, tensors: Backward<'_, B>) -> Result<()> {
        match tensors.grad_input {
            Some(grad_input) => Ok(engine.backend().dropout(&self.last, tensors.grad_output, grad_input)?),
            None => Ok(()),
        }
    }
}
