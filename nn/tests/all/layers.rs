//! Gradients of layers by finite differences, and what each layer promises besides.

use crate::common::{Host, both, dot, engine, shape};
use conv_core::testing::values;
use conv_core::{Engine, Policy};
use nn::*;
use rand::SeedableRng;
use rand::rngs::StdRng;

const TRAINING: Mode = Mode::Training { step: 3 };

fn random() -> StdRng {
    StdRng::seed_from_u64(4)
}

fn message<T>(result: Result<T>) -> String {
    result.map(|_| ()).unwrap_err().to_string()
}

/// `⟨layer(x), g⟩` in training.
fn value(
    engine: &mut Engine<Host>,
    layer: &mut dyn Layer<Host>,
    input: &Shape,
    x: &Vec<f32>,
    g: &[f32],
) -> f64 {
    let mut output = vec![f32::NAN; g.len()];
    layer.forward(engine, TRAINING, input, x, &mut output).unwrap();
    dot(&output, g).0
}

/// Holds all gradients of a layer against central differences of `⟨layer(x), g⟩`.
fn differences(mut layer: impl Layer<Host>, sizes: &[usize]) {
    let (mut engine, input) = (engine(), shape(sizes));
    layer.prepare(&mut engine, &input, Wanted::Input).unwrap();
    let output = layer.output_shape(&input).unwrap();
    let (mut x, g) = (values(input.elements(), 1), values(output.elements(), 2));
    let mut y = vec![f32::NAN; g.len()];
    let mut dx = vec![f32::NAN; x.len()];
    layer.forward(&mut engine, TRAINING, &input, &x, &mut y).unwrap();
    let tensors = Backward { input: &x, output: &y, grad_output: &g, grad_input: Some(&mut dx) };
    layer.backward(&mut engine, &input, tensors).unwrap();
    let grads: Vec<_> = layer.parameters().iter().map(|parameter| parameter.grad.clone()).collect();
    let step = 1e-2f32;
    let check = |what: &str, at: usize, above: f64, below: f64, grad: f32| {
        let slope = (above - below) / f64::from(2.0 * step);
        let bound = 3e-3 * f64::from(grad.abs()).max(1.0);
        assert!((slope - f64::from(grad)).abs() < bound, "{what} {at}: {slope} {grad}");
    };
    for at in (0..x.len()).step_by(x.len().div_ceil(40)) {
        let kept = x[at];
        let mut moved = |by: f32| {
            x[at] = kept + by;
            value(&mut engine, &mut layer, &input, &x, &g)
        };
        let (above, below) = (moved(step), moved(-step));
        x[at] = kept;
        check("input", at, above, below, dx[at]);
    }
    for (which, grads) in grads.iter().enumerate().filter(|(_, grads)| !grads.is_empty()) {
        for at in (0..grads.len()).step_by(grads.len().div_ceil(40)) {
            let mut moved = |by: f32| {
                layer.parameters_mut()[which].value[at] += by;
                value(&mut engine, &mut layer, &input, &x, &g)
            };
            let (above, below) = (moved(step), moved(-2.0 * step));
            moved(step);
            check("parameter", at, above, below, grads[at]);
        }
    }
    assert!(dx.iter().any(|grad| grad.abs() > 1e-3), "no gradient");
}

fn conv(options: ConvOptions<2>) -> Conv2d<Host> {
    Conv2d::new(engine().backend(), options, &mut random()).unwrap()
}

#[test]
fn batch_normalisation() {
    let made = |channels| {
        let mut layer = BatchNorm::new(engine().backend(), channels).unwrap();
        layer.parameters_mut()[0].value = values(channels, 8);
        layer.parameters_mut()[1].value = values(channels, 9);
        layer
    };
    differences(made(3), &[4, 3, 2, 3]);
    differences(made(2), &[6, 2]);
    differences(made(1), &[1, 1, 7]);
}

