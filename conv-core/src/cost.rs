//! Counted cost of an algorithm on a problem, and the fitted linear model that turns it into seconds.

use std::collections::BTreeMap;
use std::ops::{Add, Sub};

use serde::{Deserialize, Serialize};

use crate::{Error, Pass, Result};

/// What one pass takes, counted: the same on every machine of the same [`Machine`] sizes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// Real floating point operations in Fourier transforms (a fused multiply-add is two).
    pub transform_flops: f64,
    /// Real floating point operations in products, register tails included.
    pub product_flops: f64,
    /// Values packed, gathered or stored one by one between registers and first-level cache.
    pub moves: f64,
    /// Bytes read and written outside registers and first-level cache.
    pub bytes: f64,
    /// Parallel regions or kernel launches.
    pub launches: f64,
    /// Bytes of workspace, exact.
    pub workspace: usize,
}

impl Cost {
    /// All floating point operations.
    pub fn flops(&self) -> f64 {
        self.transform_flops + self.product_flops
    }

    /// What the linear model multiplies with [`Rates::values`], in the same order: transform and product operations
    /// and moves of one of `threads` threads, bytes (each in 10⁹) and launches (in 10⁶).
    pub fn terms(&self, threads: usize) -> [f64; 5] {
        let of_one = |count: f64| count * 1e-9 / threads.max(1) as f64;
        let [transform, product, moves] = [self.transform_flops, self.product_flops, self.moves].map(of_one);
        [transform, product, moves, self.bytes * 1e-9, self.launches * 1e-6]
    }
}

impl Add for Cost {
    type Output = Cost;

    /// One after the other, in the same workspace.
    fn add(self, other: Cost) -> Cost {
        Cost {
            transform_flops: self.transform_flops + other.transform_flops,
            product_flops: self.product_flops + other.product_flops,
            moves: self.moves + other.moves,
            bytes: self.bytes + other.bytes,
            launches: self.launches + other.launches,
            workspace: self.workspace.max(other.workspace),
        }
    }
}

impl Sub for Cost {
    type Output = Cost;

    /// Without work that is already done; the workspace stays.
    fn sub(self, done: Cost) -> Cost {
        Cost {
            transform_flops: self.transform_flops - done.transform_flops,
            product_flops: self.product_flops - done.product_flops,
            moves: self.moves - done.moves,
            bytes: self.bytes - done.bytes,
            launches: self.launches - done.launches,
            workspace: self.workspace,
        }
    }
}

/// Seconds each counted unit takes in one algorithm and pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rates {
    /// Seconds of one thread per 10⁹ transform operations.
    #[serde(default)]
    pub transform: f64,
    /// Seconds of one thread per 10⁹ product operations.
    #[serde(default)]
    pub product: f64,
    /// Seconds of one thread per 10⁹ moves.
    #[serde(default)]
    pub moves: f64,
    /// Seconds per 10⁹ bytes.
    #[serde(default)]
    pub bytes: f64,
    /// Microseconds per launch.
    #[serde(default)]
    pub launch: f64,
}

impl Rates {
    /// Every rate, in the order of [`Cost::terms`].
    pub fn values(&self) -> [f64; 5] {
        [self.transform, self.product, self.moves, self.bytes, self.launch]
    }

    /// Rates from values in the order of [`Cost::terms`].
    pub fn from_values([transform, product, moves, bytes, launch]: [f64; 5]) -> Self {
        Rates { transform, product, moves, bytes, launch }
    }
}

/// A linear model, fitted on one class of machine: one row of [`Rates`] per algorithm and pass.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CostModel {
    /// The processor the rates were measured on, as [`Machine::processor`] names it; empty where not known.
    #[serde(default)]
    pub processor: String,
    /// The machine, date and command the rates were measured with.
    pub measured: String,
    /// Rates by algorithm and pass name.
    pub rates: BTreeMap<String, BTreeMap<String, Rates>>,
}

