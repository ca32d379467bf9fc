//! The images that `--data` names.

use nn::data::{Dataset, cifar10, digits, random};

use super::{DataName, Train};
use crate::Failure;

/// How many random images there are to train and to test.
const FAKE: (usize, usize) = (640, 128);

/// The training and the test set.
pub(super) fn load(flags: &Train) -> Result<(Dataset, Dataset), Failure> {
    match (flags.data, &flags.data_dir) {
        (DataName::Cifar10, Some(folder)) => Ok(cifar10(folder)?),
        (DataName::Cifar10, None) => {
            Err(Failure::Bad("--data cifar10 needs --data-dir DIR, found none".into()))
        }
        (_, Some(_)) => Err(Failure::Bad("--data-dir goes with --data cifar10 only".into())),
        (DataName::Digits, None) => Ok(digits()?),
        (DataName::Fake, None) => {
            let images = |count, seed| random(count, 3, &[32, 32], 10, seed);
            Ok((images(FAKE.0, 1)?, images(FAKE.1, 2)?))
        }
    }
}
