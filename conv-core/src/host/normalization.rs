//! Normalisation of channels by their mean and variance, and its gradient.

use crate::ops::Normalization;

/// The maps of one channel of an `N C points` tensor.
fn maps(
    values: &[f32],
    channels: usize,
    points: usize,
    channel: usize,
) -> impl Iterator<Item = &[f32]> + Clone {
    values.chunks_exact(points.max(1)).skip(channel).step_by(channels)
}

/// Mean and variance (over their number, not one less) of one channel, in f64.
pub fn channel_moments(values: &[f32], channels: usize, points: usize, channel: usize) -> [f32; 2] {
    let maps = maps(values, channels, points, channel);
    let count = (values.len() / channels) as f64;
    let all = || maps.clone().flatten().map(|value| f64::from(*value));
    let mean = all().sum::<f64>() / count;
    let variance = all().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
    [mean as f32, variance as f32]
}

/// The channel's mean, and `1 / √(variance + ε)`.
fn standard(of: &Normalization<'_, [f32]>, channel: usize) -> (f32, f32) {
    (of.mean[channel], 1.0 / (of.variance[channel] + of.epsilon).sqrt())
}

/// `output = weight (input - mean) / √(variance + ε) + bias`, channel by channel (Ioffe, Szegedy 2015); `first_map`
/// is the number of the first map given.
pub fn normalize(
    of: &Normalization<'_, [f32]>,
    points: usize,
    first_map: usize,
    input: &[f32],
    output: &mut [f32],
) {
    let maps = output.chunks_exact_mut(points.max(1)).zip(input.chunks_exact(points.max(1)));
    for (map, (output, input)) in maps.enumerate() {
        let channel = (first_map + map) % of.mean.len();
        let (mean, inverse) = standard(of, channel);
        let (scale, bias) = (of.weight[channel] * inverse, of.bias[channel]);
        output.iter_mut().zip(input).for_each(|(y, x)| *y = (x - mean) * scale + bias);
    }
}

/// Gradients of [`normalize`] by one channel's weight and bias: `Σ dy x̂` and `Σ dy`, where `x̂` is the normalised
/// input; in f64.
pub fn normalize_sums(
    of: &Normalization<'_, [f32]>,
    points: usize,
    channel: usize,
    input: &[f32],
    grad_output: &[f32],
) -> [f32; 2] {
    let (channels, (mean, inverse)) = (of.mean.len(), standard(of, channel));
    let values = |values| maps(values, channels, points, channel).flatten();
    let (mut weight, mut bias) = (0.0, 0.0);
    for (x, dy) in values(input).zip(values(grad_output)) {
        weight += f64::from(*dy) * f64::from(x - mean);
        bias += f64::from(*dy);
    }
    [(weight * f64::from(inverse)) as f32, bias as f32]
}

/// Gradient of [`normalize`] by an input whose own mean and variance normalise it:
/// `dx = weight / √(variance + ε) (dy - Σ dy / M - x̂ Σ dy x̂ / M)` over the `M` values of a channel, with the sums of
/// [`normalize_sums`] over `M`. `x` and `dy` are the values of the maps from `first_map` on.
pub fn normalize_backward(
    of: &Normalization<'_, [f32]>,
    means: [&[f32]; 2],
    points: usize,
    first_map: usize,
    [x, dy]: [&[f32]; 2],
    dx: &mut [f32],
) {
    let points = points.max(1);
    let maps = dx.chunks_exact_mut(points).zip(x.chunks_exact(points).zip(dy.chunks_exact(points)));
    for (map, (dx, (x, dy))) in maps.enumerate() {
        let channel = (first_map + map) % of.mean.len();
        let (mean, inverse) = standard(of, channel);
        let [along, constant] = means.map(|means| means[channel]);
        let scale = of.weight[channel] * inverse;
        for ((dx, x), dy) in dx.iter_mut().zip(x).zip(dy) {
            *dx = scale * (dy - constant - (x - mean) * inverse * along);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_far_mean_costs_no_precision() {
        let values: Vec<f32> = (0..8).map(|v| 1000.0 + (v % 2) as f32).collect();
        assert_eq!(channel_moments(&values, 1, 4, 0), [1000.5, 0.25]);
        let of = Normalization::<[f32]> {
            mean: &[1000.5],
            variance: &[0.25],
            weight: &[3.0],
            bias: &[1.0],
            epsilon: 0.0,
        };
        let mut output = [f32::NAN; 2];
        normalize(&of, 2, 0, &[1000.0, 1001.0], &mut output);
        assert_eq!(output, [-2.0, 4.0]);
    }
}
