//! The tensors between the layers of a chain, for one shape of input.

use conv_core::Ops;

use crate::{Backward, Result, Shape, Wanted};

/// Values and gradients between layers. Tensor 0 is the chain's input and the last its output; both are its caller's.
pub(crate) struct Tape<B: Ops> {
    /// The input of each layer, then the output of the last.
    pub(crate) shapes: Vec<Shape>,
    /// Which tensor each of them is: the output of a view, and of a layer in place, is the tensor of its input.
    tensors: Vec<usize>,
    /// Tensor `t` is `values[t - 1]`.
    values: Vec<B::Buffer>,
    /// The gradient by tensor `t` is `grads[t - 1]`.
    grads: Vec<B::Buffer>,
    /// What the layers have been prepared for.
    pub(crate) wanted: Wanted,
    /// Whether the values are those of a forward direction in training that no backward direction has followed yet.
    pub(crate) fresh: bool,
}

impl<B: Ops> Tape<B> {
    /// Memory for values of these shapes, one more than layers; `kept` says which layers keep the tensor of their input.
    pub(crate) fn new(backend: &B, shapes: Vec<Shape>, kept: impl Iterator<Item = bool>) -> Result<Self> {
        let mut tensors = vec![0];
        for kept in kept {
            tensors.push(tensors[tensors.len() - 1] + usize::from(!kept));
        }
        let (mut values, inner) = (Vec::new(), tensors[tensors.len() - 1].saturating_sub(1));
        for tensor in 1..=inner {
            let made = tensors.iter().position(|found| *found == tensor).unwrap_or_default();
            values.push(backend.alloc(shapes[made].elements())?);
        }
        Ok(Tape { shapes, tensors, values, grads: Vec::new(), wanted: Wanted::Output, fresh: false })
    }

    /// Notes what the layers are prepared for, and adds memory for gradients where they are wanted.
    pub(crate) fn prepared(&mut self, backend: &B, wanted: Wanted) -> Result<()> {
        if wanted > Wanted::Output && self.grads.is_empty() {
            let grads = self.values.iter().map(|value| backend.alloc(backend.len(value)));
            self.grads = grads.collect::<conv_core::Result<_>>()?;
        }
        self.wanted = wanted;
        Ok(())
    }

    /// Whether what goes into this layer, or out of the one before, is a tensor between two layers.
    pub(crate) fn is_inner(&self, layer: usize) -> bool {
        (1..self.last()).contains(&self.tensors[layer])
    }

    /// Value and gradient of the tensor between two layers that goes into this one.
    pub(crate) fn input_of(&mut self, layer: usize) -> (&B::Buffer, &mut B::Buffer) {
        let tensor = self.tensors[layer];
        (&self.values[tensor - 1], &mut self.grads[tensor - 1])
    }

    /// The output's tensor: 0 where all layers are views.
    pub(crate) fn last(&self) -> usize {
        self.tensors[self.tensors.len() - 1]
    }

    /// Input and output of a layer that is no view, given the chain's.
    pub(crate) fn forward<'a>(
        &'a mut self,
        layer: usize,
        input: &'a B::Buffer,
        output: &'a mut B::Buffer,
    ) -> (&'a Shape, &'a B::Buffer, &'a mut B::Buffer) {
        let (from, to) = (self.tensors[layer], self.tensors[layer + 1]);
        let (before, after) = self.values.split_at_mut(to - 1);
        let input = if from == 0 { input } else { &before[from - 1] };
        (&self.shapes[layer], input, after.first_mut().unwrap_or(output))
    }

    /// Values and gradients around a layer that is no view, given those around the chain.
    pub(crate) fn backward<'a>(
        &'a mut self,
        layer: usize,
        around: &'a mut Backward<'_, B>,
    ) -> (&'a Shape, Backward<'a, B>) {
        let (from, to) = (self.tensors[layer], self.tensors[layer + 1]);
        let (before, after) = self.grads.split_at_mut(to - 1);
        let value = |tensor: usize| self.values.get(tensor.wrapping_sub(1));
        let tensors = Backward {
            input: value(from).unwrap_or(around.input),
            output: value(to).unwrap_or(around.output),
            grad_output: after.first().unwrap_or(around.grad_output),
            grad_input: match from {
                0 => around.grad_input.as_deref_mut(),
                from => Some(&mut before[from - 1]),
            },
        };
        (&self.shapes[layer], tensors)
    }
}
