//! Shows how every algorithm answers for one problem, and which is picked; see `--help`.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    examples::main::<examples::explain::Explain>()
}
