//! What an optimizer is: a rule that moves one parameter by its gradient.

use conv_core::{Engine, Ops};

use crate::{Layer, Parameter, Result};

/// What one step of training tells the optimizer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Update {
    /// Steps done before this one.
    pub step: u64,
    /// Share of the optimizer's learning rate, from the schedule.
    pub rate: f32,
    /// Factor of every gradient, from clipping.
    pub scale: f32,
}

/// A rule that moves parameters by their gradients.
pub trait Optimizer<B: Ops>: Send {
    /// Names of the buffers it keeps beside each parameter.
    fn memory(&self) -> &'static [&'static str];

    /// Moves one parameter, whose memory is in the order of [`Optimizer::memory`].
    ///
    /// # Errors
    /// As the backend's operations.
    fn update(&self, backend: &B, parameter: &mut Parameter<B>, update: Update) -> Result<()>;

    /// Gives every trained parameter its memory, zero, where it has none yet: before a checkpoint is loaded, and
    /// by [`Optimizer::step`] itself.
    ///
    /// # Errors
    /// As [`conv_core::Backend::alloc`].
    fn prepare(&self, backend: &B, network: &mut dyn Layer<B>) -> Result<()> {
        let names = self.memory();
        for parameter in network.parameters_mut().into_iter().filter(|parameter| parameter.trained) {
            if !parameter.memory.iter().map(|(name, _)| name).eq(names) {
                let zeros = |name: &&'static str| Ok((*name, backend.alloc(parameter.elements())?));
                parameter.memory = names.iter().map(zeros).collect::<Result<_>>()?;
            }
        }
        Ok(())
    }

    /// Moves every trained parameter.
    ///
    /// # Errors
    /// As the backend's operations.
    fn step(&self, engine: &Engine<B>, network: &mut dyn Layer<B>, update: Update) -> Result<()> {
        self.prepare(engine.backend(), network)?;
        for parameter in network.parameters_mut().into_iter().filter(|parameter| parameter.trained) {
            self.update(engine.backend(), parameter, update)?;
        }
        Ok(())
    }
}
