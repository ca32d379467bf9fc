//! The measurements: every CSV under a folder with the JSON beside it, checked field by field.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use conv_core::{ConvProblem, shorten};

use crate::bench::rows::About;

/// The columns that every CSV has.
const COLUMNS: [&str; 12] = [
    "name",
    "problem",
    "pass",
    "backend",
    "algorithm",
    "chosen",
    "median_ms",
    "min_ms",
    "gflops",
    "predicted_ms",
    "workspace_mib",
    "error",
];

/// Algorithms that are other libraries.
const PEERS: [&str; 3] = ["pytorch", "pytorch-tf32", "fft-conv-pytorch"];

/// One CSV and its JSON.
#[derive(Debug)]
pub(crate) struct Source {
    /// The CSV's folder inside the results: the machine's short name.
    pub(crate) folder: String,
    /// The CSV's stem: which list was measured.
    pub(crate) list: String,
    /// The JSON.
    pub(crate) about: About,
    /// The rows, in file order.
    pub(crate) rows: Vec<Row>,
}

/// What a row timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Timed {
    Forward,
    BackwardInput,
    BackwardWeights,
    /// The three passes of a layer together.
    Step,
    /// A training step of a whole network.
    Train,
}

impl Timed {
    pub(crate) const ALL: [Timed; 5] =
        [Timed::Forward, Timed::BackwardInput, Timed::BackwardWeights, Timed::Step, Timed::Train];
    pub(crate) const PASSES: [Timed; 3] = [Timed::Forward, Timed::BackwardInput, Timed::BackwardWeights];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Timed::Forward => "forward",
            Timed::BackwardInput => "backward-input",
            Timed::BackwardWeights => "backward-weights",
            Timed::Step => "step",
            Timed::Train => "train",
        }
    }
}

/// One measurement.
#[derive(Debug)]
pub(crate) struct Row {
    /// The problem's name, or the problem where it has none.
    pub(crate) name: String,
    pub(crate) problem: String,
    /// The problem read; none for a whole network.
    pub(crate) geometry: Option<ConvProblem>,
    pub(crate) pass: Timed,
    pub(crate) backend: String,
    pub(crate) algorithm: String,
    pub(crate) chosen: bool,
    pub(crate) median_ms: f64,
    /// Whether it was timed a single time.
    pub(crate) once: bool,
}

impl Row {
    /// Whether the row is another library's.
    pub(crate) fn is_peer(&self) -> bool {
        PEERS.contains(&self.algorithm.as_str())
    }
}

/// Reads every CSV under `results`, sorted by folder and list.
///
/// # Errors
/// The first file that is not as expected: which, where, what was expected and what was found.
pub(crate) fn sources(results: &Path) -> anyhow::Result<Vec<Source>> {
    let mut paths = Vec::new();
    collect(results, &mut paths)?;
    let mut sources = paths.iter().map(|path| source(results, path)).collect::<anyhow::Result<Vec<_>>>()?;
    sources.sort_by(|a, b| (&a.folder, &a.list).cmp(&(&b.folder, &b.list)));
    Ok(sources)
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let context = || format!("{}: expected a folder of measurements", folder.display());
    let mut entries =
        fs::read_dir(folder).with_context(context)?.collect::<Result<Vec<_>, _>>().with_context(context)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        if entry.file_type().with_context(context)?.is_dir() {
            collect(&path, paths)?;
        } else if path.extension() == Some(OsStr::new("csv")) {
            paths.push(path);
        }
    }
    Ok(())
}

/// Reads one CSV of the folder `results`.
///
/// # Errors
/// As [`sources`].
pub(crate) fn source(results: &Path, csv: &Path) -> anyhow::Result<Source> {
    let about = about(csv)?;
    let folder = csv.parent().and_then(|parent| parent.strip_prefix(results).ok()).unwrap_or(Path::new(""));
    let folder = folder.to_string_lossy().into_owned();
    let list = csv.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let rows = rows(csv, &about)?;
    Ok(Source { folder, list, about, rows })
}

fn about(csv: &Path) -> anyhow::Result<About> {
    let json = csv.with_extension("json");
    if !json.exists() {
        bail!(
            "{}: expected {} beside it (machine, threads, date, commit, command), found none",
            csv.display(),
            json.file_name().unwrap_or_default().to_string_lossy()
        );
    }
    let text = fs::read_to_string(&json).with_context(|| format!("cannot read {}", json.display()))?;
    serde_json::from_str(&text).with_context(|| {
        format!("{}: expected the fields machine, threads, date, commit, command", json.display())
    })
}

fn rows(path: &Path, about: &About) -> anyhow::Result<Vec<Row>> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    let mut rows = Vec::new();
    let mut seen = Seen::default();
    let mut header = false;
    for record in reader.records() {
        let record = record.with_context(|| format!("cannot read {}", path.display()))?;
        let line = record.position().map_or(0, csv::Position::line);
        let at_line = || format!("{}, line {line}", path.display());
        if header {
            let row = row(&record, about).with_context(at_line)?;
            seen.check(&row, line).with_context(at_line)?;
            rows.push(row);
        } else {
            check_header(&record).with_context(at_line)?;
            header = true;
        }
    }
    ensure!(header, "{}, line 1: expected a header, found nothing", path.display());
    Ok(rows)
}

