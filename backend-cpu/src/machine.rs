//! What machine this is, and which cost table holds for it: the user's own, or one of the library.

mod hardware;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use conv_core::{CostModel, Error, Machine, Result, TableSource, cache};

use hardware::Hardware;

/// The library's tables, one line each. A name is a class of machine ([`Hardware::class`]), or a class and
/// more after a dash; of one class, the first serves processors that have no table.
static TABLES: &[(&str, &str)] = &[
    ("x86-avx512", include_str!("../machines/x86-avx512.toml")),
    ("x86-avx2", include_str!("../machines/x86-avx2.toml")),
    ("x86-avx2-epyc", include_str!("../machines/x86-avx2-epyc.toml")),
];

/// The machine this program runs on, with as many threads as the current rayon pool. Looked at once per
/// process.
pub(crate) fn detect() -> Machine {
    static MACHINE: OnceLock<Machine> = OnceLock::new();
    let machine = MACHINE.get_or_init(|| {
        let Hardware { processor, class, lanes, caches } = Hardware::detect();
        let (model, table) = find_table(&processor, class, fitted_table().as_deref());
        let machine = Machine { name: class.into(), processor, threads: 1, lanes, caches, model, table };
        tracing::info!(machine = machine.name, table = machine.describe_table(), "detected");
        machine
    });
    Machine { threads: rayon::current_num_threads(), ..machine.clone() }
}

/// Where the table that the user fitted on this processor is, or would be; `None` without a cache folder.
pub fn fitted_table() -> Option<PathBuf> {
    let name = cache::file_name(&["fitted", "cpu", &Hardware::detect().processor], "toml");
    Some(cache::folder()?.join(name))
}

/// Names of the machines there are tables for.
pub fn machine_names() -> Vec<&'static str> {
    TABLES.iter().map(|(name, _)| *name).collect()
}

/// The machine of this name, with two threads and the usual sizes of its class.
///
/// # Errors
/// [`Error::Argument`] with the names there are.
pub fn machine_of(name: &str) -> Result<Machine> {
    let (name, table) = TABLES.iter().find(|(known, _)| *known == name).ok_or_else(|| Error::Argument {
        what: "machine",
        expected: format!("one of {}", machine_names().join(", ")),
        found: conv_core::shorten(name),
    })?;
    let model = CostModel::from_toml(table)?;
    let lanes = hardware::CLASSES.iter().find(|(class, _)| is_of(name, class)).map_or(4, |(_, lanes)| *lanes);
    let (processor, caches) = (model.processor.clone(), hardware::USUAL_CACHES);
    let table = TableSource::Committed;
    Ok(Machine { name: (*name).into(), processor, threads: 2, lanes, caches, model, table })
}

/// Whether a table of this name is of the class.
fn is_of(name: &str, class: &str) -> bool {
    name.strip_prefix(class).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

/// The table the user fitted on this processor, else the library's for it, else that of its class, else any.
fn find_table(processor: &str, class: &str, fitted: Option<&Path>) -> (CostModel, TableSource) {
    if let Some(model) = fitted.and_then(|path| read_fitted(path, processor)) {
        return (model, TableSource::Fitted);
    }
    let read = |text| CostModel::from_toml(text).expect("the library's tables read");
    let tables = || TABLES.iter().filter(|(name, _)| is_of(name, class)).map(|(_, text)| read(text));
    if let Some(model) = tables().find(|model| model.processor == processor) {
        return (model, TableSource::Committed);
    }
    (tables().next().unwrap_or_else(|| read(TABLES[0].1)), TableSource::Nearest)
}

/// A table the user fitted; where it does not hold, a warning says why.
fn read_fitted(path: &Path, processor: &str) -> Option<CostModel> {
    let ignored = |error: String| {
        let path = path.display();
        tracing::warn!(%path, error, "fitted cost table ignored; `cargo xtask fit` makes another");
        None
    };
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        Err(error) => return ignored(error.to_string()),
    };
    match CostModel::from_toml(&text) {
        Ok(model) if model.processor == processor => Some(model),
        Ok(model) => ignored(format!("expected processor {processor:?}, found {:?}", model.processor)),
        Err(error) => ignored(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const XEON: &str = "Intel(R) Xeon(R) Processor";

    #[test]
    fn every_table_of_the_library_names_its_processor_and_class() {
        for (name, text) in TABLES {
            let model = CostModel::from_toml(text).unwrap();
            assert!(!model.processor.is_empty() && !model.measured.is_empty(), "{name}");
            assert!(hardware::CLASSES.iter().any(|(class, _)| is_of(name, class)), "{name}");
        }
    }

    #[test]
    fn names_are_of_the_class_they_begin_with() {
        assert!(is_of("x86-avx2", "x86-avx2") && is_of("x86-avx2-epyc", "x86-avx2"));
        assert!(!is_of("x86-avx512", "x86-avx5") && !is_of("x86-avx2", "x86-avx512"));
    }

    #[test]
    fn the_librarys_table_is_of_this_processor_or_the_nearest() {
        assert_eq!(find_table(XEON, "x86-avx512", None).1, TableSource::Committed);
        // The same name with other instructions is another machine.
        let [wide, narrow] = ["x86-avx512", "x86-avx2"].map(|class| find_table(XEON, class, None).0);
        assert_ne!(wide.rates, narrow.rates);
        let (model, source) = find_table("Abacus", "x86-avx512", None);
        assert_eq!((model.processor.as_str(), source), (XEON, TableSource::Nearest));
        assert_eq!(find_table("Abacus", "riscv64", None).1, TableSource::Nearest);
    }

    #[test]
    fn a_fitted_table_comes_first_where_it_holds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fitted.toml");
        let source = || find_table(XEON, "x86-avx512", Some(&path)).1;
        assert_eq!(source(), TableSource::Committed, "there is none");
        std::fs::write(&path, format!("processor = \"{XEON}\"\nmeasured = \"today\"\n[rates]\n")).unwrap();
        assert_eq!(source(), TableSource::Fitted);
        for bad in ["", "garbage", "processor = \"Abacus\"\nmeasured = \"today\"\n[rates]\n"] {
            std::fs::write(&path, bad).unwrap();
            assert_eq!(source(), TableSource::Committed, "{bad}");
        }
        std::fs::write(&path, [0xff; 9]).unwrap();
        assert_eq!(source(), TableSource::Committed);
        assert_eq!(find_table(XEON, "x86-avx512", Some(folder.path())).1, TableSource::Committed);
    }

    #[test]
    fn this_machine_is_looked_at() {
        cache::off();
        let Machine { name, processor, lanes, caches, table, model, .. } = detect();
        assert!(!processor.is_empty() && processor.trim() == processor);
        assert!(hardware::CLASSES.contains(&(&name, lanes)) || lanes == 4, "{name} {lanes}");
        assert!(caches.iter().all(|bytes| *bytes >= 4 << 10), "{caches:?}");
        assert!(table == TableSource::Nearest || model.processor == processor);
        assert_eq!(fitted_table(), None);
    }
}
