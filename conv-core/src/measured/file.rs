//! Measured seconds as a file: one for each backend, processor and number of threads.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Seconds;
use crate::{Backend, ConvProblem, cache};

/// Version of the file's form.
const FORMAT: u32 = 1;

/// What seconds were measured with; those of another header do not hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Header {
    format: u32,
    library: String,
    backend: String,
    processor: String,
    /// Of the cost table, which decides how some algorithms cut a problem.
    table: String,
    threads: usize,
    algorithms: Vec<String>,
}

impl Header {
    /// What this backend measures with.
    pub(super) fn of<B: Backend>(backend: &B) -> Self {
        let machine = backend.machine();
        let names = backend.algorithms().iter().map(|algorithm| algorithm.name().into());
        Header {
            format: FORMAT,
            library: env!("CARGO_PKG_VERSION").into(),
            backend: backend.name().into(),
            processor: machine.processor.clone(),
            table: format!("{}, {}", machine.model.processor, machine.model.measured),
            threads: machine.threads,
            algorithms: names.collect(),
        }
    }
}

/// The whole file.
#[derive(Serialize, Deserialize)]
struct Contents {
    header: Header,
    seconds: Seconds,
}

/// Why a file's seconds are not taken.
enum Unusable {
    /// They are of another machine, library or table.
    Other,
    /// It cannot be read, with what is wrong.
    Bad(String),
}

/// A file that may be there.
pub(super) struct File {
    path: PathBuf,
    header: Header,
}

impl File {
    /// The file of this header in a folder.
    pub(super) fn new(folder: &Path, header: Header) -> Self {
        let threads = header.threads.to_string();
        let name = cache::file_name(&["measured", &header.backend, &header.processor, &threads], "json");
        File { path: folder.join(name), header }
    }

    /// Its path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Its seconds; none where there are none or they cannot be used, which is said.
    pub(super) fn read(&self) -> Seconds {
        let path = self.path.display();
        match self.load() {
            Ok(seconds) => return seconds,
            Err(Unusable::Other) => {
                tracing::info!(%path, "measured times discarded: of another library, table or list of algorithms")
            }
            Err(Unusable::Bad(error)) => tracing::warn!(%path, error, "measured times ignored"),
        }
        Seconds::new()
    }

    /// Writes `seconds` and whatever else the file has by now, which is added to them. Processes take turns.
    pub(super) fn merge(&self, seconds: &mut Seconds) -> io::Result<()> {
        self.path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
        let lock = std::fs::File::create(self.path.with_extension("lock"))?;
        lock.lock()?;
        for (problem, passes) in self.load().unwrap_or_default() {
            let known = seconds.entry(problem).or_default();
            for (pass, times) in passes {
                let known = known.entry(pass).or_default();
                for (algorithm, time) in times {
                    known.entry(algorithm).or_insert(time);
                }
            }
        }
        let contents = Contents { header: self.header.clone(), seconds: seconds.clone() };
        let text = serde_json::to_string_pretty(&contents)?;
        cache::write(&self.path, text)
    }

    fn load(&self) -> Result<Seconds, Unusable> {
        let text = match std::fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Seconds::new()),
            Err(error) => return Err(Unusable::Bad(error.to_string())),
        };
        let bad = |error: serde_json::Error| Unusable::Bad(error.to_string());
        /// What every version of the file has.
        #[derive(Deserialize)]
        struct Any {
            header: serde_json::Value,
        }
        let any: Any = serde_json::from_str(&text).map_err(bad)?;
        if any.header != serde_json::to_value(&self.header).map_err(bad)? {
            return Err(Unusable::Other);
        }
        let Contents { seconds, .. } = serde_json::from_str(&text).map_err(bad)?;
        check(&seconds).map_err(Unusable::Bad)?;
        Ok(seconds)
    }
}

/// Every problem is one, every time is a time.
fn check(seconds: &Seconds) -> Result<(), String> {
    for (line, passes) in seconds {
        line.parse::<ConvProblem>().map_err(|error| format!("{line:?}: {error}"))?;
        for time in passes.values().flat_map(|times| times.values()) {
            if !(time.is_finite() && *time >= 0.0) {
                return Err(format!("{line}: expected seconds of at least 0, found {time}"));
            }
        }
    }
    Ok(())
}