impl CostModel {
    /// Reads a table as the backends keep them: `processor = "…"`, `measured = "…"` and
    /// `[rates.ALGORITHM.PASS]` sections.
    ///
    /// # Errors
    /// [`Error::Table`] with what the reader found.
    pub fn from_toml(text: &str) -> Result<Self> {
        let model: CostModel = toml::from_str(text).map_err(|error| Error::Table(error.to_string()))?;
        let rates = model.rates.values().flat_map(|passes| passes.values());
        for rate in rates.flat_map(Rates::values) {
            if !(rate.is_finite() && rate >= 0.0) {
                return Err(Error::Table(format!("expected rates of at least 0, found {rate}")));
            }
        }
        Ok(model)
    }

    /// Predicted seconds: the sum of [`Cost::terms`] times [`Rates::values`]. An algorithm without a row is never
    /// preferred: its time is infinite.
    pub fn seconds(&self, algorithm: &str, pass: Pass, cost: &Cost, threads: usize) -> f64 {
        let Some(rates) = self.rates.get(algorithm).and_then(|passes| passes.get(pass.name())) else {
            return f64::INFINITY;
        };
        rates.values().iter().zip(cost.terms(threads)).map(|(rate, term)| rate * term).sum()
    }
}

/// How near a machine's cost table is to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableSource {
    /// Fitted by the user on this processor.
    Fitted,
    /// Part of the library, measured on this processor.
    Committed,
    /// Part of the library, measured on another processor.
    Nearest,
}

/// What counting and choosing need to know about the hardware a backend runs on.
#[derive(Clone, Debug, PartialEq)]
pub struct Machine {
    /// Name of the class of machine, by its instructions, such as `x86-avx512`.
    pub name: String,
    /// The processor, as it names itself.
    pub processor: String,
    /// Threads that work in parallel.
    pub threads: usize,
    /// f32 lanes of a register.
    pub lanes: usize,
    /// Bytes of first-, second- and third-level cache, the first two per thread.
    pub caches: [usize; 3],
    /// The fitted table.
    pub model: CostModel,
    /// Where the table comes from.
    pub table: TableSource,
}

impl Machine {
    /// One line that says where the table comes from and what it was measured on.
    pub fn describe_table(&self) -> String {
        let Machine { model, processor, .. } = self;
        let measured = &model.processor;
        match self.table {
            TableSource::Fitted => format!("fitted on this machine, {measured}"),
            TableSource::Committed => format!("of the library, measured on {measured}"),
            TableSource::Nearest => format!(
                "the nearest of the library, measured on {measured}; `cargo xtask fit` measures this {processor}"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_linear_and_unknown_rows_lose() {
        let text = "measured = \"by hand\"\n[rates.direct.forward]\n\
            transform = 7.0\nproduct = 0.5\nmoves = 3.0\nbytes = 0.1\nlaunch = 2.0\n";
        let model = CostModel::from_toml(text).unwrap();
        let cost = Cost {
            transform_flops: 2e9,
            product_flops: 4e9,
            moves: 6e9,
            bytes: 1e9,
            launches: 3.0,
            workspace: 1 << 30,
        };
        let seconds = model.seconds("direct", Pass::Forward, &cost, 2);
        approx::assert_abs_diff_eq!(seconds, 7.0 + 1.0 + 9.0 + 0.1 + 6e-6, epsilon = 1e-12);
        assert_eq!(model.seconds("direct", Pass::BackwardInput, &cost, 2), f64::INFINITY);
    }

    #[test]
    fn bad_tables_are_named() {
        let negative = "measured = \"\"\n[rates.direct.forward]\nproduct = -1.0\n";
        let found = CostModel::from_toml(negative).unwrap_err().to_string();
        assert_eq!(found, "cost table: expected rates of at least 0, found -1");
        assert!(CostModel::from_toml("rates = 3").unwrap_err().to_string().starts_with("cost table: "));
    }
}
