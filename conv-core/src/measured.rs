//! What the policy [`Measured`](crate::Policy::Measured) knows: seconds by problem, pass and algorithm, kept
//! in the engine and in a file of the user's cache folder.

mod file;

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::{Backend, ConvProblem, Pass};
use file::{File, Header};

/// Seconds by line of the problem, name of the pass and name of the algorithm.
type Seconds = BTreeMap<String, BTreeMap<String, BTreeMap<String, f64>>>;

/// Seconds measured so far.
pub(crate) struct Measurements {
    seconds: Seconds,
    folder: Option<PathBuf>,
    read: bool,
}

impl Measurements {
    /// None yet; read from and written to this folder.
    pub(crate) fn new(folder: Option<PathBuf>) -> Self {
        Measurements { seconds: Seconds::new(), folder, read: false }
    }

    /// Seconds this algorithm took.
    pub(crate) fn get(&self, problem: &ConvProblem, pass: Pass, algorithm: &str) -> Option<f64> {
        self.seconds.get(&problem.to_string())?.get(pass.name())?.get(algorithm).copied()
    }

    /// Reads the folder's file, the first time.
    pub(crate) fn read<B: Backend>(&mut self, backend: &B) {
        if let (false, Some(folder)) = (self.read, &self.folder) {
            self.seconds = File::new(folder, Header::of(backend)).read();
        }
        self.read = true;
    }

    /// Adds what was timed, here and in the folder's file. Where that cannot be written, the folder is left
    /// alone from then on.
    pub(crate) fn add<B: Backend>(
        &mut self,
        backend: &B,
        problem: &ConvProblem,
        pass: Pass,
        times: &[(&'static str, f64)],
    ) {
        let passes = self.seconds.entry(problem.to_string()).or_default();
        let known = passes.entry(pass.name().into()).or_default();
        known.extend(times.iter().map(|(algorithm, seconds)| ((*algorithm).into(), *seconds)));
        if let (Some(folder), false) = (&self.folder, times.is_empty()) {
            let file = File::new(folder, Header::of(backend));
            if let Err(error) = file.merge(&mut self.seconds) {
                let path = file.path().display();
                tracing::warn!(%path, %error, "measured times are kept in this process only");
                self.folder = None;
            }
        }
    }
}
