//! The programs as processes: exit codes, and what goes to stdout and stderr.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use backend_cpu::Cpu;
use conv_core::{Backend, Pass, cache};

/// The program as cargo built it, beside this test.
fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    let profile = test.ancestors().nth(2).expect("target/PROFILE/deps/TEST");
    let path = profile.join("examples").join(name).with_extension(std::env::consts::EXE_EXTENSION);
    assert!(path.exists(), "{} is missing: run `cargo build --package examples --examples`", path.display());
    path
}

/// The program with these words, without a cache folder.
fn command(name: &str, words: &[&str]) -> Command {
    let mut command = Command::new(program(name));
    command.args(words).env("CONV_CACHE", "off").env_remove("CONV_CACHE_DIR");
    command
}

/// The program with this cache folder.
fn cached(name: &str, words: &[&str], folder: &Path) -> Command {
    let mut command = command(name, words);
    command.env_remove("CONV_CACHE").env("CONV_CACHE_DIR", folder);
    command
}

/// Exit code, stdout and stderr.
fn output(command: &mut Command) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command.output().expect("the program starts");
    let text = |bytes| String::from_utf8(bytes).expect("programs write text");
    (status.code(), text(stdout), text(stderr))
}

fn run(name: &str, words: &[&str]) -> (Option<i32>, String, String) {
    output(&mut command(name, words))
}

/// Makes this processor's fitted table of these rates; without any, every algorithm is worth timing.
fn fit(folder: &Path, rates: &str) -> PathBuf {
    cache::off();
    let cpu = Cpu::new();
    let processor = &cpu.machine().processor;
    let path = folder.join(cache::file_name(&["fitted", "cpu", processor], "toml"));
    cache::write(&path, format!("processor = {processor:?}\nmeasured = \"now\"\n{rates}")).unwrap();
    path
}

/// Names and contents of the files in a folder, in order.
fn files(folder: &Path) -> Vec<(String, String)> {
    let entries = fs::read_dir(folder).expect("the folder").map(|entry| entry.expect("an entry").path());
    let name = |path: &Path| path.file_name().expect("a name").to_string_lossy().into_owned();
    let mut files: Vec<_> =
        entries.map(|path| (name(&path), fs::read_to_string(&path).expect("text"))).collect();
    files.sort();
    files
}

#[test]
fn a_file_of_the_cache_that_cannot_be_used_is_a_warning() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = fit(folder.path(), "garbage");
    let (code, out, err) = output(&mut cached("explain", &["n1 c1 o1 i8 k3"], folder.path()));
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("pick") && err.lines().count() == 1, "{err}");
    assert!(err.contains("WARN") && err.contains("fitted cost table ignored"), "{err}");
    assert!(err.contains(&path.display().to_string()), "{err}");
}

#[test]
fn help_is_on_stdout_and_bad_flags_are_on_stderr() {
    for name in ["convolve", "explain", "plot", "predict", "train"] {
        let (code, out, err) = run(name, &["--help"]);
        assert!(code == Some(0) && out.contains("--backend") && err.is_empty(), "{name}: {out} {err}");
        for words in [["--threads", "0"], ["--backend", "abacus"], ["--no-such-flag", "x"]] {
            let (code, out, err) = run(name, &words);
            assert!(code == Some(2) && out.is_empty(), "{name} {words:?}: {out}");
            assert!(err.starts_with("error: ") && err.lines().count() <= 8, "{err}");
        }
    }
}

#[test]
fn cuda_by_name_says_in_one_line_why_not() {
    let (code, out, err) = run("convolve", &["--list", "--backend", "cuda"]);
    assert!(code == Some(2) && out.is_empty() && err.lines().count() == 1, "{err}");
    assert!(err.starts_with("error: backend cuda: "), "{err}");
}

#[test]
fn results_are_on_stdout_alone() {
    let (code, out, err) = run("convolve", &["--list"]);
    assert!(code == Some(0) && !out.is_empty() && err.is_empty(), "{err}");
    let (code, out, err) = run("explain", &["--", "n1 c1 o1 i8x8 k3x3"]);
    assert!(code == Some(0) && out.contains("<- pick") && err.is_empty(), "{err}");
    let (code, _, err) = run("explain", &["--", "n1 c1 o1 i8x8 k9x9"]);
    assert!(code == Some(2) && err.starts_with("error: kernel of axis 0 does not fit"), "{err}");
}

#[test]
fn training_without_a_terminal_has_no_bar_and_ends_with_the_accuracy() {
    let (code, out, err) = run("train", &["--data", "fake", "--epochs", "1"]);
    assert!(code == Some(0) && err.is_empty(), "{err}");
    assert!(out.lines().last().is_some_and(|line| line.starts_with("test accuracy: ")), "{out}");
    assert!(!out.contains('\r'), "{out}");
}

