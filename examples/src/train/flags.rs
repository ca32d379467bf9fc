//! The flags of `train`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::descent;
use super::model::ModelName;
use super::state::Settings;
use crate::failure::expected;
use crate::{Common, Failure};

/// What to train on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DataName {
    /// 1797 handwritten digits that are part of the program.
    Digits,
    /// CIFAR-10, binary or Python files or archive.
    Cifar10,
    /// CIFAR-100, binary or Python files or archive.
    Cifar100,
    /// MNIST, IDX files, plain or gzipped.
    Mnist,
    /// Fashion-MNIST, IDX files, plain or gzipped.
    FashionMnist,
    /// PNG and JPEG images in a folder for each class, in train/ and test/ or split by the program.
    Folder,
    /// Random images with random labels, for timing.
    Fake,
}

impl DataName {
    /// As the flag has it.
    pub(crate) fn name(self) -> String {
        word(self)
    }
}

impl ModelName {
    /// As the flag has it.
    pub(crate) fn name(self) -> String {
        word(self)
    }
}

fn word(value: impl ValueEnum) -> String {
    value.to_possible_value().map_or_else(String::new, |value| value.get_name().into())
}

/// Trains a network and prints, per layer and pass, the algorithm chosen, and per epoch the loss, the accuracy and
/// the times of the minibatches.
///
/// A run that was saved goes on with --resume, with the settings it had wherever no flag says otherwise, and ends
/// as if it had never stopped. Ctrl-C saves and ends with exit code 130.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "train")]
pub struct Train {
    /// What to train on.
    #[arg(long, value_enum, default_value_t = DataName::Digits)]
    pub(super) data: DataName,

    /// Folder of the data's files; those of cifar10 and cifar100 may be in their archive.
    #[arg(long, value_name = "DIR")]
    pub(super) data_dir: Option<PathBuf>,

    /// Fetch published files that --data-dir lacks, resumed and checked by SHA-256.
    #[arg(long)]
    pub(super) download: bool,

    /// Where to fetch them from instead of where they are published: the address of a folder with files of the same
    /// names.
    #[arg(long, value_name = "URL", requires = "download")]
    pub(super) mirror: Option<String>,

    /// Points of a side of an image (folder, fake) [default: 32].
    #[arg(long, value_name = "N")]
    pub(super) image_size: Option<usize>,

    /// Which network to train.
    #[arg(long, value_enum, default_value_t = ModelName::Lenet)]
    pub(super) model: ModelName,

    /// Points of a side of the network's kernels (report, spectral, large-kernel) [default: 8, 8, 13].
    #[arg(long, value_name = "N")]
    pub(super) kernel: Option<usize>,

    /// Passes over the data, all together: a resumed run does the rest.
    #[arg(long, value_name = "N", default_value_t = 15)]
    pub(super) epochs: u64,

    /// Images of a minibatch [default: 32].
    #[arg(long, value_name = "N")]
    pub(super) batch: Option<usize>,

    /// Learning rate [default: 0.01, or 0.001 with adam and adamw].
    #[arg(long, value_name = "RATE")]
    pub(super) lr: Option<f32>,

    /// Share of the last step's direction that is kept [default: 0.9].
    #[arg(long, value_name = "SHARE")]
    pub(super) momentum: Option<f32>,

    #[command(flatten)]
    pub(super) descent: descent::Flags,

    /// Decides the first weights, the order of the images and how they are varied [default: 1].
    #[arg(long, value_name = "N")]
    pub(super) seed: Option<u64>,

    /// Shift training images at random by at most so many points [default: 0].
    #[arg(long, value_name = "N")]
    pub(super) crop: Option<usize>,

    /// Mirror half of the training images at random [default: false].
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub(super) flip: Option<bool>,

    /// Threads that make minibatches ahead of the steps.
    #[arg(long, value_name = "N", default_value = "1")]
    pub(super) workers: NonZeroUsize,

    /// Where the last checkpoint goes, at the start and after every epoch; the one best on the test set goes beside
    /// it, to NAME.best.safetensors.
    #[arg(long, value_name = "FILE")]
    pub(super) save: Option<PathBuf>,

    /// Save after so many minibatches too.
    #[arg(long, value_name = "N", requires = "save")]
    pub(super) save_every: Option<NonZeroUsize>,

    /// The checkpoint to go on from.
    #[arg(long, value_name = "FILE")]
    pub(super) resume: Option<PathBuf>,

    /// Weights to begin with: safetensors of a state_dict of PyTorch, by name.
    #[arg(long, value_name = "FILE", conflicts_with = "resume")]
    pub(super) weights: Option<PathBuf>,

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
            lr: self.lr.or(self.descent.rate()).unwrap_or(otherwise.lr),
            momentum: self.momentum.unwrap_or(otherwise.momentum),
            descent: self.descent.descent(otherwise.descent),
            seed: self.seed.unwrap_or(otherwise.seed),
            crop: self.crop.unwrap_or(otherwise.crop),
            flip: self.flip.unwrap_or(otherwise.flip),
        };
        if settings.batch == 0 { Err(expected("--batch", "at least 1", 0)) } else { Ok(settings) }
    }
}
