//! A network: layers in a row.

use std::collections::HashMap;

use conv_core::algorithm::check_len;
use conv_core::{Engine, Ops};

use crate::error::argument;
use crate::tape::Tape;
use crate::{Backward, Error, Layer, Parameter, Result, Row, Shape, Summary, Wanted};

/// Layers in a row, each fed with the output of the one before.
///
/// The tensors in between are kept for every shape of input met, so that no step but the first of its shape
/// allocates any.
pub struct Sequential<B: Ops> {
    layers: Vec<Box<dyn Layer<B>>>,
    tapes: HashMap<Shape, Tape<B>>,
}

impl<B: Ops> Default for Sequential<B> {
    fn default() -> Self {
        Sequential { layers: Vec::new(), tapes: HashMap::new() }
    }
}

impl<B: Ops> Sequential<B> {
    /// No layers yet: the output is the input.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same network with one more layer at its end.
    pub fn with(mut self, layer: impl Layer<B> + 'static) -> Self {
        self.layers.push(Box::new(layer));
        self.tapes.clear();
        self
    }

    /// Shape of the output.
    ///
    /// # Errors
    /// [`Error::Layer`] with the first layer that does not take its input.
    pub fn output_shape(&self, input: &Shape) -> Result<Shape> {
        let mut shape = input.clone();
        for (index, layer) in self.layers.iter().enumerate() {
            shape = layer.output_shape(&shape).map_err(|source| within(index, layer.name(), source))?;
        }
        Ok(shape)
    }

    /// Chooses algorithms and allocates memory for training on inputs of this shape. Does nothing where that
    /// has been done; evaluation needs no preparation.
    ///
    /// # Errors
    /// [`Error::Layer`] with the layer that fails, or where memory cannot be had.
    pub fn prepare(&mut self, engine: &mut Engine<B>, input: &Shape) -> Result<()> {
        if self.tapes.get(input).is_some_and(Tape::trains) {
            return Ok(());
        }
        let first = self.first_learning();
        let wanted = |index| match index {
            index if index < first => Wanted::Output,
            index if index == first => Wanted::Parameters,
            _ => Wanted::Input,
        };
        self.record(engine, input, wanted)?.train(engine.backend())
    }

    /// The output for an input of this shape, kept in the network.
    ///
    /// # Errors
    /// [`Error::Layer`] with the layer that fails, or [`conv_core::Error::Length`] for an input of another length.
    pub fn forward<'a>(
        &'a mut self,
        engine: &mut Engine<B>,
        shape: &Shape,
        input: &'a B::Buffer,
    ) -> Result<&'a B::Buffer> {
        check_len("input of the network", shape.elements(), engine.backend().len(input))?;
        if !self.tapes.contains_key(shape) {
            self.record(engine, shape, |_| Wanted::Output)?;
        }
        let Some(tape) = self.tapes.get_mut(shape) else { return Err(no_forward(shape)) };
        for (index, layer) in self.layers.iter_mut().enumerate().filter(|(_, layer)| !layer.is_view()) {
            let (shape, input, output) = tape.forward(index, input);
            let done = layer.forward(engine, shape, input, output);
            done.map_err(|source| within(index, layer.name(), source))?;
        }
        tape.fresh = true;
        Ok(tape.output(input))
    }

    /// Gradients of all parameters, from the gradient by the output. Follows [`Sequential::prepare`] and
    /// [`Sequential::forward`] on the same input and parameters. Layers before the first that learns are left out.
    ///
    /// # Errors
    /// [`Error::Layer`] with the layer that fails, [`conv_core::Error::Argument`] where nothing is to be followed.
    pub fn backward(
        &mut self,
        engine: &mut Engine<B>,
        shape: &Shape,
        input: &B::Buffer,
        grad_output: &B::Buffer,
    ) -> Result<()> {
        let first = self.first_learning();
        let tape = self.tapes.get_mut(shape).filter(|tape| tape.trains() && tape.fresh);
        let tape = tape.ok_or_else(|| no_forward(shape))?;
        tape.fresh = false;
        for (index, layer) in self.layers.iter_mut().enumerate().skip(first).rev() {
            if !layer.is_view() {
                let (shape, tensors) = tape.backward(index, input, grad_output);
                let grad_input = tensors.grad_input.filter(|_| index > first);
                let done = layer.backward(engine, shape, Backward { grad_input, ..tensors });
                done.map_err(|source| within(index, layer.name(), source))?;
            }
        }
        Ok(())
    }

    /// Every parameter with its name, `LAYER.NAME`, layers counted from 0.
    pub fn parameters(&self) -> impl Iterator<Item = (String, &Parameter<B>)> {
        self.layers.iter().enumerate().flat_map(|(index, layer)| {
            let named = move |parameter: &'_ Parameter<B>| format!("{index}.{}", parameter.name);
            layer.parameters().into_iter().map(move |parameter| (named(parameter), parameter))
        })
    }

    /// Every parameter for changing it, in the order of [`Sequential::parameters`].
    pub fn parameters_mut(&mut self) -> impl Iterator<Item = &mut Parameter<B>> {
        self.layers.iter_mut().flat_map(|layer| layer.parameters_mut())
    }

    /// A row for each layer, with the algorithms chosen so far for inputs of this shape: all of them after
    /// [`Sequential::prepare`].
    ///
    /// # Errors
    /// As [`Sequential::output_shape`].
    pub fn summary(&self, input: &Shape) -> Result<Summary> {
        let mut rows: Vec<Row> = Vec::new();
        for (index, layer) in self.layers.iter().enumerate() {
            let input = rows.last().map_or(input, |row| &row.output);
            rows.push(Row {
                layer: layer.name(),
                output: layer.output_shape(input).map_err(|source| within(index, layer.name(), source))?,
                parameters: layer.parameters().iter().map(|parameter| parameter.elements()).sum(),
                algorithms: layer.algorithms(input),
            });
        }
        Ok(Summary { rows })
    }

    /// The first layer that learns: no gradient is needed by its input.
    fn first_learning(&self) -> usize {
        let learning = self.layers.iter().position(|layer| !layer.parameters().is_empty());
        learning.unwrap_or(self.layers.len())
    }

    /// Prepares every layer and keeps a tape.
    fn record(
        &mut self,
        engine: &mut Engine<B>,
        input: &Shape,
        wanted: impl Fn(usize) -> Wanted,
    ) -> Result<&mut Tape<B>> {
        let mut shapes = vec![input.clone()];
        for (index, layer) in self.layers.iter_mut().enumerate() {
            let prepared = layer.prepare(engine, &shapes[index], wanted(index));
            let output = prepared.and_then(|()| layer.output_shape(&shapes[index]));
            shapes.push(output.map_err(|source| within(index, layer.name(), source))?);
        }
        let views = self.layers.iter().map(|layer| layer.is_view());
        let tape = match self.tapes.remove(input) {
            Some(tape) => tape,
            None => Tape::new(engine.backend(), shapes, views)?,
        };
        Ok(self.tapes.entry(input.clone()).or_insert(tape))
    }
}

fn within(index: usize, name: &'static str, source: Error) -> Error {
    Error::Layer { index, name, source: Box::new(source) }
}

fn no_forward(shape: &Shape) -> Error {
    argument("backward", "a prepared forward before it", format!("none of shape {shape}"))
}
