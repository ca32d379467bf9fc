//! A trained tensor with its gradient and the optimizer's memory of it.

use conv_core::Ops;
use rand::Rng;

use crate::Result;

/// Values, gradient and velocity of one tensor of a layer, dense and row-major.
pub struct Parameter<B: Ops> {
    /// `weight` or `bias`.
    pub name: &'static str,
    /// Sizes, slowest first.
    pub shape: Vec<usize>,
    /// The values.
    pub value: B::Buffer,
    /// Gradient of the mean loss, written by each backward direction.
    pub grad: B::Buffer,
    /// The optimizer's direction, zero at first.
    pub velocity: B::Buffer,
}

impl<B: Ops> Parameter<B> {
    /// All zeros.
    ///
    /// # Errors
    /// As [`conv_core::Backend::alloc`].
    pub fn zeros(backend: &B, name: &'static str, shape: &[usize]) -> Result<Self> {
        let buffer = || backend.alloc(shape.iter().product());
        Ok(Parameter { name, shape: shape.to_vec(), value: buffer()?, grad: buffer()?, velocity: buffer()? })
    }

    /// Uniform in ±√(6 / `fan_in`), variance 2 / `fan_in`, where each output is a sum of `fan_in` products (He,
    /// Zhang, Ren, Sun 2015, equation 10). Drawn on the host: the same on every backend.
    ///
    /// # Errors
    /// As [`conv_core::Backend::alloc`].
    pub fn he_uniform(
        backend: &B,
        name: &'static str,
        shape: &[usize],
        fan_in: usize,
        random: &mut impl Rng,
    ) -> Result<Self> {
        let mut parameter = Self::zeros(backend, name, shape)?;
        let (len, bound) = (parameter.elements(), (6.0 / fan_in.max(1) as f32).sqrt());
        let mut values = Vec::new();
        values.try_reserve_exact(len).map_err(|_| conv_core::Error::OutOfMemory {
            backend: "host".into(),
            bytes: len as u128 * size_of::<f32>() as u128,
        })?;
        values.extend((0..len).map(|_| random.random_range(-bound..bound)));
        backend.upload(&values, &mut parameter.value)?;
        Ok(parameter)
    }

    /// How many values.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }
}
