//! Learning rates that change from step to step.

use std::f64::consts::PI;

use crate::Result;
use crate::error::argument;

/// How the learning rate falls after the warm-up; `steps` counts from its end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Decay {
    /// Not at all.
    Constant,
    /// By `factor` after every `every` steps.
    Step {
        /// Steps between two falls.
        every: u64,
        /// What the rate is multiplied by.
        factor: f64,
    },
    /// In a straight line to 0 after `steps` steps.
    Linear {
        /// Steps until 0.
        steps: u64,
    },
    /// Along half a cosine to 0 after `steps` steps (Loshchilov, Hutter 2017).
    Cosine {
        /// Steps until 0.
        steps: u64,
    },
}

/// The share of an optimizer's learning rate that each step takes: a straight rise over the warm-up, then a decay.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    warmup: u64,
    decay: Decay,
}

impl Default for Schedule {
    fn default() -> Self {
        Schedule { warmup: 0, decay: Decay::Constant }
    }
}

impl Schedule {
    /// Step `i`, from 0, of the first `warmup` steps takes `(i + 1) / warmup`; then `decay` sets in.
    ///
    /// # Errors
    /// [`conv_core::Error::Argument`] for a decay over 0 steps, or a factor that is not from 0 to 1.
    pub fn new(warmup: u64, decay: Decay) -> Result<Self> {
        if let Decay::Step { every: steps, .. } | Decay::Linear { steps } | Decay::Cosine { steps } = decay
            && steps == 0
        {
            return Err(argument("steps of a learning rate's decay", "at least 1", steps));
        }
        if let Decay::Step { factor, .. } = decay
            && !(0.0..=1.0).contains(&factor)
        {
            return Err(argument("factor of a learning rate's decay", "0 to 1", factor));
        }
        Ok(Schedule { warmup, decay })
    }

    /// The share for the step that `step` steps come before.
    pub fn factor(&self, step: u64) -> f32 {
        let Some(after) = step.checked_sub(self.warmup) else {
            return ((step + 1) as f64 / self.warmup as f64) as f32;
        };
        let done = |steps: u64| after.min(steps) as f64 / steps as f64;
        let factor = match self.decay {
            Decay::Constant => 1.0,
            Decay::Step { every, factor } => factor.powf((after / every) as f64),
            Decay::Linear { steps } => 1.0 - done(steps),
            Decay::Cosine { steps } => (1.0 + (PI * done(steps)).cos()) / 2.0,
        };
        factor as f32
    }
}
