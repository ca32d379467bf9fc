//! A network's other operations on the device, so that a training step never leaves it.

use conv_core::algorithm::check_len;
use conv_core::ops::{CrossEntropy, PoolKind, Sgd, check_maps, check_pool};
use conv_core::{Axis, ConvProblem, Error, Ops, Result, Role, Unsupported};

use crate::device::Module;
use crate::raw::{Argument, Launch};
use crate::{Buffer, Cuda};

/// Threads of a block.
const THREADS: u32 = 256;

/// One axis of a pooling window: mirrors `Side` of `kernels/ops.cu`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
struct Side {
    input: i32,
    output: i32,
    kernel: i32,
    stride: i32,
    dilation: i32,
    lo: i32,
}

/// A pooling: mirrors `Window` of `kernels/ops.cu`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    sides: [Side; 3],
    maximum: i32,
    scale: f32,
}

impl Window {
    /// # Errors
    /// [`Error::Argument`] for maps beyond 32-bit indices.
    fn new(kind: PoolKind, window: &ConvProblem) -> Result<Self> {
        let side = |axis: &Axis| -> Option<Side> {
            axis.padded().max(axis.stride).max(axis.dilation).checked_mul(2).filter(|n| *n < 1 << 31)?;
            let [input, output, kernel] = [axis.input, axis.output(), axis.kernel].map(|n| n as i32);
            let [stride, dilation, lo] = [axis.stride, axis.dilation, axis.padding.0].map(|n| n as i32);
            Some(Side { input, output, kernel, stride, dilation, lo })
        };
        let fits = window.points(Role::Input).max(window.points(Role::Output)) < 1 << 31;
        let [a, b, c] = window.volume();
        let sides = (|| Some([side(a)?, side(b)?, side(c)?]))().filter(|_| fits);
        let sides = sides.ok_or_else(|| {
            let reason = Unsupported::Geometry("a map of a pooling has 2³¹ points or more".into());
            let (expected, found) = ("maps of fewer than 2³¹ points".into(), reason.to_string());
            Error::Argument { what: "pooling", expected, found }
        })?;
        let scale = 1.0 / window.points(Role::Weight) as f32;
        Ok(Window { sides, maximum: (kind == PoolKind::Max).into(), scale })
    }
}

impl Cuda {
    /// Enqueues an operation with a thread for each of `count`.
    fn each(&self, name: &'static str, count: usize, arguments: &[&dyn Argument]) -> Result<()> {
        let blocks = count.div_ceil(THREADS as usize) as u64;
        self.operation(name, Launch { blocks, threads: THREADS, shared: 0 }, arguments)
    }

    fn operation(&self, name: &'static str, launch: Launch, arguments: &[&dyn Argument]) -> Result<()> {
        let function = self.device().function(Module::Ops, name)?;
        self.device().launch(&function, launch, arguments)
    }
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

    fn pool(&self, kind: PoolKind, window: &ConvProblem, input: &Buffer, output: &mut Buffer) -> Result<()> {
        check_pool(window, input.len(), output.len())?;
        let window = Window::new(kind, window)?;
        let [x, y] = [input, output].map(|buffer| buffer.span(self.device()));
        let len = y.len();
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
        self.operation("bias_gradient", launch, &arguments)
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

    fn sgd(&self, step: &Sgd, grad: &Buffer, velocity: &mut Buffer, weights: &mut Buffer) -> Result<()> {
        check_len("velocity", weights.len(), velocity.len())?;
        check_len("gradient", weights.len(), grad.len())?;
        let Sgd { rate, momentum, weight_decay, nesterov, grad_scale } = step;
        let (nesterov, len) = (i32::from(*nesterov), weights.len());
        let [grad, velocity, weights] = [grad, velocity, weights].map(|buffer| buffer.span(self.device()));
        let n = count(len);
        self.each(
            "sgd",
            len,
            &[&grad, &velocity, &weights, rate, momentum, weight_decay, grad_scale, &nesterov, &n],
        )
    }
}
