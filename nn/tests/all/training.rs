//! Pieces of a training program: scores, labels, optimizers, orders, times.

use std::time::Duration;

use crate::common::{engine, shape};
use nn::*;

#[test]
fn labels_are_checked() {
    let (engine, logits) = (engine(), vec![0.0; 6]);
    let mut loss = CrossEntropy::new();
    let mut message = |sizes: &[usize], labels: &[usize]| {
        let found = loss.evaluate(engine.backend(), &shape(sizes), &logits, labels);
        found.map(|(score, _)| score).unwrap_err().to_string()
    };
    assert_eq!(message(&[2, 3], &[0, 3]), "label 1 of the batch: expected a class below 3, found 3");
    assert_eq!(message(&[2, 3], &[0]), "labels has 1 values, expected 2");
    assert_eq!(message(&[3, 3], &[0; 3]), "logits has 6 values, expected 9");
    assert_eq!(
        message(&[2, 3, 1], &[0; 2]),
        "expected an input of logits without spatial axes, found (2, 3, 1)"
    );
    assert_eq!(message(&[1, 1 << 25], &[0]), "classes: expected at most 16777216, found 33554432");
}

#[test]
fn a_bad_label_changes_no_parameter() {
    let mut engine = engine();
    let network = Sequential::new().with(Pool::max([1])).with(Flatten);
    let mut trainer = Trainer::new(network, Sgd::new(0.1, 0.0, 0.0).unwrap());
    let input = shape(&[1, 2, 1]);
    let found = trainer.step(&mut engine, &input, &[0.0, 1.0], &[2]).unwrap_err();
    assert_eq!(found, Error::Label { index: 0, label: 2, classes: 2 });
    let short = trainer.evaluate(&mut engine, &input, &[0.0], &[1]).unwrap_err();
    assert_eq!(short.to_string(), "upload has 1 values, expected 2");
}

#[test]
fn scores_add_up() {
    let (engine, mut loss) = (engine(), CrossEntropy::new());
    let logits = vec![0.0, 0.0, 0.0, 1000.0];
    let (mut score, grad) = loss.evaluate(engine.backend(), &shape(&[2, 2]), &logits, &[1, 1]).unwrap();
    assert_eq!(grad, &[0.25, -0.25, 0.0, 0.0]);
    score += Score { count: 2, loss_sum: 0.0, hits: 2 };
    assert!((score.loss() - 2f64.ln() / 4.0).abs() < 1e-7);
    assert_eq!(score.accuracy(), 0.75);
}

#[test]
fn coefficients_are_checked() {
    let message = |rate, momentum, decay| Sgd::new(rate, momentum, decay).unwrap_err().to_string();
    for rate in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        let expected = format!("learning rate: expected a finite number above 0, found {rate}");
        assert_eq!(message(rate, 0.9, 0.0), expected);
    }
    assert_eq!(message(0.1, 1.0, 0.0), "momentum: expected at least 0 and below 1, found 1");
    assert_eq!(message(0.1, 0.0, -1.0), "weight decay: expected a finite number of at least 0, found -1");
}

#[test]
fn orders_are_permutations_of_seed_and_epoch() {
    let order = shuffled(100, 3, 1);
    assert_eq!(order, shuffled(100, 3, 1));
    assert_ne!(order, shuffled(100, 3, 2));
    assert_ne!(order, shuffled(100, 4, 1));
    let mut sorted = order;
    sorted.sort_unstable();
    assert_eq!(sorted, (0..100).collect::<Vec<_>>());
    assert!(shuffled(0, 0, 0).is_empty());
}

#[test]
fn statistics_of_times() {
    let times = [4, 1, 2, 5].map(Duration::from_millis);
    let found = Statistics::of(&times).unwrap();
    assert_eq!((found.count, found.min, found.max, found.mean, found.median), (4, 1.0, 5.0, 3.0, 3.0));
    assert!((found.std - 2.5f64.sqrt()).abs() < 1e-12);
    assert_eq!(found.to_string(), "count 4 min 1.000 max 5.000 mean 3.000 median 3.000 std 1.581 ms");
    assert_eq!(Statistics::of(&times[..1]).unwrap().median, 4.0);
    assert_eq!(Statistics::of(&[]), None);
}
