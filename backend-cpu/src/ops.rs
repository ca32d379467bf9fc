//! A network's other operations on the CPU: the host functions of `conv-core`, in parallel by maps or rows.

use conv_core::algorithm::check_len;
use conv_core::ops::{
    Adam, CrossEntropy, Dropout, Normalization, NormalizeBackward, PadMode, PoolKind, Sgd, check_maps,
    check_moments, check_pool,
};
use conv_core::{Axis, ConvProblem, Ops, Result, host};
use rayon::prelude::*;

use crate::{Buffer, Cpu};

/// Values one task of an element-wise operation takes.
pub(crate) const CHUNK: usize = 16 << 10;

impl Ops for Cpu {
    fn axpby(&self, alpha: f32, x: &Buffer, beta: f32, y: &mut Buffer) -> Result<()> {
        check_len("sum", x.len(), y.len())?;
        let chunks = y.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK));
        chunks.for_each(|(y, x)| host::axpby(alpha, x, beta, y));
        Ok(())
    }

    fn relu(&self, input: &Buffer, output: &mut Buffer) -> Result<()> {
        check_len("relu output", input.len(), output.len())?;
        let chunks = output.par_chunks_mut(CHUNK).zip(input.par_chunks(CHUNK));
        chunks.for_each(|(y, x)| host::relu(x, y));
        Ok(())
    }

    fn relu_backward(&self, output: &Buffer, grad_output: &Buffer, grad_input: &mut Buffer) -> Result<()> {
        check_len("relu grad_output", output.len(), grad_output.len())?;
        check_len("relu grad_input", output.len(), grad_input.len())?;
        let read = output.par_chunks(CHUNK).zip(grad_output.par_chunks(CHUNK));
        grad_input.par_chunks_mut(CHUNK).zip(read).for_each(|(dx, (y, dy))| host::relu_backward(y, dy, dx));
        Ok(())
    }

    fn relu_mask(&self, output: &Buffer, grad: &mut Buffer) -> Result<()> {
        check_len("relu gradient", output.len(), grad.len())?;
        let chunks = grad.par_chunks_mut(CHUNK).zip(output.par_chunks(CHUNK));
        chunks.for_each(|(grad, y)| host::relu_mask(y, grad));
        Ok(())
    }

    fn pool(&self, kind: PoolKind, window: &ConvProblem, input: &Buffer, output: &mut Buffer) -> Result<()> {
        check_pool(window, input.len(), output.len())?;
        let [x, y] = maps_of(window);
        let maps = output.par_chunks_mut(y).zip(input.par_chunks(x));
        maps.for_each(|(output, input)| host::pool(kind, window.volume(), input, output));
        Ok(())
    }

    fn pool_backward(
        &self,
        kind: PoolKind,
        window: &ConvProblem,
        input: &Buffer,
        grad_output: &Buffer,
        grad_input: &mut Buffer,
    ) -> Result<()> {
        check_pool(window, input.len(), grad_output.len())?;
        check_len("pool grad_input", input.len(), grad_input.len())?;
        let [x, y] = maps_of(window);
        let read = input.par_chunks(x).zip(grad_output.par_chunks(y));
        let maps = grad_input.par_chunks_mut(x).zip(read);
        maps.for_each(|(dx, (input, dy))| host::pool_backward(kind, window.volume(), input, dy, dx));
        Ok(())
    }

    fn add_bias(&self, bias: &Buffer, points: usize, values: &mut Buffer) -> Result<()> {
        check_maps(values.len(), bias.len(), points)?;
        let maps = values.par_chunks_mut(points.max(1)).enumerate();
        maps.for_each(|(map, values)| host::add_bias(bias, points, map, values));
        Ok(())
    }

    fn bias_gradient(&self, grad_output: &Buffer, points: usize, grad_bias: &mut Buffer) -> Result<()> {
        let channels = grad_bias.len();
        check_maps(grad_output.len(), channels, points)?;
        let sums = grad_bias.par_iter_mut().enumerate();
        sums.for_each(|(o, sum)| *sum = host::channel_sum(grad_output, channels, points, o));
        Ok(())
    }

    fn softmax_cross_entropy(&self, rows: CrossEntropy<'_, Self>) -> Result<()> {
        rows.check(self)?;
        let batch = rows.labels.len();
        let CrossEntropy { logits, labels, smoothing, losses, hits, grad } = rows;
        host::softmax_cross_entropy(logits, labels, batch, smoothing, losses, hits, grad);
        Ok(())
    }

    fn sgd(&self, step: &Sgd, grad: &Buffer, velocity: &mut Buffer, weights: &mut Buffer) -> Result<()> {
        check_len("velocity", weights.len(), velocity.len())?;
        check_len("gradient", weights.len(), grad.len())?;
        let moved = weights.par_chunks_mut(CHUNK).zip(velocity.par_chunks_mut(CHUNK));
        moved.zip(grad.par_chunks(CHUNK)).for_each(|((w, v), g)| host::sgd(step, g, v, w));
        Ok(())
    }

    fn adam(
        &self,
        step: &Adam,
        grad: &Buffer,
        moments: [&mut Buffer; 2],
        weights: &mut Buffer,
    ) -> Result<()> {
        let [m, v] = moments;
        check_moments(weights.len(), [grad.len(), m.len(), v.len()])?;
        let moved = weights.par_chunks_mut(CHUNK).zip(m.par_chunks_mut(CHUNK)).zip(v.par_chunks_mut(CHUNK));
        moved.zip(grad.par_chunks(CHUNK)).for_each(|(((w, m), v), g)| host::adam(step, g, [m, v], w));
        Ok(())
    }

    fn sum_of_squares(&self, values: &Buffer) -> Result<f64> {
        // Collected first: the order of the sum is fixed.
        let sums: Vec<f64> = values.par_chunks(CHUNK).map(host::sum_of_squares).collect();
        Ok(sums.iter().sum())
    }

    fn dropout(&self, dropout: &Dropout, input: &Buffer, output: &mut Buffer) -> Result<()> {
        check_len("dropout output", input.len(), output.len())?;
        let chunks = output.par_chunks_mut(CHUNK).zip(input.par_chunks(CHUNK)).enumerate();
        chunks.for_each(|(index, (y, x))| host::dropout(dropout, index * CHUNK, x, y));
        Ok(())
    }

    fn pad(&self, mode: PadMode, window: &ConvProblem, input: &Buffer, output: &mut Buffer) -> Result<()> {
        check_pool(window, input.len(), output.len())?;
        let [x, y] = maps_of(window);
        let maps = output.par_chunks_mut(y).zip(input.par_chunks(x));
        maps.for_each(|(output, input)| host::pad(mode, window.volume(), input, output));
        Ok(())
    }

    fn pad_backward(
        &self,
        mode: PadMode,
        window: &ConvProblem,
        grad_output: &Buffer,
        grad_input: &mut Buffer,
    ) -> Result<()> {
        check_pool(window, grad_input.len(), grad_output.len())?;
        let [x, y] = maps_of(window);
        let maps = grad_input.par_chunks_mut(x).zip(grad_output.par_chunks(y));
        maps.for_each(|(dx, dy)| host::pad_backward(mode, window.volume(), dy, dx));
        Ok(())
    }

    fn moments(&self, input: &Buffer, points: usize, mean: &mut Buffer, variance: &mut Buffer) -> Result<()> {
        let channels = mean.len();
        check_len("variance", channels, variance.len())?;
        check_maps(input.len(), channels, points)?;
        let found = mean.par_iter_mut().zip(variance.par_iter_mut()).enumerate();
        found.for_each(|(channel, (mean, variance))| {
            [*mean, *variance] = host::channel_moments(input, channels, points, channel);
        });
        Ok(())
    }

    fn normalize(
        &self,
        of: &Normalization<'_, Buffer>,
        points: usize,
        input: &Buffer,
        output: &mut Buffer,
    ) -> Result<()> {
        of.check(|values| values.len(), points, input.len())?;
        check_len("normalised output", input.len(), output.len())?;
        let of = slices(of);
        let maps = output.par_chunks_mut(points.max(1)).zip(input.par_chunks(points.max(1))).enumerate();
        maps.for_each(|(map, (y, x))| host::normalize(&of, points, map, x, y));
        Ok(())
    }

    fn normalize_backward(
        &self,
        of: &Normalization<'_, Buffer>,
        points: usize,
        tensors: NormalizeBackward<'_, Self>,
    ) -> Result<()> {
        let NormalizeBackward { input, grad_output, grad_weight, grad_bias, grad_input } = tensors;
        of.check(|values| values.len(), points, input.len())?;
        check_len("grad_output", input.len(), grad_output.len())?;
        let of = slices(of);
        let sums = grad_weight.par_iter_mut().zip(grad_bias.par_iter_mut()).enumerate();
        sums.for_each(|(channel, (weight, bias))| {
            [*weight, *bias] = host::normalize_sums(&of, points, channel, input, grad_output);
        });
        let Some(grad_input) = grad_input else { return Ok(()) };
        let count = (input.len() / of.mean.len().max(1)) as f32;
        let means = |sums: &Buffer| sums.iter().map(|sum| sum / count).collect::<Vec<_>>();
        let (along, constant) = (means(grad_weight), means(grad_bias));
        let read = input.par_chunks(points.max(1)).zip(grad_output.par_chunks(points.max(1)));
        grad_input.par_chunks_mut(points.max(1)).zip(read).enumerate().for_each(|(map, (dx, (x, dy)))| {
            host::normalize_backward(&of, [&along, &constant], points, map, [x, dy], dx);
        });
        Ok(())
    }
}

fn slices<'a>(of: &Normalization<'a, Buffer>) -> Normalization<'a, [f32]> {
    let Normalization { mean, variance, weight, bias, epsilon } = *of;
    Normalization { mean, variance, weight, bias, epsilon }
}

/// Values of one input and one output map.
fn maps_of(window: &ConvProblem) -> [usize; 2] {
    let size = |points: fn(&Axis) -> usize| window.volume().iter().map(points).product();
    [size(|axis| axis.input), size(Axis::output)]
}
