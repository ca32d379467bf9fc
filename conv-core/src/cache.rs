//! The user's cache folder: where fitted tables and measured choices are kept between runs.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use etcetera::BaseStrategy;

static OFF: AtomicBool = AtomicBool::new(false);

/// The folder, made by the first [`write()`]: `CONV_CACHE_DIR`, else `conv-core` in the user's cache folder
/// as the platform has it. `None` where `CONV_CACHE=off`, after [`off`], and where the user has no home.
pub fn folder() -> Option<PathBuf> {
    let switch = std::env::var_os("CONV_CACHE").is_some_and(|value| value.eq_ignore_ascii_case("off"));
    if switch || OFF.load(Ordering::Relaxed) {
        return None;
    }
    let set = std::env::var_os("CONV_CACHE_DIR").filter(|folder| !folder.is_empty());
    let user = || Some(etcetera::base_strategy::choose_native_strategy().ok()?.cache_dir().join("conv-core"));
    set.map(PathBuf::from).or_else(user)
}

/// From now on [`folder`] is `None` in this process, as with `CONV_CACHE=off`: for tests, and for programs
/// that must not depend on the user's files. Call it before the first backend is made.
pub fn off() {
    OFF.store(true, Ordering::Relaxed);
}

/// Writes a file whole or not at all: under another name in the same folder, which is made if need be, then
/// renamed.
///
/// # Errors
/// What the file system reports.
pub fn write(path: &Path, contents: impl AsRef<[u8]>) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(contents.as_ref())?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

/// A file name made of these words: letters and digits in lower case, all else as dashes.
pub fn file_name(words: &[&str], extension: &str) -> String {
    let text = words.join(" ").to_lowercase();
    let words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let mut name = words.collect::<Vec<_>>().join("-");
    name.truncate(120);
    format!("{name}.{extension}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_appear_whole_in_a_folder_made_for_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/table.toml");
        write(&path, "one").unwrap();
        write(&path, "two").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "two");
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        assert!(write(&path.join("below a file"), "three").is_err());
    }

    #[test]
    fn file_names_are_plain() {
        let found = file_name(&["measured", "cpu", "Intel(R) Xeon(R) @ 2.50GHz/../", "2"], "toml");
        assert_eq!(found, "measured-cpu-intel-r-xeon-r-2-50ghz-2.toml");
        assert!(file_name(&[&"x".repeat(9000)], "toml").len() < 130);
    }
}
