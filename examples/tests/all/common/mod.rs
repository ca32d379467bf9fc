//! What the tests of the programs share: running one inside the test, and files for it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use examples::{Failure, Program, Tensor, start};
use ndarray::ArrayD;
use ndarray_npy::{read_npy, write_npy};

/// Runs a program with these words, whatever the user has fitted or measured; what it wrote to stdout.
pub(crate) fn run<P: Program>(words: &[&str]) -> Result<String, Failure> {
    conv_core::cache::off();
    let mut out = Vec::new();
    let words = ["program"].iter().chain(words).map(OsString::from);
    start::<P>(words, &mut out)?;
    Ok(String::from_utf8(out).expect("programs write text"))
}

/// The CPU with a table of the library, as the programs run here have it.
#[allow(dead_code, reason = "not every test ranks")]
pub(crate) fn cpu() -> backend_cpu::Cpu {
    conv_core::cache::off();
    backend_cpu::Cpu::new()
}

/// The failure of a run that must fail, checked for its size.
#[allow(dead_code, reason = "not every test looks at failures")]
pub(crate) fn failure<P: Program>(words: &[&str]) -> (u8, String) {
    let failure = run::<P>(words).expect_err(&words.join(" "));
    let message = failure.to_string();
    assert!(!message.is_empty() && message.lines().count() <= 8, "{message}");
    (failure.code(), message)
}

/// A folder that goes away, with names for files in it.
pub(crate) struct Folder(tempfile::TempDir);

#[allow(dead_code, reason = "not every test needs every kind of file")]
impl Folder {
    /// A new one.
    pub(crate) fn new() -> Self {
        Folder(tempfile::tempdir().expect("a temporary folder"))
    }

    /// The path of a file in the folder, as a word.
    pub(crate) fn file(&self, name: &str) -> String {
        self.0.path().join(name).to_str().expect("temporary names are text").into()
    }

    /// Writes an array of these values.
    pub(crate) fn npy(&self, name: &str, shape: &[usize], values: &[f32]) -> String {
        let array = ArrayD::from_shape_vec(shape, values.to_vec()).expect("as many values as the shape says");
        write_npy(self.file(name), &array).expect("a temporary file");
        self.file(name)
    }

    /// Reads an array of little-endian f32 in row-major order.
    pub(crate) fn read(&self, name: &str) -> Tensor {
        let array: ArrayD<f32> = read_npy(self.file(name)).expect("an array");
        Tensor { shape: array.shape().to_vec(), values: array.iter().copied().collect() }
    }

    /// Names of the files in the folder.
    pub(crate) fn names(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.0.path()).expect("the folder");
        let mut names: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
        names.sort();
        names
    }

    /// Its path.
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}
