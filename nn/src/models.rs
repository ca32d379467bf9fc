//! Networks by name. The same seed gives the same weights on every backend.

mod audio;
mod large_kernel;
mod lenet;
mod paper;
mod report;
mod resnet;
mod volume;

pub use audio::audio;
pub use large_kernel::large_kernel;
pub use lenet::lenet;
pub use paper::paper;
pub use report::{report, spectral};
pub use resnet::resnet;
pub use volume::volume;

use conv_core::Ops;
use rand::Rng;

use crate::{BatchNorm, Conv, ConvOptions, Relu, Result, Sequential};

/// A chain with a convolution and a batch normalisation more, which makes a bias needless.
fn with_normalised<B: Ops, const D: usize>(
    chain: Sequential<B>,
    backend: &B,
    options: ConvOptions<D>,
    random: &mut impl Rng,
) -> Result<Sequential<B>> {
    let channels = options.out_channels;
    let conv = Conv::new(backend, options.bias(false), random)?;
    Ok(chain.with(conv).with(BatchNorm::new(backend, channels)?))
}

/// The same with the rectifier.
fn with_rectified<B: Ops, const D: usize>(
    chain: Sequential<B>,
    backend: &B,
    options: ConvOptions<D>,
    random: &mut impl Rng,
) -> Result<Sequential<B>> {
    Ok(with_normalised(chain, backend, options, random)?.with(Relu))
}
