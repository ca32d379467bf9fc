//! Training by several processes, each with its share of every minibatch: sums of gradients while the backward
//! direction goes on.

#[cfg(feature = "mpi")]
mod mpi;
pub mod scaling;

use conv_core::{Backend, Ops};

use crate::{Error, Layer, Parameter, Result, Score, Sequential};

#[cfg(feature = "mpi")]
pub use mpi::Mpi;
pub use scaling::Scaling;

/// Values of a bucket: small ones wait for each other, large ones start late.
const BUCKET: usize = 1 << 18;

/// The processes that train one network together, as one of them sees them.
pub trait Ranks: Send {
    /// Its own number, from 0.
    fn rank(&self) -> usize;

    /// How many there are.
    fn size(&self) -> usize;

    /// Begins to add up `values` over all ranks, point by point, and returns at once. Every rank begins sums of
    /// the same lengths in the same order.
    ///
    /// # Errors
    /// [`Error::Ranks`] where the others cannot be reached.
    fn begin_sum(&mut self, values: Vec<f32>) -> Result<()>;

    /// Waits for the first sum begun and not yet ended: the same values on every rank.
    ///
    /// # Errors
    /// As [`Ranks::begin_sum`].
    fn end_sum(&mut self) -> Result<Vec<f32>>;

    /// Ends all ranks at once, with this exit code: for a rank that fails, as the others would wait for it.
    fn abort(&mut self, code: u8);

    /// The values that rank 0 has given, on every rank.
    ///
    /// # Errors
    /// As [`Ranks::begin_sum`].
    fn broadcast(&mut self, values: Vec<f32>) -> Result<Vec<f32>>;
}

/// The share of `rank` in a minibatch: shares differ by at most one image, and together are the minibatch.
pub fn share<T>(minibatch: &[T], rank: usize, size: usize) -> &[T] {
    let cut = |rank: usize| minibatch.len() * rank / size;
    &minibatch[cut(rank)..cut(rank + 1)]
}

/// The sum of a score over all ranks.
///
/// # Errors
/// As [`Ranks::begin_sum`].
pub fn sum_score(ranks: &mut dyn Ranks, score: Score) -> Result<Score> {
    ranks.begin_sum(numbers(score).to_vec())?;
    let sums = ranks.end_sum()?;
    scored(&sums)
}

/// Gives every rank the state that the network has on rank 0.
///
/// # Errors
/// As [`Ranks::begin_sum`], and as the backend's transfers.
pub fn broadcast<B: Ops>(ranks: &mut dyn Ranks, backend: &B, network: &mut Sequential<B>) -> Result<()> {
    for buffer in network.parameters_mut().into_iter().flat_map(Parameter::state_mut) {
        let values = ranks.broadcast(downloaded(backend, buffer)?)?;
        backend.upload(&values, buffer)?;
    }
    Ok(())
}

/// The gradients of one step on their way: each layer's join a bucket as soon as they are known, and a full bucket
/// is summed while the layers before it are computed.
pub(crate) struct Buckets<'a> {
    ranks: &'a mut dyn Ranks,
    /// What this rank's mean gradient counts for: its images.
    images: usize,
    filling: Vec<f32>,
    begun: usize,
}

impl<'a> Buckets<'a> {
    pub(crate) fn new(ranks: &'a mut dyn Ranks, images: usize) -> Self {
        Buckets { ranks, images, filling: Vec::new(), begun: 0 }
    }

    /// Adds the gradients of a layer; zeros of a rank without images.
    pub(crate) fn add<B: Ops>(&mut self, backend: &B, layer: &dyn Layer<B>) -> Result<()> {
        for parameter in layer.parameters().into_iter().filter(|parameter| parameter.trained) {
            match self.images {
                0 => self.filling.resize(self.filling.len() + parameter.elements(), 0.0),
                images => {
                    let values = downloaded(backend, &parameter.grad)?;
                    self.filling.extend(values.into_iter().map(|value| value * images as f32));
                }
            }
            if self.filling.len() >= BUCKET {
                self.begin()?;
            }
        }
        Ok(())
    }

    fn begin(&mut self) -> Result<()> {
        self.begun += 1;
        self.ranks.begin_sum(std::mem::take(&mut self.filling))
    }

    /// Waits for all sums and writes the mean gradients over the images of all ranks; the score of all of them.
    pub(crate) fn finish<B: Ops>(
        mut self,
        backend: &B,
        network: &mut Sequential<B>,
        score: Score,
    ) -> Result<Score> {
        self.filling.extend(numbers(score));
        self.begin()?;
        let mut sums = Vec::new();
        for _ in 0..self.begun {
            sums.extend(self.ranks.end_sum()?);
        }
        let (mut sums, score) = (sums.as_slice(), scored(&sums[sums.len().saturating_sub(3)..])?);
        for layer in network.layers_from_last() {
            for parameter in layer.parameters_mut().into_iter().filter(|parameter| parameter.trained) {
                let (grad, rest) = sums.split_at_checked(parameter.elements()).ok_or_else(lost)?;
                let mean: Vec<f32> = grad.iter().map(|sum| sum / score.count as f32).collect();
                backend.upload(&mean, &mut parameter.grad)?;
                sums = rest;
            }
        }
        Ok(score)
    }
}

fn downloaded<B: Backend>(backend: &B, buffer: &B::Buffer) -> Result<Vec<f32>> {
    let mut values = vec![0.0; backend.len(buffer)];
    backend.download(buffer, &mut values)?;
    Ok(values)
}

/// A score as values to add up: counts are exact up to 2²⁴ images.
fn numbers(score: Score) -> [f32; 3] {
    [score.count as f32, score.loss_sum as f32, score.hits as f32]
}

fn scored(sums: &[f32]) -> Result<Score> {
    match sums {
        [count, loss, hits] => {
            Ok(Score { count: *count as usize, loss_sum: f64::from(*loss), hits: *hits as usize })
        }
        _ => Err(lost()),
    }
}

fn lost() -> Error {
    Error::Ranks("expected sums of the lengths begun, found others".into())
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
