//! `train`: what it prints and writes, how it goes on, and what it refuses.

use std::fs;

use crate::common::{Folder, failure, run};
use backend_cpu::Cpu;
use examples::train::Train;
use serde_json::Value;

fn train(words: &[&str]) -> String {
    run::<Train>(words).unwrap_or_else(|failure| panic!("{words:?}: {failure}"))
}

#[test]
fn the_digits_are_learnt_by_default() {
    let text = train(&[]);
    let last = text.lines().last().unwrap();
    let accuracy = last.strip_prefix("test accuracy: ").and_then(|rest| rest.strip_suffix(" %"));
    let accuracy: f64 = accuracy.unwrap_or_else(|| panic!("{last}")).parse().unwrap();
    assert!(accuracy >= 97.0, "{text}");
    assert!(text.contains("backward-weights") && text.contains("conv2d"), "{text}");
    assert_eq!(text.lines().filter(|line| line.starts_with("epoch ")).count(), 15);
    for word in ["loss ", "accuracy ", "count 45 ", "min ", "max ", "mean ", "median ", "std ", " ms"] {
        assert!(text.lines().any(|line| line.starts_with("epoch 15/15: ") && line.contains(word)), "{word}");
    }
}

#[test]
fn a_resumed_run_ends_as_an_uninterrupted_one() {
    let folder = Folder::new();
    let (whole, halves) = (folder.file("whole"), folder.file("halves"));
    let settings = ["--data", "fake", "--batch", "50", "--seed", "7", "--threads", "2"];
    let ends = train(&[&settings, ["--epochs", "2", "--save", &whole].as_slice()].concat());
    train(&[&settings, ["--epochs", "1", "--save", &halves].as_slice()].concat());
    assert_ne!(fs::read(&whole).unwrap(), fs::read(&halves).unwrap());
    let words = ["--data", "fake", "--epochs", "2", "--resume", &halves, "--save", &halves, "--threads", "2"];
    let resumed = train(&words);
    assert!(resumed.contains("epoch 2/2") && !resumed.contains("epoch 1/2"), "{resumed}");
    assert_eq!(resumed.lines().last(), ends.lines().last());
    assert!(fs::read(&whole).unwrap() == fs::read(&halves).unwrap(), "the checkpoints differ");
}

#[test]
fn a_finished_run_changes_nothing() {
    let folder = Folder::new();
    let (file, metrics) = (folder.file("model"), folder.file("metrics"));
    let words = ["--data", "fake", "--epochs", "1", "--save", &file, "--metrics", &metrics];
    let first = train(&words);
    let before = (fs::read(&file).unwrap(), fs::read(&metrics).unwrap(), folder.names());
    let again = train(&[&words, ["--resume", &file].as_slice()].concat());
    assert_eq!(again.lines().last(), first.lines().last());
    assert_eq!(again.lines().count(), 1);
    assert!(before == (fs::read(&file).unwrap(), fs::read(&metrics).unwrap(), folder.names()));
}

#[test]
fn metrics_are_lines_of_json_that_a_resumed_run_adds_to() {
    let folder = Folder::new();
    let (file, metrics) = (folder.file("model"), folder.file("metrics"));
    let words = ["--data", "fake", "--batch", "100", "--save", &file, "--metrics", &metrics];
    train(&[&words, ["--epochs", "2"].as_slice()].concat());
    train(&[&words, ["--epochs", "3", "--resume", &file].as_slice()].concat());
    let text = fs::read_to_string(&metrics).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.iter().map(|line| line["epoch"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2, 3]);
    for line in lines {
        assert!(line["loss"].as_f64().unwrap() > 0.0 && line["accuracy"].as_f64().unwrap() <= 1.0);
        let times = &line["minibatch_ms"];
        assert_eq!(times["count"], 7);
        let time = |name: &str| times[name].as_f64().unwrap();
        assert!(time("min") <= time("median") && time("median") <= time("max") && time("std") >= 0.0);
        assert!(time("min") <= time("mean") && time("mean") <= time("max"));
    }
}

