//! Says what a trained network sees in images; see `--help`.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    examples::main::<examples::predict::Predict>()
}
