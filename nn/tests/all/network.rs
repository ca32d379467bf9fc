//! Whole networks: gradients by differences, falling losses, summaries, kept memory.

use crate::common::{Host, both, engine, shape};
use conv_core::testing::values;
use conv_core::{Engine, Policy};
use nn::*;
use rand::SeedableRng;
use rand::rngs::StdRng;

const TRAINING: Mode = Mode::Training { step: 0 };

/// Convolution, ReLU, both poolings, a view and a linear layer.
fn small(engine: &Engine<Host>, seed: u64) -> Sequential<Host> {
    let (backend, random) = (engine.backend(), &mut StdRng::seed_from_u64(seed));
    Sequential::new()
        .with(Pool::average([1, 2]).stride([1, 1]))
        .with(Conv2d::new(backend, ConvOptions::new(2, 4, [3, 3]).padding([1, 1]), random).unwrap())
        .with(Relu)
        .with(Pool::max([2, 2]).stride([2, 1]))
        .with(Pool::average([2, 2]).padding([1, 1]))
        .with(Flatten)
        .with(Linear::new(backend, 24, 3, random).unwrap())
}

fn mean_loss(
    engine: &mut Engine<Host>,
    network: &mut Sequential<Host>,
    x: &Vec<f32>,
    labels: &[usize],
) -> f64 {
    let logits = network.predict(engine, &shape(&[2, 2, 6, 6]), x).unwrap();
    let mut loss = CrossEntropy::new();
    loss.evaluate(engine.backend(), &shape(&[2, 3]), logits, labels).unwrap().0.loss()
}

#[test]
fn gradients_are_those_of_finite_differences() {
    let (mut engine, input, labels) = (engine(), shape(&[2, 2, 6, 6]), [2, 0]);
    let (mut network, x) = (small(&engine, 5), values(input.elements(), 1));
    network.prepare(&mut engine, &input, Wanted::Parameters).unwrap();
    let (mut logits, mut loss) = (vec![0.0; 6], CrossEntropy::new());
    network.forward(&mut engine, TRAINING, &input, &x, &mut logits).unwrap();
    let (_, grad) = loss.evaluate(engine.backend(), &shape(&[2, 3]), &logits, &labels).unwrap();
    let tensors = Backward { input: &x, output: &logits, grad_output: grad, grad_input: None };
    network.backward(&mut engine, &input, tensors).unwrap();
    let grads: Vec<Vec<f32>> = network.parameters().iter().map(|parameter| parameter.grad.clone()).collect();
    for (which, grads) in grads.iter().enumerate() {
        for at in (0..grads.len()).step_by(3) {
            let mut moved = |by: f32| {
                network.parameters_mut()[which].value[at] += by;
                mean_loss(&mut engine, &mut network, &x, &labels)
            };
            // Small, since ReLU and maxima have kinks.
            let step = 1e-4;
            let (above, below) = (moved(step), moved(-2.0 * step));
            moved(step);
            let slope = (above - below) / f64::from(2.0 * step);
            assert!((slope - f64::from(grads[at])).abs() < 2e-3, "{which} {at}: {slope} {}", grads[at]);
        }
    }
    assert!(grads.iter().flatten().any(|grad| grad.abs() > 0.05));
}

/// Rectifiers behind layers that take them along, behind one that does not, before a view, and at the end. `chained`
/// stands for a layer in a chain of its own, where it cannot know what follows.
fn rectified(engine: &Engine<Host>, chained: bool) -> Sequential<Host> {
    let (backend, random) = (engine.backend(), &mut StdRng::seed_from_u64(9));
    let conv = Conv2d::new(backend, ConvOptions::new(2, 4, [3, 3]), random).unwrap();
    let [first, second] = [16, 5].map(|from| Linear::new(backend, from, 5, random).unwrap());
    let chain = Sequential::new();
    let chain = if chained { chain.with(Sequential::new().with(conv)) } else { chain.with(conv) };
    let chain = chain.with(Relu).with(Pool::max([2, 2])).with(Relu).with(Flatten);
    let chain = if chained { chain.with(Sequential::new().with(first)) } else { chain.with(first) };
    let chain = chain.with(Relu).with(Flatten);
    if chained { chain.with(Sequential::new().with(second)) } else { chain.with(second) }.with(Relu)
}

