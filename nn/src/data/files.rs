//! The files of a published set: in the user's folder, in the folder its archive unpacks to, or in the archive.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;

use super::DataError;

/// Most bytes of one file, unpacked: above all published ones, below what a small machine holds.
const LARGEST: u64 = 1 << 30;

/// One form in which a set is published.
pub(super) struct Form {
    /// The folder that the archive unpacks to.
    pub(super) folder: &'static str,
    /// The archive, a gzipped tar.
    pub(super) archive: &'static str,
    /// The files to train and to test with.
    pub(super) names: [&'static [&'static str]; 2],
}

/// A file's bytes, and where they are from, for messages.
pub(super) struct Found {
    pub(super) path: PathBuf,
    pub(super) bytes: Vec<u8>,
}

impl Form {
    /// The files of this form, training and test, where the folder or archive `place` has any of them.
    ///
    /// # Errors
    /// [`DataError::File`] where some but not all are there, or one cannot be read.
    pub(super) fn find(&self, place: &Path) -> Result<Option<[Vec<Found>; 2]>, DataError> {
        let named = place.file_name().is_some_and(|name| name == self.archive);
        if place.is_file() && named {
            return self.unpack(place).map(Some);
        }
        for folder in [place.to_owned(), place.join(self.folder)] {
            if self.names.concat().iter().any(|name| folder.join(name).exists()) {
                return Ok(Some(self.read(&folder)?));
            }
        }
        let archive = place.join(self.archive);
        if archive.is_file() { self.unpack(&archive).map(Some) } else { Ok(None) }
    }

    fn read(&self, folder: &Path) -> Result<[Vec<Found>; 2], DataError> {
        let all = |names: &[&str]| -> Result<Vec<_>, _> {
            names.iter().map(|name| read(folder.join(name))).collect()
        };
        Ok([all(self.names[0])?, all(self.names[1])?])
    }

    /// Reads the wanted files of a gzipped tar, whatever folder they are in.
    fn unpack(&self, archive: &Path) -> Result<[Vec<Found>; 2], DataError> {
        let failed = |error: std::io::Error| bad(archive, format!("expected a gzipped tar, found: {error}"));
        let file = File::open(archive).map_err(|error| bad(archive, error.to_string()))?;
        let wanted = self.names.concat();
        let mut members = HashMap::new();
        for entry in tar::Archive::new(GzDecoder::new(file)).entries().map_err(failed)? {
            let mut entry = entry.map_err(failed)?;
            let path = entry.path().map_err(failed)?.into_owned();
            let name = path.file_name().and_then(|name| wanted.iter().find(|wanted| name == **wanted));
            if let Some(name) = name {
                let path = archive.join(path);
                let bytes = bounded(&path, &mut entry)?;
                members.insert(*name, Found { path, bytes });
            }
        }
        let mut all = |names: &[&'static str]| -> Result<Vec<_>, _> {
            let missing = |name| bad(archive, format!("expected {name} in it, found none"));
            names.iter().map(|name| members.remove(name).ok_or_else(|| missing(name))).collect()
        };
        Ok([all(self.names[0])?, all(self.names[1])?])
    }

    /// What `find` looks for, for messages.
    pub(super) fn describe(&self) -> String {
        format!("{}, {} or {}", self.names[0][0], self.folder, self.archive)
    }
}

/// The bytes of one file, which must be one.
pub(super) fn read(path: PathBuf) -> Result<Found, DataError> {
    let mut file = open(&path)?;
    let bytes = bounded(&path, &mut file)?;
    Ok(Found { path, bytes })
}

/// The bytes of a gzipped file, unpacked.
pub(super) fn read_gzipped(path: PathBuf) -> Result<Found, DataError> {
    let bytes = bounded(&path, &mut GzDecoder::new(open(&path)?))?;
    Ok(Found { path, bytes })
}

fn open(path: &Path) -> Result<File, DataError> {
    if path.exists() && !path.is_file() {
        return Err(bad(path, "expected a file, found a folder or device"));
    }
    File::open(path).map_err(|error| bad(path, error.to_string()))
}

fn bounded(path: &Path, from: &mut impl Read) -> Result<Vec<u8>, DataError> {
    let mut bytes = Vec::new();
    from.take(LARGEST + 1).read_to_end(&mut bytes).map_err(|error| bad(path, error.to_string()))?;
    match bytes.len() as u64 > LARGEST {
        true => Err(bad(path, format!("expected at most {LARGEST} bytes, found more"))),
        false => Ok(bytes),
    }
}

/// An error about a file.
pub(super) fn bad(path: &Path, reason: impl Into<String>) -> DataError {
    DataError::File { path: path.into(), reason: reason.into() }
}
