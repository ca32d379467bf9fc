//! Optimizers, schedules and clipping besides what PyTorch's vectors say.

use crate::common::{Host, engine, shape};
use nn::*;
use rand::SeedableRng;
use rand::rngs::StdRng;

fn message<T>(result: Result<T>) -> String {
    result.map(|_| ()).unwrap_err().to_string()
}

#[test]
fn schedules() {
    let factors = |warmup, decay, steps: &[u64]| {
        let schedule = Schedule::new(warmup, decay).unwrap();
        steps.iter().map(|step| schedule.factor(*step)).collect::<Vec<_>>()
    };
    assert_eq!(factors(4, Decay::Constant, &[0, 1, 3, 4, 1000]), [0.25, 0.5, 1.0, 1.0, 1.0]);
    let step = Decay::Step { every: 10, factor: 0.5 };
    assert_eq!(factors(2, step, &[2, 11, 12, 21, 22]), [1.0, 1.0, 0.5, 0.5, 0.25]);
    assert_eq!(factors(0, Decay::Linear { steps: 4 }, &[0, 1, 4, 9]), [1.0, 0.75, 0.0, 0.0]);
    let cosine = factors(0, Decay::Cosine { steps: 4 }, &[0, 2, 4, 9]);
    assert!((cosine[1] - 0.5).abs() < 1e-6);
    assert_eq!((cosine[0], cosine[2], cosine[3]), (1.0, 0.0, 0.0));
}

#[test]
fn arguments_are_checked() {
    let found = message(Schedule::new(0, Decay::Cosine { steps: 0 }));
    assert_eq!(found, "steps of a learning rate's decay: expected at least 1, found 0");
    let found = message(Schedule::new(0, Decay::Step { every: 1, factor: 2.0 }));
    assert_eq!(found, "factor of a learning rate's decay: expected 0 to 1, found 2");
    assert_eq!(message(Adam::new(0.0, 0.0)), "learning rate: expected a finite number above 0, found 0");
    let found = message(Adam::new(0.1, f32::NAN));
    assert_eq!(found, "weight decay: expected a finite number of at least 0, found NaN");
    let found = message(Adam::new(0.1, 0.0).unwrap().betas([0.9, 1.0]));
    assert_eq!(found, "betas: expected two numbers of at least 0 and below 1, found [0.9, 1.0]");
    let found = message(CrossEntropy::<Host>::new().label_smoothing(1.1));
    assert_eq!(found, "label smoothing: expected 0 to 1, found 1.1");
    let trainer = Trainer::new(Sequential::<Host>::new(), Sgd::new(0.1, 0.0, 0.0).unwrap());
    let found = message(trainer.with_clip(0.0));
    assert_eq!(found, "norm that gradients are clipped to: expected a finite number above 0, found 0");
}

/// A linear layer in training.
fn trainer(optimizer: impl Optimizer<Host> + 'static) -> Trainer<Host> {
    let linear = Linear::new(engine().backend(), 3, 2, &mut StdRng::seed_from_u64(1)).unwrap();
    Trainer::new(Sequential::new().with(linear), optimizer)
}

fn step(trainer: &mut Trainer<Host>) {
    trainer.step(&mut engine(), &shape(&[1, 3]), &[1.0, -2.0, 3.0], &[1]).unwrap();
}

fn weights(trainer: &Trainer<Host>) -> Vec<f32> {
    trainer.network().parameters().iter().flat_map(|parameter| parameter.value.clone()).collect()
}

#[test]
fn clipping_bounds_the_step_and_leaves_small_gradients_alone() {
    let descent = || Sgd::new(1.0, 0.0, 0.0).unwrap();
    let (mut free, mut loose, mut tight) = (
        trainer(descent()),
        trainer(descent()).with_clip(1e9).unwrap(),
        trainer(descent()).with_clip(0.25).unwrap(),
    );
    let before = weights(&free);
    [&mut free, &mut loose, &mut tight].into_iter().for_each(step);
    assert_eq!(weights(&free), weights(&loose));
    let moved = weights(&tight).iter().zip(&before).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>();
    assert!((moved.sqrt() - 0.25).abs() < 1e-5, "{}", moved.sqrt());
}

#[test]
fn tensors_that_are_not_trained_stay() {
    let mut trainer = trainer(Adam::new(0.1, 0.1).unwrap().decoupled());
    trainer.network_mut().parameters_mut()[0].trained = false;
    let before = weights(&trainer);
    step(&mut trainer);
    let after = weights(&trainer);
    assert_eq!(before[..6], after[..6]);
    assert!(before[6..].iter().zip(&after[6..]).all(|(a, b)| a != b));
    assert!(trainer.network().parameters()[0].memory.is_empty());
}

#[test]
fn state_names_all_that_outlives_a_step() {
    let mut trainer = trainer(Adam::new(0.1, 0.0).unwrap());
    let names = |trainer: &Trainer<Host>| {
        let parameters = trainer.network().parameters().into_iter();
        parameters.flat_map(Parameter::state).map(|(name, _)| name).collect::<Vec<_>>()
    };
    assert_eq!(names(&trainer), ["0.weight", "0.bias"]);
    trainer.prepare_optimizer(engine().backend()).unwrap();
    let expected =
        ["0.weight", "0.weight.moment1", "0.weight.moment2", "0.bias", "0.bias.moment1", "0.bias.moment2"];
    assert_eq!(names(&trainer), expected);
}

#[test]
fn a_training_goes_on_from_its_state_and_steps() {
    let made = || {
        let adam = Adam::new(0.1, 0.01).unwrap();
        trainer(adam).with_schedule(Schedule::new(2, Decay::Cosine { steps: 5 }).unwrap())
    };
    let (mut whole, mut other) = (made(), made());
    (0..3).for_each(|_| step(&mut whole));
    other.prepare_optimizer(engine().backend()).unwrap();
    let state = whole.network().parameters().into_iter().flat_map(Parameter::state);
    let state: Vec<_> = state.map(|(_, values)| values.clone()).collect();
    let buffers = other.network_mut().parameters_mut().into_iter().flat_map(Parameter::state_mut);
    buffers.zip(state).for_each(|(to, values)| *to = values);
    other.set_steps(whole.steps());
    for trainer in [&mut whole, &mut other] {
        step(trainer);
        step(trainer);
    }
    assert_eq!(weights(&whole), weights(&other));
}
