//! The few operations besides convolution that a network needs, each with a default through host memory.

use crate::algorithm::check_len;
use crate::{Backend, ConvProblem, Result, Role, host};

/// What a pooling window keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PoolKind {
    /// The largest value, padding left out.
    Max,
    /// The mean over the kernel's points, padding counted as zeros.
    Average,
}

/// Coefficients of a step of stochastic gradient descent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sgd {
    /// Learning rate.
    pub rate: f32,
    /// Share of the last step's direction that is kept.
    pub momentum: f32,
    /// Weight decay, added to the gradient.
    pub weight_decay: f32,
    /// Whether the direction is Nesterov's: one step of momentum ahead.
    pub nesterov: bool,
    /// Factor of the gradient before all else.
    pub grad_scale: f32,
}

/// Logits, labels and what [`Ops::softmax_cross_entropy`] writes.
pub struct CrossEntropy<'a, B: Backend> {
    /// `batch × classes` logits.
    pub logits: &'a B::Buffer,
    /// `batch` class numbers, as f32, each below `classes`.
    pub labels: &'a B::Buffer,
    /// `batch` losses, written.
    pub losses: &'a mut B::Buffer,
    /// `batch` values, 1 where the largest logit is the label's, else 0; written.
    pub hits: &'a mut B::Buffer,
    /// Gradient of the mean loss by the logits, written.
    pub grad: &'a mut B::Buffer,
}

/// A backend's operations for networks.
///
/// Every operation has a default that downloads, computes on the host and uploads, so that a new backend works
/// at once; a backend overrides what pays. All fail with [`crate::Error::Length`] where buffers do not fit, or
/// as the backend's memory operations do.
pub trait Ops: Backend {
    /// [`host::axpby`]: `y = alpha x + beta y`, a copy with `alpha` 1 and `beta` 0.
    ///
    /// # Errors
    /// See [`Ops`].
    fn axpby(&self, alpha: f32, x: &Self::Buffer, beta: f32, y: &mut Self::Buffer) -> Result<()> {
        check_len("sum", self.len(x), self.len(y))?;
        let x = fetch(self, x)?;
        change(self, y, |y| host::axpby(alpha, &x, beta, y))
    }

    /// [`host::relu`].
    ///
    /// # Errors
    /// See [`Ops`].
    fn relu(&self, input: &Self::Buffer, output: &mut Self::Buffer) -> Result<()> {
        check_len("relu output", self.len(input), self.len(output))?;
        let input = fetch(self, input)?;
        change(self, output, |output| host::relu(&input, output))
    }

    /// [`host::relu_backward`].
    ///
    /// # Errors
    /// See [`Ops`].
    fn relu_backward(
        &self,
        output: &Self::Buffer,
        grad_output: &Self::Buffer,
        grad_input: &mut Self::Buffer,
    ) -> Result<()> {
        check_len("relu grad_output", self.len(output), self.len(grad_output))?;
        check_len("relu grad_input", self.len(output), self.len(grad_input))?;
        let (output, grad_output) = (fetch(self, output)?, fetch(self, grad_output)?);
        change(self, grad_input, |dx| host::relu_backward(&output, &grad_output, dx))
    }

    /// [`host::pool`] with the geometry of `window`'s axes over its `N C` maps.
    ///
    /// # Errors
    /// See [`Ops`].
    fn pool(
        &self,
        kind: PoolKind,
        window: &ConvProblem,
        input: &Self::Buffer,
        output: &mut Self::Buffer,
    ) -> Result<()> {
        check_pool(window, self.len(input), self.len(output))?;
        let input = fetch(self, input)?;
        change(self, output, |output| host::pool(kind, window.volume(), &input, output))
    }

    /// [`host::pool_backward`].
    ///
    /// # Errors
    /// See [`Ops`].
    fn pool_backward(
        &self,
        kind: PoolKind,
        window: &ConvProblem,
        input: &Self::Buffer,
        grad_output: &Self::Buffer,
        grad_input: &mut Self::Buffer,
    ) -> Result<()> {
        check_pool(window, self.len(input), self.len(grad_output))?;
        check_len("pool grad_input", self.len(input), self.len(grad_input))?;
        let (input, grad_output) = (fetch(self, input)?, fetch(self, grad_output)?);
        change(self, grad_input, |dx| host::pool_backward(kind, window.volume(), &input, &grad_output, dx))
    }

