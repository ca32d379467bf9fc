//! The few operations besides convolution that a network needs, each with a default through host memory.

mod arguments;

pub use arguments::{Adam, CrossEntropy, Dropout, Normalization, NormalizeBackward, PadMode, PoolKind, Sgd};

use crate::algorithm::check_len;
use crate::{Backend, ConvProblem, Result, Role, host};

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

    /// [`host::relu_mask`].
    ///
    /// # Errors
    /// See [`Ops`].
    fn relu_mask(&self, output: &Self::Buffer, grad: &mut Self::Buffer) -> Result<()> {
        check_len("relu gradient", self.len(output), self.len(grad))?;
        let output = fetch(self, output)?;
        change(self, grad, |grad| host::relu_mask(&output, grad))
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
            let smoothing = rows.smoothing;
            host::softmax_cross_entropy(&logits, &labels, batch, smoothing, &mut losses, &mut hits, grad);
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

    /// [`host::adam`]; the moments are those of the gradient and of its square.
    ///
    /// # Errors
    /// See [`Ops`].
    fn adam(
        &self,
        step: &Adam,
        grad: &Self::Buffer,
        moments: [&mut Self::Buffer; 2],
        weights: &mut Self::Buffer,
    ) -> Result<()> {
        let [first, second] = moments;
        check_moments(self.len(weights), [self.len(grad), self.len(first), self.len(second)])?;
        let (grad, mut m, mut v) = (fetch(self, grad)?, fetch(self, first)?, fetch(self, second)?);
        change(self, weights, |weights| host::adam(step, &grad, [&mut m, &mut v], weights))?;
        self.upload(&m, first)?;
        self.upload(&v, second)
    }

    /// [`host::sum_of_squares`].
    ///
    /// # Errors
    /// See [`Ops`].
    fn sum_of_squares(&self, values: &Self::Buffer) -> Result<f64> {
        Ok(host::sum_of_squares(&fetch(self, values)?))
    }

    /// [`host::dropout`]; its own gradient, applied to the gradient by the output.
    ///
    /// # Errors
    /// See [`Ops`].
    fn dropout(&self, dropout: &Dropout, input: &Self::Buffer, output: &mut Self::Buffer) -> Result<()> {
        check_len("dropout output", self.len(input), self.len(output))?;
        let input = fetch(self, input)?;
        change(self, output, |output| host::dropout(dropout, 0, &input, output))
    }

    /// [`host::pad`] with input and padding of `window`'s axes, whose kernel and stride are 1.
    ///
    /// # Errors
    /// See [`Ops`].
    fn pad(
        &self,
        mode: PadMode,
        window: &ConvProblem,
        input: &Self::Buffer,
        output: &mut Self::Buffer,
    ) -> Result<()> {
        check_pool(window, self.len(input), self.len(output))?;
        let input = fetch(self, input)?;
        change(self, output, |output| host::pad(mode, window.volume(), &input, output))
    }

    /// [`host::pad_backward`].
    ///
    /// # Errors
    /// See [`Ops`].
    fn pad_backward(
        &self,
        mode: PadMode,
        window: &ConvProblem,
        grad_output: &Self::Buffer,
        grad_input: &mut Self::Buffer,
    ) -> Result<()> {
        check_pool(window, self.len(grad_input), self.len(grad_output))?;
        let dy = fetch(self, grad_output)?;
        change(self, grad_input, |dx| host::pad_backward(mode, window.volume(), &dy, dx))
    }

    /// [`host::channel_moments`] of every channel of an `N C points` tensor.
    ///
    /// # Errors
    /// See [`Ops`].
    fn moments(
        &self,
        input: &Self::Buffer,
        points: usize,
        mean: &mut Self::Buffer,
        variance: &mut Self::Buffer,
    ) -> Result<()> {
        let channels = self.len(mean);
        check_len("variance", channels, self.len(variance))?;
        check_maps(self.len(input), channels, points)?;
        let x = fetch(self, input)?;
        let moments = (0..channels).map(|channel| host::channel_moments(&x, channels, points, channel));
        let (means, variances): (Vec<f32>, Vec<f32>) = moments.map(<(f32, f32)>::from).unzip();
        self.upload(&means, mean)?;
        self.upload(&variances, variance)
    }

    /// [`host::normalize`].
    ///
    /// # Errors
    /// See [`Ops`].
    fn normalize(
        &self,
        of: &Normalization<'_, Self::Buffer>,
        points: usize,
        input: &Self::Buffer,
        output: &mut Self::Buffer,
    ) -> Result<()> {
        of.check(|values| self.len(values), points, self.len(input))?;
        check_len("normalised output", self.len(input), self.len(output))?;
        let (x, values) = (fetch(self, input)?, fetch_all(self, of)?);
        change(self, output, |output| host::normalize(&slices(&values, of.epsilon), points, 0, &x, output))
    }

    /// [`host::normalize_sums`] and [`host::normalize_backward`].
    ///
    /// # Errors
    /// See [`Ops`].
    fn normalize_backward(
        &self,
        of: &Normalization<'_, Self::Buffer>,
        points: usize,
        tensors: NormalizeBackward<'_, Self>,
    ) -> Result<()> {
        let NormalizeBackward { input, grad_output, grad_weight, grad_bias, grad_input } = tensors;
        of.check(|values| self.len(values), points, self.len(input))?;
        check_len("grad_output", self.len(input), self.len(grad_output))?;
        let (x, dy) = (fetch(self, input)?, fetch(self, grad_output)?);
        let values = fetch_all(self, of)?;
        let of = slices(&values, of.epsilon);
        let sums = (0..of.mean.len()).map(|channel| host::normalize_sums(&of, points, channel, &x, &dy));
        let (along, constant): (Vec<f32>, Vec<f32>) = sums.map(<(f32, f32)>::from).unzip();
        self.upload(&along, grad_weight)?;
        self.upload(&constant, grad_bias)?;
        let Some(grad_input) = grad_input else { return Ok(()) };
        let count = (x.len() / of.mean.len().max(1)) as f32;
        let means = [along, constant].map(|sums| sums.iter().map(|sum| sum / count).collect::<Vec<_>>());
        let means = [&means[0][..], &means[1][..]];
        change(self, grad_input, |dx| host::normalize_backward(&of, means, points, 0, [&x, &dy], dx))
    }
}

/// Checks the lengths of a gradient and of its two moments.
///
/// # Errors
/// [`crate::Error::Length`].
pub fn check_moments(weights: usize, found: [usize; 3]) -> Result<()> {
    let names = ["gradient", "first moment", "second moment"];
    names.into_iter().zip(found).try_for_each(|(what, found)| check_len(what, weights, found))
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

/// Mean, variance, weight and bias in host memory.
fn fetch_all<B: Backend>(backend: &B, of: &Normalization<'_, B::Buffer>) -> Result<[Vec<f32>; 4]> {
    let fetch = |buffer| fetch(backend, buffer);
    Ok([fetch(of.mean)?, fetch(of.variance)?, fetch(of.weight)?, fetch(of.bias)?])
}

fn slices([mean, variance, weight, bias]: &[Vec<f32>; 4], epsilon: f32) -> Normalization<'_, [f32]> {
    Normalization { mean, variance, weight, bias, epsilon }
}
