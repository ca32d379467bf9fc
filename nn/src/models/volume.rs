//! A classifier of volumes.

use conv_core::Ops;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::with_rectified;
use crate::{ConvOptions, Dropout, GlobalAveragePool, Linear, Pool, Result, Sequential};

/// Channels and kernels of the convolutions.
const LAYERS: [(usize, usize); 3] = [(8, 5), (16, 3), (32, 3)];

/// A network on `channels × depth × height × width` volumes of any size from 4 points: convolutions of 5×5×5 to 8
/// channels and of 3×3×3 to 16 and 32, max-pooling 2×2×2 after the first two, the mean of every map, dropout of a
/// quarter, and one linear layer.
///
/// # Errors
/// [`conv_core::ProblemError`] for no channels or classes, or where memory cannot be had.
pub fn volume<B: Ops>(backend: &B, channels: usize, classes: usize, seed: u64) -> Result<Sequential<B>> {
    let random = &mut StdRng::seed_from_u64(seed);
    let (mut network, mut from) = (Sequential::new(), channels);
    for (index, (to, kernel)) in LAYERS.into_iter().enumerate() {
        let options = ConvOptions::new(from, to, [kernel; 3]).same();
        network = with_rectified(network, backend, options, random)?;
        if index < 2 {
            network = network.with(Pool::max([2, 2, 2]));
        }
        from = to;
    }
    let dropped = network.with(GlobalAveragePool).with(Dropout::new(0.25, seed)?);
    Ok(dropped.with(Linear::new(backend, from, classes, random)?))
}
