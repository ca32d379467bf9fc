//! Developer tasks: `cargo xtask bench | fit | report | ptx | ci`.

mod arrows;
mod bench;
mod ci;
mod cust;
mod fit;
mod ptx;
mod report;

use std::io;
use std::process::ExitCode;

use clap::Parser;

/// Developer tasks of this workspace.
#[derive(Parser)]
#[command(name = "cargo xtask")]
enum Task {
    Bench(bench::Bench),
    Fit(fit::Fit),
    /// Everything CI checks besides the tests: format, lints, docs, arrows between crates, licences.
    Ci {
        /// Run the long tests too, those marked `#[ignore]`.
        #[arg(long)]
        long: bool,
    },
    Report(report::Report),
    Ptx(ptx::Ptx),
}

fn main() -> ExitCode {
    examples::show_warnings();
    match Task::parse() {
        Task::Bench(bench) => examples::exit(examples::run(bench, &mut io::stdout())),
        Task::Fit(fit) => examples::exit(examples::run(fit, &mut io::stdout())),
        Task::Ci { long } => checked(ci::run(long)),
        Task::Ptx(ptx) => checked(ptx::run(&ptx)),
        Task::Report(report) => examples::exit(report::run(&report)),
    }
}

/// Exit code 1 and the whole chain of causes for a step that failed.
fn checked(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
