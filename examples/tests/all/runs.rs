//! `plot` and `predict`: what comes after a training.

use std::fs;

use crate::common::{Folder, failure, run};
use examples::plot::Plot;
use examples::predict::Predict;
use examples::train::Train;

fn trained(folder: &Folder) -> (String, String) {
    let (model, metrics) = (folder.file("model.safetensors"), folder.file("first.jsonl"));
    let words = ["--epochs", "3", "--batch", "64", "--save", &model, "--metrics", &metrics];
    run::<Train>(&words).unwrap();
    (model, metrics)
}

#[test]
fn a_plot_has_three_panels_and_a_colour_for_each_run() {
    let folder = Folder::new();
    let (_, metrics) = trained(&folder);
    let (second, drawing) = (folder.file("second.jsonl"), folder.file("runs.svg"));
    fs::copy(&metrics, &second).unwrap();
    let said = run::<Plot>(&[&metrics, &second, "--output", &drawing]).unwrap();
    assert!(said.ends_with("2 runs, 6 epochs\n"), "{said}");
    let svg = fs::read_to_string(&drawing).unwrap();
    for word in ["loss (nats)", "accuracy (%)", "minibatch (ms)", "first", "second", "<polyline", "<polygon"]
    {
        assert!(svg.contains(word), "{word}");
    }
    run::<Plot>(&[&metrics, &second, "--output", &drawing]).unwrap();
    assert_eq!(fs::read_to_string(&drawing).unwrap(), svg);
}

#[test]
fn a_plot_in_pixels_has_lines_areas_and_text() {
    let folder = Folder::new();
    let (_, metrics) = trained(&folder);
    let drawing = folder.file("runs.png");
    let draw = || run::<Plot>(&[&metrics, "--output", &drawing, "--width", "900"]).unwrap();
    assert!(draw().ends_with("1 runs, 3 epochs\n"));
    let (bytes, image) = (fs::read(&drawing).unwrap(), image::open(&drawing).unwrap().into_rgb8());
    assert_eq!(image.dimensions(), (900, 300));
    let count = |of: fn([u8; 3]) -> bool| image.pixels().filter(|pixel| of(pixel.0)).count();
    let coloured = count(|[r, g, b]| r.abs_diff(g).max(g.abs_diff(b)) > 60);
    // Text is grey at its edges.
    let grey = count(|[r, g, b]| r == g && g == b && (40..200).contains(&r));
    assert!(coloured > 500 && grey > 500 && count(|pixel| pixel == [255; 3]) > 150_000, "{coloured} {grey}");
    draw();
    assert_eq!(fs::read(&drawing).unwrap(), bytes);
}

#[test]
fn bad_metrics_and_drawings_are_named() {
    let folder = Folder::new();
    let (bad, empty, svg) = (folder.file("bad.jsonl"), folder.file("empty.jsonl"), folder.file("a.svg"));
    fs::write(&bad, "{\"epoch\": 1}\n").unwrap();
    fs::write(&empty, "").unwrap();
    let before = folder.names();
    let cases: [(&[&str], &str); 5] = [
        (&[&bad, "--output", &svg], "bad.jsonl: line 1: expected an epoch, found: missing field `loss`"),
        (&[&empty, "--output", &svg], "empty.jsonl: expected a line for each epoch, found none"),
        (&["none.jsonl", "--output", &svg], "metrics none.jsonl: No such file"),
        (&[&bad, "--output", "a.bmp"], "--output: expected a name in .svg or .png, found a.bmp"),
        (&["--output", &svg], "<FILE>..."),
    ];
    for (words, expected) in cases {
        let (code, message) = failure::<Plot>(words);
        assert!(code == 2 && message.contains(expected), "{words:?}: {code} {message}");
        assert_eq!(folder.names(), before);
    }
}

#[test]
fn a_trained_network_knows_digits_as_arrays_and_as_pictures() {
    let folder = Folder::new();
    let (model, _) = trained(&folder);
    let (_, test) = nn::data::digits().unwrap();
    let (mean, deviation) = test.normalisation()[0];
    let raw = |count: usize| -> Vec<f32> {
        test.images()[..count * 1024].iter().map(|value| value * deviation + mean).collect()
    };
    let many = folder.npy("many.npy", &[20, 1, 32, 32], &raw(20));
    let text = run::<Predict>(&["--checkpoint", &model, "--top", "1", &many]).unwrap();
    let right = |(line, label): (&str, &usize)| line.contains(&format!("]: {label} "));
    assert!(text.lines().zip(test.labels()).filter(|pair| right(*pair)).count() >= 18, "{text}");
    let one = folder.npy("one.npy", &[1, 32, 32], &raw(1));
    let png = folder.file("one.png");
    let grey = raw(1).iter().map(|value| (value * 255.0).round() as u8).collect();
    image::GrayImage::from_raw(32, 32, grey).unwrap().save(&png).unwrap();
    let text = run::<Predict>(&["--checkpoint", &model, &one, &png]).unwrap();
    let classes: Vec<&str> =
        text.lines().map(|line| line.split_once(": ").unwrap().1.split(' ').next().unwrap()).collect();
    assert_eq!((classes.len(), classes[0]), (2, classes[1]), "{text}");
    assert!(text.lines().all(|line| line.matches(" %").count() == 3), "{text}");
}

#[test]
fn bad_checkpoints_and_images_are_named() {
    let folder = Folder::new();
    let (model, metrics) = trained(&folder);
    let other = folder.npy("other.npy", &[1, 3, 8, 8], &[0.0; 192]);
    let cases: [(&[&str], &str); 4] = [
        (&["--checkpoint", &metrics, &other], "checkpoint "),
        (&["--checkpoint", "none", &other], "--checkpoint none: No such file"),
        (&["--checkpoint", &model, "none.png"], "image none.png: No such file"),
        (
            &["--checkpoint", &model, &other],
            "other.npy: expected the network's input [1, 32, 32], found an array of [1, 3, 8, 8]",
        ),
    ];
    for (words, expected) in cases {
        let (code, message) = failure::<Predict>(words);
        assert!(code == 2 && message.contains(expected), "{words:?}: {code} {message}");
    }
}
