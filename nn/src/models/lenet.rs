//! LeNet.

use conv_core::Ops;
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::{Conv2d, ConvOptions, Flatten, Linear, Pool, Relu, Result, Sequential};

/// LeNet-5 with ReLU and max-pooling on `channels × 32 × 32` images: 5×5 convolutions to 6 and 16 channels, each
/// pooled 2×2, then 120, 84 and `classes` features. 62,006 parameters with 3 channels and 10 classes.
///
/// # Errors
/// [`conv_core::ProblemError`] for no channels or classes, or where memory cannot be had.
pub fn lenet<B: Ops>(backend: &B, channels: usize, classes: usize, seed: u64) -> Result<Sequential<B>> {
    let random = &mut StdRng::seed_from_u64(seed);
    Ok(Sequential::new()
        .with(Conv2d::new(backend, ConvOptions::new(channels, 6, [5, 5]), random)?)
        .with(Relu)
        .with(Pool::max([2, 2]))
        .with(Conv2d::new(backend, ConvOptions::new(6, 16, [5, 5]), random)?)
        .with(Relu)
        .with(Pool::max([2, 2]))
        .with(Flatten)
        .with(Linear::new(backend, 400, 120, random)?)
        .with(Relu)
        .with(Linear::new(backend, 120, 84, random)?)
        .with(Relu)
        .with(Linear::new(backend, 84, classes, random)?))
}
