//! Paths that a user gave: what they are by their extension, and how a file appears whole or not at all.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::failure::expected;
use crate::{Failure, Tensor, npy, picture};

/// What a file holds, by its extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// An array of numpy.
    Npy,
    /// A lossless image.
    Png,
    /// A lossy image.
    Jpeg,
}

impl Format {
    /// The format of `path`; images only where the flag takes them.
    pub(crate) fn of(flag: &str, path: &Path, images: bool) -> Result<Format, Failure> {
        let extension = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        match extension.as_str() {
            "npy" => Ok(Format::Npy),
            "png" if images => Ok(Format::Png),
            "jpg" | "jpeg" if images => Ok(Format::Jpeg),
            _ => {
                let known = if images { "a name in .npy, .png or .jpg" } else { "a name in .npy" };
                Err(expected(flag, known, shown(path)))
            }
        }
    }
}

/// Reads a tensor; images become `(1, C, H, W)`.
pub(crate) fn read(flag: &str, path: &Path, images: bool) -> Result<Tensor, Failure> {
    let format = Format::of(flag, path, images)?;
    check_readable(flag, path)?;
    let about = about(flag, path);
    let bytes = std::fs::read(path).map_err(|error| about(error.to_string()))?;
    match format {
        Format::Npy => npy::read(&bytes),
        Format::Png | Format::Jpeg => picture::read(&bytes, format),
    }
    .map_err(about)
}

/// Whether there is a file at `path`.
pub(crate) fn check_readable(flag: &str, path: &Path) -> Result<(), Failure> {
    let about = about(flag, path);
    let metadata = std::fs::metadata(path).map_err(|error| about(error.to_string()))?;
    if metadata.is_file() { Ok(()) } else { Err(about("expected a file, found a folder or device".into())) }
}

/// Writes a tensor in this format, whole or not at all.
pub(crate) fn write(flag: &str, path: &Path, format: Format, tensor: &Tensor) -> Result<(), Failure> {
    write_whole(flag, path, |writer| match format {
        Format::Npy => npy::write(writer, tensor),
        Format::Png | Format::Jpeg => picture::write(writer, tensor, format),
    })
}

/// Fills a file that then appears at `path`, whole or not at all. Messages name `flag` and `path`.
///
/// # Errors
/// Why the file cannot be made, or what `fill` reports.
pub fn write_whole(
    flag: &str,
    path: &Path,
    fill: impl FnOnce(&mut BufWriter<&mut NamedTempFile>) -> Result<(), String>,
) -> Result<(), Failure> {
    let about = about(flag, path);
    let mut file = temporary(path).map_err(|error| about(error.to_string()))?;
    let mut writer = BufWriter::new(&mut file);
    fill(&mut writer).map_err(&about)?;
    writer.flush().map_err(|error| about(error.to_string()))?;
    drop(writer);
    file.persist(path).map_err(|error| about(error.to_string()))?;
    Ok(())
}

/// Whether a file can be made at `path`, found out before any work is done for it.
///
/// # Errors
/// Why it cannot.
pub fn check_writable(flag: &str, path: &Path) -> Result<(), Failure> {
    let about = about(flag, path);
    if (path.exists() && !path.is_file()) || path.file_name().is_none() {
        return Err(about("expected a file name, found a folder or device".into()));
    }
    if !folder(path).is_dir() {
        return Err(about(format!("expected an existing folder, found none at {}", shown(&folder(path)))));
    }
    temporary(path).map(drop).map_err(|error| about(error.to_string()))
}

/// Makes messages about a path out of reasons.
fn about(flag: &str, path: &Path) -> impl Fn(String) -> Failure {
    let place = format!("{flag} {}", shown(path));
    move |reason| Failure::Bad(format!("{place}: {reason}"))
}

/// A file beside `path` that goes away unless it is given that name.
fn temporary(path: &Path) -> std::io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    // As any new file: the creation mask is still applied.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder(path))
}

fn folder(path: &Path) -> PathBuf {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or(Path::new(".")).into()
}

/// A path as messages show it: its last 80 characters.
pub(crate) fn shown(path: &Path) -> String {
    let text = path.display().to_string();
    match text.chars().count().saturating_sub(80) {
        0 => text,
        skipped => format!("…{}", text.chars().skip(skipped).collect::<String>()),
    }
}
