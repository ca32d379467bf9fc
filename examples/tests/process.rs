//! The programs as processes: exit codes, and what goes to stdout and stderr.

use std::path::PathBuf;
use std::process::{Command, Output};

/// The program as cargo built it, beside this test.
fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    let profile = test.ancestors().nth(2).expect("target/PROFILE/deps/TEST");
    let path = profile.join("examples").join(name).with_extension(std::env::consts::EXE_EXTENSION);
    assert!(path.exists(), "{} is missing: run `cargo build --package examples --examples`", path.display());
    path
}

fn run(name: &str, words: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } =
        Command::new(program(name)).args(words).output().expect("the program starts");
    let text = |bytes| String::from_utf8(bytes).expect("programs write text");
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn help_is_on_stdout_and_bad_flags_are_on_stderr() {
    for name in ["convolve", "explain", "train"] {
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
