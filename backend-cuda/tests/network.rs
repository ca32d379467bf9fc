//! A network on this backend: the same losses as on the CPU.

mod common;

use backend_cpu::Cpu;
use backend_cuda::Cuda;
use conv_core::testing::values;
use conv_core::{Engine, Ops};
use nn::{Sgd, Shape, Trainer, models};

const BATCH: usize = 2;
const STEPS: usize = 3;

/// Losses and hits of some steps of LeNet on random images.
fn train<B: Ops>(backend: B) -> Vec<(f64, usize)> {
    let mut engine = Engine::new(backend).unwrap();
    let network = models::lenet(engine.backend(), 1, 10, 7).unwrap();
    let mut trainer = Trainer::new(network, Sgd::new(0.01, 0.9, 1e-4).unwrap());
    let shape = Shape::new(&[BATCH, 1, 32, 32]).unwrap();
    let labels: Vec<usize> = (0..BATCH).map(|i| i * 3 % 10).collect();
    let images = values(shape.elements(), 1);
    let step = |_| {
        let score = trainer.step(&mut engine, &shape, &images, &labels).unwrap();
        (score.loss(), score.hits)
    };
    (0..STEPS).map(step).collect()
}

fn check(cuda: Cuda) {
    conv_core::cache::off();
    let (cpu, cuda) = (train(Cpu::new()), train(cuda));
    for (step, (expected, found)) in cpu.iter().zip(&cuda).enumerate() {
        assert!((expected.0 - found.0).abs() <= 1e-4, "step {step}: {cpu:?} and {cuda:?}");
        assert_eq!(expected.1, found.1, "step {step}: {cpu:?} and {cuda:?}");
    }
    assert!(cpu[STEPS - 1].0 < cpu[0].0, "it learns: {cpu:?}");
}

#[test]
fn lenet_trains_on_a_gpu_as_on_the_cpu() {
    if let Some(cuda) = common::gpu() {
        check(cuda);
    }
}

#[cfg(feature = "emulate")]
#[test]
fn lenet_trains_emulated_as_on_the_cpu() {
    check(backend_cuda::emulate::open(backend_cuda::emulate::Order::Ascending).unwrap());
}
