//! Where the checkpoints of a run go: the last, and beside it the best.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use conv_core::Ops;
use nn::{Sequential, checkpoint};

use super::State;
use crate::{Failure, files};

/// Where and how often to save; nothing where there is no path.
#[derive(Clone, Debug, Default)]
pub(super) struct Saves {
    pub(super) path: Option<PathBuf>,
    /// Minibatches between two saves within an epoch.
    pub(super) every: Option<NonZeroUsize>,
}

impl Saves {
    /// Whether the files can be made.
    pub(super) fn check(&self) -> Result<(), Failure> {
        let Some(path) = &self.path else { return Ok(()) };
        files::check_writable("--save", path)?;
        files::check_writable("--save", &best(path))
    }

    /// Writes the last checkpoint.
    pub(super) fn last<B: Ops>(
        &self,
        backend: &B,
        network: &Sequential<B>,
        state: &State,
    ) -> Result<(), Failure> {
        self.path.as_ref().map_or(Ok(()), |path| Ok(checkpoint::save(path, backend, network, state)?))
    }

    /// Writes the best checkpoint.
    pub(super) fn best<B: Ops>(
        &self,
        backend: &B,
        network: &Sequential<B>,
        state: &State,
    ) -> Result<(), Failure> {
        self.path.as_ref().map_or(Ok(()), |path| Ok(checkpoint::save(best(path), backend, network, state)?))
    }

    /// Whether to save after `minibatches` of an epoch.
    pub(super) fn is_due(&self, minibatches: usize) -> bool {
        self.every.is_some_and(|every| minibatches.is_multiple_of(every.get()))
    }
}

/// `a.safetensors` becomes `a.best.safetensors`.
fn best(path: &Path) -> PathBuf {
    let mut name = OsString::from(path.file_stem().unwrap_or_default());
    name.push(".best");
    if let Some(extension) = path.extension() {
        name.push(".");
        name.push(extension);
    }
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_is_beside_the_last() {
        assert_eq!(best(Path::new("a/b.safetensors")), Path::new("a/b.best.safetensors"));
        assert_eq!(best(Path::new("b")), Path::new("b.best"));
    }
}
