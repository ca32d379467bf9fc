//! A network's other operations on the device, so that a training step never leaves it.

mod training;
mod window;

use conv_core::algorithm::check_len;
use conv_core::ops::{
    Adam, CrossEntropy, Dropout, Normalization, NormalizeBackward, PadMode, PoolKind, Sgd, check_maps,
    check_moments, check_pool,
};
use conv_core::{Backend, ConvProblem, Ops, Result, Role};

use crate::device::Module;
use crate::raw::{Argument, Launch};
use crate::{Buffer, Cuda};
pub(crate) use training::{Channels, Moments};
pub(crate) use window::Window;
use window::mode_number;

/// Threads of a block.
const THREADS: u32 = 256;

/// Values whose squares a block sums at least, and such blocks at most.
const SQUARES_EACH: usize = 16 * THREADS as usize;
const MOST_SQUARE_BLOCKS: usize = 256;

impl Cuda {
    /// Enqueues an operation with a thread for each of `count`.
    fn each(&self, name: &'static str, count: usize, arguments: &[&dyn Argument]) -> Result<()> {
        self.operation(Module::Ops, name, for_each(count), arguments)
    }

    /// The same of training.
    fn train(&self, name: &'static str, count: usize, arguments: &[&dyn Argument]) -> Result<()> {
        self.operation(Module::Training, name, for_each(count), arguments)
    }

    fn operation(
        &self,
        module: Module,
        name: &'static str,
        launch: Launch,
        arguments: &[&dyn Argument],
    ) -> Result<()> {
        let function = self.device().function(module, name)?;
        self.device().launch(&function, launch, arguments)
    }
}

/// A thread for each of so many.
fn for_each(count: usize) -> Launch {
    Launch { blocks: count.div_ceil(THREADS as usize) as u64, threads: THREADS, shared: 0 }
}

/// A count as kernels take it.
fn count(count: usize) -> i64 {
    count as i64
}

impl Ops for Cuda {
    fn relu(&self, input: &Buffer, output: &mut Buffer) -> Result<()> {
        check_len("relu output", input.len(), output.len())?;
        let device = self.device();
        self.each("relu", input.len(), &[&input.span(device), &output.span(device), &count(input.len())])
    }

    fn relu_backward(&self, output: &Buffer, grad_output: &Buffer, grad_input: &mut Buffer) -> Result<()> {
        check_len("relu grad_output", output.len(), grad_output.len())?;
        check_len("relu grad_input", output.len(), grad_input.len())?;
        let [y, dy, dx] = [output, grad_output, grad_input].map(|buffer| buffer.span(self.device()));
        self.each("relu_backward", output.len(), &[&y, &dy, &dx, &count(output.len())])
    }

    fn relu_mask(&self, output: &Buffer, grad: &mut Buffer) -> Result<()> {
        check_len("relu gradient", output.len(), grad.len())?;
        let [y, dy] = [output, grad].map(|buffer| buffer.span(self.device()));
        self.each("relu_backward", output.len(), &[&y, &dy, &dy, &count(output.len())])
    }

    fn pool(&self, kind: PoolKind, window: &ConvProblem, input: &Buffer, output: &mut Buffer) -> Result<()> {
        check_pool(window, input.len(), output.len())?;
        let [x, y] = [input, output].map(|buffer| buffer.span(self.device()));
        let (len, points) = (y.len(), window.points(Role::Input));
        let whole = window.axes().iter().all(|axis| axis.kernel == axis.input && axis.padding == (0, 0));
        if kind == PoolKind::Average && whole {
            let scale = 1.0 / points as f32;
            return self.each("mean_of_maps", 32 * len, &[&x, &y, &count(points), &scale, &count(len)]);
        }
        let window = Window::new(kind, window)?;
        self.each("pool", len, &[&x, &y, &window, &count(len)])
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
        let window = Window::new(kind, window)?;
        let [x, dy, dx] = [input, grad_output, grad_input].map(|buffer| buffer.span(self.device()));
        self.each("pool_backward", x.len(), &[&x, &dy, &dx, &window, &count(x.len())])
    }

