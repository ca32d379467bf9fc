//! What every backend's tests run: the conformance suite, problems to run it on, and tolerances.

mod conformance;
mod host;
mod problems;

pub use conformance::{Failure, Outcome, conformance, run_once};
pub use host::{HostBackend, HostBuffer};
pub use problems::{edge_problems, problem_strategy, random_problems, values};

/// Normwise bound ([`crate::reference::Reference::error`]) for an algorithm of this name: `2e-5` for any
/// winograd, `2e-6` for all others.
pub fn tolerance(algorithm: &str) -> f64 {
    if algorithm.starts_with("winograd") { 2e-5 } else { 2e-6 }
}
