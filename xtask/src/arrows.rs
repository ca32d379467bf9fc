//! The arrows between the workspace's crates, as ARCHITECTURE.md draws them.

use std::path::Path;

use anyhow::{Context, bail};
use cargo_metadata::{DependencyKind, MetadataCommand};

/// What each crate may depend on, of ours and, where it matters, of others. Dev-dependencies are exempt.
const ALLOWED: [(&str, &[&str]); 7] = [
    ("fft-core", &[]),
    ("conv-core", &["fft-core"]),
    ("backend-cpu", &["fft-core", "conv-core"]),
    ("backend-cuda", &["fft-core", "conv-core"]),
    ("nn", &["fft-core", "conv-core"]),
    ("examples", &["fft-core", "conv-core", "backend-cpu", "backend-cuda", "nn"]),
    ("xtask", &["fft-core", "conv-core", "backend-cpu", "backend-cuda", "nn", "examples"]),
];

/// What conv-core must stay free of.
const FORBIDDEN_IN_CORE: [&str; 2] = ["rayon", "cudarc"];

/// Counts the dependencies between crates.
///
/// # Errors
/// The first that is not allowed, or a crate without a row.
pub(crate) fn check(root: &Path) -> anyhow::Result<usize> {
    let metadata = MetadataCommand::new().current_dir(root).no_deps().exec().context("cargo metadata")?;
    let mut found = 0;
    for package in metadata.workspace_packages() {
        let name = package.name.as_str();
        let row = ALLOWED.iter().find(|(known, _)| *known == name);
        let (_, allowed) = row.with_context(|| format!("xtask/src/arrows.rs has no row for {name}"))?;
        let normal = package.dependencies.iter().filter(|d| d.kind != DependencyKind::Development);
        for dependency in normal.map(|d| d.name.as_str()) {
            if ALLOWED.iter().any(|(ours, _)| *ours == dependency) {
                found += 1;
                if !allowed.contains(&dependency) {
                    bail!("{name} depends on {dependency}; allowed are {allowed:?}");
                }
            }
            if name == "conv-core" && FORBIDDEN_IN_CORE.contains(&dependency) {
                bail!("conv-core depends on {dependency}, which belongs to a backend");
            }
        }
    }
    Ok(found)
}
