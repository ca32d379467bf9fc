//! A training under way: epochs of minibatches, scores, checkpoints.

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use conv_core::{Engine, Ops, Ranks};
use indicatif::ProgressBar;
use nn::data::{Augment, Batch, Batches, Dataset, Epoch};
use nn::parallel::{broadcast, share, sum_score};
use nn::{Layer, Score, Statistics, Trainer, Wanted, shuffled};

use super::metrics::{Line, Metrics};
use super::saves::Saves;
use super::{State, bar};
use crate::{Failure, interrupt};

/// Everything that training needs.
pub(super) struct Training<'a, B: Ops> {
    pub(super) engine: Engine<B>,
    pub(super) trainer: Trainer<B>,
    pub(super) train: Arc<Dataset>,
    pub(super) test: Arc<Dataset>,
    pub(super) state: State,
    pub(super) saves: Saves,
    /// Threads that make minibatches.
    pub(super) workers: usize,
    /// The processes that take each step together; the first of them speaks and saves.
    pub(super) ranks: Option<&'a mut dyn Ranks<B>>,
}

impl<B: Ops> Training<'_, B> {
    /// Chooses and builds for all shapes of minibatch that will come, and prints what was chosen.
    pub(super) fn prepare(&mut self, out: &mut dyn Write) -> Result<(), Failure> {
        let shares = self.shares(&(0..self.train.count()).collect::<Vec<_>>());
        let lengths: BTreeSet<usize> = shares.iter().map(Vec::len).filter(|len| *len > 0).collect();
        for len in &lengths {
            let shape = self.train.shape().with_batch(*len)?;
            self.trainer.network_mut().prepare(&mut self.engine, &shape, Wanted::Parameters)?;
        }
        let (data, seed, batch) = (self.state.task.data.name(), self.state.settings.seed, self.batch());
        let (count, tests) = (self.train.count(), self.test.count());
        let together = match &self.ranks {
            Some(ranks) => format!(", {} processes", ranks.size()),
            None => String::new(),
        };
        writeln!(
            out,
            "{data}: {count} images to train, {tests} to test, batch {batch}, seed {seed}{together}"
        )?;
        let shape = self.train.shape().with_batch(lengths.last().copied().unwrap_or(batch))?;
        writeln!(out, "{}", self.trainer.network().summary(&shape)?)?;
        Ok(())
    }

    /// Trains until `epochs` epochs are done, with a checkpoint at the start and after each; the last test score.
    pub(super) fn run(
        &mut self,
        epochs: u64,
        mut metrics: Metrics,
        out: &mut dyn Write,
    ) -> Result<Score, Failure> {
        let steps = self.train.count().div_ceil(self.batch()) as u64;
        let done = self.state.epochs.saturating_mul(steps) + self.state.minibatches as u64;
        let bar = bar::new(epochs.saturating_mul(steps), done);
        let mut test = Score::default();
        self.share_network()?;
        self.save()?;
        while self.state.epochs < epochs {
            let (line, score) = self.epoch(&bar)?;
            test = score;
            metrics.add(&line)?;
            self.keep(line.test_accuracy)?;
            bar.suspend(|| writeln!(out, "{}", told(&line, epochs)))?;
        }
        bar.finish_and_clear();
        Ok(test)
    }

    /// One pass over the training set, or what is left of it, in an order that seed and epoch decide; then the
    /// test set.
    fn epoch(&mut self, bar: &ProgressBar) -> Result<(Line, Score), Failure> {
        let (mut times, mut images) = (Vec::new(), 0);
        let shares = self.shares(&shuffled(self.train.count(), self.state.settings.seed, self.state.epochs));
        let shares = &shares[self.state.minibatches.min(shares.len())..];
        let mut batches = self.batches(&self.train, shares);
        let mut start = Instant::now();
        for share in shares {
            let batch = if share.is_empty() { None } else { batches.next().transpose()? };
            let score = self.step(batch.as_ref())?;
            times.push(start.elapsed());
            start = Instant::now();
            images += score.count;
            self.state.score += score;
            self.state.minibatches += 1;
            self.state.steps = self.trainer.steps();
            bar::step(bar, &self.state.score, self.batch());
            self.between_minibatches()?;
        }
        let test = self.test()?;
        let score = std::mem::take(&mut self.state.score);
        (self.state.epochs, self.state.minibatches) = (self.state.epochs + 1, 0);
        Ok((Line::new(self.state.epochs, &score, &test, images, statistics(&times)?), test))
    }

    /// One step of training, on this process's share of a minibatch.
    fn step(&mut self, batch: Option<&Batch>) -> Result<Score, Failure> {
        let Training { engine, trainer, .. } = self;
        Ok(match (&mut self.ranks, batch) {
            (Some(ranks), batch) => trainer.step_shared(engine, *ranks, batch)?,
            (None, Some(Batch { shape, images, labels })) => trainer.step(engine, shape, images, labels)?,
            (None, None) => Score::default(),
        })
    }

    /// This process's share of each minibatch of these images.
    fn shares(&self, order: &[usize]) -> Vec<Vec<usize>> {
        let (rank, size) = self.ranks.as_ref().map_or((0, 1), |ranks| (ranks.rank(), ranks.size()));
        order.chunks(self.batch()).map(|minibatch| share(minibatch, rank, size).to_vec()).collect()
    }

    /// The shares that are not empty, made ahead; varied where they are for training.
    fn batches(&self, set: &Arc<Dataset>, shares: &[Vec<usize>]) -> Batches {
        let settings = &self.state.settings;
        let augment = match Arc::ptr_eq(set, &self.train) {
            true => Augment { crop: settings.crop, flip: settings.flip },
            false => Augment::default(),
        };
        let minibatches = shares.iter().filter(|share| !share.is_empty()).cloned().collect();
        let epoch = Epoch { minibatches, augment, seed: settings.seed, number: self.state.epochs };
        Batches::new(Arc::clone(set), epoch, self.workers)
    }

    /// Saves where it is time to, and ends where the user wants it.
    fn between_minibatches(&self) -> Result<(), Failure> {
        let first = self.ranks.as_ref().is_none_or(|ranks| ranks.rank() == 0);
        let asked = first && interrupt::asked();
        if asked || self.saves.is_due(self.state.minibatches) {
            self.save()?;
        }
        if !asked {
            return Ok(());
        }
        let (epoch, minibatch) = (self.state.epochs + 1, self.state.minibatches);
        let saved = match &self.saves.path {
            Some(path) => format!("saved, --resume {} goes on from there", path.display()),
            None => "nothing saved, as --save was not given".into(),
        };
        Err(Failure::Interrupted(format!(
            "interrupted in epoch {epoch} after minibatch {minibatch}: {saved}"
        )))
    }

    /// Keeps what an epoch came to: the best first, so that the last is never ahead of it.
    fn keep(&mut self, accuracy: f64) -> Result<(), Failure> {
        if self.state.best.is_none_or(|best| accuracy > best) {
            self.state.best = Some(accuracy);
            self.saves.best(self.engine.backend(), self.trainer.network(), &self.state)?;
        }
        self.save()
    }

    fn save(&self) -> Result<(), Failure> {
        self.saves.last(self.engine.backend(), self.trainer.network(), &self.state)
    }

    /// The score on the test set.
    pub(super) fn test(&mut self) -> Result<Score, Failure> {
        let shares = self.shares(&(0..self.test.count()).collect::<Vec<_>>());
        let mut total = Score::default();
        for batch in self.batches(&self.test, &shares) {
            let Batch { shape, images, labels } = batch?;
            total += self.trainer.evaluate(&mut self.engine, &shape, &images, &labels)?;
        }
        Ok(match &mut self.ranks {
            Some(ranks) => sum_score(*ranks, self.engine.backend(), total)?,
            None => total,
        })
    }

    /// Gives all processes the network of the first.
    fn share_network(&mut self) -> Result<(), Failure> {
        let Some(ranks) = &mut self.ranks else { return Ok(()) };
        Ok(broadcast(*ranks, self.engine.backend(), self.trainer.network_mut())?)
    }

    /// Images of a minibatch: as set, but not more than there are.
    fn batch(&self) -> usize {
        self.state.settings.batch.min(self.train.count())
    }
}

fn statistics(times: &[Duration]) -> Result<Statistics, Failure> {
    Statistics::of(times).ok_or_else(|| Failure::Bad("no minibatches left to train on".into()))
}

/// An epoch in words.
fn told(line: &Line, epochs: u64) -> String {
    let Line { epoch, loss, minibatch_ms, .. } = line;
    let (accuracy, test) = (100.0 * line.accuracy, 100.0 * line.test_accuracy);
    format!(
        "epoch {epoch}/{epochs}: loss {loss:.4}, accuracy {accuracy:.1} %, test {test:.1} %, {minibatch_ms}"
    )
}
