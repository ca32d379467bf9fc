//! A training under way: epochs of minibatches, checkpoints, the progress bar.

use std::io::{IsTerminal, Write, stderr, stdout};
use std::path::PathBuf;
use std::time::Instant;

use conv_core::{Engine, Ops};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use nn::data::Dataset;
use nn::{Layer, Score, Shape, Statistics, Trainer, Wanted, checkpoint, shuffled};

use super::metrics::Metrics;
use super::state::State;
use crate::Failure;

/// Everything that training needs.
pub(super) struct Training<B: Ops> {
    pub(super) engine: Engine<B>,
    pub(super) trainer: Trainer<B>,
    pub(super) train: Dataset,
    pub(super) test: Dataset,
    pub(super) state: State,
    /// Where checkpoints go.
    pub(super) save: Option<PathBuf>,
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
        let (data, seed) = (format!("{:?}", self.state.data).to_lowercase(), self.state.settings.seed);
        let tests = self.test.count();
        writeln!(out, "{data}: {count} images to train, {tests} to test, batch {batch}, seed {seed}")?;
        writeln!(out, "{}", self.trainer.network().summary(&shape)?)?;
        Ok(())
    }

    /// Trains until `epochs` epochs are done, with a checkpoint after each.
    pub(super) fn run(
        &mut self,
        epochs: u64,
        mut metrics: Metrics,
        out: &mut dyn Write,
    ) -> Result<(), Failure> {
        let steps = self.train.count().div_ceil(self.batch()) as u64;
        let bar = progress_bar((epochs - self.state.epochs).saturating_mul(steps));
        while self.state.epochs < epochs {
            let (score, times) = self.epoch(&bar)?;
            self.state.epochs += 1;
            self.state.steps = self.trainer.steps();
            let epoch = self.state.epochs;
            metrics.add(epoch, &score, &times)?;
            if let Some(path) = &self.save {
                checkpoint::save(path, self.engine.backend(), self.trainer.network(), &self.state)?;
            }
            let (loss, accuracy) = (score.loss(), 100.0 * score.accuracy());
            bar.suspend(|| {
                writeln!(out, "epoch {epoch}/{epochs}: loss {loss:.4}, accuracy {accuracy:.1} %, {times}")
            })?;
        }
        bar.finish_and_clear();
        Ok(())
    }

    /// One pass over the training set, in an order that seed and epoch decide.
    fn epoch(&mut self, bar: &ProgressBar) -> Result<(Score, Statistics), Failure> {
        let order = shuffled(self.train.count(), self.state.settings.seed, self.state.epochs);
        let (mut total, mut times) = (Score::default(), Vec::new());
        let (mut images, mut labels) = (Vec::new(), Vec::new());
        for indices in order.chunks(self.batch()) {
            let start = Instant::now();
            let shape = gather(&self.train, indices, &mut images, &mut labels)?;
            let score = self.trainer.step(&mut self.engine, &shape, &images, &labels)?;
            times.push(start.elapsed());
            total += score;
            bar.inc(1);
        }
        let times = Statistics::of(&times).ok_or_else(|| Failure::Bad("no images to train on".into()))?;
        Ok((total, times))
    }

    /// The score on the test set.
    pub(super) fn test(&mut self) -> Result<Score, Failure> {
        let (mut images, mut labels) = (Vec::new(), Vec::new());
        let mut total = Score::default();
        let order: Vec<usize> = (0..self.test.count()).collect();
        for indices in order.chunks(self.batch()) {
            let shape = gather(&self.test, indices, &mut images, &mut labels)?;
            total += self.trainer.evaluate(&mut self.engine, &shape, &images, &labels)?;
        }
        Ok(total)
    }

    /// Images of a minibatch: as set, but not more than there are.
    fn batch(&self) -> usize {
        self.state.settings.batch.min(self.train.count())
    }
}

fn gather(
    set: &Dataset,
    indices: &[usize],
    images: &mut Vec<f32>,
    labels: &mut Vec<usize>,
) -> Result<Shape, Failure> {
    set.gather(indices, images, labels)?;
    Ok(set.shape().with_batch(indices.len())?)
}

/// A bar on stderr; none where stdout or stderr is not a terminal.
fn progress_bar(steps: u64) -> ProgressBar {
    let seen = stdout().is_terminal() && stderr().is_terminal();
    let target = if seen { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(steps), target);
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} minibatches, {eta} left");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