/// A folder in CIFAR-10's published form: images of class `c` are bright in channel `c % 3`.
fn cifar10(folder: &Folder) -> String {
    let record = |class: u8| -> Vec<u8> {
        let pixel = |i: usize| if i / 1024 == usize::from(class % 3) { 200 } else { (i % 50) as u8 };
        [class].into_iter().chain((0..3072).map(pixel)).collect()
    };
    let records: Vec<u8> = (0..12).flat_map(|class| record(class % 3)).collect();
    let names = (1..=5).map(|batch| format!("data_batch_{batch}.bin"));
    for name in names.chain(["test_batch.bin".into()]) {
        fs::write(folder.file(&name), &records).unwrap();
    }
    folder.path().to_str().unwrap().into()
}

#[test]
fn a_folder_in_cifar10s_form_is_learnt_with_crops_and_flips() {
    let folder = Folder::new();
    let dir = cifar10(&folder);
    let words =
        ["--data", "cifar10", "--data-dir", &dir, "--batch", "12", "--epochs", "8", "--crop", "2", "--flip"];
    let text = train(&words);
    assert!(text.contains("cifar10: 60 images to train, 12 to test") && text.contains("62,006"), "{text}");
    assert_eq!(text.lines().last(), Some("test accuracy: 100.0 %"), "{text}");
    assert_eq!(train(&[&words[..], &["--workers", "3"]].concat()).lines().last(), text.lines().last());
}

#[test]
fn published_files_come_from_the_mirror_asked_for() {
    let folder = Folder::new();
    // Nobody listens there once the listener is dropped.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (dir, mirror) = (folder.file("mnist"), format!("http://{closed}/files/"));
    let words = ["--data", "mnist", "--data-dir", &dir, "--download", "--mirror", &mirror];
    let (code, message) = failure::<Train>(&words);
    let expected = format!("{mirror}train-images-idx3-ubyte.gz: expected 9912422 bytes, found 0: ");
    assert!(code == 2 && message.starts_with(&expected), "{message}");
}

#[test]
fn weights_of_a_state_dict_are_where_training_begins() {
    let folder = Folder::new();
    let file = folder.file("weights.safetensors");
    let backend = Cpu::new();
    nn::state_dict::save(&file, &backend, &nn::models::lenet(&backend, 1, 10, 9).unwrap()).unwrap();
    let untrained = |words: &[&str]| train(&[words, &["--epochs", "0"]].concat());
    assert_eq!(untrained(&["--weights", &file]), untrained(&["--seed", "9"]));
    assert_ne!(untrained(&["--weights", &file]), untrained(&[]));
    let other = failure::<Train>(&["--weights", &file, "--data", "fake"]);
    assert!(other.0 == 2 && other.1.contains("0.weight"), "{other:?}");
}

#[test]
fn the_last_and_the_best_checkpoint_are_kept() {
    let folder = Folder::new();
    let (file, metrics) = (folder.file("a.safetensors"), folder.file("metrics"));
    let text = train(&["--data", "fake", "--epochs", "4", "--save", &file, "--metrics", &metrics]);
    let state = |name: &str| {
        let bytes = fs::read(folder.file(name)).unwrap();
        let header = &bytes[8..8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize];
        let header: Value = serde_json::from_slice(header).unwrap();
        serde_json::from_str::<Value>(header["__metadata__"]["state"].as_str().unwrap()).unwrap()
    };
    let lines = fs::read_to_string(&metrics).unwrap();
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let accuracies: Vec<f64> = lines.iter().map(|line| line["test_accuracy"].as_f64().unwrap()).collect();
    let best = accuracies.iter().copied().fold(0.0, f64::max);
    let epoch = 1 + accuracies.iter().position(|accuracy| *accuracy == best).unwrap();
    assert_eq!(
        (state("a.safetensors")["epochs"].as_u64(), state("a.safetensors")["best"].as_f64()),
        (Some(4), Some(best))
    );
    assert_eq!(state("a.best.safetensors")["epochs"], epoch, "{text}");
}

