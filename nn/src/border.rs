//! Padding of a convolution's input by values of the input itself.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use conv_core::ops::PadMode;
use conv_core::{Axis, ConvProblem, Engine, Ops, Role};

use crate::{Backward, Result};

/// The border of a layer's inputs. Zeros are the engine's business; all else is written before it runs.
pub(crate) struct Border<B: Ops> {
    mode: PadMode,
    padded: HashMap<ConvProblem, Padded<B>>,
}

/// An input with its border, and the gradient by it.
struct Padded<B: Ops> {
    input: B::Buffer,
    grad: Option<B::Buffer>,
}

impl<B: Ops> Border<B> {
    /// Of this kind.
    pub(crate) fn new(mode: PadMode) -> Self {
        Border { mode, padded: HashMap::new() }
    }

    /// What is left of a problem for the engine.
    pub(crate) fn inner(&self, problem: &ConvProblem) -> Result<ConvProblem> {
        if self.mode == PadMode::Zeros {
            return Ok(*problem);
        }
        let inner = |axis: &Axis| Axis { input: axis.padded(), padding: (0, 0), ..*axis };
        let axes: Vec<_> = problem.axes().iter().map(inner).collect();
        let (batch, groups) = (problem.batch(), problem.groups());
        Ok(ConvProblem::new(batch, problem.in_channels(), problem.out_channels(), groups, &axes)?)
    }

    /// The input that the engine gets.
    pub(crate) fn pad<'a>(
        &'a mut self,
        backend: &B,
        problem: &ConvProblem,
        input: &'a B::Buffer,
    ) -> Result<&'a B::Buffer> {
        if self.mode == PadMode::Zeros {
            return Ok(input);
        }
        let window = window(problem)?;
        let len = self.inner(problem)?.len(Role::Input);
        let padded = match self.padded.entry(*problem) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(Padded { input: backend.alloc(len)?, grad: None }),
        };
        backend.pad(self.mode, &window, input, &mut padded.input)?;
        Ok(&padded.input)
    }

    /// Calls `run` with the input of [`Border::pad`] and takes the gradient by it back to the layer's input.
    pub(crate) fn backward(
        &mut self,
        engine: &mut Engine<B>,
        problem: &ConvProblem,
        tensors: Backward<'_, B>,
        run: impl FnOnce(&mut Engine<B>, Backward<'_, B>) -> Result<()>,
    ) -> Result<()> {
        if self.mode == PadMode::Zeros {
            return run(engine, tensors);
        }
        let Padded { input, grad } = self.padded.get_mut(problem).ok_or_else(|| no_forward(problem))?;
        let Some(grad_input) = tensors.grad_input else {
            return run(engine, Backward { input, ..tensors });
        };
        let mut inner = match grad.take() {
            Some(grad) => grad,
            None => engine.backend().alloc(engine.backend().len(input))?,
        };
        let tensors = Backward { input, grad_input: Some(&mut inner), ..tensors };
        let done = run(engine, tensors);
        let grad = grad.insert(inner);
        done?;
        Ok(engine.backend().pad_backward(self.mode, &window(problem)?, grad, grad_input)?)
    }
}

/// The padding alone: every channel by itself, kernels of one point.
fn window(problem: &ConvProblem) -> Result<ConvProblem> {
    let channels = problem.in_channels();
    let pad = |axis: &Axis| Axis::new(axis.input, 1).padding(axis.padding.0, axis.padding.1);
    let axes: Vec<_> = problem.axes().iter().map(pad).collect();
    Ok(ConvProblem::new(problem.batch(), channels, channels, channels, &axes)?)
}

fn no_forward(problem: &ConvProblem) -> crate::Error {
    crate::error::argument("backward", "a forward before it", format!("none of {problem}"))
}
