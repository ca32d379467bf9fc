//! A network's operations on this backend: what the host functions of `conv-core` give.

mod common;

use backend_cuda::Cuda;
use common::{close, down, garbage, up};
use conv_core::ops::{CrossEntropy, PoolKind, Sgd};
use conv_core::testing::values;
use conv_core::{Backend, ConvProblem, Ops, Role, host};

fn relu(cuda: &Cuda) {
    let mut x = values(700, 1);
    x[3] = f32::NAN;
    let dy = values(700, 2);
    let (mut y, mut dx) = (garbage(cuda, 700), garbage(cuda, 700));
    cuda.relu(&up(cuda, &x), &mut y).unwrap();
    let mut expected = vec![0.0; 700];
    host::relu(&x, &mut expected);
    close(&down(cuda, &y), &expected, "relu");
    cuda.relu_backward(&y, &up(cuda, &dy), &mut dx).unwrap();
    let mut gradient = vec![0.0; 700];
    host::relu_backward(&expected, &dy, &mut gradient);
    close(&down(cuda, &dx), &gradient, "relu backward");
    let mut masked = up(cuda, &dy);
    cuda.relu_mask(&y, &mut masked).unwrap();
    close(&down(cuda, &masked), &gradient, "relu mask");
    host::relu_mask(&expected, &mut gradient);
    close(&down(cuda, &masked), &gradient, "relu mask of masked");
    assert!(cuda.relu(&y, &mut garbage(cuda, 699)).unwrap_err().to_string().contains("expected 700"));
}

fn pool(cuda: &Cuda) {
    for line in [
        "n2 c3 o3 i8x9 k2x2 s2 g3",
        "n1 c2 o2 i7x6 k3x3 s2x1 p1 g2",
        "n3 c5 o5 i7x9 k7x9 g5",
        "n1 c2 o2 i4x5x6 k2x3x2 s1x2x2 d2x1x1 g2",
    ] {
        let problem: ConvProblem = line.parse().unwrap();
        let (x, mut dy) = (values(problem.len(Role::Input), 1), values(problem.len(Role::Output), 2));
        dy[0] = 0.5;
        for kind in [PoolKind::Max, PoolKind::Average] {
            let (mut y, mut dx) = (garbage(cuda, dy.len()), garbage(cuda, x.len()));
            cuda.pool(kind, &problem, &up(cuda, &x), &mut y).unwrap();
            cuda.pool_backward(kind, &problem, &up(cuda, &x), &up(cuda, &dy), &mut dx).unwrap();
            let (mut pooled, mut gradient) = (vec![0.0; dy.len()], vec![0.0; x.len()]);
            host::pool(kind, problem.volume(), &x, &mut pooled);
            host::pool_backward(kind, problem.volume(), &x, &dy, &mut gradient);
            close(&down(cuda, &y), &pooled, line);
            close(&down(cuda, &dx), &gradient, line);
        }
    }
}

fn bias(cuda: &Cuda) {
    let (bias, x) = (values(5, 1), values(3 * 5 * 37, 2));
    let (mut sum, mut biased) = (garbage(cuda, 5), up(cuda, &x));
    cuda.add_bias(&up(cuda, &bias), 37, &mut biased).unwrap();
    let mut expected = x.clone();
    host::add_bias(&bias, 37, 0, &mut expected);
    close(&down(cuda, &biased), &expected, "bias");
    cuda.bias_gradient(&up(cuda, &x), 37, &mut sum).unwrap();
    let sums: Vec<f32> = (0..5).map(|o| host::channel_sum(&x, 5, 37, o)).collect();
    close(&down(cuda, &sum), &sums, "bias gradient");
}

fn cross_entropy(cuda: &Cuda) {
    for (batch, classes, smoothing) in [(3, 10, 0.0), (9, 40, 0.1), (1, 1, 0.0)] {
        let logits = values(batch * classes, 3);
        let labels: Vec<f32> = (0..batch).map(|n| (n * 7 % classes) as f32).collect();
        let (mut losses, mut hits) = (garbage(cuda, batch), garbage(cuda, batch));
        let mut grad = garbage(cuda, batch * classes);
        let (logits_there, labels_there) = (up(cuda, &logits), up(cuda, &labels));
        let rows = CrossEntropy {
            logits: &logits_there,
            labels: &labels_there,
            smoothing,
            losses: &mut losses,
            hits: &mut hits,
            grad: &mut grad,
        };
        cuda.softmax_cross_entropy(rows).unwrap();
        let (mut l, mut h, mut g) = (vec![0.0; batch], vec![0.0; batch], vec![0.0; batch * classes]);
        host::softmax_cross_entropy(&logits, &labels, batch, smoothing, &mut l, &mut h, &mut g);
        close(&down(cuda, &losses), &l, "losses");
        close(&down(cuda, &hits), &h, "hits");
        close(&down(cuda, &grad), &g, "gradient of logits");
    }
}

fn sgd(cuda: &Cuda) {
    for nesterov in [false, true] {
        let step = Sgd { rate: 0.1, momentum: 0.9, weight_decay: 0.01, nesterov, grad_scale: 0.5 };
        descend(cuda, &step);
    }
}

fn descend(cuda: &Cuda, step: &Sgd) {
    let (grad, mut velocity, mut weights) = (values(300, 1), values(300, 2), values(300, 3));
    let (mut v, mut w) = (up(cuda, &velocity), up(cuda, &weights));
    cuda.sgd(step, &up(cuda, &grad), &mut v, &mut w).unwrap();
    host::sgd(step, &grad, &mut velocity, &mut weights);
    close(&down(cuda, &v), &velocity, "velocity");
    close(&down(cuda, &w), &weights, "weights");
}

/// Transfers longer than the page-locked halves, and of no values at all.
fn transfers(cuda: &Cuda) {
    for len in [0, 1, (1 << 20) + 1, (3 << 20) + 5] {
        let x = values(len, 4);
        assert!(down(cuda, &up(cuda, &x)) == x, "{len} values");
        assert!(down(cuda, &cuda.alloc(len).unwrap()).iter().all(|value| *value == 0.0));
    }
    let short = cuda.upload(&[1.0], &mut cuda.alloc(2).unwrap()).unwrap_err();
    assert_eq!(short.to_string(), "upload has 1 values, expected 2");
    let large = cuda.alloc(1 << 60).unwrap_err().to_string();
    assert!(large.starts_with("could not allocate"), "{large}");
}

fn all(cuda: &Cuda) {
    relu(cuda);
    pool(cuda);
    bias(cuda);
    cross_entropy(cuda);
    sgd(cuda);
    transfers(cuda);
}

#[test]
fn operations_on_a_gpu_are_those_of_the_host() {
    if let Some(cuda) = common::gpu() {
        all(&cuda);
    }
}

#[cfg(feature = "emulate")]
#[test]
fn emulated_operations_are_those_of_the_host() {
    for order in backend_cuda::emulate::Order::ALL {
        all(&backend_cuda::emulate::open(order).unwrap());
    }
}
