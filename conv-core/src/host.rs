//! The operations of [`crate::Ops`] on plain slices: what defaults and CPU backends run, whole or by parts.

mod descent;
mod dropout;
mod normalization;
mod padding;
mod pooling;

pub use descent::{adam, sgd, sum_of_squares};
pub use dropout::{dropout, random_bits};
pub use normalization::{channel_moments, normalize, normalize_backward, normalize_sums};
pub use padding::{pad, pad_backward};
pub use pooling::{pool, pool_backward};

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
    grad_input.iter_mut().zip(pairs).for_each(|(dx, (&y, &dy))| *dx = if y > 0.0 { dy } else { 0.0 });
}

/// `grad = 0` except where `output > 0`: [`relu_backward`] in place.
pub fn relu_mask(output: &[f32], grad: &mut [f32]) {
    grad.iter_mut().zip(output).for_each(|(grad, &y)| *grad = if y > 0.0 { *grad } else { 0.0 });
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
    maps.flat_map(|map| map.chunks(1024)).map(|part| f64::from(sum(part))).sum::<f64>() as f32
}

/// The sum of a few values, those of each lane of a vector first.
fn sum(values: &[f32]) -> f32 {
    let (vectors, rest) = values.as_chunks::<16>();
    let mut lanes = [0.0; 16];
    for vector in vectors {
        lanes.iter_mut().zip(vector).for_each(|(lane, value)| *lane += value);
    }
    lanes.iter().chain(rest).sum()
}

/// Cross-entropy of each row's softmax against its label, and the gradient of the mean over `batch` rows.
///
/// For each row `z` of `classes` logits writes to `losses` the loss `log Σ exp(z) - Σ t z`, to `hits` 1 where the
/// largest logit is the label's, else 0, and to `grad` `(softmax(z) - t) / batch`, where the target `t` is
/// `smoothing / classes` for every class and `1 - smoothing` more for the label's (Szegedy, Vanhoucke, Ioffe, Shlens,
/// Wojna 2016). A label that is no class gives the loss NaN.
pub fn softmax_cross_entropy(
    logits: &[f32],
    labels: &[f32],
    batch: usize,
    smoothing: f32,
    losses: &mut [f32],
    hits: &mut [f32],
    grad: &mut [f32],
) {
    let classes = logits.len() / labels.len().max(1);
    let even = smoothing / classes as f32;
    let rows = logits.chunks_exact(classes).zip(grad.chunks_exact_mut(classes)).zip(labels);
    for (((row, grad), label), (loss, hit)) in rows.zip(losses.iter_mut().zip(hits)) {
        let label = *label as usize;
        let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        grad.iter_mut().zip(row).for_each(|(g, z)| *g = (z - largest).exp());
        let sum: f32 = grad.iter().sum();
        let target = (1.0 - smoothing) * row.get(label).unwrap_or(&f32::NAN);
        let others = if even > 0.0 { even * row.iter().sum::<f32>() } else { 0.0 };
        *loss = sum.ln() + largest - target - others;
        *hit = f32::from(u8::from(row.iter().position(|z| *z == largest) == Some(label)));
        grad.iter_mut().for_each(|g| *g = *g / (sum * batch as f32) - even / batch as f32);
        grad.get_mut(label).into_iter().for_each(|g| *g -= (1.0 - smoothing) / batch as f32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cross_entropy_of_even_logits() {
        let (mut losses, mut hits, mut grad) = ([0.0; 2], [0.0; 2], [0.0; 4]);
        let logits = [0.0, 0.0, 1.0, 1001.0];
        softmax_cross_entropy(&logits, &[1.0, 1.0], 2, 0.0, &mut losses, &mut hits, &mut grad);
        approx::assert_abs_diff_eq!(losses.as_slice(), [2f32.ln(), 0.0].as_slice(), epsilon = 1e-6);
        assert_eq!(hits, [0.0, 1.0]);
        assert_eq!(grad, [0.25, -0.25, 0.0, 0.0]);
    }

    #[test]
    fn smoothing_shares_the_target_between_classes() {
        let (mut losses, mut hits, mut grad) = ([0.0], [0.0], [0.0; 2]);
        softmax_cross_entropy(&[0.0, 2.0], &[0.0], 1, 0.2, &mut losses, &mut hits, &mut grad);
        let share = 1.0 / (1.0 + 2f32.exp());
        let expected = -(0.9 * share.ln() + 0.1 * (1.0 - share).ln());
        approx::assert_abs_diff_eq!(losses[0], expected, epsilon = 1e-6);
        approx::assert_abs_diff_eq!(grad.as_slice(), [share - 0.9, 0.9 - share].as_slice(), epsilon = 1e-6);
    }

    #[test]
    fn sums_of_scaled_values_read_only_what_counts() {
        let mut y = [1.0, f32::NAN];
        axpby(2.0, &[3.0], 0.5, &mut y[..1]);
        axpby(2.0, &[4.0], 0.0, &mut y[1..]);
        assert_eq!(y, [6.5, 8.0]);
    }

    #[test]
    fn channel_sums_skip_other_channels() {
        let values: Vec<f32> = (0..12).map(|v| v as f32).collect();
        assert_eq!(channel_sum(&values, 2, 3, 1), 3.0 + 4.0 + 5.0 + 9.0 + 10.0 + 11.0);
    }
}
