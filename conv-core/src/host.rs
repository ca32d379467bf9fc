//! The operations of [`crate::Ops`] on plain slices: what defaults and CPU backends run, whole or by parts.

use crate::Axis;
use crate::ops::{PoolKind, Sgd};

/// `y = alpha x + beta y`; where `beta` is 0, `y` is not read.
pub fn axpby(alpha: f32, x: &[f32], beta: f32, y: &mut [f32]) {
    let kept = |y: f32| if beta == 0.0 { 0.0 } else { beta * y };
    y.iter_mut().zip(x).for_each(|(y, x)| *y = alpha * x + kept(*y));
}

/// `output = max(input, 0)`; NaN stays NaN.
pub fn relu(input: &[f32], output: &mut [f32]) {
    output.iter_mut().zip(input).for_each(|(y, x)| *y = if *x < 0.0 { 0.0 } else { *x });
}

/// `grad_input = grad_output` where `output > 0`, else 0.
pub fn relu_backward(output: &[f32], grad_output: &[f32], grad_input: &mut [f32]) {
    let pairs = output.iter().zip(grad_output);
    grad_input.iter_mut().zip(pairs).for_each(|(dx, (y, dy))| *dx = if *y > 0.0 { *dy } else { 0.0 });
}

/// Adds `bias[channel]` to each map of `points` values; `first_map` is the number of the first map given.
pub fn add_bias(bias: &[f32], points: usize, first_map: usize, values: &mut [f32]) {
    for (map, values) in values.chunks_exact_mut(points.max(1)).enumerate() {
        let bias = bias[(first_map + map) % bias.len()];
        values.iter_mut().for_each(|value| *value += bias);
    }
}

/// Sum of one channel of an `N O points` tensor over images and points, in f64.
pub fn channel_sum(values: &[f32], channels: usize, points: usize, channel: usize) -> f32 {
    let maps = values.chunks_exact(points.max(1)).skip(channel).step_by(channels);
    maps.flat_map(|map| map.chunks(64)).map(|part| f64::from(part.iter().sum::<f32>())).sum::<f64>() as f32
}

/// Input points of one axis that meet output point `out`: a range of the input, and how many kernel points
/// fall on padding.
fn window(axis: &Axis, out: usize) -> impl Iterator<Item = usize> + '_ {
    let point = move |j: usize| (out * axis.stride + j * axis.dilation).checked_sub(axis.padding.0);
    (0..axis.kernel).filter_map(point).filter(|point| *point < axis.input)
}

/// Calls `visit(output point, input points)` for every window of a map.
fn for_each_window(axes: &[Axis; 3], mut visit: impl FnMut(usize, &mut dyn Iterator<Item = usize>)) {
    let [a, b, c] = axes;
    for d in 0..a.output() {
        for h in 0..b.output() {
            for w in 0..c.output() {
                let rows = move |z: usize| window(b, h).map(move |y| (z * b.input + y) * c.input);
                let mut points =
                    window(a, d).flat_map(rows).flat_map(move |row| window(c, w).map(move |x| row + x));
                visit((d * b.output() + h) * c.output() + w, &mut points);
            }
        }
    }
}

/// Largest value, the first of equals; NaN counts as largest. `None` for a window of padding alone.
fn largest(map: &[f32], points: &mut dyn Iterator<Item = usize>) -> Option<usize> {
    points.reduce(|best, point| {
        let (kept, found) = (map[best], map[point]);
        if found > kept || (found.is_nan() && !kept.is_nan()) { point } else { best }
    })
}

fn count(axes: &[Axis; 3], points: impl Fn(&Axis) -> usize) -> usize {
    axes.iter().map(points).product()
}

/// Pools every map of `input` into the map of `output` of the same number. The mean counts padding as zeros;
/// the maximum passes it over, and is `-∞` where there is nothing else.
pub fn pool(kind: PoolKind, axes: &[Axis; 3], input: &[f32], output: &mut [f32]) {
    let maps = input.chunks_exact(count(axes, |a| a.input));
    let scale = 1.0 / count(axes, |a| a.kernel) as f32;
    for (map, out) in maps.zip(output.chunks_exact_mut(count(axes, Axis::output))) {
        for_each_window(axes, |point, points| {
            out[point] = match kind {
                PoolKind::Max => largest(map, points).map_or(f32::NEG_INFINITY, |point| map[point]),
                PoolKind::Average => points.map(|point| map[point]).sum::<f32>() * scale,
            }
        });
    }
}

