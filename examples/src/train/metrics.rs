//! The lines of JSON that `--metrics` asks for.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

use nn::{Score, Statistics};
use serde_json::json;

use crate::Failure;
use crate::files::shown;

/// The file, where one is wanted.
pub(super) struct Metrics(Option<File>);

impl Metrics {
    /// Makes the file anew, or goes on in it.
    pub(super) fn open(path: Option<&Path>, go_on: bool) -> Result<Self, Failure> {
        let mut options = OpenOptions::new();
        options.create(true).write(true).append(go_on).truncate(!go_on);
        let open = |path: &Path| {
            let failed = |error| Failure::Bad(format!("--metrics {}: {error}", shown(path)));
            options.open(path).map_err(failed)
        };
        path.map(open).transpose().map(Metrics)
    }

    /// Adds the line of one epoch. Accuracy is a share, times are milliseconds of a minibatch.
    pub(super) fn add(&mut self, epoch: u64, score: &Score, times: &Statistics) -> Result<(), Failure> {
        let Some(file) = &mut self.0 else { return Ok(()) };
        let Statistics { count, min, max, mean, median, std } = times;
        let line = json!({
            "epoch": epoch,
            "loss": score.loss(),
            "accuracy": score.accuracy(),
            "minibatch_ms": {
                "count": count, "min": min, "max": max, "mean": mean, "median": median, "std": std,
            },
        });
        Ok(writeln!(file, "{line}")?)
    }
}
