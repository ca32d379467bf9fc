//! The contract of a convolution library: problems, passes, algorithms, cost models, the chooser, the reference.
//!
//! A [`Backend`] owns memory and a list of [`ConvAlgorithm`]s. Each estimates its [`Cost`] for a
//! [`ConvProblem`] and a [`Pass`], or refuses with a reason ([`Unsupported`]); [`choose::rank`] prices the
//! answers with the machine's fitted [`CostModel`], and an [`Engine`] builds the pick once and runs it.
//!
//! Tensors are dense, row-major f32: inputs and outputs `N C [D] [H] W`, weights `O C/g [D] [H] W`. The layer is
//! a cross-correlation, as in all networks.

pub mod algorithm;
pub mod cache;
pub mod choose;
mod cost;
mod engine;
mod error;
pub mod fourier;
pub mod host;
mod measured;
pub mod ops;
pub mod paper;
mod problem;
mod ranks;
pub mod reference;
pub mod spectra;
#[cfg(feature = "testing")]
pub mod testing;
mod text;
pub mod winograd;

pub use algorithm::{Backend, ConvAlgorithm, ConvKernel, Operands, Scratch, Stopwatch};
pub use choose::{Limits, Policy, Ranking};
pub use cost::{Cost, CostModel, Machine, Rates, TableSource};
pub use engine::{Engine, Planned, Step};
pub use error::{Error, ParseError, ProblemError, Result, Unsupported};
pub use ops::Ops;
pub use problem::{Axis, ConvProblem, MAX_LEN, Pass, Role};
pub use ranks::Ranks;
pub use spectra::Spectra;
pub use text::{NamedProblem, parse_shapes, shorten};
