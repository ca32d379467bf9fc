//! The program `train`: trains a network, and says what it chose and how long every minibatch took.

mod bar;
mod flags;
mod metrics;
mod saves;
mod sets;
mod state;
mod training;

use std::io::Write;
use std::sync::Arc;

use conv_core::Ops;
use nn::data::Dataset;
use nn::{Sequential, Sgd, Trainer, checkpoint, models};

use crate::{Common, Failure, Program, files, interrupt};

use metrics::Metrics;
use saves::Saves;
use training::Training;

pub use flags::{DataName, ModelName, Train};
pub(crate) use metrics::Line;
pub(crate) use state::{Settings, State, Task};

impl Program for Train {
    fn common(&self) -> &Common {
        &self.common
    }

    fn run<B: Ops>(self, backend: B, out: &mut (dyn Write + Send)) -> Result<(), Failure> {
        let engine = self.common.engine(backend)?;
        let saves = Saves { path: self.save.clone(), every: self.save_every };
        self.check_paths(&saves)?;
        let (train, test) = sets::load(&self)?;
        let (network, state) = self.network(engine.backend(), &train)?;
        let Settings { lr, momentum, .. } = state.settings;
        let trainer = Trainer::new(network, Sgd::new(lr, momentum, 0.0)?);
        let (train, test, workers) = (Arc::new(train), Arc::new(test), self.workers.get());
        let mut training = Training { engine, trainer, train, test, state, saves, workers };
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
}

impl Train {
    /// Finds what is wrong with paths before any work is done for them.
    fn check_paths(&self, saves: &Saves) -> Result<(), Failure> {
        saves.check()?;
        self.metrics.as_deref().map_or(Ok(()), |path| files::check_writable("--metrics", path))?;
        self.resume.as_deref().map_or(Ok(()), |path| files::check_readable("--resume", path))
    }

    /// The network and how far it has come: at its beginning, or as the checkpoint has it.
    fn network<B: Ops>(&self, backend: &B, images: &Dataset) -> Result<(Sequential<B>, State), Failure> {
        let task = Task::new(self, images);
        let seed = self.seed.unwrap_or(Settings::DEFAULT.seed);
        let mut network = task.network(backend, seed)?;
        let Some(path) = &self.resume else {
            return Ok((network, State::new(task, self.settings(Settings::DEFAULT)?)));
        };
        let state: State = checkpoint::load(path, backend, &mut network)?;
        let settings = self.settings(state.settings)?;
        Ok((network, state.resumed(&task, settings)?))
    }
}

impl Task {
    /// The network, untrained.
    pub(crate) fn network<B: Ops>(&self, backend: &B, seed: u64) -> Result<Sequential<B>, Failure> {
        let (channels, classes) = (self.image[0], self.classes.len());
        match self.model {
            ModelName::Lenet => Ok(models::lenet(backend, channels, classes, seed)?),
        }
    }
}
