//! A network of large depthwise kernels.

use conv_core::Ops;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::{with_normalised, with_rectified};
use crate::error::argument;
use crate::{ConvOptions, GlobalAveragePool, Linear, Relu, Result, Sequential, Sum};

/// Channels of the two stages.
const STAGES: [usize; 2] = [32, 64];

/// Points of the small kernel beside each large one.
const SMALL: usize = 5;

/// A small RepLKNet (Ding, Zhang, Han, Ding 2022): a 3×3 convolution of stride 2 to 32 channels, then at 32 and, after
/// another of stride 2, at 64 channels a block of depthwise `kernel × kernel` convolutions and a block of 1×1
/// convolutions, both residual; the mean of every map, and one linear layer. Any size of image.
///
/// # Errors
/// [`conv_core::Error::Argument`] unless the kernel is odd and from 7 to 31, [`conv_core::ProblemError`] for no
/// channels or classes, or where memory cannot be had.
pub fn large_kernel<B: Ops>(
    backend: &B,
    channels: usize,
    kernel: usize,
    classes: usize,
    seed: u64,
) -> Result<Sequential<B>> {
    if !(7..=31).contains(&kernel) || kernel.is_multiple_of(2) {
        return Err(argument("kernel of the network", "an odd number from 7 to 31", kernel));
    }
    let random = &mut StdRng::seed_from_u64(seed);
    let (mut network, mut from) = (Sequential::new(), channels);
    for to in STAGES {
        let reduction = ConvOptions::new(from, to, [3, 3]).padding([1, 1]).stride([2, 2]);
        network = with_rectified(network, backend, reduction, random)?;
        network = network.with(spatial(backend, to, kernel, random)?).with(pointwise(backend, to, random)?);
        from = to;
    }
    Ok(network.with(GlobalAveragePool).with(Linear::new(backend, from, classes, random)?))
}

/// 1×1, depthwise with a large kernel and a small one side by side, 1×1.
fn spatial<B: Ops>(backend: &B, channels: usize, kernel: usize, random: &mut StdRng) -> Result<Sum<B>> {
    let point = ConvOptions::new(channels, channels, [1, 1]);
    let depthwise = |kernel| ConvOptions::new(channels, channels, [kernel; 2]).groups(channels).same();
    let large = with_normalised(Sequential::new(), backend, depthwise(kernel), random)?;
    let small = with_normalised(Sequential::new(), backend, depthwise(SMALL), random)?;
    let body = with_rectified(Sequential::new(), backend, point.clone(), random)?;
    let body = body.with(Sum::new(vec![large, small])?).with(Relu);
    Sum::new(vec![with_normalised(body, backend, point, random)?, Sequential::new()])
}

/// 1×1 to four times the channels and back.
fn pointwise<B: Ops>(backend: &B, channels: usize, random: &mut StdRng) -> Result<Sum<B>> {
    let body =
        with_rectified(Sequential::new(), backend, ConvOptions::new(channels, 4 * channels, [1, 1]), random)?;
    let body = with_normalised(body, backend, ConvOptions::new(4 * channels, channels, [1, 1]), random)?;
    Sum::new(vec![body, Sequential::new()])
}
