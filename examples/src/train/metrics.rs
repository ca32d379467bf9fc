//! The lines of JSON that `--metrics` asks for.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;

use nn::{Score, Statistics};
use serde::{Deserialize, Serialize};

use crate::Failure;
use crate::files::{shown, write_whole};

/// One epoch of a run. Losses are in nats, accuracies shares of 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Line {
    /// Counted from 1.
    pub(crate) epoch: u64,
    pub(crate) loss: f64,
    pub(crate) accuracy: f64,
    pub(crate) test_loss: f64,
    pub(crate) test_accuracy: f64,
    /// Of training, over the minibatches since the run began or was resumed.
    pub(crate) images_per_second: f64,
    /// Times of these minibatches.
    pub(crate) minibatch_ms: Statistics,
}

impl Line {
    /// What an epoch came to.
    pub(super) fn new(epoch: u64, train: &Score, test: &Score, images: usize, times: Statistics) -> Self {
        Line {
            epoch,
            loss: train.loss(),
            accuracy: train.accuracy(),
            test_loss: test.loss(),
            test_accuracy: test.accuracy(),
            images_per_second: images as f64 / (times.mean * times.count as f64 / 1e3),
            minibatch_ms: times,
        }
    }
}

/// The file, where one is wanted.
pub(super) struct Metrics(Option<File>);

impl Metrics {
    /// Makes the file anew, or goes on in it after `epochs` epochs: lines beyond, of a run that ended before its
    /// checkpoint was written, are dropped.
    pub(super) fn open(path: Option<&Path>, epochs: Option<u64>) -> Result<Self, Failure> {
        let Some(path) = path else { return Ok(Metrics(None)) };
        let failed = |error| Failure::Bad(format!("--metrics {}: {error}", shown(path)));
        let kept = match epochs {
            Some(epochs) if path.exists() => kept(&fs::read_to_string(path).map_err(failed)?, epochs),
            _ => String::new(),
        };
        write_whole("--metrics", path, |file| file.write_all(kept.as_bytes()).map_err(|e| e.to_string()))?;
        let file = OpenOptions::new().append(true).open(path).map_err(failed)?;
        Ok(Metrics(Some(file)))
    }

    /// Adds a line.
    pub(super) fn add(&mut self, line: &Line) -> Result<(), Failure> {
        let Some(file) = &mut self.0 else { return Ok(()) };
        let text = serde_json::to_string(line).map_err(|error| Failure::Bad(error.to_string()))?;
        Ok(file.write_all(format!("{text}\n").as_bytes())?)
    }
}

/// The whole lines of epochs up to `epochs`.
fn kept(text: &str, epochs: u64) -> String {
    let is_kept = |line: &&str| serde_json::from_str::<Line>(line).is_ok_and(|line| line.epoch <= epochs);
    text.lines().filter(is_kept).map(|line| format!("{line}\n")).collect()
}
