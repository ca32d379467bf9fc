//! `cargo xtask ptx`: the kernels of `backend-cuda` compiled to PTX, by a pinned compiler that needs no CUDA.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use xshell::{Shell, cmd};

/// The compiler's wheels with their hashes, as pip reads them.
const WHEELS: &str = include_str!("ptx/wheels.txt");

/// Where the wheels are unpacked; git ignores it.
const FOLDER: &str = ".cuda130";

/// What the kernels are compiled for: PTX of Ampere, which the driver of every later device compiles for it. Hopper's own
/// matrix instructions (`wgmma`, of compute_90a) take no f32 factors, and these kernels round none; its bulk copies could
/// serve them, but a second set of PTX waits for a measured gain.
const VIRTUAL: &str = "compute_80";

/// The devices whose registers must suffice.
const REAL: [&str; 2] = ["sm_80", "sm_90"];

/// Compiles the kernels of backend-cuda to backend-cuda/kernels/ptx.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Ptx {
    /// Write nothing: fail where the committed PTX is not what the kernels compile to.
    #[arg(long)]
    pub(crate) check: bool,
}

/// Compiles every kernel, compares or writes it, and asserts that no register is spilled.
///
/// # Errors
/// What the compiler says, PTX that is not current, or a kernel that spills.
pub(crate) fn run(ptx: &Ptx) -> anyhow::Result<()> {
    let sh = Shell::new()?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize()?;
    sh.change_dir(&root);
    let bin = compiler(&sh)?;
    let made = sh.create_temp_dir()?;
    let mut kernels = 0;
    for source in sources(&root)? {
        let name = source.file_stem().context("a kernel's name")?.to_string_lossy().into_owned();
        let new = made.path().join(&name).with_extension("ptx");
        // From the root, so that no path of this machine gets into the PTX.
        let source = source.strip_prefix(&root)?;
        let nvcc = bin.join("nvcc");
        cmd!(sh, "{nvcc} -ptx -std=c++17 -O3 -arch={VIRTUAL} {source} -o {new}").quiet().run()?;
        kernels += check_registers(&sh, &bin, &new)?;
        settle(&root.join("backend-cuda/kernels/ptx").join(&name).with_extension("ptx"), &new, ptx.check)?;
    }
    let state = if ptx.check { "current" } else { "written" };
    println!("ptx: {state}, {kernels} kernels without spills");
    Ok(())
}

/// Whether the compiler is here or can be had.
pub(crate) fn available(sh: &Shell) -> bool {
    sh.path_exists(FOLDER) || cmd!(sh, "python3 -m pip --version").quiet().ignore_stderr().read().is_ok()
}

/// The folder of the compiler's programs, from pip where it is not unpacked yet.
fn compiler(sh: &Shell) -> anyhow::Result<PathBuf> {
    let folder = sh.current_dir().join(FOLDER);
    let (bin, marker) = (folder.join("nvidia/cu13/bin"), folder.join("wheels.txt"));
    if sh.read_file(&marker).is_ok_and(|unpacked| unpacked == WHEELS) {
        return Ok(bin);
    }
    sh.remove_path(&folder)?;
    let wheels = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ptx/wheels.txt");
    cmd!(sh, "python3 -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes")
        .args(["--root-user-action", "ignore", "--target"])
        .arg(&folder)
        .arg("--requirement")
        .arg(wheels)
        .run()
        .context("the compiler comes from pip")?;
    sh.write_file(&marker, WHEELS)?;
    Ok(bin)
}

/// The files with kernels, in order.
fn sources(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(root.join("backend-cuda/kernels"))?;
    let paths = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    let mut sources: Vec<_> =
        paths.into_iter().filter(|path| path.extension().is_some_and(|e| e == "cu")).collect();
    sources.sort();
    Ok(sources)
}

/// Assembles the PTX for each real device and counts its kernels.
fn check_registers(sh: &Shell, bin: &Path, ptx: &Path) -> anyhow::Result<usize> {
    let ptxas = bin.join("ptxas");
    let mut kernels = 0;
    for device in REAL {
        let output = cmd!(sh, "{ptxas} -v -arch={device} {ptx} -o /dev/null").quiet().read_stderr()?;
        let spilled = spills(&output);
        if !spilled.is_empty() {
            bail!("{device}: these kernels spill registers: {}", spilled.join(", "));
        }
        kernels = output.matches("Compiling entry function").count();
    }
    Ok(kernels)
}

/// The functions that `ptxas -v` says spill.
fn spills(output: &str) -> Vec<String> {
    let mut function = "";
    let mut spilled = Vec::new();
    for line in output.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("ptxas info    : Function properties for ") {
            function = name;
        } else if line.contains("spill stores")
            && !line.contains(" 0 bytes spill stores, 0 bytes spill loads")
        {
            spilled.push(function.to_string());
        }
    }
    spilled
}

/// Compares the committed PTX with the new, or replaces it.
fn settle(committed: &Path, new: &Path, check: bool) -> anyhow::Result<()> {
    let text = fs::read(new)?;
    let same = fs::read(committed).is_ok_and(|old| old == text);
    let name = committed.display();
    match (same, check) {
        (true, _) => Ok(()),
        (false, true) => bail!("{name} is not what its kernels compile to: run `cargo xtask ptx`"),
        (false, false) => fs::write(committed, text).with_context(|| format!("{name}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_that_spill_are_named() {
        let output = "ptxas info    : Compiling entry function 'a' for 'sm_90'\n\
            ptxas info    : Function properties for a\n\
            \x20   0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads\n\
            ptxas info    : Used 64 registers\n\
            ptxas info    : Function properties for b\n\
            \x20   8 bytes stack frame, 8 bytes spill stores, 8 bytes spill loads\n";
        assert_eq!(spills(output), ["b"]);
    }

    #[test]
    fn every_wheel_is_pinned_by_hash() {
        let wheels = WHEELS.lines().filter(|line| !line.starts_with('#'));
        assert!(
            wheels.clone().count() == 5
                && wheels.clone().all(|line| line.contains("==") && line.contains("--hash=sha256:"))
        );
    }

    #[test]
    fn ptx_that_is_not_current_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let [old, new] = ["old", "new"].map(|name| folder.path().join(name));
        fs::write(&new, "new").unwrap();
        let error = settle(&old, &new, true).unwrap_err().to_string();
        assert!(error.contains("cargo xtask ptx") && !old.exists(), "{error}");
        settle(&old, &new, false).unwrap();
        settle(&old, &new, true).unwrap();
    }
}
