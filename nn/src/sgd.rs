//! Stochastic gradient descent.

use conv_core::ops::Sgd as Coefficients;
use conv_core::{Engine, Ops};

use crate::error::argument;
use crate::{Result, Sequential};

/// Gradient descent with momentum `m` and weight decay `d`, in PyTorch's form: `v = m v + grad + d w`, then
/// `w -= rate v`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sgd {
    coefficients: Coefficients,
}

impl Sgd {
    /// Checked coefficients.
    ///
    /// # Errors
    /// [`conv_core::Error::Argument`] unless the rate is above 0, the momentum from 0 to below 1, and the weight
    /// decay at least 0, all finite.
    pub fn new(rate: f32, momentum: f32, weight_decay: f32) -> Result<Self> {
        if !(rate.is_finite() && rate > 0.0) {
            return Err(argument("learning rate", "a finite number above 0", rate));
        }
        if !(0.0..1.0).contains(&momentum) {
            return Err(argument("momentum", "at least 0 and below 1", momentum));
        }
        if !(weight_decay.is_finite() && weight_decay >= 0.0) {
            return Err(argument("weight decay", "a finite number of at least 0", weight_decay));
        }
        Ok(Sgd { coefficients: Coefficients { rate, momentum, weight_decay } })
    }

    /// The coefficients.
    pub fn coefficients(&self) -> Coefficients {
        self.coefficients
    }

    /// Moves every parameter by its gradient.
    ///
    /// # Errors
    /// As [`Ops::sgd`].
    pub fn step<B: Ops>(&self, engine: &Engine<B>, network: &mut Sequential<B>) -> Result<()> {
        for parameter in network.parameters_mut() {
            let (grad, velocity, value) = (&parameter.grad, &mut parameter.velocity, &mut parameter.value);
            engine.backend().sgd(&self.coefficients, grad, velocity, value)?;
        }
        Ok(())
    }
}
