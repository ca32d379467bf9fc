//! The networks that `--model` names.

use clap::ValueEnum;
use conv_core::Ops;
use nn::{Sequential, models};
use serde::{Deserialize, Serialize};

use super::Task;
use crate::Failure;
use crate::failure::expected;

/// Which network to train.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModelName {
    /// Two convolutions and three linear layers on images of 32 × 32.
    Lenet,
    /// The report's: one convolution of --kernel points a side, pooling, three linear layers.
    Report,
    /// The same, its kernels learned in the Fourier domain.
    Spectral,
    /// The paper's five convolutions, and one linear layer.
    Paper,
    /// Three residual blocks of 3 × 3 convolutions.
    Resnet,
    /// Residual blocks of depthwise convolutions of --kernel points a side, 7 to 31.
    LargeKernel,
    /// Four convolutions along one axis, for sounds.
    Audio,
    /// Three convolutions along three axes, for volumes.
    Volume,
}

/// What a network takes for granted.
struct Facts {
    /// Points of the kernel where no flag says otherwise; none where the network has no such choice.
    kernel: Option<usize>,
    /// Channels and sizes of a random image, where `None` is `--image-size`.
    image: &'static [Option<usize>],
    /// Classes of random images.
    classes: usize,
}

const SQUARE: &[Option<usize>] = &[Some(3), None, None];

impl ModelName {
    fn facts(self) -> Facts {
        let square = Facts { kernel: None, image: SQUARE, classes: 10 };
        match self {
            ModelName::Lenet | ModelName::Resnet => square,
            ModelName::Report | ModelName::Spectral => Facts { kernel: Some(8), ..square },
            ModelName::LargeKernel => Facts { kernel: Some(13), ..square },
            ModelName::Paper => Facts { classes: 1000, ..square },
            ModelName::Audio => Facts { image: &[Some(1), Some(4096)], ..square },
            ModelName::Volume => Facts { image: &[Some(1), None, None, None], ..square },
        }
    }

    /// The kernel that the flag asks for, where the network has one to choose.
    pub(super) fn kernel(self, flag: Option<usize>) -> Result<Option<usize>, Failure> {
        match (self.facts().kernel, flag) {
            (None, Some(_)) => {
                Err(expected("--kernel", "--model report, spectral or large-kernel", self.name()))
            }
            (default, flag) => Ok(flag.or(default)),
        }
    }

    /// Channels, sizes and classes of random images for this network, `side` points a side where it does not mind.
    pub(super) fn random_images(self, side: usize) -> (Vec<usize>, usize) {
        let Facts { image, classes, .. } = self.facts();
        (image.iter().map(|size| size.unwrap_or(side)).collect(), classes)
    }
}

impl Task {
    /// The network, untrained.
    pub(super) fn network<B: Ops>(&self, backend: &B, seed: u64) -> Result<Sequential<B>, Failure> {
        let (channels, classes) = (self.image[0], self.classes.len());
        let (size, kernel) = (self.image.last().copied().unwrap_or(1), self.kernel.unwrap_or(1));
        let network = match self.model {
            ModelName::Lenet => models::lenet(backend, channels, classes, seed),
            ModelName::Report => models::report(backend, channels, size, kernel, classes, seed),
            ModelName::Spectral => models::spectral(backend, channels, size, kernel, classes, seed),
            ModelName::Paper => models::paper(backend, channels, size, classes, seed),
            ModelName::Resnet => models::resnet(backend, channels, classes, seed),
            ModelName::LargeKernel => models::large_kernel(backend, channels, kernel, classes, seed),
            ModelName::Audio => models::audio(backend, channels, classes, seed),
            ModelName::Volume => models::volume(backend, channels, classes, seed),
        };
        Ok(network?)
    }
}
