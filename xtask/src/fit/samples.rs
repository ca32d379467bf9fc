//! The measurements behind a table: a CSV that grows by one problem and pass at a time.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{Seek, Write};
use std::path::Path;

use conv_core::{Cost, Rates};
use examples::Failure;
use serde::{Deserialize, Serialize};

/// One algorithm's time on one problem and pass, and what was counted of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sample {
    pub(crate) problem: String,
    pub(crate) pass: String,
    pub(crate) algorithm: String,
    pub(crate) threads: usize,
    /// The shortest of its runs.
    pub(crate) ms: f64,
    transform_flops: f64,
    product_flops: f64,
    transform_idle: f64,
    product_idle: f64,
    moves: f64,
    bytes: f64,
    launches: f64,
}

impl Sample {
    pub(crate) fn new(
        [problem, pass, algorithm]: [String; 3],
        threads: usize,
        seconds: f64,
        cost: &Cost,
    ) -> Self {
        let Cost {
            transform_flops, product_flops, transform_idle, product_idle, moves, bytes, launches, ..
        } = *cost;
        let ms = (seconds * 1e9).round() / 1e6;
        Sample {
            problem,
            pass,
            algorithm,
            threads,
            ms,
            transform_flops,
            product_flops,
            transform_idle,
            product_idle,
            moves,
            bytes,
            launches,
        }
    }

    /// The terms of the linear model.
    pub(crate) fn terms(&self) -> [f64; 5] {
        let Sample {
            transform_flops,
            product_flops,
            transform_idle,
            product_idle,
            moves,
            bytes,
            launches,
            ..
        } = *self;
        let cost = Cost {
            transform_flops,
            product_flops,
            transform_idle,
            product_idle,
            moves,
            bytes,
            launches,
            workspace: 0,
        };
        cost.terms(self.threads)
    }

    pub(crate) fn seconds(&self) -> f64 {
        self.ms * 1e-3
    }

    /// What these rates predict.
    pub(crate) fn predicted(&self, rates: &Rates) -> f64 {
        self.terms().iter().zip(rates.values()).map(|(term, rate)| term * rate).sum()
    }

    /// What was chosen among: samples of one cell have equal keys.
    pub(crate) fn cell(&self) -> (&str, &str, usize) {
        (&self.problem, &self.pass, self.threads)
    }
}

/// A file of samples, open for more.
pub(crate) struct Samples {
    file: File,
    pub(crate) all: Vec<Sample>,
}

impl Samples {
    /// Opens the file, or makes it; a last line that a killed run left unfinished is cut off.
    ///
    /// # Errors
    /// A file that is something else.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        let about = |reason: String| Failure::Bad(format!("--samples {}: {reason}", path.display()));
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(about(error.to_string())),
        };
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        let rows = csv::Reader::from_reader(&text.as_bytes()[..whole]).into_deserialize();
        let all = rows.collect::<Result<Vec<Sample>, _>>().map_err(|error| about(error.to_string()))?;
        let open = || -> std::io::Result<File> {
            let mut file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
            file.set_len(whole as u64)?;
            file.seek(std::io::SeekFrom::End(0))?;
            Ok(file)
        };
        Ok(Samples { file: open().map_err(|error| about(error.to_string()))?, all })
    }

    /// Cells that need not be measured again.
    pub(crate) fn cells(&self) -> HashSet<(String, String, usize)> {
        let owned = |(problem, pass, threads): (&str, &str, usize)| (problem.into(), pass.into(), threads);
        self.all.iter().map(|sample| owned(sample.cell())).collect()
    }

    /// Adds a cell's samples by one write, so that a killed run leaves all or none of them.
    ///
    /// # Errors
    /// As writing.
    pub(crate) fn add(&mut self, cell: Vec<Sample>) -> Result<(), Failure> {
        let mut writer = csv::WriterBuilder::new().has_headers(self.all.is_empty()).from_writer(Vec::new());
        let failed = |error: String| Failure::Bad(format!("--samples: {error}"));
        cell.iter().try_for_each(|sample| writer.serialize(sample)).map_err(|e| failed(e.to_string()))?;
        let bytes = writer.into_inner().map_err(|error| failed(error.to_string()))?;
        self.file.write_all(&bytes).map_err(|error| failed(error.to_string()))?;
        self.all.extend(cell);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(problem: &str, ms: f64) -> Sample {
        let words = [problem.to_string(), "forward".into(), "direct".into()];
        Sample::new(words, 2, ms * 1e-3, &Cost { bytes: 5.0, ..Cost::default() })
    }

    #[test]
    fn what_a_kill_cuts_off_is_measured_again_and_the_rest_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("samples.csv");
        let mut samples = Samples::open(&path).unwrap();
        samples.add(vec![sample("a", 1.5), sample("a", 2.5)]).unwrap();
        samples.add(vec![sample("b", 1.0)]).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, &text[..text.len() - 9]).unwrap();
        let mut samples = Samples::open(&path).unwrap();
        assert_eq!(samples.all, [sample("a", 1.5), sample("a", 2.5)]);
        samples.add(vec![sample("b", 1.0)]).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        assert_eq!(Samples::open(&path).unwrap().cells().len(), 2);
    }

    #[test]
    fn another_file_is_refused_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("samples.csv");
        std::fs::write(&path, "a,b\n1,2\n").unwrap();
        let Err(failure) = Samples::open(&path) else { panic!("it opened") };
        assert!(failure.to_string().contains("missing field `problem`"), "{failure}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "a,b\n1,2\n");
    }
}
