//! The tensors between the layers of a network, for one shape of input.

use conv_core::Ops;

use crate::{Backward, Result, Shape};

/// Values and gradients between layers. Tensor 0 is the network's input, which its caller owns.
pub(crate) struct Tape<B: Ops> {
    /// The input of each layer, then the output of the last.
    pub(crate) shapes: Vec<Shape>,
    /// Which tensor each of them is: a view's output is the tensor of its input.
    tensors: Vec<usize>,
    /// Tensor `t` is `values[t - 1]`.
    values: Vec<B::Buffer>,
    /// The gradient by tensor `t` is `grads[t - 1]`; the last tensor's comes from the loss.
    grads: Option<Vec<B::Buffer>>,
    /// Whether the values are those of a forward direction that no backward direction has followed yet.
    pub(crate) fresh: bool,
}

impl<B: Ops> Tape<B> {
    /// Memory for values of these shapes, one more than layers; `views` says which layers are views.
    pub(crate) fn new(backend: &B, shapes: Vec<Shape>, views: impl Iterator<Item = bool>) -> Result<Self> {
        let (mut tensors, mut values) = (vec![0], Vec::new());
        for (view, shape) in views.zip(&shapes[1..]) {
            if !view {
                values.push(backend.alloc(shape.elements())?);
            }
            tensors.push(if view { tensors[tensors.len() - 1] } else { values.len() });
        }
        Ok(Tape { shapes, tensors, values, grads: None, fresh: false })
    }

    /// Adds memory for gradients where there is none yet.
    pub(crate) fn train(&mut self, backend: &B) -> Result<()> {
        if self.grads.is_none() {
            let inner = &self.values[..self.values.len().saturating_sub(1)];
            let grads = inner.iter().map(|value| backend.alloc(backend.len(value)));
            self.grads = Some(grads.collect::<conv_core::Result<_>>()?);
        }
        Ok(())
    }

    /// Whether there is memory for gradients.
    pub(crate) fn trains(&self) -> bool {
        self.grads.is_some()
    }

    /// Input and output of a layer that is no view.
    pub(crate) fn forward<'a>(
        &'a mut self,
        layer: usize,
        input: &'a B::Buffer,
    ) -> (&'a Shape, &'a B::Buffer, &'a mut B::Buffer) {
        let (from, to) = (self.tensors[layer], self.tensors[layer + 1]);
        let (before, after) = self.values.split_at_mut(to - 1);
        (&self.shapes[layer], if from == 0 { input } else { &before[from - 1] }, &mut after[0])
    }

    /// Values and gradients around a layer that is no view, given the network's input and the gradient by its
    /// output; the gradient by the network's input has no place.
    pub(crate) fn backward<'a>(
        &'a mut self,
        layer: usize,
        input: &'a B::Buffer,
        grad_output: &'a B::Buffer,
    ) -> (&'a Shape, Backward<'a, B>) {
        let (from, to) = (self.tensors[layer], self.tensors[layer + 1]);
        let grads = self.grads.as_deref_mut().unwrap_or_default();
        let (before, after) = grads.split_at_mut(to - 1);
        let tensors = Backward {
            input: if from == 0 { input } else { &self.values[from - 1] },
            output: &self.values[to - 1],
            grad_output: after.first().unwrap_or(grad_output),
            grad_input: from.checked_sub(1).map(|grad| &mut before[grad]),
        };
        (&self.shapes[layer], tensors)
    }

    /// The network's output.
    pub(crate) fn output<'a>(&'a self, input: &'a B::Buffer) -> &'a B::Buffer {
        self.values.last().unwrap_or(input)
    }
}
