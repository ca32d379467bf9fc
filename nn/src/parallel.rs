//! Training by several processes, each with its share of every minibatch: sums of gradients while the backward
//! direction goes on.

#[cfg(feature = "mpi")]
mod mpi;
pub mod scaling;

use conv_core::{Backend, Ops, Ranks};

use crate::{Layer, Parameter, Result, Score, Sequential};

#[cfg(feature = "mpi")]
pub use mpi::Mpi;
pub use scaling::Scaling;

/// Values that ranks sum at once: small tensors wait for each other, large ones start late.
const BUCKET: usize = 1 << 18;

/// The share of `rank` in a minibatch: shares differ by at most one image, and together are the minibatch.
pub fn share<T>(minibatch: &[T], rank: usize, size: usize) -> &[T] {
    let cut = |rank: usize| minibatch.len() * rank / size;
    &minibatch[cut(rank)..cut(rank + 1)]
}

/// The sum of a score over all ranks.
///
/// # Errors
/// As [`Ranks::begin_sum`].
pub fn sum_score<B: Backend>(ranks: &mut dyn Ranks<B>, backend: &B, score: Score) -> Result<Score> {
    let Score { count, loss_sum, hits } = score;
    begin(ranks, backend, &[count as f32, loss_sum as f32, hits as f32])?;
    let [count, loss_sum, hits] = end(ranks, backend)?;
    Ok(Score { count: count as usize, loss_sum: f64::from(loss_sum), hits: hits as usize })
}

/// Gives every rank the state that the network has on rank 0.
///
/// # Errors
/// As [`Ranks::broadcast`].
pub fn broadcast<B: Ops>(ranks: &mut dyn Ranks<B>, backend: &B, network: &mut Sequential<B>) -> Result<()> {
    let buffers = network.parameters_mut().into_iter().flat_map(Parameter::state_mut);
    buffers.into_iter().try_for_each(|buffer| Ok(ranks.broadcast(backend, buffer)?))
}

/// The sums of one step on their way: each layer's begin as soon as its gradients are known, and go on while the layers
/// before it are computed.
pub(crate) struct Sums<'a, B: Backend> {
    ranks: &'a mut dyn Ranks<B>,
    /// What this rank's means count for: its images.
    images: f32,
}

impl<'a, B: Ops> Sums<'a, B> {
    /// Begins with the sum of all images, of which this rank has so many.
    pub(crate) fn new(ranks: &'a mut dyn Ranks<B>, backend: &B, images: usize) -> Result<Self> {
        let images = images as f32;
        begin(ranks, backend, &[images])?;
        Ok(Sums { ranks, images })
    }

    /// Adds the gradients and the running statistics of a layer; nothing but zeros of a rank without images.
    pub(crate) fn add(&mut self, backend: &B, layer: &dyn Layer<B>) -> Result<()> {
        for parameter in layer.parameters() {
            if let Some(values) = shared(backend, parameter) {
                let values = if values == Shared::Gradient { &parameter.grad } else { &parameter.value };
                self.ranks.begin_sum(backend, values, self.images)?;
            }
        }
        Ok(())
    }

    /// Waits for all sums and writes the means over the images of all ranks; the score of all of them.
    pub(crate) fn finish(self, backend: &B, network: &mut Sequential<B>, score: Score) -> Result<Score> {
        let [images] = end(self.ranks, backend)?;
        for layer in network.layers_from_last() {
            for parameter in layer.parameters_mut() {
                if let Some(values) = shared(backend, parameter) {
                    let gradient = values == Shared::Gradient;
                    let mean = if gradient { &mut parameter.grad } else { &mut parameter.value };
                    self.ranks.end_sum(backend, images.recip(), mean)?;
                }
            }
        }
        sum_score(self.ranks, backend, score)
    }
}

/// What of a parameter becomes the mean over all ranks in each step.
#[derive(Clone, Copy, PartialEq)]
enum Shared {
    Gradient,
    /// A running statistic, which each rank has moved towards its own share's.
    Value,
}

/// A parameter that is not trained stays as it is, unless it is a statistic.
fn shared<B: Ops>(backend: &B, parameter: &Parameter<B>) -> Option<Shared> {
    match parameter.trained {
        true => Some(Shared::Gradient),
        false => (backend.len(&parameter.grad) == 0).then_some(Shared::Value),
    }
}

/// Begins the sum of a few numbers: counts are exact up to 2²⁴.
fn begin<B: Backend>(ranks: &mut dyn Ranks<B>, backend: &B, numbers: &[f32]) -> Result<()> {
    let mut buffer = backend.alloc(numbers.len())?;
    backend.upload(numbers, &mut buffer)?;
    Ok(ranks.begin_sum(backend, &buffer, 1.0)?)
}

/// Ends it.
fn end<B: Backend, const N: usize>(ranks: &mut dyn Ranks<B>, backend: &B) -> Result<[f32; N]> {
    let (mut buffer, mut numbers) = (backend.alloc(N)?, [0.0; N]);
    ranks.end_sum(backend, 1.0, &mut buffer)?;
    backend.download(&buffer, &mut numbers)?;
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_the_minibatch_in_order() {
        let minibatch: Vec<usize> = (0..7).collect();
        for size in 1..10 {
            let shares: Vec<&[usize]> = (0..size).map(|rank| share(&minibatch, rank, size)).collect();
            assert_eq!(shares.concat(), minibatch);
            let lengths = shares.iter().map(|share| share.len());
            assert!(lengths.clone().max().unwrap() - lengths.min().unwrap() <= 1);
        }
    }
}
