//! Steps of optimizers, and what clipping asks of gradients.

use crate::ops::{Adam, Sgd};

/// Sum of squares, in f64.
pub fn sum_of_squares(values: &[f32]) -> f64 {
    values.iter().map(|value| f64::from(*value).powi(2)).sum()
}

/// One step of gradient descent: `g = scale grad + decay w`, `v = momentum v + g`, `w -= rate v`, or with Nesterov's
/// momentum `w -= rate (g + momentum v)` (PyTorch's form).
pub fn sgd(step: &Sgd, grad: &[f32], velocity: &mut [f32], weights: &mut [f32]) {
    for ((w, v), g) in weights.iter_mut().zip(velocity).zip(grad) {
        let g = step.grad_scale * g + step.weight_decay * *w;
        *v = step.momentum * *v + g;
        *w -= step.rate * if step.nesterov { g + step.momentum * *v } else { *v };
    }
}

/// One step of Adam (Kingma, Ba 2015): `m = β₁ m + (1 - β₁) g`, `v = β₂ v + (1 - β₂) g²`,
/// `w -= rate / c₁ · m / (√(v / c₂) + ε)` with the corrections `c = 1 - βᵗ`. Weight decay is added to the gradient, or
/// decoupled shrinks the weights by `rate decay` first (AdamW: Loshchilov, Hutter 2019).
pub fn adam(step: &Adam, grad: &[f32], moments: [&mut [f32]; 2], weights: &mut [f32]) {
    let Adam { rate, betas, corrections, epsilon, weight_decay, decoupled, grad_scale } = *step;
    let (shrink, added) = if decoupled { (1.0 - rate * weight_decay, 0.0) } else { (1.0, weight_decay) };
    let [first, second] = moments;
    for (((w, m), v), g) in weights.iter_mut().zip(first).zip(second).zip(grad) {
        let g = grad_scale * g + added * *w;
        *m = betas[0] * *m + (1.0 - betas[0]) * g;
        *v = betas[1] * *v + (1.0 - betas[1]) * g * g;
        *w = shrink * *w - rate / corrections[0] * *m / ((*v / corrections[1]).sqrt() + epsilon);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sgd_is_momentum_with_decay() {
        let step = Sgd { rate: 0.1, momentum: 0.5, weight_decay: 0.2, nesterov: false, grad_scale: 1.0 };
        let (mut velocity, mut weights) = ([2.0], [10.0]);
        sgd(&step, &[3.0], &mut velocity, &mut weights);
        assert_eq!((velocity[0], weights[0]), (6.0, 9.4));
    }

    #[test]
    fn nesterov_looks_one_step_ahead() {
        let step = Sgd { rate: 0.1, momentum: 0.5, weight_decay: 0.0, nesterov: true, grad_scale: 2.0 };
        let (mut velocity, mut weights) = ([2.0], [10.0]);
        sgd(&step, &[3.0], &mut velocity, &mut weights);
        assert_eq!((velocity[0], weights[0]), (7.0, 10.0 - 0.1 * (6.0 + 3.5)));
    }

    #[test]
    fn the_first_step_of_adam_is_the_rate_whatever_the_gradient() {
        let step = |decoupled| Adam {
            rate: 0.1,
            betas: [0.9, 0.999],
            corrections: [0.1, 0.001],
            epsilon: 0.0,
            weight_decay: 0.5,
            decoupled,
            grad_scale: 1.0,
        };
        for (decoupled, expected) in [(false, 1.9), (true, 1.8)] {
            let (mut m, mut v, mut weights) = ([0.0], [0.0], [2.0]);
            adam(&step(decoupled), &[7.0], [&mut m, &mut v], &mut weights);
            approx::assert_abs_diff_eq!(weights[0], expected, epsilon = 1e-4);
        }
    }
}
