//! Operations of training on this backend: what the host functions of `conv-core` give, without leaving the device.

mod common;

use backend_cuda::{Buffer, Cuda};
use common::{close, down, garbage, up};
use conv_core::ops::{Adam, Dropout, Normalization, NormalizeBackward, PadMode};
use conv_core::testing::values;
use conv_core::{ConvProblem, Ops, Role, host};

fn sums(cuda: &Cuda) {
    let (x, y) = (values(700, 1), values(700, 2));
    for (alpha, beta) in [(1.0, 0.0), (0.5, 2.0)] {
        let mut there = if beta == 0.0 { garbage(cuda, 700) } else { up(cuda, &y) };
        cuda.axpby(alpha, &up(cuda, &x), beta, &mut there).unwrap();
        let mut expected = y.clone();
        host::axpby(alpha, &x, beta, &mut expected);
        close(&down(cuda, &there), &expected, "sum");
    }
    for len in [0, 1, 300, 20_000] {
        let x = values(len, 3);
        let (found, expected) = (cuda.sum_of_squares(&up(cuda, &x)).unwrap(), host::sum_of_squares(&x));
        assert!((found - expected).abs() <= 1e-12 * expected, "{len} squares: {found}, expected {expected}");
    }
    assert_eq!(cuda.sum_of_squares(&up(cuda, &[1e30; 9])).unwrap(), host::sum_of_squares(&[1e30; 9]));
}

fn adam(cuda: &Cuda) {
    for decoupled in [false, true] {
        let step = Adam {
            rate: 0.1,
            betas: [0.9, 0.99],
            corrections: [0.271, 0.0297],
            epsilon: 1e-3,
            weight_decay: 0.05,
            decoupled,
            grad_scale: 0.5,
        };
        let (grad, mut m, mut w) = (values(300, 1), values(300, 2), values(300, 3));
        let mut v: Vec<f32> = values(300, 4).into_iter().map(f32::abs).collect();
        let (mut first, mut second, mut weights) = (up(cuda, &m), up(cuda, &v), up(cuda, &w));
        cuda.adam(&step, &up(cuda, &grad), [&mut first, &mut second], &mut weights).unwrap();
        host::adam(&step, &grad, [&mut m, &mut v], &mut w);
        close(&down(cuda, &first), &m, "first moment");
        close(&down(cuda, &second), &v, "second moment");
        close(&down(cuda, &weights), &w, "weights");
    }
}

fn dropout(cuda: &Cuda) {
    let (x, settings) = (values(900, 1), Dropout { rate: 0.3, key: u64::MAX - 5 });
    let (mut y, mut expected) = (garbage(cuda, 900), vec![0.0; 900]);
    cuda.dropout(&settings, &up(cuda, &x), &mut y).unwrap();
    host::dropout(&settings, 0, &x, &mut expected);
    assert_eq!(down(cuda, &y), expected, "the same values on every backend");
}

fn padding(cuda: &Cuda) {
    let modes = [PadMode::Zeros, PadMode::Circular, PadMode::Reflect, PadMode::Replicate];
    for line in ["n2 c3 o3 i5x4 k1 p2:1x3 g3", "n1 c2 o2 i1x6x3 k1 p2x7:9x0:2 g2", "n1 c1 o1 i4 k1 p11:13"] {
        let problem: ConvProblem = line.replace("k1", &line_kernel(line)).parse().unwrap();
        let (x, dy) = (values(problem.len(Role::Input), 1), values(problem.len(Role::Output), 2));
        for mode in modes {
            let (mut y, mut dx) = (garbage(cuda, dy.len()), garbage(cuda, x.len()));
            cuda.pad(mode, &problem, &up(cuda, &x), &mut y).unwrap();
            cuda.pad_backward(mode, &problem, &up(cuda, &dy), &mut dx).unwrap();
            let (mut padded, mut gradient) = (vec![0.0; dy.len()], vec![0.0; x.len()]);
            host::pad(mode, problem.volume(), &x, &mut padded);
            host::pad_backward(mode, problem.volume(), &dy, &mut gradient);
            assert_eq!(down(cuda, &y), padded, "{mode:?} {line}");
            close(&down(cuda, &dx), &gradient, &format!("{mode:?} {line}"));
        }
    }
}