#[test]
fn dropout_and_pools() {
    differences(Dropout::new(0.4, 1).unwrap(), &[2, 3, 5]);
    differences(GlobalAveragePool, &[2, 3, 5]);
    differences(GlobalAveragePool, &[2, 3, 2, 3, 4]);
}

#[test]
fn borders_that_repeat_the_map() {
    for mode in [PadMode::Zeros, PadMode::Circular, PadMode::Reflect, PadMode::Replicate] {
        let uneven = ConvOptions::new(2, 3, [3, 2]).padding_pairs([(2, 0), (1, 3)]).stride([1, 2]);
        differences(conv(uneven.padding_mode(mode)), &[2, 2, 4, 5]);
        differences(conv(ConvOptions::new(2, 2, [3, 3]).same().groups(2).padding_mode(mode)), &[1, 2, 4, 4]);
    }
}

#[test]
fn spectral_convolutions() {
    fn spectral<const D: usize>(options: ConvOptions<D>, sizes: &[usize]) {
        differences(SpectralConv::new(engine().backend(), options, &mut random()).unwrap(), sizes);
    }
    spectral(ConvOptions::new(2, 3, [5]).same(), &[2, 2, 8]);
    spectral(ConvOptions::new(2, 2, [4, 4]).groups(2).stride([2, 1]), &[2, 2, 6, 5]);
    spectral(ConvOptions::new(1, 2, [3, 6]).padding_mode(PadMode::Circular).same(), &[1, 1, 6, 6]);
    spectral(ConvOptions::new(1, 2, [2, 3, 2]), &[1, 1, 3, 4, 3]);
}

#[test]
fn a_spectral_convolution_begins_as_the_convolution_of_the_same_seed() {
    let mut engine = engine();
    for kernel in [[3, 5], [4, 6], [1, 1]] {
        let options = ConvOptions::new(2, 3, kernel).same();
        let mut plain = conv(options.clone());
        let mut layer = SpectralConv2d::new(engine.backend(), options, &mut random()).unwrap();
        let (input, x) = (shape(&[2, 2, 7, 7]), values(196, 1));
        let expected = both(&mut engine, &mut plain, &input, &x, &values(294, 2)).unwrap();
        layer.parameters_mut();
        let found = both(&mut engine, &mut layer, &input, &x, &values(294, 2)).unwrap();
        for (a, b) in found.output.iter().zip(&expected.output) {
            assert!((a - b).abs() < 1e-5, "{a} {b}");
        }
        let sizes = [3, 2, kernel[0], kernel[1] / 2 + 1, 2];
        assert_eq!(layer.parameters()[0].shape, sizes);
    }
}

/// A residual block within a sum of three branches, one of them a view of the input.
fn branches() -> Sum<Host> {
    let inner =
        Sum::new(vec![Sequential::new().with(conv(ConvOptions::new(2, 2, [1, 1]))), Sequential::new()]);
    let first = Sequential::new().with(conv(ConvOptions::new(2, 2, [3, 3]).same())).with(inner.unwrap());
    let second = Sequential::new().with(conv(ConvOptions::new(2, 2, [5, 5]).same()));
    Sum::new(vec![first, Sequential::new(), second]).unwrap()
}

#[test]
fn sums_of_branches() {
    differences(branches(), &[2, 2, 4, 3]);
    differences(Sequential::new().with(branches()).with(Flatten), &[2, 2, 4, 3]);
    let names: Vec<_> = branches().parameters().iter().map(|parameter| parameter.name.clone()).collect();
    let expected = ["0.0.weight", "0.0.bias", "0.1.0.0.weight", "0.1.0.0.bias", "2.0.weight", "2.0.bias"];
    assert_eq!(names, expected);
}

