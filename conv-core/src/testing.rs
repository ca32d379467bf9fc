//! What every backend's tests run: the conformance suite and problems to run it on.

mod conformance;
mod host;
mod problems;

pub use conformance::{Failure, Outcome, conformance, run_once};
pub use host::{HostBackend, HostBuffer};
pub use problems::{edge_problems, problem_strategy, random_problems, values};