const MEASURED: [&str; 4] = ["--algorithm", "measured", "--", "n2 c2 o3 i24x24 k5x5 p2"];

#[test]
fn measured_choices_are_kept_in_the_cache_folder() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("made/for/it");
    fit(&cache, "[rates]\n");
    let (code, out, err) = output(&mut cached("explain", &MEASURED, &cache));
    assert!(code == Some(0) && err.is_empty() && out.contains("  measured: "), "{out}{err}");
    let first = files(&cache);
    assert!(first.iter().any(|(name, text)| name.starts_with("measured-cpu-") && text.contains(MEASURED[3])));
    let (_, again, _) = output(&mut cached("explain", &MEASURED, &cache));
    assert_eq!((again, files(&cache)), (out, first.clone()), "nothing is timed again");
    let (code, out, err) = output(&mut cached("train", &["--data", "fake", "--epochs", "1"], &cache));
    assert!(code == Some(0) && err.is_empty(), "{out}{err}");
    let words = ["--data", "fake", "--epochs", "1", "--algorithm", "measured"];
    let (code, out, err) = output(&mut cached("train", &words, &cache));
    assert!(code == Some(0) && err.is_empty() && out.contains("test accuracy: "), "{out}{err}");
    let all = files(&cache);
    assert!(all.iter().zip(&first).all(|(all, first)| all.0 == first.0) && all != first, "{all:?}");
    assert!(all.iter().any(|(_, text)| text.contains(MEASURED[3])), "{all:?}");
}

#[test]
fn a_cache_that_is_off_bad_or_blocked_fails_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut off = cached("explain", &MEASURED, folder.path());
    let (code, out, err) = output(off.env("CONV_CACHE", "off"));
    assert!(code == Some(0) && err.is_empty() && out.contains("  measured: "), "{out}{err}");
    assert!(files(folder.path()).is_empty());
    fit(folder.path(), "[rates]\n");
    output(&mut cached("explain", &MEASURED, folder.path()));
    let measured =
        files(folder.path()).into_iter().find(|(name, _)| name.starts_with("measured-cpu-")).unwrap().0;
    fs::write(folder.path().join(measured), "garbage").unwrap();
    let (code, out, err) = output(&mut cached("explain", &MEASURED, folder.path()));
    assert!(code == Some(0) && out.contains("  measured: "), "{out}{err}");
    assert!(files(folder.path()).iter().any(|(_, text)| text.contains(MEASURED[3])));
    let blocked = folder.path().join("a file");
    fs::write(&blocked, "").unwrap();
    let (code, out, err) = output(&mut cached("explain", &MEASURED, &blocked));
    assert!(code == Some(0) && out.contains("  measured: "), "{out}{err}");
}

#[test]
fn processes_that_measure_at_once_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    fit(folder.path(), "[rates]\n");
    let lines = ["n1 c2 o2 i20x20 k3x3", "n1 c2 o2 i22x22 k3x3", "n1 c2 o2 i24x24 k3x3"];
    let start = |line: &&str| {
        let mut command = cached("explain", &["--algorithm", "measured", line], folder.path());
        command.stdout(std::process::Stdio::null()).spawn().expect("the program starts")
    };
    let children: Vec<_> = lines.iter().map(start).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let text: String = files(folder.path()).into_iter().map(|(_, text)| text).collect();
    assert!(lines.iter().all(|line| text.contains(line)), "{text}");
}

#[test]
fn a_table_fitted_by_the_user_is_taken_where_it_is_of_this_processor() {
    let folder = tempfile::tempdir().unwrap();
    let words = ["n1 c1 o1 i8x8 k3x3"];
    let passes = Pass::ALL.map(|pass| format!("{pass} = {{ launch = 1.0 }}\n")).concat();
    let path = fit(folder.path(), &format!("[rates.im2col]\n{passes}"));
    let (_, out, _) = output(&mut cached("explain", &words, folder.path()));
    assert!(out.contains("\ntable: fitted on this machine: "), "{out}");
    assert!(
        out.lines().filter(|line| line.ends_with("<- pick")).all(|line| line.contains("im2col")),
        "{out}"
    );
    let (_, out, _) = output(cached("explain", &words, folder.path()).env("CONV_CACHE", "off"));
    assert!(!out.contains("\ntable: fitted"), "{out}");
    for bad in ["processor = \"Abacus\"\nmeasured = \"now\"\n[rates]\n", "garbage"] {
        fs::write(&path, bad).unwrap();
        let (code, out, _) = output(&mut cached("explain", &words, folder.path()));
        assert!(code == Some(0) && !out.contains("\ntable: fitted"), "{out}");
    }
}