/// Gradient of [`pool`]: to the largest input, or in equal parts.
pub fn pool_backward(
    kind: PoolKind,
    axes: &[Axis; 3],
    input: &[f32],
    grad_output: &[f32],
    grad_input: &mut [f32],
) {
    let size = count(axes, |a| a.input);
    let maps = input.chunks_exact(size).zip(grad_output.chunks_exact(count(axes, Axis::output)));
    let scale = 1.0 / count(axes, |a| a.kernel) as f32;
    for ((map, dy), dx) in maps.zip(grad_input.chunks_exact_mut(size)) {
        dx.fill(0.0);
        for_each_window(axes, |point, points| match kind {
            PoolKind::Max => largest(map, points).into_iter().for_each(|largest| dx[largest] += dy[point]),
            PoolKind::Average => points.for_each(|input| dx[input] += dy[point] * scale),
        });
    }
}

/// Cross-entropy of each row's softmax against its label, and the gradient of the mean over `batch` rows.
///
/// For each row of `classes` logits writes to `losses` the loss `log Σ exp(z) - z_label`, to `hits` 1 where the
/// largest logit is the label's, else 0, and to `grad` `(softmax(z) - onehot) / batch`. A label that is no
/// class gives the loss NaN.
pub fn softmax_cross_entropy(
    logits: &[f32],
    labels: &[f32],
    batch: usize,
    losses: &mut [f32],
    hits: &mut [f32],
    grad: &mut [f32],
) {
    let classes = logits.len() / labels.len().max(1);
    let rows = logits.chunks_exact(classes).zip(grad.chunks_exact_mut(classes)).zip(labels);
    for (((row, grad), label), (loss, hit)) in rows.zip(losses.iter_mut().zip(hits)) {
        let label = *label as usize;
        let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        grad.iter_mut().zip(row).for_each(|(g, z)| *g = (z - largest).exp());
        let sum: f32 = grad.iter().sum();
        *loss = sum.ln() + largest - row.get(label).unwrap_or(&f32::NAN);
        *hit = f32::from(u8::from(row.iter().position(|z| *z == largest) == Some(label)));
        grad.iter_mut().for_each(|g| *g /= sum * batch as f32);
        grad.get_mut(label).into_iter().for_each(|g| *g -= 1.0 / batch as f32);
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn axes(input: usize, kernel: usize, stride: usize, lo: usize) -> [Axis; 3] {
        let axis = Axis::new(input, kernel).stride(stride).padding(lo, 0);
        [Axis::UNIT, axis, axis]
    }

    #[test]
    fn pools_take_the_first_largest_and_the_mean_with_padding() {
        let input = [1.0, 5.0, 2.0, 5.0];
        let axes = axes(2, 2, 1, 1);
        let mut out = [0.0; 4];
        pool(PoolKind::Max, &axes, &input, &mut out);
        assert_eq!(out, [1.0, 5.0, 2.0, 5.0]);
        pool(PoolKind::Average, &axes, &input, &mut out);
        assert_eq!(out, [0.25, 1.5, 0.75, 3.25]);
        let mut dx = [f32::NAN; 4];
        pool_backward(PoolKind::Max, &axes, &input, &[1.0, 10.0, 100.0, 1000.0], &mut dx);
        assert_eq!(dx, [1.0, 1010.0, 100.0, 0.0]);
        pool_backward(PoolKind::Average, &axes, &input, &[4.0, 8.0, 12.0, 16.0], &mut dx);
        assert_eq!(dx, [10.0, 6.0, 7.0, 4.0]);
    }

    #[test]
    fn max_pool_propagates_nan() {
        let mut out = [0.0];
        pool(PoolKind::Max, &axes(2, 2, 1, 0), &[9.0, f32::NAN, 1.0, 2.0], &mut out);
        assert!(out[0].is_nan());
    }

    #[test]
    fn cross_entropy_of_even_logits() {
        let (mut losses, mut hits, mut grad) = ([0.0; 2], [0.0; 2], [0.0; 4]);
        let logits = [0.0, 0.0, 1.0, 1001.0];
        softmax_cross_entropy(&logits, &[1.0, 1.0], 2, &mut losses, &mut hits, &mut grad);
        approx::assert_abs_diff_eq!(losses.as_slice(), [2f32.ln(), 0.0].as_slice(), epsilon = 1e-6);
        assert_eq!(hits, [0.0, 1.0]);
        assert_eq!(grad, [0.25, -0.25, 0.0, 0.0]);
    }

    #[test]
    fn sgd_is_momentum_with_decay() {
        let step = Sgd { rate: 0.1, momentum: 0.5, weight_decay: 0.2, nesterov: false, grad_scale: 1.0 };
        let (mut velocity, mut weights) = ([2.0], [10.0]);
        sgd(&step, &[3.0], &mut velocity, &mut weights);
        assert_eq!((velocity[0], weights[0]), (6.0, 9.4));
    }

    #[test]
    fn channel_sums_skip_other_channels() {
        let values: Vec<f32> = (0..12).map(|v| v as f32).collect();
        assert_eq!(channel_sum(&values, 2, 3, 1), 3.0 + 4.0 + 5.0 + 9.0 + 10.0 + 11.0);
    }
}