#[test]
fn branches_that_do_not_fit() {
    assert_eq!(message(Sum::<Host>::new(Vec::new())), "branches of a sum: expected at least one, found 0");
    let narrow = Sequential::new().with(conv(ConvOptions::new(2, 2, [3, 3])));
    let sum = Sum::new(vec![Sequential::new(), narrow]).unwrap();
    let network = Sequential::new().with(sum);
    let found = message(network.output_shape(&shape(&[1, 2, 4, 4])));
    let expected = "layer 0 (sum): expected branches of one output shape, (1, 2, 4, 4), found (1, 2, 2, 2)";
    assert_eq!(found, expected);
    let found = message(network.output_shape(&shape(&[1, 3, 4, 4])));
    assert!(found.starts_with("layer 0 (sum): layer 0 (conv2d): expected an input of 2 channels"), "{found}");
}

#[test]
fn the_summary_shows_branches() {
    let network = Sequential::new().with(branches()).with(GlobalAveragePool);
    let expected = "\
layer                output shape  parameters  forward  backward-input  backward-weights
  conv2d             (1, 2, 4, 3)          38  -        -               -
    conv2d           (1, 2, 4, 3)           6  -        -               -
  sum                (1, 2, 4, 3)           0  -        -               -
  conv2d             (1, 2, 4, 3)         102  -        -               -
sum                  (1, 2, 4, 3)           0  -        -               -
global_average_pool  (1, 2)                 0  -        -               -
146 parameters";
    assert_eq!(network.summary(&shape(&[1, 2, 4, 3])).unwrap().to_string(), expected);
}

#[test]
fn running_statistics_move_in_training_and_serve_in_evaluation() {
    let (mut engine, input) = (engine(), shape(&[2, 1, 2]));
    let mut layer = BatchNorm::new(engine.backend(), 1).unwrap().momentum(0.5).unwrap();
    let (x, mut y) = (vec![1.0, 3.0, 5.0, 7.0], vec![0.0; 4]);
    layer.forward(&mut engine, TRAINING, &input, &x, &mut y).unwrap();
    let kept: Vec<_> = Layer::<Host>::parameters(&layer)[2..].iter().map(|kept| kept.value[0]).collect();
    // The batch has mean 4, variance 5, and 20/3 over one value less.
    assert!((kept[0] - 2.0).abs() < 1e-6 && (kept[1] - (0.5 + 10.0 / 3.0)).abs() < 1e-6, "{kept:?}");
    assert!((y[3] - 3.0 / 5f32.sqrt()).abs() < 1e-5, "{y:?}");
    layer.forward(&mut engine, Mode::Evaluation, &input, &x, &mut y).unwrap();
    assert!((y[3] - 5.0 / kept[1].sqrt()).abs() < 1e-5, "{y:?}");
    let again: Vec<_> = Layer::<Host>::parameters(&layer)[2..].iter().map(|kept| kept.value[0]).collect();
    assert_eq!(kept, again);
}

#[test]
fn dropout_depends_on_seed_and_step_alone() {
    let (mut engine, input, x) = (engine(), shape(&[1, 1000]), vec![1.0; 1000]);
    let mut dropped = |seed, mode| {
        let mut y = vec![f32::NAN; 1000];
        Dropout::new(0.5, seed).unwrap().forward(&mut engine, mode, &input, &x, &mut y).unwrap();
        y
    };
    let first = dropped(1, TRAINING);
    assert_eq!(first, dropped(1, TRAINING));
    assert_ne!(first, dropped(2, TRAINING));
    assert_ne!(first, dropped(1, Mode::Training { step: 4 }));
    assert_eq!(dropped(1, Mode::Evaluation), x);
    let kept = first.iter().filter(|value| **value == 2.0).count();
    assert!((450..550).contains(&kept), "{kept}");
}

#[test]
fn evaluation_follows_the_weights() {
    let mut engine = engine();
    let mut network = Sequential::new()
        .with(conv(ConvOptions::new(2, 2, [3, 3])))
        .with(SpectralConv2d::new(engine.backend(), ConvOptions::new(2, 2, [2, 2]), &mut random()).unwrap());
    let (input, x) = (shape(&[1, 2, 6, 6]), values(72, 1));
    let before = network.predict(&mut engine, &input, &x).unwrap().clone();
    assert_eq!(network.predict(&mut engine, &input, &x).unwrap(), &before);
    for which in [0, 2] {
        let before = network.predict(&mut engine, &input, &x).unwrap().clone();
        network.parameters_mut()[which].value.iter_mut().for_each(|value| *value *= 2.0);
        let after = network.predict(&mut engine, &input, &x).unwrap();
        assert_ne!(after, &before, "parameter {which}");
    }
}