    fn add_bias(&self, bias: &Buffer, points: usize, values: &mut Buffer) -> Result<()> {
        check_maps(values.len(), bias.len(), points)?;
        let (channels, len) = (count(bias.len()), values.len());
        let [bias, values] = [bias, values].map(|buffer| buffer.span(self.device()));
        self.each("add_bias", len, &[&bias, &values, &count(points), &channels, &count(len)])
    }

    fn bias_gradient(&self, grad_output: &Buffer, points: usize, grad_bias: &mut Buffer) -> Result<()> {
        let channels = grad_bias.len();
        check_maps(grad_output.len(), channels, points)?;
        let batch = grad_output.len().checked_div(channels * points).unwrap_or(0);
        let [dy, db] = [grad_output, grad_bias].map(|buffer| buffer.span(self.device()));
        let launch = Launch { blocks: channels as u64, threads: THREADS, shared: 0 };
        let arguments: [&dyn Argument; 5] = [&dy, &db, &count(points), &count(channels), &count(batch)];
        self.operation(Module::Ops, "bias_gradient", launch, &arguments)
    }

    fn softmax_cross_entropy(&self, rows: CrossEntropy<'_, Self>) -> Result<()> {
        rows.check(self)?;
        let (batch, logits) = (rows.labels.len(), rows.logits.len());
        let classes = logits.checked_div(batch).unwrap_or(0);
        let span = |buffer: &Buffer| buffer.span(self.device());
        let (z, labels, losses) = (span(rows.logits), span(rows.labels), span(rows.losses));
        let (hits, grad, n, c) = (span(rows.hits), span(rows.grad), count(batch), count(classes));
        let smoothing = &rows.smoothing;
        self.each(
            "softmax_cross_entropy",
            batch * 32,
            &[&z, &labels, &losses, &hits, &grad, smoothing, &n, &c],
        )
    }

    fn axpby(&self, alpha: f32, x: &Buffer, beta: f32, y: &mut Buffer) -> Result<()> {
        check_len("sum", x.len(), y.len())?;
        let [x, y] = [x, y].map(|buffer| buffer.span(self.device()));
        self.train("axpby", y.len(), &[&alpha, &x, &beta, &y, &count(y.len())])
    }

    fn sgd(&self, step: &Sgd, grad: &Buffer, velocity: &mut Buffer, weights: &mut Buffer) -> Result<()> {
        check_len("velocity", weights.len(), velocity.len())?;
        check_len("gradient", weights.len(), grad.len())?;
        let Sgd { rate, momentum, weight_decay, nesterov, grad_scale } = step;
        let (nesterov, len) = (i32::from(*nesterov), weights.len());
        let [grad, velocity, weights] = [grad, velocity, weights].map(|buffer| buffer.span(self.device()));
        let n = count(len);
        self.train(
            "sgd",
            len,
            &[&grad, &velocity, &weights, rate, momentum, weight_decay, grad_scale, &nesterov, &n],
        )
    }

    fn adam(
        &self,
        step: &Adam,
        grad: &Buffer,
        moments: [&mut Buffer; 2],
        weights: &mut Buffer,
    ) -> Result<()> {
        let [first, second] = moments;
        check_moments(weights.len(), [grad.len(), first.len(), second.len()])?;
        let (step, len) = (Moments::from(step), weights.len());
        let [grad, first, second, weights] =
            [grad, first, second, weights].map(|buffer| buffer.span(self.device()));
        self.train("adam", len, &[&grad, &first, &second, &weights, &step, &count(len)])
    }

    fn sum_of_squares(&self, values: &Buffer) -> Result<f64> {
        let blocks = values.len().div_ceil(SQUARES_EACH).clamp(1, MOST_SQUARE_BLOCKS);
        let sums = self.alloc(2 * blocks)?;
        let launch = Launch { blocks: blocks as u64, threads: THREADS, shared: 0 };
        let [x, y] = [values, &sums].map(|buffer| buffer.span(self.device()));
        self.operation(Module::Training, "sum_of_squares", launch, &[&x, &y, &count(values.len())])?;
        let mut parts = vec![0.0; sums.len()];
        self.download(&sums, &mut parts)?;
        // Each sum is an f64, of two halves here.
        let whole = |halves: &[f32; 2]| {
            let [low, high] = halves.map(|half| u64::from(half.to_bits()));
            f64::from_bits(high << 32 | low)
        };
        Ok(parts.as_chunks().0.iter().map(whole).sum())
    }