fn check_header(record: &csv::StringRecord) -> anyhow::Result<()> {
    let found = record.iter().collect::<Vec<_>>();
    for (index, column) in COLUMNS.iter().enumerate() {
        let name = found.get(index).copied().unwrap_or_default();
        ensure!(
            name == *column,
            "expected {column} as column {} of the header, found {:?}",
            index + 1,
            shorten(name)
        );
    }
    ensure!(found.len() == COLUMNS.len(), "expected {} columns, found {}", COLUMNS.len(), found.len());
    Ok(())
}

fn row(record: &csv::StringRecord, about: &About) -> anyhow::Result<Row> {
    let fields: Vec<&str> = record.iter().collect();
    let Ok(
        [name, problem, pass, backend, algorithm, chosen, median, min, gflops, predicted, workspace, error],
    ) = <[&str; 12]>::try_from(fields.as_slice())
    else {
        bail!("expected {} fields, found {}", COLUMNS.len(), fields.len());
    };
    let pass = pass_of(pass)?;
    let geometry = (pass != Timed::Train).then(|| geometry(problem)).transpose()?;
    let median_ms = above_zero("median_ms", median)?;
    above_zero("min_ms", min)?;
    let optional = [("predicted_ms", predicted), ("workspace_mib", workspace), ("error", error)];
    for (column, text) in optional.into_iter().filter(|(_, text)| !text.is_empty()) {
        number(column, text)?;
    }
    if !(gflops.is_empty() && pass == Timed::Train) {
        number("gflops", gflops)?;
    }
    ensure!(!algorithm.is_empty(), "expected a name for algorithm, found nothing");
    let chosen = truth(chosen)?;
    let cell = format!("{name} {} {algorithm}", pass.name());
    let name = if name.is_empty() { problem } else { name };
    let row = Row {
        name: name.into(),
        problem: problem.into(),
        geometry,
        pass,
        backend: backend.into(),
        algorithm: algorithm.into(),
        chosen,
        median_ms,
        once: about.once.contains(&cell),
    };
    ensure!(!(row.is_peer() && chosen), "expected chosen = false for the peer {algorithm}, found true");
    Ok(row)
}

fn pass_of(text: &str) -> anyhow::Result<Timed> {
    let names = Timed::ALL.map(Timed::name).join(", ");
    let found = Timed::ALL.into_iter().find(|pass| pass.name() == text);
    found.with_context(|| format!("expected one of {names} for pass, found {:?}", shorten(text)))
}

fn geometry(text: &str) -> anyhow::Result<ConvProblem> {
    let found = || format!("expected a problem such as \"n1 c1 o1 i8x8 k3x3\", found {:?}", shorten(text));
    text.parse().with_context(found)
}

fn truth(text: &str) -> anyhow::Result<bool> {
    text.parse().ok().with_context(|| format!("expected true or false for chosen, found {:?}", shorten(text)))
}

fn number(column: &str, text: &str) -> anyhow::Result<f64> {
    let number = text.parse().ok().filter(|number: &f64| number.is_finite());
    number.with_context(|| format!("expected a number for {column}, found {:?}", shorten(text)))
}

fn above_zero(column: &str, text: &str) -> anyhow::Result<f64> {
    let number = number(column, text).ok().filter(|number| *number > 0.0);
    number.with_context(|| format!("expected a number above 0 for {column}, found {:?}", shorten(text)))
}

/// What the rows so far were, to find rows that contradict them.
#[derive(Default)]
struct Seen {
    lines: HashMap<[String; 5], u64>,
    picks: HashMap<[String; 3], u64>,
    backend: Option<(String, u64)>,
}

impl Seen {
    fn check(&mut self, row: &Row, line: u64) -> anyhow::Result<()> {
        let cell = [row.name.clone(), row.problem.clone(), row.pass.name().into()];
        let [name, problem, pass] = cell.clone();
        let key = [name, problem, pass, row.backend.clone(), row.algorithm.clone()];
        if let Some(first) = self.lines.insert(key, line) {
            bail!(
                "expected one row per problem, pass and algorithm, found {} {} {} in line {first} too",
                shorten(&row.name),
                row.pass.name(),
                row.algorithm
            );
        }
        if let Some(first) = row.chosen.then(|| self.picks.insert(cell, line)).flatten() {
            bail!("expected one chosen row per problem and pass, found another in line {first}");
        }
        if !row.is_peer() {
            let (backend, first) = self.backend.get_or_insert_with(|| (row.backend.clone(), line));
            ensure!(
                *backend == row.backend,
                "expected one backend of ours per file, found {:?} and, in line {first}, {backend:?}",
                row.backend
            );
        }
        Ok(())
    }
}
