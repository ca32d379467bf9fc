//! A chain of layers: a whole network, or a part of one.

use std::collections::HashMap;

use conv_core::algorithm::check_len;
use conv_core::{Engine, Ops};

use crate::error::argument;
use crate::tape::Tape;
use crate::{Backward, Error, Layer, Mode, Parameter, Result, Row, Shape, Summary, Wanted};

/// Layers in a row, each fed with the output of the one before. A chain is a layer itself.
///
/// The tensors in between are kept for every shape of input met, so that no step but the first of its shape
/// allocates any.
pub struct Sequential<B: Ops> {
    pub(crate) layers: Vec<Box<dyn Layer<B>>>,
    /// Which layers are rectifiers that the layer before them takes along.
    taken_along: Vec<bool>,
    pub(crate) tapes: HashMap<Shape, Tape<B>>,
    predictions: HashMap<Shape, B::Buffer>,
}

impl<B: Ops> Default for Sequential<B> {
    fn default() -> Self {
        Sequential {
            layers: Vec::new(),
            taken_along: Vec::new(),
            tapes: HashMap::new(),
            predictions: HashMap::new(),
        }
    }
}

impl<B: Ops> Sequential<B> {
    /// No layers yet: the output is the input.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same network with one more layer at its end, named by its number from 0.
    pub fn with(self, layer: impl Layer<B> + 'static) -> Self {
        let name = self.layers.len().to_string();
        self.named(&name, layer)
    }

    /// The same network with one more layer at its end, whose parameters are named `NAME.PARAMETER`.
    pub fn named(mut self, name: &str, mut layer: impl Layer<B> + 'static) -> Self {
        for parameter in layer.parameters_mut() {
            parameter.name = format!("{name}.{}", parameter.name);
        }
        self.layers.push(Box::new(layer));
        self.taken_along.push(false);
        self.take_rectifier_along();
        self.tapes.clear();
        self.predictions.clear();
        self
    }

    /// Leaves a rectifier before the last layer to the layer before it, where that one does it. Not one at the end: its
    /// gradient is the caller's.
    fn take_rectifier_along(&mut self) {
        let computing = (0..self.layers.len()).rev().filter(|index| !self.layers[*index].is_view());
        if let [last, rectifier, before] = computing.take(3).collect::<Vec<_>>()[..] {
            let found = last + 1 == self.layers.len() && self.layers[rectifier].is_rectifier();
            self.taken_along[rectifier] |= found && self.layers[before].rectify();
        }
    }

    /// Whether a layer's output is the tensor of its input: it computes nothing, or in place.
    pub(crate) fn keeps_tensor(&self, layer: usize) -> bool {
        self.layers[layer].is_view() || self.taken_along[layer]
    }

    /// The output of an evaluation for an input of this shape, kept in the network.
    ///
    /// # Errors
    /// [`Error::Layer`] with the layer that fails, or [`conv_core::Error::Length`] for an input of another length.
    pub fn predict(
        &mut self,
        engine: &mut Engine<B>,
        shape: &Shape,
        input: &B::Buffer,
    ) -> Result<&B::Buffer> {
        let mut output = match self.predictions.remove(shape) {
            Some(output) => output,
            None => engine.backend().alloc(self.output_shape(shape)?.elements())?,
        };
        let done = self.forward(engine, Mode::Evaluation, shape, input, &mut output);
        let kept = self.predictions.entry(shape.clone()).or_insert(output);
        done.map(|()| &*kept)
    }

    /// A row for each layer, with the algorithms chosen so far for inputs of this shape: all of them after
    /// [`Layer::prepare`].
    ///
    /// # Errors
    /// As [`Layer::output_shape`].
    pub fn summary(&self, input: &Shape) -> Result<Summary> {
        Ok(Summary { rows: self.rows(input)? })
    }

    /// [`Layer::backward`] that calls `done` after each layer, last to first, when its gradients are known.
    pub(crate) fn backward_each(
        &mut self,
        engine: &mut Engine<B>,
        shape: &Shape,
        mut tensors: Backward<'_, B>,
        mut done: impl FnMut(&B, &dyn Layer<B>) -> Result<()>,
    ) -> Result<()> {
        let wanted = if tensors.grad_input.is_some() { Wanted::Input } else { Wanted::Parameters };
        let first = if wanted == Wanted::Input { 0 } else { self.first_learning() };
        let tape = self.tapes.get_mut(shape).filter(|tape| tape.wanted >= wanted && tape.fresh);
        let tape = tape.ok_or_else(|| no_forward(shape))?;
        tape.fresh = false;
        if let (0, Some(grad_input)) = (tape.last(), &mut tensors.grad_input) {
            engine.backend().axpby(1.0, tensors.grad_output, 0.0, grad_input)?;
        }
        // Whether what comes back to a rectifier has been masked where it was smaller: behind the layer after it.
        let mut masked = false;
        for (index, layer) in self.layers.iter_mut().enumerate().skip(first).rev() {
            if self.taken_along[index] {
                if !std::mem::take(&mut masked) {
                    let (output, grad) = tape.input_of(index);
                    engine.backend().relu_mask(output, grad)?;
                }
                done(engine.backend(), &**layer)?;
            } else if !layer.is_view() {
                masked = layer.selects()
                    && index > first
                    && self.taken_along[index - 1]
                    && tape.is_inner(index + 1);
                if masked {
                    let (output, grad) = tape.input_of(index + 1);
                    engine.backend().relu_mask(output, grad)?;
                }
                let (shape, tensors) = tape.backward(index, &mut tensors);
                let grad_input = tensors.grad_input.filter(|_| index > first || wanted == Wanted::Input);
                let ran = layer.backward(engine, shape, Backward { grad_input, ..tensors });
                ran.map_err(|source| within(index, layer.name(), source))?;
                done(engine.backend(), &**layer)?;
            }
        }
        Ok(())
    }