    fn dropout(&self, dropout: &Dropout, input: &Buffer, output: &mut Buffer) -> Result<()> {
        check_len("dropout output", input.len(), output.len())?;
        let (rate, scale, key) = (dropout.rate, 1.0 / (1.0 - dropout.rate), dropout.key as i64);
        let [x, y] = [input, output].map(|buffer| buffer.span(self.device()));
        self.train("dropout", x.len(), &[&x, &y, &rate, &scale, &key, &count(x.len())])
    }

    fn pad(&self, mode: PadMode, window: &ConvProblem, input: &Buffer, output: &mut Buffer) -> Result<()> {
        check_pool(window, input.len(), output.len())?;
        let window = Window::new(PoolKind::Average, window)?;
        let [x, y] = [input, output].map(|buffer| buffer.span(self.device()));
        self.each("pad", y.len(), &[&x, &y, &window, &mode_number(mode), &count(y.len())])
    }

    fn pad_backward(
        &self,
        mode: PadMode,
        window: &ConvProblem,
        grad_output: &Buffer,
        grad_input: &mut Buffer,
    ) -> Result<()> {
        check_pool(window, grad_input.len(), grad_output.len())?;
        let window = Window::new(PoolKind::Average, window)?;
        let [dy, dx] = [grad_output, grad_input].map(|buffer| buffer.span(self.device()));
        self.each("pad_backward", dx.len(), &[&dy, &dx, &window, &mode_number(mode), &count(dx.len())])
    }

    fn moments(&self, input: &Buffer, points: usize, mean: &mut Buffer, variance: &mut Buffer) -> Result<()> {
        check_len("variance", mean.len(), variance.len())?;
        check_maps(input.len(), mean.len(), points)?;
        let of = Channels::new(input.len(), mean.len(), points);
        let [x, mean, variance] = [input, mean, variance].map(|buffer| buffer.span(self.device()));
        self.operation(Module::Training, "moments", of.launch(), &[&x, &mean, &variance, &of])
    }

    fn normalize(
        &self,
        by: &Normalization<'_, Buffer>,
        points: usize,
        input: &Buffer,
        output: &mut Buffer,
    ) -> Result<()> {
        by.check(Buffer::len, points, input.len())?;
        check_len("normalised output", input.len(), output.len())?;
        let of = Channels::new(input.len(), by.mean.len(), points);
        let [x, y] = [input, output].map(|buffer| buffer.span(self.device()));
        let [mean, variance, weight, bias] =
            [by.mean, by.variance, by.weight, by.bias].map(|buffer| buffer.span(self.device()));
        let n = count(x.len());
        self.train("normalize", x.len(), &[&x, &y, &mean, &variance, &weight, &bias, &by.epsilon, &of, &n])
    }

    fn normalize_backward(
        &self,
        by: &Normalization<'_, Buffer>,
        points: usize,
        tensors: NormalizeBackward<'_, Self>,
    ) -> Result<()> {
        let NormalizeBackward { input, grad_output, grad_weight, grad_bias, grad_input } = tensors;
        by.check(Buffer::len, points, input.len())?;
        check_len("grad_output", input.len(), grad_output.len())?;
        check_len("grad_weight", by.mean.len(), grad_weight.len())?;
        check_len("grad_bias", by.mean.len(), grad_bias.len())?;
        let of = Channels::new(input.len(), by.mean.len(), points);
        let span = |buffer: &Buffer| buffer.span(self.device());
        let ([x, dy], epsilon) = ([input, grad_output].map(span), &by.epsilon);
        let [mean, variance, weight] = [by.mean, by.variance, by.weight].map(span);
        let (dw, db) = (span(grad_weight), span(grad_bias));
        let sums: [&dyn Argument; 8] = [&x, &dy, &mean, &variance, epsilon, &dw, &db, &of];
        self.operation(Module::Training, "normalize_sums", of.launch(), &sums)?;
        let Some(grad_input) = grad_input else { return Ok(()) };
        check_len("grad_input", input.len(), grad_input.len())?;
        let (dx, n) = (span(grad_input), count(x.len()));
        let arguments: [&dyn Argument; 11] =
            [&x, &dy, &dx, &mean, &variance, &weight, &dw, &db, epsilon, &of, &n];
        self.train("normalize_backward", x.len(), &arguments)
    }
}
