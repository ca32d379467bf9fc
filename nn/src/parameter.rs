//! A tensor of a layer, with its gradient and the optimizer's memory of it.

use conv_core::Ops;
use rand::Rng;

use crate::Result;

/// One tensor of a layer, dense and row-major: trained, or kept by the layer itself as running statistics are.
///
/// All that a training remembers between two steps is in [`Parameter::value`] and [`Parameter::memory`] of the
/// network's parameters, and in [`crate::Trainer::steps`].
pub struct Parameter<B: Ops> {
    /// `weight` or `bias`, with the path of the layers around it in front: `3.0.weight`.
    pub name: String,
    /// Sizes, slowest first.
    pub shape: Vec<usize>,
    /// The values.
    pub value: B::Buffer,
    /// Gradient of the mean loss, written by each backward direction; empty where none is ever computed.
    pub grad: B::Buffer,
    /// Whether the optimizer moves it. May be switched off, but not on for a tensor without a gradient.
    pub trained: bool,
    /// What the optimizer remembers of it, by name and of its shape; empty until [`crate::Optimizer::prepare`].
    pub memory: Vec<(&'static str, B::Buffer)>,
}

impl<B: Ops> Parameter<B> {
    /// All zeros, trained.
    ///
    /// # Errors
    /// As [`conv_core::Backend::alloc`].
    pub fn zeros(backend: &B, name: &str, shape: &[usize]) -> Result<Self> {
        let grad = backend.alloc(shape.iter().product())?;
        Ok(Parameter { grad, trained: true, ..Self::statistic(backend, name, shape)? })
    }

    /// All zeros, without a gradient.
    ///
    /// # Errors
    /// As [`conv_core::Backend::alloc`].
    pub fn statistic(backend: &B, name: &str, shape: &[usize]) -> Result<Self> {
        let value = backend.alloc(shape.iter().product())?;
        let (name, shape, memory) = (name.to_owned(), shape.to_vec(), Vec::new());
        Ok(Parameter { name, shape, value, grad: backend.alloc(0)?, trained: false, memory })
    }

    /// The same with every value `value`.
    ///
    /// # Errors
    /// As [`conv_core::Backend::upload`].
    pub fn filled(mut self, backend: &B, value: f32) -> Result<Self> {
        backend.upload(&vec![value; self.elements()], &mut self.value)?;
        Ok(self)
    }

    /// Uniform in ±√(6 / `fan_in`), variance 2 / `fan_in`, where each output is a sum of `fan_in` products (He,
    /// Zhang, Ren, Sun 2015, equation 10). Drawn on the host: the same on every backend.
    ///
    /// # Errors
    /// As [`conv_core::Backend::alloc`].
    pub fn he_uniform(
        backend: &B,
        name: &str,
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

    /// Everything of it that outlives a step, for checkpoints: its values under its name, and the optimizer's
    /// memory under `NAME.MEMORY`; all of its shape.
    pub fn state(&self) -> impl Iterator<Item = (String, &B::Buffer)> {
        let memory = self.memory.iter().map(|(kind, buffer)| (format!("{}.{kind}", self.name), buffer));
        [(self.name.clone(), &self.value)].into_iter().chain(memory)
    }

    /// The same buffers in the same order, for writing.
    pub fn state_mut(&mut self) -> impl Iterator<Item = &mut B::Buffer> {
        [&mut self.value].into_iter().chain(self.memory.iter_mut().map(|(_, buffer)| buffer))
    }
}
