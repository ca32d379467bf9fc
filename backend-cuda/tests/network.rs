//! A network on this backend: the same losses as on the CPU.

mod common;

use backend_cpu::Cpu;
use backend_cuda::Cuda;
use conv_core::ops::PadMode;
use conv_core::testing::values;
use conv_core::{Engine, Ops};
use nn::{
    Adam, BatchNorm, Conv, ConvOptions, Dropout, GlobalAveragePool, Linear, Relu, Sequential, Sgd, Shape,
    Sum, Trainer, models,
};
use rand::SeedableRng;
use rand::rngs::StdRng;

/// A network of all other layers that models are made of.
fn mixed<B: Ops>(backend: &B) -> nn::Result<Sequential<B>> {
    let random = &mut StdRng::seed_from_u64(3);
    let first = ConvOptions::new(1, 4, [3, 3]).padding([1, 1]).padding_mode(PadMode::Reflect).bias(false);
    let depthwise = ConvOptions::new(4, 4, [3, 3]).padding([1, 1]).groups(4);
    let chain = Sequential::new().with(Conv::new(backend, first, random)?).with(BatchNorm::new(backend, 4)?);
    let residual = Sequential::new().with(Conv::new(backend, depthwise, random)?);
    let chain =
        chain.with(Relu).with(Sum::new(vec![residual, Sequential::new()])?).with(Dropout::new(0.2, 5)?);
    Ok(chain.with(GlobalAveragePool).with(Linear::new(backend, 4, 10, random)?))
}

/// A step of every layer and of Adam with clipped gradients downloads losses, hits and the gradients' norm, no tensor.
#[cfg(feature = "emulate")]
#[test]
fn a_step_leaves_its_tensors_on_the_device() {
    use backend_cuda::emulate::{Order, downloaded, open};
    conv_core::cache::off();
    let mut engine = Engine::new(open(Order::Ascending).unwrap()).unwrap();
    let network = mixed(engine.backend()).unwrap();
    let parameters = 6;
    let adam = Adam::new(0.01, 0.1).unwrap().decoupled();
    let mut trainer = Trainer::new(network, adam).with_clip(1.0).unwrap();
    let shape = Shape::new(&[BATCH, 1, 16, 16]).unwrap();
    let images = values(shape.elements(), 1);
    for _ in 0..2 {
        downloaded();
        trainer.step(&mut engine, &shape, &images, &[1; BATCH]).unwrap();
        let found = downloaded();
        let most = (2 * BATCH * 4 + (parameters + 4) * 8) as u64;
        assert!(found > 0 && found <= most, "{found} bytes, expected at most {most}");
    }
}

/// A step of every layer asks for all its work before it waits for the score, twice: for losses and for hits. Behind that are only the
/// launches of the descent. No memory is allocated but in the first.
#[cfg(feature = "emulate")]
#[test]
fn a_step_waits_for_the_score_alone() {
    use backend_cuda::emulate::{Order, allocations, open, pending, waits};
    conv_core::cache::off();
    let mut engine = Engine::new(open(Order::Ascending).unwrap()).unwrap();
    let network = mixed(engine.backend()).unwrap();
    let mut trainer = Trainer::new(network, Sgd::new(0.01, 0.9, 1e-4).unwrap());
    let shape = Shape::new(&[BATCH, 1, 16, 16]).unwrap();
    let images = values(shape.elements(), 1);
    for step in 0..2 {
        waits();
        allocations();
        trainer.step(&mut engine, &shape, &images, &[1; BATCH]).unwrap();
        let found = (waits(), pending(), allocations());
        let parameters = 7;
        assert!(step == 0 || found == (2, parameters, 0), "step {step}: {found:?}");
    }
}

const BATCH: usize = 2;
const STEPS: usize = 3;

/// Losses and hits of some steps on random images.
fn train<B: Ops>(backend: B, lenet: bool) -> Vec<(f64, usize)> {
    let mut engine = Engine::new(backend).unwrap();
    let mut trainer = match lenet {
        true => {
            let network = models::lenet(engine.backend(), 1, 10, 7).unwrap();
            Trainer::new(network, Sgd::new(0.01, 0.9, 1e-4).unwrap())
        }
        false => Trainer::new(mixed(engine.backend()).unwrap(), Adam::new(0.01, 1e-3).unwrap()),
    };
    let shape = Shape::new(&[BATCH, 1, 32, 32]).unwrap();
    let labels: Vec<usize> = (0..BATCH).map(|i| i * 3 % 10).collect();
    let images = values(shape.elements(), 1);
    let step = |_| {
        let score = trainer.step(&mut engine, &shape, &images, &labels).unwrap();
        (score.loss(), score.hits)
    };
    (0..STEPS).map(step).collect()
}

fn check(cuda: Cuda, lenet: bool) {
    conv_core::cache::off();
    let (cpu, cuda) = (train(Cpu::new(), lenet), train(cuda, lenet));
    for (step, (expected, found)) in cpu.iter().zip(&cuda).enumerate() {
        assert!((expected.0 - found.0).abs() <= 1e-4, "step {step}: {cpu:?} and {cuda:?}");
        assert_eq!(expected.1, found.1, "step {step}: {cpu:?} and {cuda:?}");
    }
    assert!(cpu[STEPS - 1].0 < cpu[0].0, "it learns: {cpu:?}");
}

#[test]
fn networks_train_on_a_gpu_as_on_the_cpu() {
    for lenet in [true, false] {
        if let Some(cuda) = common::gpu() {
            check(cuda, lenet);
        }
    }
}

#[cfg(feature = "emulate")]
#[test]
fn networks_train_emulated_as_on_the_cpu() {
    for lenet in [true, false] {
        check(backend_cuda::emulate::open(backend_cuda::emulate::Order::Ascending).unwrap(), lenet);
    }
}
