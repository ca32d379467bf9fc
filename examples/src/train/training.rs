//! A training under way: epochs of minibatches, scores, checkpoints.

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use conv_core::{Engine, Ops};
use indicatif::ProgressBar;
use nn::data::{Augment, Batches, Dataset, Epoch};
use nn::{Layer, Score, Statistics, Trainer, Wanted, shuffled};

use super::metrics::{Line, Metrics};
use super::saves::Saves;
use super::{State, bar};
use crate::{Failure, interrupt};

/// Everything that training needs.
pub(super) struct Training<B: Ops> {
    pub(super) engine: Engine<B>,
    pub(super) trainer: Trainer<B>,
    pub(super) train: Arc<Dataset>,
    pub(super) test: Arc<Dataset>,
    pub(super) state: State,
    pub(super) saves: Saves,
    /// Threads that make minibatches.
    pub(super) workers: usize,
}

impl<B: Ops> Training<B> {
    /// Chooses and builds for all shapes of minibatch that will come, and prints what was chosen.
    pub(super) fn prepare(&mut self, out: &mut dyn Write) -> Result<(), Failure> {
        let (count, batch) = (self.train.count(), self.batch());
        let shape = self.train.shape().with_batch(batch)?;
        for batch in [batch, count % batch].into_iter().filter(|batch| *batch > 0) {
            let shape = self.train.shape().with_batch(batch)?;
            self.trainer.network_mut().prepare(&mut self.engine, &shape, Wanted::Parameters)?;
        }
        let (data, seed) = (self.state.task.data.name(), self.state.settings.seed);
        let tests = self.test.count();
        writeln!(out, "{data}: {count} images to train, {tests} to test, batch {batch}, seed {seed}")?;
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
        let mut batches =
            Batches::new(Arc::clone(&self.train), self.order(), self.state.minibatches, self.workers);
        let mut start = Instant::now();
        while let Some(batch) = batches.next().transpose()? {
            let score = self.trainer.step(&mut self.engine, &batch.shape, &batch.images, &batch.labels)?;
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

    /// The minibatches of this epoch.
    fn order(&self) -> Epoch {
        let (settings, number) = (&self.state.settings, self.state.epochs);
        let order = shuffled(self.train.count(), settings.seed, number);
        let minibatches = order.chunks(self.batch()).map(<[usize]>::to_vec).collect();
        let augment = Augment { crop: settings.crop, flip: settings.flip };
        Epoch { minibatches, augment, seed: settings.seed, number }
    }

    /// Saves where it is time to, and ends where the user wants it.
    fn between_minibatches(&self) -> Result<(), Failure> {
        let asked = interrupt::asked();
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
        let order: Vec<usize> = (0..self.test.count()).collect();
        let minibatches = order.chunks(self.batch()).map(<[usize]>::to_vec).collect();
        let epoch = Epoch { minibatches, augment: Augment::default(), seed: 0, number: 0 };
        let mut total = Score::default();
        for batch in Batches::new(Arc::clone(&self.test), epoch, 0, self.workers) {
            let batch = batch?;
            total += self.trainer.evaluate(&mut self.engine, &batch.shape, &batch.images, &batch.labels)?;
        }
        Ok(total)
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
