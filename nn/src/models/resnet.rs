//! A small residual network.

use conv_core::Ops;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::{with_normalised, with_rectified};
use crate::{ConvOptions, GlobalAveragePool, Linear, Relu, Result, Sequential, Sum};

/// Channels of the three stages.
const STAGES: [usize; 3] = [16, 32, 64];

/// ResNet-8 for small images (He, Zhang, Ren, Sun 2016, section 4.2, with one block a stage): a 3×3 convolution to 16
/// channels, blocks of two 3×3 convolutions at 16, 32 and 64 channels, the last two begun with stride 2, the mean of
/// every map, and one linear layer. Shortcuts that change shape are 1×1 convolutions. Any size of image.
///
/// # Errors
/// [`conv_core::ProblemError`] for no channels or classes, or where memory cannot be had.
pub fn resnet<B: Ops>(backend: &B, channels: usize, classes: usize, seed: u64) -> Result<Sequential<B>> {
    let random = &mut StdRng::seed_from_u64(seed);
    let stem = ConvOptions::new(channels, STAGES[0], [3, 3]).same();
    let (mut network, mut from) = (with_rectified(Sequential::new(), backend, stem, random)?, STAGES[0]);
    for to in STAGES {
        network = network.with(block(backend, from, to, random)?).with(Relu);
        from = to;
    }
    Ok(network.with(GlobalAveragePool).with(Linear::new(backend, from, classes, random)?))
}

/// Two convolutions beside the input, or beside its projection where the shape changes.
fn block<B: Ops>(backend: &B, from: usize, to: usize, random: &mut StdRng) -> Result<Sum<B>> {
    let stride = if from == to { [1, 1] } else { [2, 2] };
    let first = ConvOptions::new(from, to, [3, 3]).padding([1, 1]).stride(stride);
    let second = ConvOptions::new(to, to, [3, 3]).padding([1, 1]);
    let body = with_rectified(Sequential::new(), backend, first, random)?;
    let body = with_normalised(body, backend, second, random)?;
    let mut shortcut = Sequential::new();
    if from != to {
        let projection = ConvOptions::new(from, to, [1, 1]).stride(stride);
        shortcut = with_normalised(shortcut, backend, projection, random)?;
    }
    Sum::new(vec![body, shortcut])
}
