//! The paper's five layers, composed.

use conv_core::Ops;
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::{Conv2d, ConvOptions, Flatten, Linear, Pool, Relu, Result, Sequential};

/// Channels and kernels of the convolutions after the first channels (Mathieu, Henaff, LeCun 2014, table 1).
const LAYERS: [(usize, usize); 5] = [(96, 11), (256, 7), (384, 5), (384, 5), (384, 3)];

/// Five convolutions, each padded to keep its size, with ReLU, max-pooling 2×2 after the second and the fifth, and
/// one linear layer to `classes` features, on `channels × size × size` images: the paper's at 3 × 32 × 32 and 1000.
///
/// # Errors
/// [`conv_core::ProblemError`] for images below 4 × 4, no channels or classes, or where memory cannot be had.
pub fn paper<B: Ops>(
    backend: &B,
    channels: usize,
    size: usize,
    classes: usize,
    seed: u64,
) -> Result<Sequential<B>> {
    let random = &mut StdRng::seed_from_u64(seed);
    let (mut network, mut from) = (Sequential::new(), channels);
    for (index, (to, kernel)) in LAYERS.into_iter().enumerate() {
        let options = ConvOptions::new(from, to, [kernel; 2]).same();
        network = network.with(Conv2d::new(backend, options, random)?).with(Relu);
        if index == 1 || index == 4 {
            network = network.with(Pool::max([2, 2]));
        }
        from = to;
    }
    let pooled = size / 2 / 2;
    Ok(network.with(Flatten).with(Linear::new(backend, from * pooled * pooled, classes, random)?))
}
