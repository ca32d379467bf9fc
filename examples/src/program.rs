//! What happens around every program: flags, the thread pool, the message and the exit code.

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use conv_core::Ops;
use tracing_subscriber::filter::LevelFilter;

use crate::{Common, Failure, dispatch};

/// A program: its flags, and what it does with them.
pub trait Program: clap::Parser + Send {
    /// The flags it shares with the others.
    fn common(&self) -> &Common;

    /// Whether it computes: one that does not needs no GPU and gets the CPU.
    fn computes(&self) -> bool {
        true
    }

    /// Does what the flags ask for on this backend, and writes what there is to say to `out`.
    ///
    /// # Errors
    /// What the user has to hear; no output file is left behind then.
    fn run<B: Ops>(self, backend: B, out: &mut (dyn Write + Send)) -> Result<(), Failure>;
}

/// Runs a program as this process.
pub fn main<P: Program>() -> ExitCode {
    show_warnings();
    exit(start::<P>(std::env::args_os(), &mut io::stdout()))
}

/// From here on the library's warnings appear on stderr, such as a file in the cache folder that cannot be used.
pub fn show_warnings() {
    let to_stderr = tracing_subscriber::fmt().with_writer(io::stderr).without_time().with_target(false);
    to_stderr.with_max_level(LevelFilter::WARN).init();
}

/// The exit code of a program that ended so, its message on stderr.
pub fn exit(result: Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::from(failure.code())
        }
    }
}

/// Runs a program with these arguments (the first is its name), on a thread pool of its own.
///
/// # Errors
/// As [`Program::run`], and for flags that are wrong in themselves.
pub fn start<P: Program>(
    arguments: impl IntoIterator<Item = OsString>,
    out: &mut (dyn Write + Send),
) -> Result<(), Failure> {
    let program = match P::try_parse_from(arguments) {
        Ok(program) => program,
        Err(help) if !help.use_stderr() => return Ok(write!(out, "{help}")?),
        Err(error) => return Err(usage(&error)),
    };
    run(program, out)
}

/// Runs a program whose flags have been read, on a thread pool of its own.
///
/// # Errors
/// As [`Program::run`].
pub fn run(program: impl Program, out: &mut (dyn Write + Send)) -> Result<(), Failure> {
    let threads = program.common().threads.map_or(0, usize::from);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).stack_size(8 << 20).build();
    let pool = pool.map_err(|error| Failure::Bad(format!("--threads: {error}")))?;
    pool.install(|| dispatch::dispatch(program, out))
}

fn usage(error: &clap::Error) -> Failure {
    let message = error.to_string();
    Failure::Bad(message.strip_prefix("error: ").unwrap_or(&message).into())
}
