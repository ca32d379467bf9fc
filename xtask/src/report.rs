//! `cargo xtask report`: one self-contained HTML page from the measurement CSVs.

mod axis;
mod caption;
mod cells;
mod chart;
mod experiments;
mod heat;
mod memory;
mod page;
mod paper;
mod read;
mod regret;
mod speedup;
mod sweep;
#[cfg(test)]
mod tests;

use std::io::Write;
use std::path::{Path, PathBuf};

use examples::Failure;
use examples::files::{check_writable, write_whole};

/// Writes one HTML page from the measurements in a folder, and the picture of the speed-ups beside it.
#[derive(clap::Args)]
pub(crate) struct Report {
    /// Folder of measurements: every CSV in it or in its folders, each with its JSON beside it.
    #[arg(long, value_name = "DIR", default_value = "bench-results")]
    results: PathBuf,

    /// The page; `speedup.svg` is written beside it.
    #[arg(long, value_name = "FILE", default_value = "bench-results/report.html")]
    output: PathBuf,
}

/// Does what the flags say.
///
/// # Errors
/// As [`write()`].
pub(crate) fn run(report: &Report) -> Result<(), Failure> {
    write(&report.results, &report.output)
}

/// Writes the page of one run: the charts of this CSV.
///
/// # Errors
/// As [`write()`].
pub(crate) fn write_run(csv: &Path, page: &Path) -> Result<(), Failure> {
    let folder = csv.parent().unwrap_or(Path::new(""));
    let text = read::source(folder, csv).and_then(|source| page::render_run(&source));
    let text = text.map_err(|error| Failure::Bad(format!("{error:#}")))?;
    write_whole("--page", page, |to| to.write_all(text.as_bytes()).map_err(|error| error.to_string()))
}

/// Reads all measurements in a folder, then writes the page and the picture beside it; on bad measurements neither.
///
/// # Errors
/// The first file that is not as expected, or why a file cannot be written.
pub(crate) fn write(results: &Path, page: &Path) -> Result<(), Failure> {
    let bad = |error: anyhow::Error| Failure::Bad(format!("{error:#}"));
    let sources = read::sources(results).map_err(bad)?;
    let picture = page.with_file_name("speedup.svg");
    let files = [
        (page, page::render(&sources).map_err(bad)?),
        (&picture, speedup::standalone(&sources).map_err(bad)?),
    ];
    files.iter().try_for_each(|(path, _)| check_writable("--output", path))?;
    for (path, text) in &files {
        write_whole("--output", path, |to| to.write_all(text.as_bytes()).map_err(|error| error.to_string()))?;
    }
    println!("wrote {} and {}", page.display(), picture.display());
    Ok(())
}
