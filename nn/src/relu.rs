//! The rectifier.

use conv_core::{Engine, Ops};

use crate::{Backward, Layer, Mode, Result, Shape};

/// `max(input, 0)`, value by value. Behind a convolution or a linear layer, and before another layer that computes, it is
/// part of that layer's forward direction, and its gradient is masked in place.
pub struct Relu;

impl<B: Ops> Layer<B> for Relu {
    fn name(&self) -> &'static str {
        "relu"
    }

    fn output_shape(&self, input: &Shape) -> Result<Shape> {
        Ok(input.clone())
    }

    fn is_rectifier(&self) -> bool {
        true
    }

    fn forward(
        &mut self,
        engine: &mut Engine<B>,
        _mode: Mode,
        _shape: &Shape,
        input: &B::Buffer,
        output: &mut B::Buffer,
    ) -> Result<()> {
        Ok(engine.backend().relu(input, output)?)
    }

    fn backward(&mut self, engine: &mut Engine<B>, _shape: &Shape, tensors: Backward<'_, B>) -> Result<()> {
        let Backward { output, grad_output, grad_input, .. } = tensors;
        match grad_input {
            Some(grad_input) => Ok(engine.backend().relu_backward(output, grad_output, grad_input)?),
            None => Ok(()),
        }
    }
}
