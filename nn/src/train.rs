//! What a training program composes: one step, one evaluation, the order of an epoch.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use conv_core::{Engine, Ops, Ranks};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use crate::data::Batch as Minibatch;
use crate::error::argument;
use crate::parallel::Sums;
use crate::{
    Backward, CrossEntropy, Layer, Mode, Optimizer, Result, Schedule, Score, Sequential, Shape, Update,
    Wanted,
};

/// A classifier with its loss and optimizer. All memory of a batch is kept for the next of the same shape.
pub struct Trainer<B: Ops> {
    network: Sequential<B>,
    optimizer: Box<dyn Optimizer<B>>,
    loss: CrossEntropy<B>,
    schedule: Schedule,
    clip: Option<f64>,
    steps: u64,
    batches: HashMap<Shape, Batch<B>>,
}

/// The tensors around the network, for one shape of input.
struct Batch<B: Ops> {
    output_shape: Shape,
    input: B::Buffer,
    output: B::Buffer,
}

impl<B: Ops> Trainer<B> {
    /// Trains this network.
    pub fn new(network: Sequential<B>, optimizer: impl Optimizer<B> + 'static) -> Self {
        let (optimizer, loss, schedule) = (Box::new(optimizer), CrossEntropy::new(), Schedule::default());
        Trainer { network, optimizer, loss, schedule, clip: None, steps: 0, batches: HashMap::new() }
    }

    /// The same by another loss, such as one with label smoothing.
    pub fn with_loss(self, loss: CrossEntropy<B>) -> Self {
        Trainer { loss, ..self }
    }

    /// The same whose learning rate follows a schedule.
    pub fn with_schedule(self, schedule: Schedule) -> Self {
        Trainer { schedule, ..self }
    }

    /// The same that scales all gradients together down to this Euclidean norm where theirs is larger (Pascanu,
    /// Mikolov, Bengio 2013).
    ///
    /// # Errors
    /// [`conv_core::Error::Argument`] unless it is finite and above 0.
    pub fn with_clip(self, norm: f64) -> Result<Self> {
        if !(norm.is_finite() && norm > 0.0) {
            return Err(argument("norm that gradients are clipped to", "a finite number above 0", norm));
        }
        Ok(Trainer { clip: Some(norm), ..self })
    }

    /// Steps done: with the parameters' [`crate::Parameter::state`], all that a training remembers.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Goes on as after this many steps, of a training whose parameters are loaded into the network.
    pub fn set_steps(&mut self, steps: u64) {
        self.steps = steps;
    }

    /// Gives the network's parameters the optimizer's memory, for loading a checkpoint into it.
    ///
    /// # Errors
    /// As [`Optimizer::prepare`].
    pub fn prepare_optimizer(&mut self, backend: &B) -> Result<()> {
        self.optimizer.prepare(backend, &mut self.network)
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
    /// [`crate::Error::Layer`] for images that the network does not take, [`crate::Error::NotFinite`] for a loss
    /// that is no number, and as [`CrossEntropy::evaluate`]; the parameters are then as before.
    pub fn step(
        &mut self,
        engine: &mut Engine<B>,
        shape: &Shape,
        images: &[f32],
        labels: &[usize],
    ) -> Result<Score> {
        let score = self.gradients(engine, shape, images, labels, |_, _| Ok(()))?;
        self.descend(engine)?;
        Ok(score)
    }

    /// One step on a minibatch that several ranks share, `share` being this rank's images where it has any. All
    /// ranks take the step together, and end with the same parameters; the score is that of the whole minibatch.
    /// Running statistics become the mean of the ranks', weighted with their images.
    ///
    /// # Errors
    /// As [`Trainer::step`], and as [`Ranks::begin_sum`].
    pub fn step_shared(
        &mut self,
        engine: &mut Engine<B>,
        ranks: &mut dyn Ranks<B>,
        share: Option<&Minibatch>,
    ) -> Result<Score> {
        let images = share.map_or(0, |share| share.labels.len());
        let mut sums = Sums::new(ranks, engine.backend(), images)?;
        let score = match share {
            Some(Minibatch { shape, images, labels }) => {
                self.gradients(engine, shape, images, labels, |backend, layer| sums.add(backend, layer))?
            }
            None => {
                for layer in self.network.layers_from_last() {
                    sums.add(engine.backend(), &**layer)?;
                }
                Score::default()
            }
        };
        let score = sums.finish(engine.backend(), &mut self.network, score)?;
        self.descend(engine)?;
        Ok(score)
    }

    /// Moves the parameters by their gradients.
    fn descend(&mut self, engine: &mut Engine<B>) -> Result<()> {
        let (step, rate) = (self.steps, self.schedule.factor(self.steps));
        let update = Update { step, rate, scale: self.clipping(engine.backend())? };
        self.optimizer.step(engine, &mut self.network, update)?;
        self.steps += 1;
        Ok(())
    }

    /// The factor that keeps the gradients' norm within bounds, in PyTorch's form.
    fn clipping(&self, backend: &B) -> Result<f32> {
        let Some(most) = self.clip else { return Ok(1.0) };
        let mut squares = 0.0;
        for parameter in self.network.parameters().into_iter().filter(|parameter| parameter.trained) {
            squares += backend.sum_of_squares(&parameter.grad)?;
        }
        Ok((most / (squares.sqrt() + 1e-6)).min(1.0) as f32)
    }

    /// Forward, loss, backward; `done` hears of each layer whose gradients are known.
    fn gradients(
        &mut self,
        engine: &mut Engine<B>,
        shape: &Shape,
        images: &[f32],
        labels: &[usize],
        done: impl FnMut(&B, &dyn Layer<B>) -> Result<()>,
    ) -> Result<Score> {
        self.network.prepare(engine, shape, Wanted::Parameters)?;
        let Batch { output_shape, input, output } =
            uploaded(&mut self.batches, &self.network, engine.backend(), shape, images)?;
        CrossEntropy::<B>::check(output_shape, labels)?;
        self.network.forward(engine, Mode::Training { step: self.steps }, shape, input, output)?;
        let mut loss = self.loss.begin(engine.backend(), output_shape, output, labels)?;
        let tensors = Backward { input, output, grad_output: loss.grad, grad_input: None };
        self.network.backward_each(engine, shape, tensors, done)?;
        // Only now, so that a GPU computes gradients while the score is waited for.
        let score = loss.score(engine.backend())?;
        match score.loss().is_finite() {
            true => Ok(score),
            false => Err(self.network.not_finite(engine, shape, input, output)?),
        }
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
        let Batch { output_shape, input, output } =
            uploaded(&mut self.batches, &self.network, engine.backend(), shape, images)?;
        self.network.forward(engine, Mode::Evaluation, shape, input, output)?;
        Ok(self.loss.evaluate(engine.backend(), output_shape, output, labels)?.0)
    }
}

/// The kept buffers of this shape, the input filled.
fn uploaded<'a, B: Ops>(
    batches: &'a mut HashMap<Shape, Batch<B>>,
    network: &Sequential<B>,
    backend: &B,
    shape: &Shape,
    images: &[f32],
) -> Result<&'a mut Batch<B>> {
    let batch = match batches.entry(shape.clone()) {
        Entry::Occupied(entry) => entry.into_mut(),
        Entry::Vacant(entry) => {
            let output_shape = network.output_shape(shape)?;
            let (input, output) = (backend.alloc(shape.elements())?, backend.alloc(output_shape.elements())?);
            entry.insert(Batch { output_shape, input, output })
        }
    };
    backend.upload(images, &mut batch.input)?;
    Ok(batch)
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
