//! Branches side by side whose outputs are added: residual blocks and the like.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

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
    /// A gradient by the input, where one has been wanted.
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
}

impl<B: Ops> Tensors<B> {
    /// For so many branches with outputs of this shape.
    fn new(backend: &B, branches: usize, output: &Shape) -> Result<Self> {
        let outputs = (0..branches).map(|_| backend.alloc(output.elements()));
        Ok(Tensors { outputs: outputs.collect::<conv_core::Result<_>>()?, grad: None })
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
        self.branches.iter_mut().try_for_each(|branch| branch.prepare(engine, input, wanted))
    }

    fn forward(
        &mut self,
        engine: &mut Engine<B>,
        mode: Mode,
        shape: &Shape,
        input: &B::Buffer,
        output: &mut B::Buffer,
    ) -> Result<()> {
        let output_shape = self.output_shape(shape)?;
        let Tensors { outputs, .. } = match self.tensors.entry(shape.clone()) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                entry.insert(Tensors::new(engine.backend(), self.branches.len(), &output_shape)?)
            }
        };
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
            let mut run = |grad_input: Option<&mut B::Buffer>, engine: &mut Engine<B>| {
                branch.backward(engine, shape, Backward { input, output, grad_output, grad_input })
            };
            match grad_input.as_deref_mut() {
                Some(total) if index > 0 => {
                    let mut own = match grad.take() {
                        Some(own) => own,
                        None => engine.backend().alloc(shape.elements())?,
                    };
                    run(Some(&mut own), engine)?;
                    engine.backend().axpby(1.0, &own, 1.0, total)?;
                    *grad = Some(own);
                }
                first => run(first, engine)?,
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
