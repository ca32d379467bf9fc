//! The program `train`: trains a network, and says what it chose and how long every minibatch took.

mod bar;
mod descent;
mod flags;
mod metrics;
mod model;
pub(crate) mod ranks;
mod saves;
mod sets;
mod state;
mod training;

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use conv_core::{Ops, Ranks};
use nn::data::Dataset;
use nn::{Trainer, checkpoint, state_dict};

use crate::{Common, Failure, Program, files, interrupt};

use metrics::Metrics;
use saves::Saves;
use training::Training;

pub use descent::{OptimizerName, ScheduleName};
pub use flags::{DataName, Train};
pub(crate) use metrics::Line;
pub use model::ModelName;
pub(crate) use state::{Settings, State, Task};

impl Program for Train {
    fn common(&self) -> &Common {
        &self.common
    }

    fn run<B: Ops>(self, backend: B, out: &mut (dyn Write + Send)) -> Result<(), Failure> {
        let mut ranks = ranks::join(&backend)?;
        match &mut ranks {
            None => self.train(backend, None, out),
            Some(ranks) => self.train_together(backend, &mut **ranks, out),
        }
    }
}

impl Train {
    /// Trains as one process of several, of which the first speaks and saves. One that fails ends them all.
    fn train_together<B: Ops>(
        mut self,
        backend: B,
        ranks: &mut dyn Ranks<B>,
        out: &mut (dyn Write + Send),
    ) -> Result<(), Failure> {
        let rank = ranks.rank();
        let mut silence = io::sink();
        let out: &mut (dyn Write + Send) = if rank == 0 { out } else { &mut silence };
        if rank != 0 {
            (self.save, self.save_every, self.metrics, self.download) = (None, None, None, false);
        }
        let ended = self.train(backend, Some(&mut *ranks), out);
        if let Err(failure) = &ended {
            eprintln!("error: rank {rank}: {failure}");
            ranks.abort(failure.code());
        }
        ended
    }

    fn train<B: Ops>(
        self,
        backend: B,
        ranks: Option<&mut dyn Ranks<B>>,
        out: &mut (dyn Write + Send),
    ) -> Result<(), Failure> {
        let engine = self.common.engine(backend)?;
        let saves = Saves { path: self.save.clone(), every: self.save_every };
        self.check_paths(&saves)?;
        let (train, test) = sets::load(&self)?;
        let (trainer, state) = self.trainer(engine.backend(), &train)?;
        let (train, test, workers) = (Arc::new(train), Arc::new(test), self.workers.get());
        let mut training = Training { engine, trainer, train, test, state, saves, workers, ranks };
        let score = if training.state.epochs < self.epochs {
            interrupt::listen()?;
            training.prepare(out)?;
            let resumed = self.resume.as_ref().map(|_| training.state.epochs);
            let metrics = Metrics::open(self.metrics.as_deref(), resumed)?;
            training.run(self.epochs, metrics, out)?
        } else {
            training.test()?
        };
        writeln!(out, "test accuracy: {:.1} %", 100.0 * score.accuracy())?;
        Ok(())
    }

    /// Finds what is wrong with paths before any work is done for them.
    fn check_paths(&self, saves: &Saves) -> Result<(), Failure> {
        saves.check()?;
        self.metrics.as_deref().map_or(Ok(()), |path| files::check_writable("--metrics", path))?;
        self.weights.as_deref().map_or(Ok(()), |path| files::check_readable("--weights", path))?;
        self.resume.as_deref().map_or(Ok(()), |path| files::check_readable("--resume", path))
    }

    /// The network with its optimizer and how far it has come: at its beginning, or as the checkpoint has it.
    fn trainer<B: Ops>(&self, backend: &B, images: &Dataset) -> Result<(Trainer<B>, State), Failure> {
        let task = Task::new(self, images)?;
        let Some(path) = &self.resume else {
            let state = State::new(task, self.settings(Settings::DEFAULT)?);
            let mut trainer = state.trainer(backend, self.steps(&state, images))?;
            if let Some(path) = &self.weights {
                state_dict::load(path, backend, trainer.network_mut())?;
            }
            return Ok((trainer, state));
        };
        let state: State = checkpoint::state(path)?;
        let settings = self.settings(state.settings)?;
        let state = state.resumed(&task, settings)?;
        Ok((state.load(backend, path, self.steps(&state, images))?, state))
    }

    /// Minibatches of all epochs.
    fn steps(&self, state: &State, images: &Dataset) -> u64 {
        let (count, batch) = (images.count().max(1), state.settings.batch);
        self.epochs.saturating_mul(count.div_ceil(batch.min(count)) as u64)
    }
}

impl State {
    /// The network and its optimizer, untrained, for so many minibatches.
    fn trainer<B: Ops>(&self, backend: &B, steps: u64) -> Result<Trainer<B>, Failure> {
        self.settings.trainer(backend, self.task.network(backend, self.settings.seed)?, steps)
    }

    /// The same as the checkpoint has them, whose state this is.
    pub(crate) fn load<B: Ops>(&self, backend: &B, path: &Path, steps: u64) -> Result<Trainer<B>, Failure> {
        let mut trainer = self.trainer(backend, steps)?;
        let _: State = checkpoint::load(path, backend, trainer.network_mut())?;
        trainer.set_steps(self.steps);
        Ok(trainer)
    }
}