#[test]
fn a_loss_that_is_no_number_names_its_beginning_and_leaves_the_checkpoint() {
    let folder = Folder::new();
    let file = folder.file("a.safetensors");
    train(&["--data", "fake", "--epochs", "1", "--save", &file]);
    let words = ["--data", "fake", "--epochs", "9", "--lr", "1e30", "--resume", &file, "--save", &file];
    let (code, message) = failure::<Train>(&words);
    assert_eq!(code, 1, "{message}");
    assert!(message.starts_with("the loss is not finite; the first values that are not: "), "{message}");
    assert!(message.contains(" layer ") && message.ends_with("(conv2d)"), "{message}");
    let text = train(&["--data", "fake", "--epochs", "2", "--lr", "0.01", "--resume", &file]);
    assert!(text.contains("epoch 2/2"), "{text}");
}

#[test]
fn metrics_beyond_the_checkpoint_are_dropped() {
    let folder = Folder::new();
    let (file, metrics) = (folder.file("model"), folder.file("metrics"));
    let words = ["--data", "fake", "--batch", "100", "--save", &file, "--metrics", &metrics];
    train(&[&words, ["--epochs", "1"].as_slice()].concat());
    let line = fs::read_to_string(&metrics).unwrap();
    // As a run leaves it that was killed before its second checkpoint was written.
    let beyond = line.replace("\"epoch\":1", "\"epoch\":2");
    fs::write(&metrics, format!("{line}{beyond}{}", &line[..20])).unwrap();
    train(&[&words, ["--epochs", "2", "--resume", &file].as_slice()].concat());
    let text = fs::read_to_string(&metrics).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.iter().map(|line| line["epoch"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2]);
    assert!(text.starts_with(&line) && !text.contains(&beyond));
}

#[test]
fn bad_input_is_found_before_training() {
    let folder = Folder::new();
    let (garbage, metrics, none) = (folder.file("garbage"), folder.file("metrics"), folder.file("none/file"));
    fs::write(&garbage, "no checkpoint").unwrap();
    let other = folder.file("digits");
    train(&["--epochs", "1", "--save", &other, "--batch", "500"]);
    let here = folder.path().to_str().unwrap();
    let before = folder.names();
    let cases: [(&[&str], &str); 22] = [
        (&["--algorithm", "nonsense"], "unknown algorithm \"nonsense\""),
        (&["--backend", "cuda"], "backend cuda: "),
        (&["--threads", "0"], "--threads"),
        (&["--data", "imagenet"], "invalid value 'imagenet'"),
        (&["--model", "vgg"], "invalid value 'vgg'"),
        (&["--batch", "0"], "--batch: expected at least 1, found 0"),
        (&["--lr", "nan"], "learning rate: expected a finite number above 0, found NaN"),
        (&["--momentum", "1"], "momentum: expected at least 0 and below 1, found 1"),
        (&["--data", "cifar10"], "--data cifar10 needs --data-dir DIR, found none"),
        (&["--data-dir", here], "--data-dir: expected data in files, found --data digits"),
        (&["--data", "cifar10", "--data-dir", here], "expected a folder with data_batch_1.bin"),
        (&["--download"], "--download: expected published data, found --data digits"),
        (&["--image-size", "32"], "--image-size: expected --data folder or fake, found --data digits"),
        (&["--save-every", "3"], "--save <FILE>"),
        (&["--save", &none], "expected an existing folder"),
        (&["--save", here], "expected a file name, found a folder"),
        (&["--metrics", &none], "expected an existing folder"),
        (&["--metrics", "/dev/null"], "expected a file name, found a folder or device"),
        (&["--resume", &none], "No such file"),
        (&["--weights", &none], "No such file"),
        (&["--resume", &garbage, "--metrics", &metrics], "checkpoint "),
        (
            &["--resume", &other, "--data", "fake"],
            "--resume: expected lenet on digits, 10 classes of images [1, 32, 32] as in the checkpoint, found \
             lenet on fake, 10 classes of images [3, 32, 32]",
        ),
    ];
    for (words, expected) in cases {
        let (code, message) = failure::<Train>(words);
        assert!(code == 2 && message.contains(expected), "{words:?}: {code} {message}");
        assert_eq!(folder.names(), before, "{words:?}");
    }
}
