//! What a bench writes: a CSV of times and, beside it, what they were taken on.

use std::path::Path;

use examples::Failure;
use examples::files::write_whole;
use serde::{Deserialize, Serialize};

use super::turns::Times;

/// One time: the columns of the CSV.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) problem: String,
    /// A pass, `step` for all three together, `train` for a step of a whole network.
    pub(crate) pass: String,
    pub(crate) backend: String,
    /// An algorithm of ours, or a peer's name.
    pub(crate) algorithm: String,
    /// Whether the chooser picked it, or the command named it.
    pub(crate) chosen: bool,
    pub(crate) median_ms: f64,
    pub(crate) min_ms: f64,
    /// Direct convolution's operations, 2 a multiply-add, over the median.
    pub(crate) gflops: f64,
    pub(crate) predicted_ms: Option<f64>,
    pub(crate) workspace_mib: Option<f64>,
    /// Largest error over the largest sum of absolute products, where it was checked.
    pub(crate) error: Option<f64>,
}

impl Row {
    /// From name, problem, pass, backend and algorithm, and the multiply-adds that direct convolution would take.
    pub(crate) fn new(words: [&str; 5], chosen: bool, times: &Times, multiply_adds: f64) -> Self {
        let [name, problem, pass, backend, algorithm] = words.map(String::from);
        Row {
            name,
            problem,
            pass,
            backend,
            algorithm,
            chosen,
            median_ms: milliseconds(times.median()),
            min_ms: milliseconds(times.min()),
            gflops: rounded(2e-9 * multiply_adds / times.median(), 1e3),
            predicted_ms: None,
            workspace_mib: None,
            error: None,
        }
    }
}

/// To the nanosecond.
pub(crate) fn milliseconds(seconds: f64) -> f64 {
    rounded(seconds * 1e3, 1e6)
}

/// To one of `parts` parts of 1.
pub(crate) fn rounded(value: f64, parts: f64) -> f64 {
    (value * parts).round() / parts
}

/// What the times of a CSV were taken on, in the JSON beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct About {
    pub(crate) machine: String,
    pub(crate) threads: usize,
    pub(crate) date: String,
    pub(crate) commit: String,
    pub(crate) command: String,
    /// Cells `name pass algorithm` that were run a single time.
    #[serde(default)]
    pub(crate) once: Vec<String>,
}

impl About {
    /// Today, this commit, this command.
    pub(crate) fn this_run(machine: String, threads: usize) -> Self {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let quoted = arguments.iter().map(|a| if a.contains(' ') { format!("{a:?}") } else { a.clone() });
        let command = format!("cargo xtask {}", quoted.collect::<Vec<_>>().join(" "));
        let date = jiff::Zoned::now().date().to_string();
        About { machine, threads, date, commit: commit(), command, once: Vec::new() }
    }
}

/// The short hash of the checkout, with `+` where files are changed, or `unknown` outside of git.
fn commit() -> String {
    let git = |arguments: &[&str]| {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
        let output = std::process::Command::new("git").args(["-C", root]).args(arguments).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_string())
    };
    let Some(hash) = git(&["rev-parse", "--short", "HEAD"]) else { return "unknown".into() };
    let changed =
        git(&["status", "--porcelain", "--untracked-files=no"]).is_some_and(|text| !text.is_empty());
    if changed { hash + "+" } else { hash }
}

/// Writes the CSV and the JSON beside it, each whole or not at all.
///
/// # Errors
/// Why a file cannot be written.
pub(crate) fn save(path: &Path, rows: &[Row], about: &About) -> Result<(), Failure> {
    write_whole("--csv", path, |to| {
        let mut writer = csv::Writer::from_writer(to);
        rows.iter().try_for_each(|row| writer.serialize(row)).map_err(|error| error.to_string())?;
        writer.flush().map_err(|error| error.to_string())
    })?;
    write_whole("--csv", &path.with_extension("json"), |to| {
        serde_json::to_writer_pretty(to, about).map_err(|error| error.to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_columns_are_as_other_tools_read_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.csv");
        let row = Row {
            name: "a, b".into(),
            problem: "n1 c1 o1 i4 k3".into(),
            pass: "forward".into(),
            backend: "cpu".into(),
            algorithm: "direct".into(),
            chosen: true,
            median_ms: 1.5,
            min_ms: 1.25,
            gflops: 2.0,
            predicted_ms: None,
            workspace_mib: Some(0.0),
            error: Some(1e-7),
        };
        save(&path, std::slice::from_ref(&row), &About::this_run("m".into(), 2)).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let header = "name,problem,pass,backend,algorithm,chosen,median_ms,min_ms,gflops,predicted_ms,\
                      workspace_mib,error";
        let line = "\"a, b\",n1 c1 o1 i4 k3,forward,cpu,direct,true,1.5,1.25,2.0,,0.0,1e-7";
        assert_eq!(text, format!("{header}\n{line}\n"));
        let about = std::fs::read_to_string(folder.path().join("x.json")).unwrap();
        assert_eq!(serde_json::from_str::<About>(&about).unwrap().threads, 2);
        assert_eq!(csv::Reader::from_path(&path).unwrap().deserialize::<Row>().next().unwrap().unwrap(), row);
    }
}
