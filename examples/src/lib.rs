//! What the programs `train`, `predict`, `plot`, `convolve` and `explain` are made of, and `cargo xtask bench` beside them.
//!
//! Each program is a [`Program`]: its flags, and what it does on a backend. [`main`] runs one as a process,
//! [`start`] inside another, for tests.

#![forbid(unsafe_code)]

mod common;
pub mod convolve;
mod dispatch;
pub mod explain;
mod failure;
pub mod files;
mod interrupt;
mod npy;
mod picture;
pub mod plot;
pub mod predict;
mod program;
mod progress;
mod tensor;
pub mod train;

pub use common::{BackendName, Common};
pub use failure::Failure;
pub use program::{Program, exit, main, run, show_warnings, start};
pub use tensor::Tensor;
