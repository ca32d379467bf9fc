//! Stochastic gradient descent.

use conv_core::Ops;
use conv_core::ops::Sgd as Coefficients;

use crate::error::argument;
use crate::{Optimizer, Parameter, Result, Update};

/// Gradient descent with momentum `m` and weight decay `d`, in PyTorch's form: `g = grad + d w`,
/// `v = m v + g`, then `w -= rate v`, or with Nesterov's `w -= rate (g + m v)`.
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
        Ok(Sgd {
            coefficients: Coefficients { rate, momentum, weight_decay, nesterov: false, grad_scale: 1.0 },
        })
    }

    /// The same with Nesterov's momentum (Sutskever, Martens, Dahl, Hinton 2013).
    pub fn nesterov(mut self) -> Self {
        self.coefficients.nesterov = true;
        self
    }

    /// The coefficients.
    pub fn coefficients(&self) -> Coefficients {
        self.coefficients
    }
}

impl<B: Ops> Optimizer<B> for Sgd {
    fn memory(&self) -> &'static [&'static str] {
        &["velocity"]
    }

    fn update(&self, backend: &B, parameter: &mut Parameter<B>, update: Update) -> Result<()> {
        let Parameter { value, grad, memory, .. } = parameter;
        let Some((_, velocity)) = memory.first_mut() else { return Ok(()) };
        let rate = self.coefficients.rate * update.rate;
        let step = Coefficients { rate, grad_scale: update.scale, ..self.coefficients };
        Ok(backend.sgd(&step, grad, velocity, value)?)
    }
}
