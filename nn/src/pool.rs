//! Pooling layers over one to three axes.

use conv_core::ops::PoolKind;
use conv_core::{Axis, ConvProblem, Engine, Ops};

use crate::conv::points;
use crate::error::argument;
use crate::{Backward, Layer, Mode, Result, Shape};

/// The largest value or the mean of each window of `D` axes, map by map.
pub struct Pool<const D: usize> {
    kind: PoolKind,
    kernel: [usize; D],
    stride: [usize; D],
    padding: [usize; D],
}

impl<const D: usize> Pool<D> {
    /// The largest value of each window, padding left out; the stride is the kernel.
    pub fn max(kernel: [usize; D]) -> Self {
        Pool { kind: PoolKind::Max, kernel, stride: kernel, padding: [0; D] }
    }

    /// The mean of each window, padding counted as zeros; the stride is the kernel.
    pub fn average(kernel: [usize; D]) -> Self {
        Pool { kind: PoolKind::Average, ..Pool::max(kernel) }
    }

    /// Distance between the inputs that neighbouring windows start at.
    pub fn stride(self, stride: [usize; D]) -> Self {
        Pool { stride, ..self }
    }

    /// Zeros on both sides of each axis, fewer than the kernel's points.
    pub fn padding(self, padding: [usize; D]) -> Self {
        Pool { padding, ..self }
    }

    /// The pooling as a convolution of every channel with itself.
    fn window(&self, input: &Shape) -> Result<ConvProblem> {
        let channels = input.channels();
        let points: [usize; D] = points(input, channels)?;
        if self.padding.iter().zip(self.kernel).any(|(padding, kernel)| *padding >= kernel.max(1)) {
            let expected = format!("less than the kernel {:?}", self.kernel);
            return Err(argument("padding of a pooling", expected, format!("{:?}", self.padding)));
        }
        let axis = |i: usize| {
            let padding = self.padding[i];
            Axis::new(points[i], self.kernel[i]).stride(self.stride[i]).padding(padding, padding)
        };
        let axes: [Axis; D] = std::array::from_fn(axis);
        Ok(ConvProblem::new(input.batch(), channels, channels, channels, &axes)?)
    }
}

impl<B: Ops, const D: usize> Layer<B> for Pool<D> {
    fn name(&self) -> &'static str {
        match self.kind {
            PoolKind::Max => "max_pool",
            PoolKind::Average => "average_pool",
        }
    }

    fn output_shape(&self, input: &Shape) -> Result<Shape> {
        let points: Vec<_> = self.window(input)?.axes().iter().map(Axis::output).collect();
        Shape::new(&[&[input.batch(), input.channels()], &points[..]].concat())
    }

    fn selects(&self) -> bool {
        self.kind == PoolKind::Max
    }

    fn forward(
        &mut self,
        engine: &mut Engine<B>,
        _mode: Mode,
        shape: &Shape,
        input: &B::Buffer,
        output: &mut B::Buffer,
    ) -> Result<()> {
        Ok(engine.backend().pool(self.kind, &self.window(shape)?, input, output)?)
    }

    fn backward(&mut self, engine: &mut Engine<B>, shape: &Shape, tensors: Backward<'_, B>) -> Result<()> {
        let Backward { input, grad_output, grad_input, .. } = tensors;
        let Some(grad_input) = grad_input else { return Ok(()) };
        let window = self.window(shape)?;
        Ok(engine.backend().pool_backward(self.kind, &window, input, grad_output, grad_input)?)
    }
}
