//! The measurements behind a table: a CSV that grows by one problem and pass at a time.

use std::collections::{BTreeMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::{Seek, Write};
use std::path::Path;

use conv_core::{Backend, ConvProblem, Cost, Machine, ParseError, Pass, Rates};
use examples::Failure;
use serde::{Deserialize, Serialize};

/// The columns of the file.
const COLUMNS: [&str; 6] = ["problem", "pass", "algorithm", "threads", "round", "ms"];

/// One algorithm's time on one problem and pass.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sample {
    pub(crate) problem: String,
    pub(crate) pass: String,
    pub(crate) algorithm: String,
    pub(crate) threads: usize,
    /// In which round it was taken, the first is 1.
    pub(crate) round: usize,
    /// The shortest of its runs.
    pub(crate) ms: f64,
    /// What is counted of it, see [`Samples::counted`].
    #[serde(skip)]
    pub(crate) cost: Cost,
}

impl Sample {
    pub(crate) fn new([problem, pass, algorithm]: [String; 3], threads: usize, seconds: f64) -> Self {
        let ms = (seconds * 1e9).round() / 1e6;
        Sample { problem, pass, algorithm, threads, round: 1, ms, cost: Cost::default() }
    }

    /// The terms of the linear model.
    pub(crate) fn terms(&self) -> [f64; 5] {
        self.cost.terms(self.threads)
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

    fn measured(&self) -> Measured {
        let Sample { problem, pass, algorithm, threads, round, .. } = self.clone();
        Measured { words: [problem, pass, algorithm], threads, round }
    }
}

/// What a sample is of: a problem, pass and algorithm with so many threads, in a round.
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct Measured {
    pub(crate) words: [String; 3],
    pub(crate) threads: usize,
    pub(crate) round: usize,
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
        let mut reader = csv::Reader::from_reader(&text.as_bytes()[..whole]);
        let columns = reader.headers().map_err(|error| about(error.to_string()))?;
        if whole > 0 && *columns != COLUMNS[..] {
            let found = columns.iter().collect::<Vec<_>>().join(",");
            return Err(about(format!("expected the columns {}, found {found}", COLUMNS.join(","))));
        }
        let rows = reader.into_deserialize();
        let all = rows.collect::<Result<Vec<Sample>, _>>().map_err(|error| about(error.to_string()))?;
        let open = || -> std::io::Result<File> {
            let mut file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
            file.set_len(whole as u64)?;
            file.seek(std::io::SeekFrom::End(0))?;
            Ok(file)
        };
        Ok(Samples { file: open().map_err(|error| about(error.to_string()))?, all })
    }

    /// What need not be measured again.
    pub(crate) fn known(&self) -> HashSet<Measured> {
        self.all.iter().map(Sample::measured).collect()
    }

    /// The shortest of all rounds with what the backend's algorithms count of them today, so that counts may be
    /// corrected and rates fitted again without measuring again. Left out: what no algorithm does any more.
    ///
    /// # Errors
    /// What is no problem or no pass.
    pub(crate) fn counted<B: Backend>(&self, backend: &B) -> Result<Vec<Sample>, Failure> {
        let mut shortest: BTreeMap<_, &Sample> = BTreeMap::new();
        for sample in &self.all {
            let least = shortest.entry((sample.cell(), &sample.algorithm)).or_insert(sample);
            if sample.ms < least.ms {
                *least = sample;
            }
        }
        let counted = |sample: &Sample| {
            let Sample { problem, pass, threads, .. } = sample;
            let unread = |reason: String| Failure::Bad(format!("--samples: {problem},{pass}: {reason}"));
            let found: ConvProblem =
                problem.parse().map_err(|error: ParseError| unread(error.to_string()))?;
            let pass: Pass = pass.parse().map_err(unread)?;
            let machine = Machine { threads: *threads, ..backend.machine().clone() };
            let algorithm = conv_core::algorithm::find(backend.algorithms(), &sample.algorithm).ok();
            let cost = algorithm.and_then(|algorithm| algorithm.estimate(&machine, &found, pass).ok());
            Ok(cost.map(|cost| Sample { cost, ..sample.clone() }))
        };
        shortest.into_values().map(counted).filter_map(Result::transpose).collect()
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
        Sample::new(words, 2, ms * 1e-3)
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
        let known = Samples::open(&path).unwrap().known();
        let [a, b, c] = ["a", "b", "c"].map(|problem| known.contains(&sample(problem, 0.0).measured()));
        assert_eq!([a, b, c], [true, true, false]);
    }

    #[test]
    fn the_shortest_of_all_rounds_counts() {
        let folder = tempfile::tempdir().unwrap();
        let mut samples = Samples::open(&folder.path().join("samples.csv")).unwrap();
        for (round, ms) in [(1, 3.0), (2, 1.0), (3, 2.0)] {
            samples.add(vec![Sample { round, ..sample("n1 c1 o8 i17 k1", ms) }]).unwrap();
        }
        let counted = samples.counted(&backend_cpu::Cpu::new()).unwrap();
        assert_eq!(counted.iter().map(|sample| sample.ms).collect::<Vec<_>>(), [1.0]);
        let [third, fourth] = [3, 4].map(|round| Sample { round, ..sample("n1 c1 o8 i17 k1", 0.0) });
        assert!(samples.known().contains(&third.measured()));
        assert!(!samples.known().contains(&fourth.measured()));
    }

    #[test]
    fn counts_are_those_of_today_and_what_no_algorithm_does_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let mut samples = Samples::open(&folder.path().join("samples.csv")).unwrap();
        let of = |algorithm: &str, threads| {
            let words = ["n1 c1 o8 i17 k1", "forward", algorithm].map(String::from);
            Sample::new(words, threads, 1.0)
        };
        samples.add(vec![of("direct", 1), of("direct", 3), of("gone", 1)]).unwrap();
        let cpu = backend_cpu::Cpu::new();
        let [one, three] = &samples.counted(&cpu).unwrap()[..] else { panic!("two are left") };
        for counted in [one, three] {
            let algorithm = conv_core::algorithm::find(cpu.algorithms(), "direct").unwrap();
            let machine = Machine { threads: counted.threads, ..cpu.machine().clone() };
            let problem = counted.problem.parse().unwrap();
            assert_eq!(algorithm.estimate(&machine, &problem, Pass::Forward).unwrap(), counted.cost);
        }
        assert_ne!(one.cost, three.cost);
    }

    #[test]
    fn rows_of_no_problem_and_of_no_pass_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("samples.csv");
        for (row, expected) in [
            ("n1 c1 o8 j17 k1,forward", "j17"),
            ("n1 c1 o8 i17 k1,onward", "expected one of forward, backward-input, backward-weights"),
        ] {
            std::fs::write(&path, format!("{}\n{row},direct,2,1,0.5\n", COLUMNS.join(","))).unwrap();
            let failure = Samples::open(&path).unwrap().counted(&backend_cpu::Cpu::new()).unwrap_err();
            let message = failure.to_string();
            assert!(message.starts_with("--samples: n1 ") && message.contains(expected), "{message}");
        }
    }

    #[test]
    fn another_file_is_refused_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("samples.csv");
        std::fs::write(&path, "a,b\n1,2\n").unwrap();
        let Err(failure) = Samples::open(&path) else { panic!("it opened") };
        let expected = "expected the columns problem,pass,algorithm,threads,round,ms, found a,b";
        assert!(failure.to_string().ends_with(expected), "{failure}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "a,b\n1,2\n");
    }
}
