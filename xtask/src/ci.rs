//! `cargo xtask ci`: every check besides the tests, each a step that fails alone.

use std::path::{Path, PathBuf};

use cargo_metadata::{MetadataCommand, Package};
use xshell::{Shell, cmd};

use crate::{arrows, cust, ptx};

/// Runs the steps in order and stops at the first that fails.
pub(crate) fn run(long: bool) -> anyhow::Result<()> {
    let sh = Shell::new()?;
    sh.change_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."));
    cmd!(sh, "cargo fmt --all --check").run()?;
    let features = features(&sh)?;
    cmd!(sh, "cargo clippy --workspace --all-targets --features {features} --quiet -- -D warnings").run()?;
    cmd!(sh, "cargo doc --workspace --features {features} --no-deps --quiet")
        .env("RUSTDOCFLAGS", "-D warnings")
        .run()?;
    cust::check(&sh)?;
    let found = arrows::check(&sh.current_dir())?;
    println!("arrows: {found} dependencies between crates, all allowed");
    match ptx::available(&sh) {
        true => ptx::run(&ptx::Ptx { check: true })?,
        false => println!("ptx: SKIPPED, its compiler comes from pip, and there is no python3 with pip"),
    }
    licences(&sh)?;
    if long {
        cmd!(sh, "cargo test --workspace --release --quiet -- --ignored").run()?;
        cmd!(sh, "cargo test --package backend-cuda --features emulate --release --quiet -- --ignored")
            .run()?;
        cust::run_emulated(&sh)?;
        // As on processors without AVX-512, and the layers for candle in the same compilation.
        let packages = ["--package", "fft-core", "--package", "backend-cpu"];
        cmd!(sh, "cargo test {packages...} --no-default-features --features backend-cpu/candle --quiet")
            .run()?;
    }
    println!("ci: passed");
    Ok(())
}

/// All features of all crates, as `--features` takes them; those for MPI only where it is installed.
fn features(sh: &Shell) -> anyhow::Result<String> {
    let mpi = cmd!(sh, "mpicc --version").quiet().ignore_stdout().ignore_stderr().run().is_ok();
    if !mpi {
        println!("feature mpi: SKIPPED, mpicc is not installed");
    }
    let metadata = MetadataCommand::new().current_dir(sh.current_dir()).no_deps().exec()?;
    let of = |package: &Package| {
        let needs_mpi =
            |name: &str, implied: &[String]| name == "mpi" || implied.iter().any(|name| name == "mpi");
        let usable = package.features.iter().filter(|(name, implied)| mpi || !needs_mpi(name, implied));
        usable.map(|(name, _)| format!("{}/{name}", package.name)).collect::<Vec<_>>()
    };
    Ok(metadata.packages.iter().flat_map(of).collect::<Vec<_>>().join(","))
}

/// Licences, duplicate and foreign sources of all dependencies; advisories where their database is at hand.
fn licences(sh: &Shell) -> anyhow::Result<()> {
    if cmd!(sh, "cargo deny --version").quiet().ignore_stderr().read().is_err() {
        println!("licences: SKIPPED, cargo-deny is not installed (cargo install cargo-deny --locked)");
        return Ok(());
    }
    // Dependencies of other platforms too, which no build here has brought.
    cmd!(sh, "cargo fetch --locked --quiet").run()?;
    cmd!(sh, "cargo deny --offline check --hide-inclusion-graph licenses bans sources").run()?;
    cust::licences(sh)?;
    if advisory_database(sh) {
        cmd!(sh, "cargo deny --offline check advisories").run()?;
    } else {
        println!("advisories: SKIPPED, no copy of the advisory database (cargo deny fetch db)");
    }
    Ok(())
}

/// Whether an earlier `cargo deny fetch db` left a database in cargo's home folder.
fn advisory_database(sh: &Shell) -> bool {
    let home = sh
        .var("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|_| sh.var("HOME").map(|home| Path::new(&home).join(".cargo")));
    let Ok(folder) = home.map(|home| home.join("advisory-dbs")) else { return false };
    sh.read_dir(folder).is_ok_and(|entries| entries.iter().any(|entry| entry.is_dir()))
}