/// Kernels of one point along as many axes as the line's input has.
fn line_kernel(line: &str) -> String {
    let axes = line.split(' ').find(|word| word.starts_with('i')).map_or(1, |word| word.split('x').count());
    format!("k{}", vec!["1"; axes].join("x"))
}

/// Host values of a normalisation of 5 channels.
struct Layer {
    values: [Vec<f32>; 4],
}

impl Layer {
    fn of<'a, T: ?Sized>(&self, [mean, variance, weight, bias]: [&'a T; 4]) -> Normalization<'a, T> {
        Normalization { mean, variance, weight, bias, epsilon: 1e-3 }
    }
}

fn normalization(cuda: &Cuda) {
    let (channels, points, len) = (5, 37, 3 * 5 * 37);
    let (x, dy) = (values(len, 1), values(len, 2));
    let found: Vec<[f32; 2]> =
        (0..channels).map(|c| host::channel_moments(&x, channels, points, c)).collect();
    let (means, variances): (Vec<f32>, Vec<f32>) = found.iter().map(|[m, v]| (*m, *v)).unzip();
    let (mut mean, mut variance) = (garbage(cuda, channels), garbage(cuda, channels));
    cuda.moments(&up(cuda, &x), points, &mut mean, &mut variance).unwrap();
    close(&down(cuda, &mean), &means, "mean");
    close(&down(cuda, &variance), &variances, "variance");

    let layer = Layer { values: [means, variances, values(channels, 3), values(channels, 4)] };
    let there = layer.values.each_ref().map(|values| up(cuda, values));
    let by = layer.of(there.each_ref());
    let host_by = layer.of(layer.values.each_ref().map(Vec::as_slice));
    let (mut y, mut expected) = (garbage(cuda, len), vec![0.0; len]);
    cuda.normalize(&by, points, &up(cuda, &x), &mut y).unwrap();
    host::normalize(&host_by, points, 0, &x, &mut expected);
    close(&down(cuda, &y), &expected, "normalised");

    let sums = (0..channels).map(|c| host::normalize_sums(&host_by, points, c, &x, &dy));
    let (dw, db): (Vec<f32>, Vec<f32>) = sums.map(<(f32, f32)>::from).unzip();
    let mut expected = vec![0.0; len];
    let mean_of = |sums: &[f32]| sums.iter().map(|sum| sum / (3 * points) as f32).collect::<Vec<_>>();
    let (along, constant) = (mean_of(&dw), mean_of(&db));
    host::normalize_backward(&host_by, [&along, &constant], points, 0, [&x, &dy], &mut expected);
    let gradients = |grad_input: Option<&mut Buffer>| {
        let (mut grad_weight, mut grad_bias) = (garbage(cuda, channels), garbage(cuda, channels));
        let (x, dy) = (up(cuda, &x), up(cuda, &dy));
        let tensors = NormalizeBackward {
            input: &x,
            grad_output: &dy,
            grad_weight: &mut grad_weight,
            grad_bias: &mut grad_bias,
            grad_input,
        };
        cuda.normalize_backward(&by, points, tensors).unwrap();
        close(&down(cuda, &grad_weight), &dw, "gradient of the weight");
        close(&down(cuda, &grad_bias), &db, "gradient of the bias");
    };
    let mut dx = garbage(cuda, len);
    gradients(Some(&mut dx));
    gradients(None);
    close(&down(cuda, &dx), &expected, "gradient of the input");
}

fn all(cuda: &Cuda) {
    sums(cuda);
    adam(cuda);
    dropout(cuda);
    padding(cuda);
    normalization(cuda);
}

#[test]
fn operations_of_training_on_a_gpu_are_those_of_the_host() {
    if let Some(cuda) = common::gpu() {
        all(&cuda);
    }
}

#[cfg(feature = "emulate")]
#[test]
fn emulated_operations_of_training_are_those_of_the_host() {
    for order in backend_cuda::emulate::Order::ALL {
        all(&backend_cuda::emulate::open(order).unwrap());
    }
}