#[test]
fn layers_take_rectifiers_along_and_nothing_changes() {
    let input = shape(&[3, 2, 6, 6]);
    let (x, g) = (values(input.elements(), 1), values(15, 2));
    let [along, apart] = [false, true].map(|chained| {
        let mut engine = engine();
        let mut network = rectified(&engine, chained);
        network.prepare(&mut engine, &input, Wanted::Input).unwrap();
        let run = both(&mut engine, &mut network, &input, &x, &g).unwrap();
        let predicted = network.predict(&mut engine, &input, &x).unwrap();
        assert_eq!(*predicted, run.output);
        (run, engine.backend().allocations())
    });
    assert!(along.0.output.contains(&0.0) && along.0.grad_input.contains(&0.0));
    assert_eq!(along.0.output, apart.0.output);
    assert_eq!(along.0.grad_input, apart.0.grad_input);
    assert_eq!(along.0.grads, apart.0.grads);
    // Two rectifiers need neither values nor gradients of their own; the chains' own tensors are on top.
    assert!(along.1 + 4 <= apart.1, "{} {}", along.1, apart.1);
}

#[test]
fn a_backward_direction_follows_a_forward_direction() {
    let (mut engine, input) = (engine(), shape(&[2, 2, 6, 6]));
    let (mut network, x, g) = (small(&engine, 5), values(input.elements(), 1), vec![1.0; 6]);
    let expected = "backward: expected a prepared forward before it, found none of shape (2, 2, 6, 6)";
    let mut backward = |network: &mut Sequential<Host>, forward: Option<Mode>| {
        let mut output = vec![0.0; 6];
        if let Some(mode) = forward {
            network.forward(&mut engine, mode, &input, &x, &mut output).unwrap();
        }
        let tensors = Backward { input: &x, output: &output, grad_output: &g, grad_input: None };
        network.backward(&mut engine, &input, tensors).map_err(|error| error.to_string())
    };
    assert_eq!(backward(&mut network, Some(TRAINING)).unwrap_err(), expected);
    network.prepare(&mut crate::common::engine(), &input, Wanted::Parameters).unwrap();
    assert_eq!(backward(&mut network, Some(TRAINING)), Ok(()));
    assert_eq!(backward(&mut network, None).unwrap_err(), expected);
    assert_eq!(backward(&mut network, Some(Mode::Evaluation)).unwrap_err(), expected);
}

fn losses(seed: u64) -> Vec<f64> {
    let (mut engine, input) = (engine(), shape(&[8, 5]));
    let random = &mut StdRng::seed_from_u64(seed);
    let network = Sequential::new()
        .with(Linear::new(engine.backend(), 5, 16, random).unwrap())
        .with(Relu)
        .with(Linear::new(engine.backend(), 16, 3, random).unwrap());
    let mut trainer = Trainer::new(network, Sgd::new(0.1, 0.9, 1e-4).unwrap());
    let (x, labels) = (values(input.elements(), 7), [0, 1, 2, 0, 1, 2, 0, 1]);
    (0..40).map(|_| trainer.step(&mut engine, &input, &x, &labels).unwrap().loss()).collect()
}

#[test]
fn the_loss_falls_and_depends_on_the_seed_alone() {
    let first = losses(1);
    assert!(first[39] < 0.2 * first[0], "{} {}", first[0], first[39]);
    assert_eq!(first, losses(1));
    assert_ne!(first, losses(2));
}

#[test]
fn no_step_but_the_first_of_its_shape_allocates() {
    let mut engine = engine();
    let mut trainer = Trainer::new(small(&engine, 5), Sgd::new(0.1, 0.0, 0.0).unwrap());
    let mut made = Vec::new();
    let rounds = [(4, true), (3, true), (5, false), (4, false)];
    for (batch, training) in rounds.into_iter().chain(rounds) {
        let (input, labels) = (shape(&[batch, 2, 6, 6]), vec![1; batch]);
        let x = values(input.elements(), 1);
        let before = engine.backend().allocations();
        let step = if training { Trainer::step } else { Trainer::evaluate };
        step(&mut trainer, &mut engine, &input, &x, &labels).unwrap();
        made.push(engine.backend().allocations() - before);
    }
    assert!(made[..4].iter().all(|made| *made > 0), "{made:?}");
    assert_eq!(made[4..], [0; 4]);
    assert!(made[2] < made[0], "evaluation keeps no gradients: {made:?}");
}

