//! What a layer is: shapes, the two directions of a training step, and what the optimizer sees.

use conv_core::{Engine, Ops, Pass};

use crate::{Parameter, Result, Shape};

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
        shape: &Shape,
        input: &B::Buffer,
        output: &mut B::Buffer,
    ) -> Result<()>;

    /// Writes the gradients of the parameters and, where asked for, of the input. Runs at most once after each
    /// [`Layer::forward`], on the same input and parameters: transforms are kept in between.
    ///
    /// # Errors
    /// See [`Layer`].
    fn backward(&mut self, engine: &mut Engine<B>, shape: &Shape, tensors: Backward<'_, B>) -> Result<()>;

    /// The trained tensors, always in the same order.
    fn parameters(&self) -> Vec<&Parameter<B>> {
        Vec::new()
    }

    /// The same for changing them.
    fn parameters_mut(&mut self) -> Vec<&mut Parameter<B>> {
        Vec::new()
    }

    /// The algorithms chosen for inputs of this shape, by the layer's own direction; those prepared so far.
    fn algorithms(&self, _input: &Shape) -> Vec<(Pass, &'static str)> {
        Vec::new()
    }

    /// Whether the output is the input under another shape, so that a network need not copy.
    fn is_view(&self) -> bool {
        false
    }
}
