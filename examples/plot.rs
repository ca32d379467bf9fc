//! Draws the metrics of training runs; see `--help`.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    examples::main::<examples::plot::Plot>()
}
