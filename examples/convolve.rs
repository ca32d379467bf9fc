//! Computes one pass of a convolution on files; see `--help`.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    examples::main::<examples::convolve::Convolve>()
}
