//! The program `train`: trains a network, and says what it chose and how long every minibatch took.

mod flags;
mod metrics;
mod sets;
mod state;
mod training;

use std::io::Write;

use conv_core::Ops;
use nn::data::Dataset;
use nn::{Optimizer, Sequential, Sgd, Trainer, checkpoint, models};

use crate::{Common, Failure, Program, files};

use metrics::Metrics;
use state::{Settings, State};
use training::Training;

pub use flags::{DataName, ModelName, Train};

impl Program for Train {
    fn common(&self) -> &Common {
        &self.common
    }

    fn run<B: Ops>(self, backend: B, out: &mut (dyn Write + Send)) -> Result<(), Failure> {
        let engine = self.common.engine(backend)?;
        self.check_paths()?;
        let (train, test) = sets::load(&self)?;
        let (network, state) = self.network(engine.backend(), &train)?;
        let Settings { lr, momentum, .. } = state.settings;
        let mut trainer = Trainer::new(network, Sgd::new(lr, momentum, 0.0)?);
        trainer.set_steps(state.steps);
        let mut training = Training { engine, trainer, train, test, state, save: self.save.clone() };
        if training.state.epochs < self.epochs {
            training.prepare(out)?;
            let metrics = Metrics::open(self.metrics.as_deref(), self.resume.is_some())?;
            training.run(self.epochs, metrics, out)?;
        }
        let accuracy = 100.0 * training.test()?.accuracy();
        writeln!(out, "test accuracy: {accuracy:.1} %")?;
        Ok(())
    }
}

impl Train {
    /// Finds what is wrong with paths before any work is done for them.
    fn check_paths(&self) -> Result<(), Failure> {
        for (flag, path) in [("--save", &self.save), ("--metrics", &self.metrics)] {
            path.as_deref().map_or(Ok(()), |path| files::check_writable(flag, path))?;
        }
        self.resume.as_deref().map_or(Ok(()), |path| files::check_readable("--resume", path))
    }

    /// The network and how far it has come: at its beginning, or as the checkpoint has it.
    fn network<B: Ops>(&self, backend: &B, images: &Dataset) -> Result<(Sequential<B>, State), Failure> {
        let (channels, classes) = (images.shape().channels(), images.classes());
        let seed = self.seed.unwrap_or(Settings::DEFAULT.seed);
        let mut network = match self.model {
            ModelName::Lenet => models::lenet(backend, channels, classes, seed)?,
        };
        let Some(path) = &self.resume else {
            let settings = self.settings(Settings::DEFAULT)?;
            return Ok((
                network,
                State { data: self.data, model: self.model, epochs: 0, steps: 0, settings },
            ));
        };
        Sgd::new(1.0, 0.0, 0.0)?.prepare(backend, &mut network)?;
        let state: State = checkpoint::load(path, backend, &mut network)?;
        state.check(self.data, self.model)?;
        Ok((network, State { settings: self.settings(state.settings)?, ..state }))
    }
}
