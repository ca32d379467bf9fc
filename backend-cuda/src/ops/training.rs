//! Arguments of the kernels of training: mirrors the structures of `kernels/training.cu`.

use conv_core::ops::Adam;

use super::THREADS;
use crate::raw::Launch;

/// A step of Adam or AdamW.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moments {
    rate: f32,
    betas: [f32; 2],
    /// What the mean square is divided by; the other correction is part of the rate.
    correction: f32,
    epsilon: f32,
    /// Factor of the weights.
    shrink: f32,
    /// Weights added to the gradient.
    decay: f32,
    scale: f32,
}

impl From<&Adam> for Moments {
    fn from(step: &Adam) -> Self {
        let Adam { rate, betas, corrections, epsilon, weight_decay, decoupled, grad_scale } = *step;
        let (shrink, decay) = if decoupled { (1.0 - rate * weight_decay, 0.0) } else { (1.0, weight_decay) };
        let (rate, correction) = (rate / corrections[0], corrections[1]);
        Moments { rate, betas, correction, epsilon, shrink, decay, scale: grad_scale }
    }
}

/// The channels of an `N C points` tensor.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Channels {
    points: i64,
    channels: i64,
    batch: i64,
}

impl Channels {
    /// Of a tensor of `len` values.
    pub(super) fn new(len: usize, channels: usize, points: usize) -> Self {
        let batch = len.checked_div(channels * points).unwrap_or(0);
        let [points, channels, batch] = [points, channels, batch].map(|n| n as i64);
        Channels { points, channels, batch }
    }

    /// A block for each channel.
    pub(super) fn launch(&self) -> Launch {
        Launch { blocks: self.channels as u64, threads: THREADS, shared: 0 }
    }
}
