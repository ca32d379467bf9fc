//! How parameters are moved: optimizer, learning rates, clipping, smoothing.

use clap::ValueEnum;
use conv_core::Ops;
use nn::{Adam, CrossEntropy, Decay, Schedule, Sequential, Sgd, Trainer};
use serde::{Deserialize, Serialize};

use super::Settings;
use crate::Failure;

/// Which rule moves the parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OptimizerName {
    /// Gradient descent with momentum.
    Sgd,
    /// The same with Nesterov's momentum.
    Nesterov,
    /// Adam.
    Adam,
    /// Adam with decoupled weight decay.
    Adamw,
}

/// How the learning rate changes over the whole run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScheduleName {
    /// Not at all.
    Constant,
    /// To a tenth after each third.
    Step,
    /// In a straight line to 0.
    Linear,
    /// Along half a cosine to 0.
    Cosine,
}

/// The flags; where none is given, a resumed run keeps what it had.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct Flags {
    /// Which rule moves the parameters [default: sgd].
    #[arg(long, value_enum)]
    optimizer: Option<OptimizerName>,

    /// Weight decay [default: 0].
    #[arg(long, value_name = "RATE")]
    weight_decay: Option<f32>,

    /// How the learning rate changes over the epochs [default: constant].
    #[arg(long, value_enum)]
    schedule: Option<ScheduleName>,

    /// Minibatches over which the learning rate rises to its full height first [default: 0].
    #[arg(long, value_name = "N")]
    warmup: Option<u64>,

    /// Largest norm of all gradients together, 0 for any [default: 0].
    #[arg(long, value_name = "NORM")]
    clip: Option<f64>,

    /// Share of each target spread evenly over all classes [default: 0].
    #[arg(long, value_name = "SHARE")]
    label_smoothing: Option<f32>,
}

/// What decides how parameters are moved, besides learning rate and momentum.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Descent {
    optimizer: OptimizerName,
    weight_decay: f32,
    schedule: ScheduleName,
    warmup: u64,
    clip: f64,
    label_smoothing: f32,
}

impl Descent {
    pub(super) const DEFAULT: Descent = Descent {
        optimizer: OptimizerName::Sgd,
        weight_decay: 0.0,
        schedule: ScheduleName::Constant,
        warmup: 0,
        clip: 0.0,
        label_smoothing: 0.0,
    };
}

impl Flags {
    /// What is given, of `otherwise` the rest.
    pub(super) fn descent(&self, otherwise: Descent) -> Descent {
        Descent {
            optimizer: self.optimizer.unwrap_or(otherwise.optimizer),
            weight_decay: self.weight_decay.unwrap_or(otherwise.weight_decay),
            schedule: self.schedule.unwrap_or(otherwise.schedule),
            warmup: self.warmup.unwrap_or(otherwise.warmup),
            clip: self.clip.unwrap_or(otherwise.clip),
            label_smoothing: self.label_smoothing.unwrap_or(otherwise.label_smoothing),
        }
    }

    /// The learning rate of an optimizer that a flag names, where none is given with it.
    pub(super) fn rate(&self) -> Option<f32> {
        match self.optimizer? {
            OptimizerName::Sgd | OptimizerName::Nesterov => None,
            OptimizerName::Adam | OptimizerName::Adamw => Some(0.001),
        }
    }
}

impl Settings {
    /// The training of a network by these settings over `steps` minibatches.
    pub(super) fn trainer<B: Ops>(
        &self,
        backend: &B,
        network: Sequential<B>,
        steps: u64,
    ) -> Result<Trainer<B>, Failure> {
        let Descent { optimizer, weight_decay, clip, label_smoothing, .. } = self.descent;
        let sgd = Sgd::new(self.lr, self.momentum, weight_decay)?;
        let trainer = match optimizer {
            OptimizerName::Sgd => Trainer::new(network, sgd),
            OptimizerName::Nesterov => Trainer::new(network, sgd.nesterov()),
            OptimizerName::Adam => Trainer::new(network, Adam::new(self.lr, weight_decay)?),
            OptimizerName::Adamw => Trainer::new(network, Adam::new(self.lr, weight_decay)?.decoupled()),
        };
        let loss = CrossEntropy::new().label_smoothing(label_smoothing)?;
        let trainer = trainer.with_schedule(self.descent.schedule(steps)?).with_loss(loss);
        let mut trainer = if clip == 0.0 { trainer } else { trainer.with_clip(clip)? };
        trainer.prepare_optimizer(backend)?;
        Ok(trainer)
    }
}

impl Descent {
    fn schedule(&self, steps: u64) -> nn::Result<Schedule> {
        let steps = steps.saturating_sub(self.warmup).max(1);
        let decay = match self.schedule {
            ScheduleName::Constant => Decay::Constant,
            ScheduleName::Step => Decay::Step { every: steps.div_ceil(3), factor: 0.1 },
            ScheduleName::Linear => Decay::Linear { steps },
            ScheduleName::Cosine => Decay::Cosine { steps },
        };
        Schedule::new(self.warmup, decay)
    }
}