    /// Adds `bias[o]` to every map `o` of an `N O points` tensor.
    ///
    /// # Errors
    /// See [`Ops`].
    fn add_bias(&self, bias: &Self::Buffer, points: usize, values: &mut Self::Buffer) -> Result<()> {
        check_maps(self.len(values), self.len(bias), points)?;
        let bias = fetch(self, bias)?;
        change(self, values, |values| host::add_bias(&bias, points, 0, values))
    }

    /// Gradient of a bias: the sum of each channel of an `N O points` tensor.
    ///
    /// # Errors
    /// See [`Ops`].
    fn bias_gradient(
        &self,
        grad_output: &Self::Buffer,
        points: usize,
        grad_bias: &mut Self::Buffer,
    ) -> Result<()> {
        let channels = self.len(grad_bias);
        check_maps(self.len(grad_output), channels, points)?;
        let dy = fetch(self, grad_output)?;
        change(self, grad_bias, |bias| {
            bias.iter_mut().enumerate().for_each(|(o, b)| *b = host::channel_sum(&dy, channels, points, o));
        })
    }

    /// [`host::softmax_cross_entropy`].
    ///
    /// # Errors
    /// See [`Ops`].
    fn softmax_cross_entropy(&self, rows: CrossEntropy<'_, Self>) -> Result<()> {
        rows.check(self)?;
        let batch = self.len(rows.labels);
        let (logits, labels) = (fetch(self, rows.logits)?, fetch(self, rows.labels)?);
        let (mut losses, mut hits) = (vec![0.0; batch], vec![0.0; batch]);
        change(self, rows.grad, |grad| {
            host::softmax_cross_entropy(&logits, &labels, batch, &mut losses, &mut hits, grad);
        })?;
        self.upload(&losses, rows.losses)?;
        self.upload(&hits, rows.hits)
    }

    /// [`host::sgd`].
    ///
    /// # Errors
    /// See [`Ops`].
    fn sgd(
        &self,
        step: &Sgd,
        grad: &Self::Buffer,
        velocity: &mut Self::Buffer,
        weights: &mut Self::Buffer,
    ) -> Result<()> {
        check_len("velocity", self.len(weights), self.len(velocity))?;
        check_len("gradient", self.len(weights), self.len(grad))?;
        let (grad, mut kept) = (fetch(self, grad)?, fetch(self, velocity)?);
        change(self, weights, |weights| host::sgd(step, &grad, &mut kept, weights))?;
        self.upload(&kept, velocity)
    }
}

impl<B: Backend> CrossEntropy<'_, B> {
    /// Compares every length with the number of labels.
    ///
    /// # Errors
    /// [`crate::Error::Length`].
    pub fn check(&self, backend: &B) -> Result<()> {
        let (batch, logits) = (backend.len(self.labels), backend.len(self.logits));
        check_len("losses", batch, backend.len(self.losses))?;
        check_len("hits", batch, backend.len(self.hits))?;
        check_len("logits", logits / batch.max(1) * batch, logits)?;
        check_len("gradient of the logits", logits, backend.len(self.grad))
    }
}

/// Checks the lengths of a pooling's input and output.
///
/// # Errors
/// [`crate::Error::Length`].
pub fn check_pool(window: &ConvProblem, input: usize, output: usize) -> Result<()> {
    check_len("pool input", window.len(Role::Input), input)?;
    check_len("pool output", window.maps(Role::Input) * window.points(Role::Output), output)
}

/// Checks that a tensor is made of whole images of `channels` maps of `points` values.
///
/// # Errors
/// [`crate::Error::Length`].
pub fn check_maps(len: usize, channels: usize, points: usize) -> Result<()> {
    let image = channels * points;
    check_len("tensor of whole images", len.checked_div(image).unwrap_or(0) * image, len)
}

fn fetch<B: Backend>(backend: &B, buffer: &B::Buffer) -> Result<Vec<f32>> {
    let mut values = vec![0.0; backend.len(buffer)];
    backend.download(buffer, &mut values)?;
    Ok(values)
}

fn change<B: Backend>(backend: &B, buffer: &mut B::Buffer, edit: impl FnOnce(&mut [f32])) -> Result<()> {
    let mut values = fetch(backend, buffer)?;
    edit(&mut values);
    backend.upload(&values, buffer)
}
