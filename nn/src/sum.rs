//! Branches side by side whose outputs are added: residual blocks and the like.

use std::collections::HashMap;

use conv_core::{Engine, Ops};

use crate::error::argument;
use crate::{Backward, Error, Layer, Mode, Parameter, Result, Row, Sequential, Shape, Wanted};

/// The sum of several chains of the same input. A chain without layers passes the input on: with one other branch it
/// makes a residual block (He, Zhang, Ren, Sun 2016).
pub struct Sum<B: Ops> {
    branches: Vec<Sequential<B>>,
    tensors: HashMap<Shape, Tensors<B>>,
}

/// What is kept for one shape of input.
struct Tensors<B: Ops> {
    /// The output of each branch.
    outputs: Vec<B::Buffer>,
    /// A gradient by the input.
    grad: Option<B::Buffer>,
}

impl<B: Ops> Sum<B> {
    /// Of these branches, whose parameters are named `BRANCH.PARAMETER`, branches counted from 0.
    ///
    /// # Errors
    /// [`conv_core::Error::Argument`] without branches.
    pub fn new(mut branches: Vec<Sequential<B>>) -> Result<Self> {
        if branches.is_empty() {
            return Err(argument("branches of a sum", "at least one", 0));
        }
        for (index, branch) in branches.iter_mut().enumerate() {
            for parameter in branch.parameters_mut() {
                parameter.name = format!("{index}.{}", parameter.name);
            }
        }
        Ok(Sum { branches, tensors: HashMap::new() })
    }

    /// Memory for inputs of this shape.
    fn tensors(&mut self, backend: &B, input: &Shape) -> Result<&mut Tensors<B>> {
        if !self.tensors.contains_key(input) {
            let len = self.output_shape(input)?.elements();
            let outputs =
                self.branches.iter().map(|_| backend.alloc(len)).collect::<conv_core::Result<_>>()?;
            self.tensors.insert(input.clone(), Tensors { outputs, grad: None });
        }
        self.tensors.get_mut(input).ok_or_else(|| argument("sum", "a prepared shape", input))
    }
}

impl<B: Ops> Layer<B> for Sum<B> {
    fn name(&self) -> &'static str {
        "sum"
    }

    fn output_shape(&self, input: &Shape) -> Result<Shape> {
        let first = self.branches[0].output_shape(input)?;
        for branch in &self.branches[1..] {
            let found = branch.output_shape(input)?;
            if found != first {
                return Err(Error::Branch { expected: first, found });
            }
        }
        Ok(first)
    }

    fn prepare(&mut self, engine: &mut Engine<B>, input: &Shape, wanted: Wanted) -> Result<()> {
        self.output_shape(input)?;
        for branch in &mut self.branches {
            branch.prepare(engine, input, wanted)?;
        }
        let several = self.branches.len() > 1;
        let backend = engine.backend();
        let tensors = self.tensors(backend, input)?;
        if wanted == Wanted::Input && several && tensors.grad.is_none() {
            tensors.grad = Some(backend.alloc(input.elements())?);
        }
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
        self.tensors(engine.backend(), shape)?;
        let Some(Tensors { outputs, .. }) = self.tensors.get_mut(shape) else { return Ok(()) };
        for (index, (branch, own)) in self.branches.iter_mut().zip(outputs).enumerate() {
            branch.forward(engine, mode, shape, input, own)?;
            engine.backend().axpby(1.0, own, if index == 0 { 0.0 } else { 1.0 }, output)?;
        }
        Ok(())
    }

    fn backward(&mut self, engine: &mut Engine<B>, shape: &Shape, tensors: Backward<'_, B>) -> Result<()> {
        let Backward { input, grad_output, mut grad_input, .. } = tensors;
        let Some(Tensors { outputs, grad }) = self.tensors.get_mut(shape) else {
            return Err(argument("backward", "a forward before it", format!("none of shape {shape}")));
        };
        for (index, (branch, output)) in self.branches.iter_mut().zip(outputs).enumerate() {
            let Some(total) = grad_input.as_deref_mut() else {
                branch.backward(engine, shape, Backward { input, output, grad_output, grad_input: None })?;
                continue;
            };
            if index == 0 {
                let grad_input = Some(total);
                branch.backward(engine, shape, Backward { input, output, grad_output, grad_input })?;
            } else if let Some(own) = grad {
                let grad_input = Some(&mut *own);
                branch.backward(engine, shape, Backward { input, output, grad_output, grad_input })?;
                engine.backend().axpby(1.0, own, 1.0, total)?;
            }
        }
        Ok(())
    }

    fn parameters(&self) -> Vec<&Parameter<B>> {
        self.branches.iter().flat_map(Layer::parameters).collect()
    }

    fn parameters_mut(&mut self) -> Vec<&mut Parameter<B>> {
        self.branches.iter_mut().flat_map(Layer::parameters_mut).collect()
    }

    fn rows(&self, input: &Shape) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        for branch in &self.branches {
            rows.extend(branch.rows(input)?.into_iter().map(|row| Row { depth: row.depth + 1, ..row }));
        }
        let output = self.output_shape(input)?;
        rows.push(Row { layer: "sum", depth: 0, output, parameters: 0, algorithms: Vec::new() });
        Ok(rows)
    }
}