#[test]
fn inference_keeps_the_weights_spectra_until_told() {
    let (mut engine, problem) = (engine(), "n1 c1 o1 i4 k2".parse().unwrap());
    let pass = conv_core::Pass::Forward;
    for policy in [Policy::Predicted, Policy::Named("slower".into())] {
        let mut step = engine.plan_inference(&problem, pass, &policy).unwrap();
        assert_eq!(step.shared(), 1);
        let mut run = |step: &mut _, weight: f32, x: f32| {
            let (x, w, mut y) = (vec![x; 4], vec![weight; 2], vec![0.0; 3]);
            engine.run_step(step, pass, conv_core::Operands::new(&x, &w, &mut y)).unwrap();
            y[0]
        };
        assert_eq!(run(&mut step, 1.0, 1.0), 2.0);
        assert_eq!(run(&mut step, 5.0, 3.0), 6.0, "the kept weight, the new input");
        step.weights_changed();
        assert_eq!(run(&mut step, 5.0, 3.0), 30.0);
    }
    let mut engine = engine.with_workspace_limit(Some(0));
    let step = engine.plan_inference(&problem, pass, &Policy::Predicted).unwrap();
    assert_eq!(step.shared(), 0, "no memory, nothing kept");
}

#[test]
fn arguments_are_checked() {
    let backend = &engine();
    let backend = backend.backend();
    let rate = message(Dropout::new(1.0, 0));
    assert_eq!(rate, "dropout rate: expected at least 0 and below 1, found 1");
    let norm = BatchNorm::new(backend, 2).unwrap();
    let found = message(Layer::<Host>::output_shape(&norm, &shape(&[2, 3, 4])));
    assert_eq!(found, "expected an input of 2 channels, found (2, 3, 4)");
    let mut norm = norm.epsilon(1e-3).unwrap();
    let found =
        message(norm.forward(&mut engine(), TRAINING, &shape(&[1, 2]), &vec![0.0; 2], &mut vec![0.0; 2]));
    assert_eq!(found, "expected an input of 2 channels of at least 2 values for training, found (1, 2)");
    let found = message(norm.epsilon(0.0));
    assert_eq!(found, "epsilon of a batch normalisation: expected a finite number above 0, found 0");
    let found = message(BatchNorm::new(backend, 2).unwrap().momentum(1.5));
    assert_eq!(found, "momentum of a batch normalisation: expected 0 to 1, found 1.5");
    let found = message(Layer::<Host>::output_shape(&GlobalAveragePool, &shape(&[2, 3])));
    assert_eq!(found, "expected an input of 1 to 3 spatial axes, found (2, 3)");
    for options in
        [ConvOptions::new(1, 1, [3]).same(), ConvOptions::new(1, 1, [3]).padding_mode(PadMode::Reflect)]
    {
        let found = message(ConvTranspose::new(backend, options, &mut random()));
        let expected = "padding of a transposed convolution: expected numbers of zeros, found another mode or the same size";
        assert_eq!(found, expected);
    }
    let long = message(SpectralConv::new(backend, ConvOptions::new(1, 1, [1 << 30]), &mut random()));
    assert!(
        long.starts_with("kernel of a spectral convolution: expected sizes that can be transformed"),
        "{long}"
    );
}

#[test]
fn the_same_size_whatever_the_stride() {
    for (stride, expected) in [(1, 7), (2, 4), (3, 3), (9, 1)] {
        let layer = conv(ConvOptions::new(1, 1, [4, 1]).same().stride([stride, 1]).dilation([2, 1]));
        assert_eq!(layer.output_shape(&shape(&[1, 1, 7, 2])).unwrap(), shape(&[1, 1, expected, 2]));
    }
}
