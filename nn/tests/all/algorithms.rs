//! LeNet on digits through every algorithm of the CPU backend: the same losses, and the same bits again.

use backend_cpu::Cpu;
use conv_core::{Backend, Engine, Pass, Policy};
use nn::{Sgd, Trainer, data, models, shuffled};

/// Losses of the first steps at batch 32, with this algorithm in every convolution, whatever the user has
/// fitted.
fn losses(policy: Policy, steps: usize) -> Vec<f64> {
    conv_core::cache::off();
    let mut engine = Engine::new(Cpu::new()).unwrap().with_policy(policy).unwrap();
    let (train, _) = data::digits().unwrap();
    let network = models::lenet(engine.backend(), 1, 10, 7).unwrap();
    let mut trainer = Trainer::new(network, Sgd::new(0.02, 0.9, 0.0).unwrap());
    let (mut images, mut labels) = (Vec::new(), Vec::new());
    let order = shuffled(train.count(), 7, 0);
    let batches = order.chunks(32).take(steps);
    batches
        .map(|batch| {
            train.gather(batch, &mut images, &mut labels).unwrap();
            let shape = train.shape().with_batch(batch.len()).unwrap();
            trainer.step(&mut engine, &shape, &images, &labels).unwrap().loss()
        })
        .collect()
}

#[test]
fn every_algorithm_gives_the_same_losses() {
    let automatic = losses(Policy::Predicted, 20);
    assert!(automatic[19] < automatic[0], "{automatic:?}");
    let (cpu, problem) = (Cpu::new(), "n32 c1 o6 i32x32 k5x5".parse().unwrap());
    for algorithm in cpu.algorithms() {
        if algorithm.name() == "depthwise" {
            let refused = algorithm.estimate(cpu.machine(), &problem, Pass::Forward);
            refused.expect_err("it takes one channel a group");
            continue;
        }
        let named = losses(Policy::Named(algorithm.name().into()), 20);
        for (step, (a, b)) in automatic.iter().zip(&named).enumerate() {
            assert!((a - b).abs() <= 1e-4, "{} at step {step}: {a} and {b}", algorithm.name());
        }
    }
}

#[test]
fn the_same_seed_and_choice_give_the_same_losses() {
    assert_eq!(losses(Policy::Predicted, 8), losses(Policy::Predicted, 8));
}
