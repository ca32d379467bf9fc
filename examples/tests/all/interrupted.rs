//! `train` as a process that is killed or asked to end: it goes on as if it had never stopped.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::Duration;

use crate::common::Folder;

/// The program as cargo built it, beside this test.
fn program() -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    test.ancestors().nth(2).expect("target/PROFILE/deps/TEST").join("examples/train")
}

fn start(words: &[&str]) -> Child {
    let mut command = Command::new(program());
    command.args(words).env("CONV_CACHE", "off").stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("the program starts")
}

/// Waits for a line of stdout that begins so.
fn wait_for(child: &mut Child, beginning: &str) {
    let out = BufReader::new(child.stdout.as_mut().expect("a pipe"));
    let mut lines = out.lines().map(|line| line.expect("text"));
    assert!(lines.any(|line| line.starts_with(beginning)), "{beginning}");
}

fn ended(child: Child) -> (ExitStatus, String) {
    let output = child.wait_with_output().expect("it ends");
    (output.status, String::from_utf8(output.stderr).expect("text"))
}

fn finish(words: &[&str]) {
    let (status, message) = ended(start(words));
    assert!(status.success() && message.is_empty(), "{words:?}: {message}");
}

/// Trains whole, and killed three times in the middle of an epoch; both end with the same files.
fn killed_three_times(epochs: [&str; 4], settings: &[&str]) {
    let folder = Folder::new();
    let [whole, killed] = ["whole.safetensors", "killed.safetensors"].map(|name| folder.file(name));
    let [_, .., last] = epochs;
    finish(&[settings, &["--epochs", last, "--save", &whole]].concat());
    for (run, epoch) in epochs[..3].iter().enumerate() {
        let resume = ["--resume", killed.as_str()];
        let resume = if run == 0 { &[][..] } else { &resume };
        let mut child = start(&[settings, resume, &["--epochs", last, "--save", &killed]].concat());
        wait_for(&mut child, &format!("epoch {epoch}/"));
        // Somewhere in the epoch after it; where does not matter.
        sleep(Duration::from_millis(30));
        child.kill().expect("a running child");
        assert!(!ended(child).0.success());
    }
    finish(&[settings, &["--epochs", last, "--save", &killed, "--resume", &killed]].concat());
    assert!(fs::read(&whole).unwrap() == fs::read(&killed).unwrap(), "the checkpoints differ");
    let best = |path: &str| fs::read(path.replace(".safetensors", ".best.safetensors")).unwrap();
    assert!(best(&whole) == best(&killed), "the best checkpoints differ");
    assert_eq!(folder.names().iter().filter(|path| path.extension().is_some()).count(), 4);
}

#[test]
fn killed_three_times_ends_as_if_never_stopped() {
    let settings =
        ["--data", "fake", "--batch", "16", "--threads", "1", "--crop", "2", "--flip", "--save-every", "7"];
    killed_three_times(["1", "2", "3", "5"], &settings);
}

#[test]
#[ignore = "the whole of it takes minutes"]
fn thirty_epochs_of_digits_killed_three_times_end_as_if_never_stopped() {
    killed_three_times(["4", "11", "23", "30"], &["--model", "lenet", "--data", "digits"]);
}

#[test]
fn a_signal_saves_in_mid_epoch_and_a_resumed_run_ends_as_an_uninterrupted_one() {
    let folder = Folder::new();
    let [whole, stopped, metrics] = ["whole", "stopped", "metrics"].map(|name| folder.file(name));
    let settings = ["--data", "fake", "--batch", "4", "--threads", "1", "--epochs", "3"];
    finish(&[&settings, &["--save", whole.as_str()][..]].concat());
    let words = [&settings, &["--save", stopped.as_str(), "--metrics", &metrics][..]].concat();
    let mut child = start(&words);
    wait_for(&mut child, "epoch 1/3");
    let killed =
        Command::new("sh").args(["-c", &format!("kill -INT {}", child.id())]).status().expect("a shell");
    assert!(killed.success());
    let (status, message) = ended(child);
    assert_eq!(status.code(), Some(130), "{message}");
    assert!(
        message.starts_with("error: interrupted in epoch ") && message.contains("--resume "),
        "{message}"
    );
    finish(&[&words, &["--resume", stopped.as_str()][..]].concat());
    assert!(fs::read(&whole).unwrap() == fs::read(&stopped).unwrap(), "the checkpoints differ");
    assert_eq!(fs::read_to_string(&metrics).unwrap().lines().count(), 3);
}
