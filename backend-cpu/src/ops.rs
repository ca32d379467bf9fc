//! A network's other operations on the CPU: the host functions of `conv-core`, in parallel by maps or rows.

use conv_core::algorithm::check_len;
use conv_core::ops::{CrossEntropy, PoolKind, Sgd, check_maps, check_pool};
use conv_core::{Axis, ConvProblem, Ops, Result, host};
use rayon::prelude::*;

use crate::{Buffer, Cpu};

/// Values one task of an element-wise operation takes.
const CHUNK: usize = 16 << 10;

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
        host::softmax_cross_entropy(rows.logits, rows.labels, batch, rows.losses, rows.hits, rows.grad);
        Ok(())
    }

    fn sgd(&self, step: &Sgd, grad: &Buffer, velocity: &mut Buffer, weights: &mut Buffer) -> Result<()> {
        check_len("velocity", weights.len(), velocity.len())?;
        check_len("gradient", weights.len(), grad.len())?;
        let moved = weights.par_chunks_mut(CHUNK).zip(velocity.par_chunks_mut(CHUNK));
        moved.zip(grad.par_chunks(CHUNK)).for_each(|((w, v), g)| host::sgd(step, g, v, w));
        Ok(())
    }
}

/// Values of one input and one output map.
fn maps_of(window: &ConvProblem) -> [usize; 2] {
    let size = |points: fn(&Axis) -> usize| window.volume().iter().map(points).product();
    [size(|axis| axis.input), size(Axis::output)]
}
