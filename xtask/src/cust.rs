//! `backend-cuda/cust`, which is no member of the workspace: `cust` builds only where it finds a CUDA toolkit's folder.

use std::path::PathBuf;

use anyhow::Context;
use cargo_metadata::Message;
use xshell::{Shell, cmd};

const MANIFEST: &str = "backend-cuda/cust/Cargo.toml";

/// Where it is built, away from the workspace's own files.
const TARGET: &str = "target/cust";

/// Format, lints and docs, for which a toolkit's folder may be empty.
///
/// # Errors
/// Where one of them fails.
pub(crate) fn check(sh: &Shell) -> anyhow::Result<()> {
    let toolkit = toolkit(sh, "empty")?;
    let _toolkit = sh.push_env("CUDA_LIBRARY_PATH", toolkit);
    let place = ["--manifest-path", MANIFEST, "--target-dir", TARGET, "--quiet"];
    cmd!(sh, "cargo fmt --manifest-path {MANIFEST} --check").run()?;
    cmd!(sh, "cargo clippy {place...} --all-targets -- -D warnings").run()?;
    cmd!(sh, "cargo doc {place...} --no-deps").env("RUSTDOCFLAGS", "-D warnings").run()?;
    Ok(())
}

/// Licences and sources of what it depends on, by the workspace's rules.
///
/// # Errors
/// Where `cargo deny` finds one that is not allowed.
pub(crate) fn licences(sh: &Shell) -> anyhow::Result<()> {
    cmd!(sh, "cargo fetch --manifest-path {MANIFEST} --quiet").run()?;
    cmd!(sh, "cargo deny --manifest-path {MANIFEST} --offline check --hide-inclusion-graph")
        .args(["--allow", "license-not-encountered", "licenses", "bans", "sources"])
        .run()?;
    Ok(())
}

/// Runs its example on the emulated driver, which `cust` is linked with.
///
/// # Errors
/// Where it does not build or fails.
pub(crate) fn run_emulated(sh: &Shell) -> anyhow::Result<()> {
    let toolkit = toolkit(sh, "emulated")?;
    let libraries = toolkit.join("lib64");
    let driver = emulated_driver(sh)?;
    for name in ["libcuda.so", "libcuda.so.1"] {
        sh.copy_file(&driver, libraries.join(name))?;
    }
    cmd!(sh, "cargo run --manifest-path {MANIFEST} --target-dir {TARGET} --quiet --example step")
        .env("CUDA_LIBRARY_PATH", &toolkit)
        .env("LD_LIBRARY_PATH", &libraries)
        .run()?;
    Ok(())
}

/// A folder that looks like a toolkit's.
fn toolkit(sh: &Shell, name: &str) -> anyhow::Result<PathBuf> {
    let folder = sh.current_dir().join(TARGET).join(name);
    sh.create_dir(folder.join("lib64"))?;
    Ok(folder)
}

/// The library that the build of backend-cuda says it made.
fn emulated_driver(sh: &Shell) -> anyhow::Result<String> {
    let build =
        cmd!(sh, "cargo build --package backend-cuda --features emulate --message-format json --quiet");
    let messages = build.read()?;
    let variables = Message::parse_stream(messages.as_bytes()).filter_map(|message| match message {
        Ok(Message::BuildScriptExecuted(script)) => Some(script.env),
        _ => None,
    });
    let driver = variables.flatten().find(|(name, _)| name == "EMULATED_DRIVER");
    Ok(driver.context("backend-cuda was built without its emulated driver")?.1)
}
