//! The images that `--data` names, fetched first where `--download` asks for it.

use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};
use nn::data::download::{CIFAR10, CIFAR100, FASHION_MNIST, MNIST, Remote};
use nn::data::{self, Dataset};

use super::{DataName, Train};
use crate::Failure;
use crate::progress::target;

/// How many random images there are to train and to test.
const FAKE: (usize, usize) = (640, 128);

/// Points of a side of an image, where the data does not say.
const SIDE: usize = 32;

/// The training and the test set.
pub(super) fn load(flags: &Train) -> Result<(Dataset, Dataset), Failure> {
    flags.check_data()?;
    let side = flags.image_size.unwrap_or(SIDE);
    let Some(folder) = &flags.data_dir else {
        return match flags.data {
            DataName::Digits => Ok(data::digits()?),
            _ => {
                let (sizes, classes) = flags.model.random_images(side);
                let images = |count, seed| data::random(count, sizes[0], &sizes[1..], classes, seed);
                Ok((images(FAKE.0, 1)?, images(FAKE.1, 2)?))
            }
        };
    };
    if flags.download {
        fetch(&flags.remotes(), folder)?;
    }
    Ok(match flags.data {
        DataName::Cifar10 => data::cifar10(folder)?,
        DataName::Cifar100 => data::cifar100(folder)?,
        DataName::Mnist => data::mnist(folder)?,
        DataName::FashionMnist => data::fashion_mnist(folder)?,
        _ => data::image_folder(folder, side)?,
    })
}

impl Train {
    /// Whether the flags about data fit together.
    fn check_data(&self) -> Result<(), Failure> {
        let (name, bad) = (self.data.name(), |message: String| Err(Failure::Bad(message)));
        if self.data.is_in_files() != self.data_dir.is_some() {
            return match self.data_dir {
                None => bad(format!("--data {name} needs --data-dir DIR, found none")),
                Some(_) => bad(format!("--data-dir: expected data in files, found --data {name}")),
            };
        }
        if self.download && self.data.published().is_empty() {
            return bad(format!("--download: expected published data, found --data {name}"));
        }
        if self.image_size.is_some() && !matches!(self.data, DataName::Folder | DataName::Fake) {
            return bad(format!("--image-size: expected --data folder or fake, found --data {name}"));
        }
        Ok(())
    }

    /// What to fetch.
    fn remotes(&self) -> Vec<Remote> {
        let published = self.data.published().iter();
        match &self.mirror {
            None => published.cloned().collect(),
            Some(folder) => published.map(|remote| remote.mirrored(folder)).collect(),
        }
    }
}

impl DataName {
    /// Whether it is read from --data-dir.
    fn is_in_files(self) -> bool {
        !matches!(self, DataName::Digits | DataName::Fake)
    }

    /// Where it is published.
    fn published(self) -> &'static [Remote] {
        match self {
            DataName::Cifar10 => &CIFAR10,
            DataName::Cifar100 => &CIFAR100,
            DataName::Mnist => &MNIST,
            DataName::FashionMnist => &FASHION_MNIST,
            DataName::Digits | DataName::Folder | DataName::Fake => &[],
        }
    }
}

/// Fetches what is not there yet, with a bar for each file.
fn fetch(remotes: &[Remote], folder: &Path) -> Result<(), Failure> {
    for remote in remotes {
        let style = ProgressStyle::with_template("{msg} {wide_bar} {bytes}/{total_bytes}, {eta} left");
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::with_draw_target(Some(remote.bytes), target()).with_style(style);
        bar.set_message(remote.name().to_string());
        remote.fetch(folder, |bytes| bar.set_position(bytes))?;
        bar.finish_and_clear();
    }
    Ok(())
}
