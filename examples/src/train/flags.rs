//! The flags of `train`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::state::Settings;
use crate::failure::expected;
use crate::{Common, Failure};

/// What to train on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DataName {
    /// 1797 handwritten digits that are part of the program.
    Digits,
    /// CIFAR-10 in its binary form, from --data-dir.
    Cifar10,
    /// Random images with random labels, for timing.
    Fake,
}

/// Which network to train.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ModelName {
    /// Two convolutions and three linear layers on images of 32 × 32.
    Lenet,
}

/// Trains a network and prints, per layer and pass, the algorithm chosen, and per epoch the loss, the accuracy and
/// the times of the minibatches.
///
/// A run that was saved goes on with --resume, with the settings it had wherever no flag says otherwise.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "train")]
pub struct Train {
    /// What to train on.
    #[arg(long, value_enum, default_value_t = DataName::Digits)]
    pub(super) data: DataName,

    /// Folder with data_batch_1.bin to data_batch_5.bin and test_batch.bin (cifar10).
    #[arg(long, value_name = "DIR")]
    pub(super) data_dir: Option<PathBuf>,

    /// Which network to train.
    #[arg(long, value_enum, default_value_t = ModelName::Lenet)]
    pub(super) model: ModelName,

    /// Passes over the data, all together: a resumed run does the rest.
    #[arg(long, value_name = "N", default_value_t = 15)]
    pub(super) epochs: u64,

    /// Images of a minibatch [default: 32].
    #[arg(long, value_name = "N")]
    pub(super) batch: Option<usize>,

    /// Learning rate [default: 0.01].
    #[arg(long, value_name = "RATE")]
    pub(super) lr: Option<f32>,

    /// Share of the last step's direction that is kept [default: 0.9].
    #[arg(long, value_name = "SHARE")]
    pub(super) momentum: Option<f32>,

    /// Decides the first weights and the order of the images [default: 1].
    #[arg(long, value_name = "N")]
    pub(super) seed: Option<u64>,

    /// Where the last checkpoint goes, after every epoch.
    #[arg(long, value_name = "FILE")]
    pub(super) save: Option<PathBuf>,

    /// The checkpoint to go on from.
    #[arg(long, value_name = "FILE")]
    pub(super) resume: Option<PathBuf>,

    /// Where a line of JSON goes for every epoch; a resumed run adds to it.
    #[arg(long, value_name = "FILE")]
    pub(super) metrics: Option<PathBuf>,

    #[command(flatten)]
    pub(super) common: Common,
}

impl Train {
    /// The settings given, those of `otherwise` for the rest.
    pub(super) fn settings(&self, otherwise: Settings) -> Result<Settings, Failure> {
        let settings = Settings {
            batch: self.batch.unwrap_or(otherwise.batch),
            lr: self.lr.unwrap_or(otherwise.lr),
            momentum: self.momentum.unwrap_or(otherwise.momentum),
            seed: self.seed.unwrap_or(otherwise.seed),
        };
        if settings.batch == 0 { Err(expected("--batch", "at least 1", 0)) } else { Ok(settings) }
    }
}
