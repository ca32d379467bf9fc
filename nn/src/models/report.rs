//! The network of the report's experiments.

use conv_core::{Axis, Ops};
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::error::argument;
use crate::{Conv2d, ConvOptions, Flatten, Linear, Pool, Relu, Result, Sequential};

/// One convolution to 16 channels with a `kernel × kernel` kernel on `channels × size × size` images, ReLU,
/// max-pooling 2×2, then 120, 84 and `classes` features with ReLU between them.
///
/// # Errors
/// For a kernel that leaves nothing to pool; [`conv_core::ProblemError`] for no channels or classes, or where memory
/// cannot be had.
pub fn report<B: Ops>(
    backend: &B,
    channels: usize,
    size: usize,
    kernel: usize,
    classes: usize,
    seed: u64,
) -> Result<Sequential<B>> {
    if kernel == 0 || kernel >= size {
        return Err(argument("kernel of the network", format!("1 to {}", size.saturating_sub(1)), kernel));
    }
    let random = &mut StdRng::seed_from_u64(seed);
    let pooled = Axis::new(size, kernel).output() / 2;
    Ok(Sequential::new()
        .with(Conv2d::new(backend, ConvOptions::new(channels, 16, [kernel; 2]), random)?)
        .with(Relu)
        .with(Pool::max([2, 2]))
        .with(Flatten)
        .with(Linear::new(backend, 16 * pooled * pooled, 120, random)?)
        .with(Relu)
        .with(Linear::new(backend, 120, 84, random)?)
        .with(Relu)
        .with(Linear::new(backend, 84, classes, random)?))
}
