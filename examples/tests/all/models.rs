//! `train --model NAME`: every network trains, with its summary; optimizers go on as if never stopped.

use std::fs;

use crate::common::{Folder, failure, run};
use backend_cpu::Cpu;
use conv_core::Backend;
use examples::train::Train;

fn train(words: &[&str]) -> String {
    run::<Train>(words).unwrap_or_else(|failure| panic!("{words:?}: {failure}"))
}

#[test]
fn every_network_trains_and_says_its_engines() {
    let cases: [(&[&str], &[&str]); 6] = [
        (&["--model", "report", "--kernel", "5"], &["conv2d", "(100, 16, 28, 28)"]),
        (&["--model", "spectral", "--kernel", "5"], &["spectral_conv2d", "(100, 16, 28, 28)"]),
        (&["--model", "resnet", "--image-size", "8"], &["batch_norm", "sum", "  conv2d"]),
        (&["--model", "large-kernel", "--kernel", "7", "--image-size", "16"], &["(100, 64, 4, 4)"]),
        (&["--model", "audio"], &["conv1d", "(100, 32, 1024)"]),
        (&["--model", "volume", "--image-size", "8"], &["conv3d", "dropout", "(100, 8, 8, 8, 8)"]),
    ];
    for (words, expected) in cases {
        let text = train(&[words, &["--data", "fake", "--epochs", "1", "--batch", "100"]].concat());
        for word in expected.iter().chain(&["layer", "forward", "parameters", "epoch 1/1", "test accuracy: "])
        {
            assert!(text.contains(word), "{words:?}: {word} in\n{text}");
        }
        let convolution = text.lines().find(|line| line.contains("conv")).unwrap();
        let engine = convolution.split_whitespace().rev().nth(2).unwrap();
        assert!(conv_core::algorithm::find(Cpu::new().algorithms(), engine).is_ok(), "{convolution}");
    }
}

#[test]
fn every_part_of_a_training_goes_on_after_a_stop() {
    let folder = Folder::new();
    let (whole, halves) = (folder.file("whole"), folder.file("halves"));
    let task = ["--data", "fake", "--model", "volume", "--image-size", "8", "--threads", "2"];
    // The warm-up ends in the second epoch.
    let moved = ["--batch", "100", "--optimizer", "adamw", "--weight-decay", "0.05", "--warmup", "10"];
    let more = ["--clip", "1", "--label-smoothing", "0.1"];
    train(&[&task[..], &moved, &more, &["--epochs", "2", "--save", &whole]].concat());
    train(&[&task[..], &moved, &more, &["--epochs", "1", "--save", &halves]].concat());
    assert!(fs::read(&whole).unwrap() != fs::read(&halves).unwrap());
    train(&[&task[..], &["--epochs", "2", "--resume", &halves, "--save", &halves]].concat());
    assert!(fs::read(&whole).unwrap() == fs::read(&halves).unwrap(), "the checkpoints differ");
}

#[test]
fn options_that_do_not_fit() {
    let cases: [(&[&str], &str); 6] = [
        (&["--kernel", "5"], "--kernel: expected --model report, spectral or large-kernel, found lenet"),
        (&["--data", "fake", "--model", "large-kernel", "--kernel", "8"], "odd number from 7 to 31, found 8"),
        (
            &["--data", "fake", "--model", "report", "--kernel", "33"],
            "kernel of the network: expected 1 to 31, found 33",
        ),
        (&["--model", "audio"], "spatial axes"),
        (&["--clip", "-1"], "unexpected argument"),
        (&["--label-smoothing", "2"], "label smoothing: expected 0 to 1, found 2"),
    ];
    for (words, expected) in cases {
        let (code, message) = failure::<Train>(words);
        assert!(code == 2 && message.contains(expected), "{words:?}: {code} {message}");
    }
}
