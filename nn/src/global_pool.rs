//! The mean of every map.

use conv_core::ops::PoolKind;
use conv_core::{Axis, ConvProblem, Engine, Ops};

use crate::{Backward, Error, Layer, Mode, Result, Shape};

/// The mean of every map of any 1 to 3 axes: `N C [spatial]` becomes `N C`.
pub struct GlobalAveragePool;

/// One window that covers the whole map.
fn window(input: &Shape) -> Result<ConvProblem> {
    if input.axes().is_empty() {
        return Err(Error::Shape { expected: "1 to 3 spatial axes".into(), found: input.clone() });
    }
    let (channels, axes) = (input.channels(), input.axes().iter().map(|points| Axis::new(*points, *points)));
    Ok(ConvProblem::new(input.batch(), channels, channels, channels, &axes.collect::<Vec<_>>())?)
}

impl<B: Ops> Layer<B> for GlobalAveragePool {
    fn name(&self) -> &'static str {
        "global_average_pool"
    }

    fn output_shape(&self, input: &Shape) -> Result<Shape> {
        window(input)?;
        Shape::new(&[input.batch(), input.channels()])
    }

    fn forward(
        &mut self,
        engine: &mut Engine<B>,
        _mode: Mode,
        shape: &Shape,
        input: &B::Buffer,
        output: &mut B::Buffer,
    ) -> Result<()> {
        Ok(engine.backend().pool(PoolKind::Average, &window(shape)?, input, output)?)
    }

    fn backward(&mut self, engine: &mut Engine<B>, shape: &Shape, tensors: Backward<'_, B>) -> Result<()> {
        let Backward { input, grad_output, grad_input, .. } = tensors;
        let Some(grad_input) = grad_input else { return Ok(()) };
        let (kind, window) = (PoolKind::Average, window(shape)?);
        Ok(engine.backend().pool_backward(kind, &window, input, grad_output, grad_input)?)
    }
}
