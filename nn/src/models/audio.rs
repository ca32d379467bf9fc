//! A classifier of sounds.

use conv_core::Ops;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::with_rectified;
use crate::{ConvOptions, GlobalAveragePool, Linear, Pool, Result, Sequential};

/// Channels and kernels of the convolutions after the first.
const LAYERS: [(usize, usize); 3] = [(32, 3), (64, 3), (128, 3)];

/// A network on raw samples, `channels × samples`, in the manner of Dai, Dai, Qu, Li, Das 2017: a convolution of 80
/// points and stride 4 to 32 channels, three of 3 points to 32, 64 and 128, each followed by max-pooling of 4, the
/// mean of every map, and one linear layer. Needs about 1000 samples.
///
/// # Errors
/// [`conv_core::ProblemError`] for no channels or classes, or where memory cannot be had.
pub fn audio<B: Ops>(backend: &B, channels: usize, classes: usize, seed: u64) -> Result<Sequential<B>> {
    let random = &mut StdRng::seed_from_u64(seed);
    let first = ConvOptions::new(channels, LAYERS[0].0, [80]).stride([4]).same();
    let mut network = with_rectified(Sequential::new(), backend, first, random)?.with(Pool::max([4]));
    let mut from = LAYERS[0].0;
    for (to, kernel) in LAYERS {
        let options = ConvOptions::new(from, to, [kernel]).same();
        network = with_rectified(network, backend, options, random)?.with(Pool::max([4]));
        from = to;
    }
    Ok(network.with(GlobalAveragePool).with(Linear::new(backend, from, classes, random)?))
}
