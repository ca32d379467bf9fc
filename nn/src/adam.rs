//! Adam and AdamW.

use conv_core::Ops;
use conv_core::ops::Adam as Coefficients;

use crate::error::argument;
use crate::{Optimizer, Parameter, Result, Update};

/// Steps by the mean of gradients over the root of the mean of their squares (Kingma, Ba 2015), in PyTorch's form:
/// [`conv_core::host::adam`] has the formula.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adam {
    coefficients: Coefficients,
}

impl Adam {
    /// With shares 0.9 and 0.999 of the means kept, `ε` 1e-8, and weight decay added to the gradient.
    ///
    /// # Errors
    /// [`conv_core::Error::Argument`] unless the rate is above 0 and the weight decay at least 0, both finite.
    pub fn new(rate: f32, weight_decay: f32) -> Result<Self> {
        if !(rate.is_finite() && rate > 0.0) {
            return Err(argument("learning rate", "a finite number above 0", rate));
        }
        if !(weight_decay.is_finite() && weight_decay >= 0.0) {
            return Err(argument("weight decay", "a finite number of at least 0", weight_decay));
        }
        let (betas, corrections) = ([0.9, 0.999], [1.0; 2]);
        let (epsilon, decoupled, grad_scale) = (1e-8, false, 1.0);
        let coefficients =
            Coefficients { rate, betas, corrections, epsilon, weight_decay, decoupled, grad_scale };
        Ok(Adam { coefficients })
    }

    /// AdamW: the weight decay shrinks the weights by itself (Loshchilov, Hutter 2019).
    pub fn decoupled(mut self) -> Self {
        self.coefficients.decoupled = true;
        self
    }

    /// The same with other shares of the means kept.
    ///
    /// # Errors
    /// [`conv_core::Error::Argument`] unless both are from 0 to below 1.
    pub fn betas(mut self, betas: [f32; 2]) -> Result<Self> {
        if !betas.iter().all(|beta| (0.0..1.0).contains(beta)) {
            return Err(argument("betas", "two numbers of at least 0 and below 1", format!("{betas:?}")));
        }
        self.coefficients.betas = betas;
        Ok(self)
    }
}

impl<B: Ops> Optimizer<B> for Adam {
    fn memory(&self) -> &'static [&'static str] {
        &["moment1", "moment2"]
    }

    fn update(&self, backend: &B, parameter: &mut Parameter<B>, update: Update) -> Result<()> {
        let Parameter { value, grad, memory, .. } = parameter;
        let [(_, first), (_, second)] = &mut memory[..] else { return Ok(()) };
        let done = (update.step + 1) as f64;
        let corrections = self.coefficients.betas.map(|beta| (1.0 - f64::from(beta).powf(done)) as f32);
        let (rate, grad_scale) = (self.coefficients.rate * update.rate, update.scale);
        let step = Coefficients { rate, corrections, grad_scale, ..self.coefficients };
        Ok(backend.adam(&step, grad, [first, second], value)?)
    }
}
