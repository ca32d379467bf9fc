//! What a layer is: shapes, the two directions of a training step, and what the optimizer sees.

use conv_core::{Engine, Ops, Pass};

use crate::{Parameter, Result, Row, Shape};

/// What a forward direction is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A step of training: batch normalisation takes the batch's statistics, dropout drops.
    Training {
        /// Steps done before this one: what is random depends on it and on seeds alone.
        step: u64,
    },
    /// The network as it stands: running statistics, nothing dropped, transforms of the weights kept.
    Evaluation,
}

impl Mode {
    /// Whether a backward direction may follow.
    pub fn trains(self) -> bool {
        self != Mode::Evaluation
    }
}

/// How much of a training step is going to be run; each includes the ones before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wanted {
    /// The output alone, for evaluation.
    Output,
    /// The gradients of the parameters too.
    Parameters,
    /// The gradient of the input too.
    Input,
}

/// The tensors of a layer's backward direction.
pub struct Backward<'a, B: Ops> {
    /// The input of the forward direction.
    pub input: &'a B::Buffer,
    /// What the forward direction made of it.
    pub output: &'a B::Buffer,
    /// Gradient of the loss by the output.
    pub grad_output: &'a B::Buffer,
    /// Where the gradient by the input goes, overwritten; `None` where nobody needs it.
    pub grad_input: Option<&'a mut B::Buffer>,
}

/// One layer of a network, on backend `B`.
///
/// Buffers hold dense `N C [spatial]` tensors: inputs of the shape given, outputs of [`Layer::output_shape`]. All
/// functions fail where a shape or a buffer does not fit, or as the backend does.
pub trait Layer<B: Ops>: Send {
    /// The kind of layer, in lower case, for summaries and messages.
    fn name(&self) -> &'static str;

    /// Shape of the output.
    ///
    /// # Errors
    /// [`crate::Error::Shape`] or [`conv_core::ProblemError`] for an input that the layer does not take.
    fn output_shape(&self, input: &Shape) -> Result<Shape>;

    /// Chooses and builds whatever inputs of this shape need; the two directions do so themselves where it has
    /// not been done, but then each pass is chosen alone.
    ///
    /// # Errors
    /// See [`Layer`].
    fn prepare(&mut self, _engine: &mut Engine<B>, _input: &Shape, _wanted: Wanted) -> Result<()> {
        Ok(())
    }

    /// Writes every value of `output`.
    ///
    /// # Errors
    /// See [`Layer`].
    fn forward(
        &mut self,
        engine: &mut Engine<B>,
        mode: Mode,
        shape: &Shape,
        input: &B::Buffer,
        output: &mut B::Buffer,
    ) -> Result<()>;

    /// Writes the gradients of the parameters and, where asked for, of the input. Runs at most once after each
    /// [`Layer::forward`] in training, on the same input and parameters: transforms are kept in between.
    ///
    /// # Errors
    /// See [`Layer`].
    fn backward(&mut self, engine: &mut Engine<B>, shape: &Shape, tensors: Backward<'_, B>) -> Result<()>;

    /// The layer's tensors, trained or not, always in the same order.
    fn parameters(&self) -> Vec<&Parameter<B>> {
        Vec::new()
    }

    /// The same for changing them: forgets all that was made of their values.
    fn parameters_mut(&mut self) -> Vec<&mut Parameter<B>> {
        Vec::new()
    }

    /// The algorithms chosen for inputs of this shape, by the layer's own direction; those prepared so far.
    fn algorithms(&self, _input: &Shape) -> Vec<(Pass, &'static str)> {
        Vec::new()
    }

    /// Whether the layer is `max(input, 0)`: a network leaves that to the layer before which [`Layer::rectify`] asks.
    fn is_rectifier(&self) -> bool {
        false
    }

    /// Asks the layer to end its forward direction with `max(…, 0)` from now on, and says whether it does. The
    /// gradients that its backward direction gets are still those by what it would make without.
    fn rectify(&mut self) -> bool {
        false
    }

    /// Whether every value of the output is one of the input, which alone gets its gradient, so that a network may mask
    /// that for a rectifier before the layer by the output, instead of what comes of it by the input.
    fn selects(&self) -> bool {
        false
    }

    /// Whether the output is the input under another shape, so that a network need not copy.
    fn is_view(&self) -> bool {
        false
    }

    /// The layer's lines of a [`crate::Summary`], those of layers inside it first.
    ///
    /// # Errors
    /// As [`Layer::output_shape`].
    fn rows(&self, input: &Shape) -> Result<Vec<Row>> {
        let trained = self.parameters().into_iter().filter(|parameter| parameter.trained);
        Ok(vec![Row {
            layer: self.name(),
            depth: 0,
            output: self.output_shape(input)?,
            parameters: trained.map(Parameter::elements).sum(),
            algorithms: self.algorithms(input),
        }])
    }
}
