//! Trains a network with automatic choice of its convolutions; see `--help`.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    examples::main::<examples::train::Train>()
}
