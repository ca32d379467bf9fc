//! The network of the report's experiments.

use conv_core::{Axis, Ops};
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::error::argument;
use crate::{Conv2d, ConvOptions, Flatten, Layer, Linear, Pool, Relu, Result, Sequential, SpectralConv2d};

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
    let (pooled, random) = (pooled(size, kernel)?, &mut StdRng::seed_from_u64(seed));
    let conv = Conv2d::new(backend, ConvOptions::new(channels, 16, [kernel; 2]), random)?;
    classifier(backend, conv, pooled, classes, random)
}

/// The same with a convolution whose kernels are learned in the Fourier domain ([`SpectralConv2d`]).
///
/// # Errors
/// As [`report`].
pub fn spectral<B: Ops>(
    backend: &B,
    channels: usize,
    size: usize,
    kernel: usize,
    classes: usize,
    seed: u64,
) -> Result<Sequential<B>> {
    let (pooled, random) = (pooled(size, kernel)?, &mut StdRng::seed_from_u64(seed));
    let conv = SpectralConv2d::new(backend, ConvOptions::new(channels, 16, [kernel; 2]), random)?;
    classifier(backend, conv, pooled, classes, random)
}

/// Points of a side after convolution and pooling.
fn pooled(size: usize, kernel: usize) -> Result<usize> {
    match kernel > 0 && kernel < size {
        true => Ok(Axis::new(size, kernel).output() / 2),
        false => Err(argument("kernel of the network", format!("1 to {}", size.saturating_sub(1)), kernel)),
    }
}

/// All that follows the convolution, whose maps have so many points a side when pooled.
fn classifier<B: Ops>(
    backend: &B,
    conv: impl Layer<B> + 'static,
    pooled: usize,
    classes: usize,
    random: &mut StdRng,
) -> Result<Sequential<B>> {
    Ok(Sequential::new()
        .with(conv)
        .with(Relu)
        .with(Pool::max([2, 2]))
        .with(Flatten)
        .with(Linear::new(backend, 16 * pooled * pooled, 120, random)?)
        .with(Relu)
        .with(Linear::new(backend, 120, 84, random)?)
        .with(Relu)
        .with(Linear::new(backend, 84, classes, random)?))
}
