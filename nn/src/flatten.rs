//! The step from maps to features.

use conv_core::ops::PoolKind;
use conv_core::{Axis, ConvProblem, Engine, Ops};

use crate::{Backward, Layer, Mode, Result, Shape};

/// Reads the maps of each image as one row of features; a network does so without a copy.
pub struct Flatten;

/// Every value as a window of one point: the mean over it is a copy.
fn points(shape: &Shape) -> Result<ConvProblem> {
    Ok(ConvProblem::new(1, 1, 1, 1, &[Axis::new(shape.elements(), 1)])?)
}

impl<B: Ops> Layer<B> for Flatten {
    fn name(&self) -> &'static str {
        "flatten"
    }

    fn output_shape(&self, input: &Shape) -> Result<Shape> {
        Shape::new(&[input.batch(), input.features()])
    }

    fn forward(
        &mut self,
        engine: &mut Engine<B>,
        _mode: Mode,
        shape: &Shape,
        input: &B::Buffer,
        output: &mut B::Buffer,
    ) -> Result<()> {
        Ok(engine.backend().pool(PoolKind::Average, &points(shape)?, input, output)?)
    }

    fn backward(&mut self, engine: &mut Engine<B>, shape: &Shape, tensors: Backward<'_, B>) -> Result<()> {
        match tensors.grad_input {
            Some(grad_input) => {
                let points = points(shape)?;
                Ok(engine.backend().pool(PoolKind::Average, &points, tensors.grad_output, grad_input)?)
            }
            None => Ok(()),
        }
    }

    fn is_view(&self) -> bool {
        true
    }
}
