//! Counted cost of an algorithm on a problem, and the fitted linear model that turns it into seconds.

use std::collections::BTreeMap;
use std::ops::{Add, Mul, Sub};

use serde::{Deserialize, Serialize};

use crate::{Error, Pass, Result};

/// What one pass takes, counted: the same on every machine of the same [`Machine`] sizes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// Real floating point operations in Fourier transforms (a fused multiply-add is two).
    pub transform_flops: f64,
    /// Real floating point operations in products, register tails included.
    pub product_flops: f64,
    /// Transform operations that threads without work have time for, see [`Cost::in_tasks`].
    pub transform_idle: f64,
    /// Product operations that threads without work have time for.
    pub product_idle: f64,
    /// Values packed, gathered or stored one by one, and what else each thread does besides operations, in units of
    /// a value; threads without work included.
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

    /// The same work cut into equal tasks: where `threads` do not get equally many, those with fewer wait for the
    /// others. Bytes do not: a thread alone has more of the memory's speed.
    pub fn in_tasks(self, tasks: usize, threads: usize) -> Cost {
        let spread = match (tasks, threads) {
            (0, _) | (_, 0) => 1.0,
            _ => tasks.div_ceil(threads) as f64 * threads as f64 / tasks as f64,
        };
        Cost {
            transform_idle: self.transform_flops * spread - self.transform_flops,
            product_idle: self.product_flops * spread - self.product_flops,
            moves: self.moves * spread,
            ..self
        }
    }

    /// What the linear model multiplies with [`Rates::values`], in the same order: transform and product operations
    /// and moves of one of `threads` threads, idle ones counted with the others, bytes (each in 10⁹) and launches
    /// (in 10⁶).
    pub fn terms(&self, threads: usize) -> [f64; 5] {
        let of_one = |count: f64| count * 1e-9 / threads.max(1) as f64;
        let (transform, product) =
            (self.transform_flops + self.transform_idle, self.product_flops + self.product_idle);
        let [transform, product, moves] = [transform, product, self.moves].map(of_one);
        [transform, product, moves, self.bytes * 1e-9, self.launches * 1e-6]
    }

    /// Counts of both, the workspace aside.
    fn zip(self, other: Cost, of: impl Fn(f64, f64) -> f64) -> Cost {
        Cost {
            transform_flops: of(self.transform_flops, other.transform_flops),
            product_flops: of(self.product_flops, other.product_flops),
            transform_idle: of(self.transform_idle, other.transform_idle),
            product_idle: of(self.product_idle, other.product_idle),
            moves: of(self.moves, other.moves),
            bytes: of(self.bytes, other.bytes),
            launches: of(self.launches, other.launches),
            workspace: self.workspace,
        }
    }
}

impl Add for Cost {
    type Output = Cost;

    /// One after the other, in the same workspace.
    fn add(self, other: Cost) -> Cost {
        Cost { workspace: self.workspace.max(other.workspace), ..self.zip(other, Add::add) }
    }
}

impl Sub for Cost {
    type Output = Cost;

    /// Without work that is already done; the workspace stays.
    fn sub(self, done: Cost) -> Cost {
        self.zip(done, Sub::sub)
    }
}

impl Mul<f64> for Cost {
    type Output = Cost;

    /// So many times one after the other, in the same workspace.
    fn mul(self, times: f64) -> Cost {
        self.zip(self, |count, _| count * times)
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
    /// What the rates are from: machine, threads and date of measurements, or another source.
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
    /// Part of the library, for this processor.
    Committed,
    /// Part of the library, for another processor.
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
    /// One line that says where the table comes from.
    pub fn describe_table(&self) -> String {
        let Machine { model: CostModel { measured, .. }, processor, .. } = self;
        match self.table {
            TableSource::Fitted => format!("fitted on this machine: {measured}"),
            TableSource::Committed => format!("of the library, from {measured}"),
            TableSource::Nearest => format!(
                "the nearest of the library, from {measured}; `cargo xtask fit` measures this {processor}"
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
            ..Cost::default()
        };
        let seconds = model.seconds("direct", Pass::Forward, &cost, 2);
        approx::assert_abs_diff_eq!(seconds, 7.0 + 1.0 + 9.0 + 0.1 + 6e-6, epsilon = 1e-12);
        assert_eq!(model.seconds("direct", Pass::BackwardInput, &cost, 2), f64::INFINITY);
    }

    #[test]
    fn threads_without_a_task_are_paid_for() {
        let cost =
            Cost { transform_flops: 6.0, product_flops: 9.0, moves: 3.0, bytes: 5.0, ..Cost::default() };
        let uneven = cost.in_tasks(3, 2);
        assert_eq!((uneven.transform_idle, uneven.product_idle, uneven.moves), (2.0, 3.0, 4.0));
        assert_eq!((uneven.flops(), uneven.bytes), (15.0, 5.0));
        approx::assert_relative_eq!(uneven.terms(2)[0], 4e-9);
        assert_eq!(cost.in_tasks(1, 4).product_idle, 27.0);
        for (tasks, threads) in [(4, 2), (0, 2), (2, 0), (7, 1)] {
            assert_eq!(cost.in_tasks(tasks, threads), cost);
        }
        assert_eq!(uneven * 2.0, uneven + uneven);
        assert_eq!(uneven + uneven - uneven, uneven);
    }

    #[test]
    fn bad_tables_are_named() {
        let negative = "measured = \"\"\n[rates.direct.forward]\nproduct = -1.0\n";
        let found = CostModel::from_toml(negative).unwrap_err().to_string();
        assert_eq!(found, "cost table: expected rates of at least 0, found -1");
        assert!(CostModel::from_toml("rates = 3").unwrap_err().to_string().starts_with("cost table: "));
    }
}
