//! What a training program composes: one step, one evaluation, the order of an epoch.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use conv_core::{Engine, Ops};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use crate::{CrossEntropy, Result, Score, Sequential, Sgd, Shape};

/// A classifier with its loss and optimizer. All memory of a batch is kept for the next of the same shape.
pub struct Trainer<B: Ops> {
    network: Sequential<B>,
    optimizer: Sgd,
    loss: CrossEntropy<B>,
    inputs: HashMap<Shape, B::Buffer>,
}

impl<B: Ops> Trainer<B> {
    /// Trains this network.
    pub fn new(network: Sequential<B>, optimizer: Sgd) -> Self {
        Trainer { network, optimizer, loss: CrossEntropy::new(), inputs: HashMap::new() }
    }

    /// The network.
    pub fn network(&self) -> &Sequential<B> {
        &self.network
    }

    /// The network, for preparing or loading it.
    pub fn network_mut(&mut self) -> &mut Sequential<B> {
        &mut self.network
    }

    /// One step of training on a batch: forward, loss, backward, descent. The score is of before the descent.
    ///
    /// `images` are the dense values of `shape`, `labels` one class an image.
    ///
    /// # Errors
    /// [`crate::Error::Layer`] for images that the network does not take, and as [`CrossEntropy::evaluate`]; the
    /// parameters are then as before.
    pub fn step(
        &mut self,
        engine: &mut Engine<B>,
        shape: &Shape,
        images: &[f32],
        labels: &[usize],
    ) -> Result<Score> {
        self.network.prepare(engine, shape)?;
        let input = uploaded(&mut self.inputs, engine.backend(), shape, images)?;
        let output = self.network.output_shape(shape)?;
        let logits = self.network.forward(engine, shape, input)?;
        let (score, grad) = self.loss.evaluate(engine.backend(), &output, logits, labels)?;
        self.network.backward(engine, shape, input, grad)?;
        self.optimizer.step(engine, &mut self.network)?;
        Ok(score)
    }

    /// The score of a batch, without any gradients.
    ///
    /// # Errors
    /// As [`Trainer::step`].
    pub fn evaluate(
        &mut self,
        engine: &mut Engine<B>,
        shape: &Shape,
        images: &[f32],
        labels: &[usize],
    ) -> Result<Score> {
        let input = uploaded(&mut self.inputs, engine.backend(), shape, images)?;
        let output = self.network.output_shape(shape)?;
        let logits = self.network.forward(engine, shape, input)?;
        Ok(self.loss.evaluate(engine.backend(), &output, logits, labels)?.0)
    }
}

/// The kept input buffer of this shape, filled.
fn uploaded<'a, B: Ops>(
    inputs: &'a mut HashMap<Shape, B::Buffer>,
    backend: &B,
    shape: &Shape,
    images: &[f32],
) -> Result<&'a B::Buffer> {
    let input = match inputs.entry(shape.clone()) {
        Entry::Occupied(entry) => entry.into_mut(),
        Entry::Vacant(entry) => entry.insert(backend.alloc(shape.elements())?),
    };
    backend.upload(images, input)?;
    Ok(input)
}

/// The numbers 0 to `len - 1` in an order that depends on seed and epoch alone, so that a resumed training goes
/// on as it would have.
pub fn shuffled(len: usize, seed: u64, epoch: u64) -> Vec<usize> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8..16].copy_from_slice(&epoch.to_le_bytes());
    let mut order: Vec<usize> = (0..len).collect();
    order.shuffle(&mut StdRng::from_seed(bytes));
    order
}
