//! Developer tasks: `cargo xtask ci`.

mod arrows;
mod ci;

use clap::Parser;

/// Developer tasks of this workspace.
#[derive(Parser)]
#[command(name = "cargo xtask")]
enum Task {
    /// Everything CI checks besides the tests: format, lints, docs, arrows between crates, licences.
    Ci {
        /// Run the long tests too, those marked `#[ignore]`.
        #[arg(long)]
        long: bool,
    },
}

fn main() -> anyhow::Result<()> {
    match Task::parse() {
        Task::Ci { long } => ci::run(long),
    }
}
