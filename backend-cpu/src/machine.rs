//! What machine this is, and the fitted cost tables, one per class of machine.

use conv_core::{CostModel, Error, Machine, Result};

/// Tables by name of machine class, fastest vector unit first.
static TABLES: &[(&str, &str)] = &[("x86-avx512", include_str!("../machines/x86-avx512.toml"))];

/// The machine this program runs on, with as many threads as the current rayon pool.
pub(crate) fn detect() -> Machine {
    let machine = machine_of(TABLES[0].0).expect("the committed tables read");
    Machine { threads: rayon::current_num_threads(), ..machine }
}

/// Names of the machines there are tables for.
pub fn machine_names() -> Vec<&'static str> {
    TABLES.iter().map(|(name, _)| *name).collect()
}

/// The machine of this name, with the sizes and threads its table was measured on.
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
    let caches = [32 << 10, 1 << 20, 32 << 20];
    Ok(Machine { name: (*name).into(), threads: 2, lanes: 16, caches, model })
}