    /// The layers in the order of [`Sequential::backward_each`].
    pub(crate) fn layers_from_last(&mut self) -> impl Iterator<Item = &mut Box<dyn Layer<B>>> {
        self.layers.iter_mut().rev()
    }

    /// The first layer that learns: no gradient is needed by its input.
    fn first_learning(&self) -> usize {
        let learns = |layer: &dyn Layer<B>| layer.parameters().iter().any(|parameter| parameter.trained);
        self.layers.iter().position(|layer| learns(&**layer)).unwrap_or(self.layers.len())
    }

    /// What each layer has to be ready for, where the chain has to be for `wanted`.
    fn wanted(&self, wanted: Wanted) -> impl Fn(usize) -> Wanted + use<B> {
        let first = self.first_learning();
        move |index| match wanted {
            Wanted::Parameters if index < first => Wanted::Output,
            Wanted::Parameters if index > first => Wanted::Input,
            _ => wanted,
        }
    }
}

impl<B: Ops> Layer<B> for Sequential<B> {
    fn name(&self) -> &'static str {
        "sequential"
    }

    /// Fails with [`Error::Layer`]: the first layer that does not take its input.
    fn output_shape(&self, input: &Shape) -> Result<Shape> {
        let mut shape = input.clone();
        for (index, layer) in self.layers.iter().enumerate() {
            shape = layer.output_shape(&shape).map_err(|source| within(index, layer.name(), source))?;
        }
        Ok(shape)
    }

    /// Also allocates what lies between the layers. Does nothing where that has been done.
    fn prepare(&mut self, engine: &mut Engine<B>, input: &Shape, wanted: Wanted) -> Result<()> {
        if self.tapes.get(input).is_some_and(|tape| tape.wanted >= wanted) {
            return Ok(());
        }
        let (mut shapes, each) = (vec![input.clone()], self.wanted(wanted));
        for (index, layer) in self.layers.iter_mut().enumerate() {
            let prepared = layer.prepare(engine, &shapes[index], each(index));
            let output = prepared.and_then(|()| layer.output_shape(&shapes[index]));
            shapes.push(output.map_err(|source| within(index, layer.name(), source))?);
        }
        let mut tape = match self.tapes.remove(input) {
            Some(tape) => tape,
            None => {
                let kept = (0..self.layers.len()).map(|layer| self.keeps_tensor(layer));
                Tape::new(engine.backend(), shapes, kept)?
            }
        };
        tape.prepared(engine.backend(), wanted)?;
        self.tapes.insert(input.clone(), tape);
        Ok(())
    }

    fn forward(
        &mut self,
        engine: &mut Engine<B>,
        mode: Mode,
        shape: &Shape,
        input: &B::Buffer,
        output: &mut B::Buffer,
    ) -> Result<()> {
        check_len("input of the network", shape.elements(), engine.backend().len(input))?;
        self.prepare(engine, shape, Wanted::Output)?;
        let Some(tape) = self.tapes.get_mut(shape) else { return Err(no_forward(shape)) };
        tape.fresh = false;
        if tape.last() == 0 {
            engine.backend().axpby(1.0, input, 0.0, output)?;
        }
        for (index, layer) in self.layers.iter_mut().enumerate() {
            if layer.is_view() || self.taken_along[index] {
                continue;
            }
            let (shape, input, output) = tape.forward(index, input, output);
            let done = layer.forward(engine, mode, shape, input, output);
            done.map_err(|source| within(index, layer.name(), source))?;
        }
        tape.fresh = mode.trains();
        Ok(())
    }

    /// Layers before the first that learns are left out where nobody needs the gradient by the input.
    fn backward(&mut self, engine: &mut Engine<B>, shape: &Shape, tensors: Backward<'_, B>) -> Result<()> {
        self.backward_each(engine, shape, tensors, |_, _| Ok(()))
    }

    fn parameters(&self) -> Vec<&Parameter<B>> {
        self.layers.iter().flat_map(|layer| layer.parameters()).collect()
    }

    fn parameters_mut(&mut self) -> Vec<&mut Parameter<B>> {
        self.layers.iter_mut().flat_map(|layer| layer.parameters_mut()).collect()
    }

    fn is_view(&self) -> bool {
        self.layers.iter().all(|layer| layer.is_view())
    }

    fn rows(&self, input: &Shape) -> Result<Vec<Row>> {
        let (mut rows, mut shape) = (Vec::new(), input.clone());
        for (index, layer) in self.layers.iter().enumerate() {
            let named = |source| within(index, layer.name(), source);
            rows.extend(layer.rows(&shape).map_err(named)?);
            shape = layer.output_shape(&shape).map_err(named)?;
        }
        Ok(rows)
    }
}

fn within(index: usize, name: &'static str, source: Error) -> Error {
    Error::Layer { index, name, source: Box::new(source) }
}

fn no_forward(shape: &Shape) -> Error {
    argument("backward", "a prepared forward before it", format!("none of shape {shape}"))
}
