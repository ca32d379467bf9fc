//! `mpirun -n 2 train`: the losses of one process, and the end of all where one fails.
//!
//! Run with `cargo test --workspace --features examples/mpi --test mpi`, after
//! `cargo build --workspace --features examples/mpi --example train`.

#![cfg(feature = "mpi")]

#[path = "all/common/mod.rs"]
mod common;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use common::Folder;
use serde_json::Value;

/// The program as cargo built it, beside this test.
fn program() -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    test.ancestors().nth(2).expect("target/PROFILE/deps/TEST").join("examples/train")
}

/// The program with these words in each of `ranks` processes, on as few processors as there may be.
fn mpirun(ranks: usize, words: &[&str]) -> Output {
    job(ranks, words).output().expect("mpirun, which comes with MPI")
}

fn job(ranks: usize, words: &[&str]) -> Command {
    let mut command = Command::new("mpirun");
    command.env("OMPI_ALLOW_RUN_AS_ROOT", "1").env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1");
    command.env("OMPI_MCA_rmaps_base_oversubscribe", "1").env("CONV_CACHE", "off");
    command.args(["-n", &ranks.to_string()]).arg(program()).args(["--threads", "1"]).args(words);
    command
}

/// The processes of the program that this one has started, or those it has started.
fn started(process: u32) -> Vec<u32> {
    let children = fs::read_to_string(format!("/proc/{process}/task/{process}/children")).unwrap_or_default();
    let children = children.split_whitespace().map(|child| child.parse().expect("a number"));
    let is_program =
        |child| fs::read_to_string(format!("/proc/{child}/comm")).is_ok_and(|name| name == "train\n");
    children.flat_map(|child| if is_program(child) { vec![child] } else { started(child) }).collect()
}

fn succeed(output: &Output) -> String {
    let (out, err) = (&output.stdout, String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{err}");
    String::from_utf8(out.clone()).expect("text")
}

/// Losses and accuracies in training and on the test set, epoch by epoch.
fn metrics(file: &str) -> Vec<[f64; 4]> {
    let text = fs::read_to_string(file).expect("metrics");
    let line = |line| -> [f64; 4] {
        let line: Value = serde_json::from_str(line).expect("JSON");
        ["loss", "accuracy", "test_loss", "test_accuracy"].map(|name| line[name].as_f64().expect("a number"))
    };
    text.lines().map(line).collect()
}

#[test]
fn ranks_have_the_losses_of_one_process_with_the_same_minibatches() {
    let folder = Folder::new();
    // The last minibatch of 640 images has 10, which 3 ranks share unevenly.
    let words = |name: &str| {
        let settings = ["--data", "fake", "--epochs", "3", "--batch", "63", "--crop", "1", "--flip"];
        let files =
            ["--save".into(), folder.file(name), "--metrics".into(), folder.file(&format!("{name}.jsonl"))];
        settings.map(String::from).into_iter().chain(files).collect::<Vec<_>>()
    };
    let mut all = Vec::new();
    for ranks in 1..=3 {
        let words = words(&ranks.to_string());
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let text = succeed(&mpirun(ranks, &words));
        assert_eq!(text.matches("test accuracy: ").count(), 1, "{text}");
        assert_eq!(text.contains(&format!(", {ranks} processes")), ranks > 1, "{text}");
        all.push(metrics(&folder.file(&format!("{ranks}.jsonl"))));
    }
    for (ranks, found) in all.iter().enumerate().skip(1) {
        assert_eq!(found.len(), 3);
        for (found, expected) in found.iter().zip(&all[0]) {
            let near = |which: usize, most: f64| (found[which] - expected[which]).abs() < most;
            // Images at the border between two classes may change sides.
            assert!(
                near(0, 1e-4) && near(2, 1e-4) && near(1, 0.01) && near(3, 0.02),
                "{} ranks: {all:?}",
                ranks + 1
            );
        }
    }
}

#[test]
fn a_minibatch_smaller_than_the_ranks_is_still_one() {
    let words = ["--data", "fake", "--epochs", "1", "--batch", "1"];
    let text = succeed(&mpirun(2, &words));
    assert!(text.contains("count 640 "), "{text}");
}

#[test]
fn a_rank_that_fails_ends_the_job_with_its_message_and_the_checkpoint_stands() {
    let folder = Folder::new();
    let file = folder.file("a.safetensors");
    succeed(&mpirun(2, &["--data", "fake", "--epochs", "1", "--save", &file]));
    let before = fs::read(&file).expect("a checkpoint");
    let words = ["--data", "fake", "--epochs", "5", "--lr", "1e30", "--resume", &file, "--save", &file];
    let output = mpirun(2, &words);
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(message.contains("error: rank ") && message.contains("the loss is not finite"), "{message}");
    let resumed = succeed(&mpirun(1, &["--data", "fake", "--epochs", "1", "--resume", &file]));
    assert!(resumed.starts_with("test accuracy: "), "{resumed}");
    assert_eq!(fs::read(&file).expect("a checkpoint").len(), before.len());
}

#[test]
#[cfg(target_os = "linux")]
fn a_rank_that_is_killed_ends_the_job_with_a_message_and_the_checkpoint_stands() {
    let folder = Folder::new();
    let file = folder.file("a.safetensors");
    let mut command = job(2, &["--epochs", "1000", "--batch", "64", "--save", &file]);
    let mut job = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("mpirun");
    let out = BufReader::new(job.stdout.as_mut().expect("a pipe"));
    assert!(out.lines().any(|line| line.expect("text").starts_with("epoch 1/")));
    let ranks = started(job.id());
    assert_eq!(ranks.len(), 2);
    let killed = Command::new("kill").args(["-9", &ranks[1].to_string()]).status().expect("kill");
    assert!(killed.success());
    let output = job.wait_with_output().expect("the job ends");
    let message = String::from_utf8_lossy(&output.stderr).to_lowercase();
    assert!(!output.status.success() && message.contains("signal") && message.contains('9'), "{message}");
    let resumed = succeed(&mpirun(1, &["--epochs", "1", "--resume", &file]));
    assert!(resumed.starts_with("test accuracy: "), "{resumed}");
}