#[test]
fn networks_without_layers_or_of_views_alone_pass_their_input_on() {
    let (mut engine, x) = (engine(), vec![1.0, 2.0, 3.0, 4.0]);
    let mut none = Sequential::new();
    assert_eq!(none.predict(&mut engine, &shape(&[1, 4]), &x).unwrap(), &x);
    let mut view = Sequential::new().with(Flatten);
    assert_eq!(view.predict(&mut engine, &shape(&[1, 2, 2]), &x).unwrap(), &x);
    view.prepare(&mut engine, &shape(&[1, 2, 2]), Wanted::Input).unwrap();
    let run = crate::common::both(&mut engine, &mut view, &shape(&[1, 2, 2]), &x, &x).unwrap();
    assert_eq!((run.output, run.grad_input), (x.clone(), x));
}

#[test]
fn the_summary_of_lenet() {
    let mut engine = engine().with_policy(Policy::Named("slower".into())).unwrap();
    let mut network = models::lenet(engine.backend(), 3, 10, 1).unwrap();
    let input = shape(&[4, 3, 32, 32]);
    assert_eq!(network.summary(&input).unwrap().parameters(), 62_006);
    network.prepare(&mut engine, &input, Wanted::Parameters).unwrap();
    let expected = "\
layer     output shape     parameters  forward  backward-input  backward-weights
conv2d    (4, 6, 28, 28)          456  slower   -               slower
relu      (4, 6, 28, 28)            0  -        -               -
max_pool  (4, 6, 14, 14)            0  -        -               -
conv2d    (4, 16, 10, 10)       2,416  slower   slower          slower
relu      (4, 16, 10, 10)           0  -        -               -
max_pool  (4, 16, 5, 5)             0  -        -               -
flatten   (4, 400)                  0  -        -               -
linear    (4, 120)             48,120  plain    plain           plain
relu      (4, 120)                  0  -        -               -
linear    (4, 84)              10,164  plain    plain           plain
relu      (4, 84)                   0  -        -               -
linear    (4, 10)                 850  plain    plain           plain
62,006 parameters";
    assert_eq!(network.summary(&input).unwrap().to_string(), expected);
}

#[test]
fn evaluation_plans_the_forward_direction_alone() {
    let (mut engine, input) = (engine(), shape(&[1, 2, 6, 6]));
    let mut network = small(&engine, 1);
    network.predict(&mut engine, &input, &vec![0.0; 72]).unwrap();
    let planned = |network: &Sequential<Host>| {
        network.summary(&input).unwrap().rows.iter().map(|row| row.algorithms.len()).sum::<usize>()
    };
    assert_eq!(planned(&network), 2);
    network.prepare(&mut engine, &input, Wanted::Parameters).unwrap();
    assert_eq!(planned(&network), 5);
}

#[test]
fn weights_depend_on_the_seed_and_stay_in_bounds() {
    let weights = |seed| {
        let network = models::lenet(engine().backend(), 3, 10, seed).unwrap();
        let named = |parameter: &&Parameter<Host>| (parameter.name.clone(), parameter.value.clone());
        network.parameters().iter().map(named).collect::<Vec<_>>()
    };
    let found = weights(1);
    assert_eq!(found, weights(1));
    assert_ne!(found[0], weights(2)[0]);
    assert_eq!(found[0].0, "0.weight");
    let (bound, square) = ((6.0f32 / 400.0).sqrt(), |w: &f32| f64::from(*w).powi(2));
    let linear = &found[4].1;
    assert!(linear.iter().all(|w| w.abs() <= bound));
    let variance = linear.iter().map(square).sum::<f64>() / linear.len() as f64;
    assert!((variance * 200.0 - 1.0).abs() < 0.02, "{variance}");
    assert!(found[1].1.iter().all(|bias| *bias == 0.0));
}
