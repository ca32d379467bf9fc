//! What the operations of [`super::Ops`] are told besides their tensors.

use crate::algorithm::check_len;
use crate::{Backend, Result};

/// What a pooling window keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PoolKind {
    /// The largest value, padding left out.
    Max,
    /// The mean over the kernel's points, padding counted as zeros.
    Average,
}

/// What stands beyond the border of a map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PadMode {
    /// Zeros.
    #[default]
    Zeros,
    /// The map again, as on a torus.
    Circular,
    /// The map mirrored at its outermost point, which is not repeated.
    Reflect,
    /// The outermost point.
    Replicate,
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

/// Coefficients of a step of Adam or AdamW.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adam {
    /// Learning rate.
    pub rate: f32,
    /// Shares of the mean of gradients and of the mean of their squares that are kept.
    pub betas: [f32; 2],
    /// What the means are divided by: `1 - βᵗ` in step `t`, counted from 1.
    pub corrections: [f32; 2],
    /// Added to the root of the mean square.
    pub epsilon: f32,
    /// Weight decay.
    pub weight_decay: f32,
    /// Whether the decay shrinks the weights by itself (AdamW) instead of being added to the gradient.
    pub decoupled: bool,
    /// Factor of the gradient before all else.
    pub grad_scale: f32,
}

/// Which values dropout makes zero.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dropout {
    /// Share of values that become zero, below 1.
    pub rate: f32,
    /// Decides which.
    pub key: u64,
}

/// How channels are normalised: one value a channel of each, `T` being slices or buffers.
pub struct Normalization<'a, T: ?Sized> {
    /// Subtracted.
    pub mean: &'a T,
    /// The variance that becomes 1.
    pub variance: &'a T,
    /// Factor of what is normalised.
    pub weight: &'a T,
    /// Added to it.
    pub bias: &'a T,
    /// Added to the variance.
    pub epsilon: f32,
}

impl<T: ?Sized> Normalization<'_, T> {
    /// Compares the lengths of all four, and a tensor's with whole images of so many channels of `points`.
    ///
    /// # Errors
    /// [`crate::Error::Length`].
    pub fn check(&self, len: impl Fn(&T) -> usize, points: usize, tensor: usize) -> Result<()> {
        let channels = len(self.mean);
        let all = [("variance", self.variance), ("weight", self.weight), ("bias", self.bias)];
        all.into_iter().try_for_each(|(what, values)| check_len(what, channels, len(values)))?;
        super::check_maps(tensor, channels, points)
    }
}

/// The tensors of [`super::Ops::normalize_backward`].
pub struct NormalizeBackward<'a, B: Backend> {
    /// The input, whose own mean and variance normalised it.
    pub input: &'a B::Buffer,
    /// Gradient by the output.
    pub grad_output: &'a B::Buffer,
    /// Gradient by the weight, written.
    pub grad_weight: &'a mut B::Buffer,
    /// Gradient by the bias, written.
    pub grad_bias: &'a mut B::Buffer,
    /// Gradient by the input, written where wanted.
    pub grad_input: Option<&'a mut B::Buffer>,
}

/// Logits, labels and what [`super::Ops::softmax_cross_entropy`] writes.
pub struct CrossEntropy<'a, B: Backend> {
    /// `batch × classes` logits.
    pub logits: &'a B::Buffer,
    /// `batch` class numbers, as f32, each below `classes`.
    pub labels: &'a B::Buffer,
    /// Share of the target spread evenly over all classes, 0 to 1.
    pub smoothing: f32,
    /// `batch` losses, written.
    pub losses: &'a mut B::Buffer,
    /// `batch` values, 1 where the largest logit is the label's, else 0; written.
    pub hits: &'a mut B::Buffer,
    /// Gradient of the mean loss by the logits, written.
    pub grad: &'a mut B::Buffer,
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
