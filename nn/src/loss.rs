//! Softmax cross-entropy, and the score of a batch.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::AddAssign;

use conv_core::Ops;
use conv_core::algorithm::check_len;
use conv_core::ops::CrossEntropy as Rows;
use serde::{Deserialize, Serialize};

use crate::error::argument;
use crate::{Error, Result, Shape};

/// Most classes: class numbers travel as f32, which is exact up to here.
const MAX_CLASSES: usize = 1 << 24;

/// Losses and hits of a number of images; scores add up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Images.
    pub count: usize,
    /// Sum of their losses, in nats.
    pub loss_sum: f64,
    /// Images whose largest logit is the label's.
    pub hits: usize,
}

impl Score {
    /// Mean loss of an image in nats; NaN of no images.
    pub fn loss(&self) -> f64 {
        self.loss_sum / self.count as f64
    }

    /// Share of hits, 0 to 1; NaN of no images.
    pub fn accuracy(&self) -> f64 {
        self.hits as f64 / self.count as f64
    }
}

impl AddAssign for Score {
    fn add_assign(&mut self, other: Score) {
        self.count += other.count;
        self.loss_sum += other.loss_sum;
        self.hits += other.hits;
    }
}

/// What the backend has been asked for: the gradient, which the backward direction may go on with, and the score.
pub(crate) struct Pending<'a, B: Ops> {
    pub(crate) grad: &'a B::Buffer,
    losses: &'a B::Buffer,
    hits: &'a B::Buffer,
    host: &'a mut [f32],
}

impl<B: Ops> Pending<'_, B> {
    /// Waits for the score.
    ///
    /// # Errors
    /// As [`conv_core::Backend::download`].
    pub(crate) fn score(&mut self, backend: &B) -> Result<Score> {
        let (loss_sum, hits) = (sum(backend, self.losses, self.host)?, sum(backend, self.hits, self.host)?);
        Ok(Score { count: self.host.len(), loss_sum, hits: hits as usize })
    }
}

/// The loss of a classifier, with buffers kept for every shape of logits met.
pub struct CrossEntropy<B: Ops> {
    smoothing: f32,
    buffers: HashMap<Shape, Buffers<B>>,
}

struct Buffers<B: Ops> {
    labels: B::Buffer,
    losses: B::Buffer,
    hits: B::Buffer,
    grad: B::Buffer,
    host: Vec<f32>,
}

impl<B: Ops> Buffers<B> {
    fn new(backend: &B, shape: &Shape) -> Result<Self> {
        let batch = || backend.alloc(shape.batch());
        Ok(Buffers {
            labels: batch()?,
            losses: batch()?,
            hits: batch()?,
            grad: backend.alloc(shape.elements())?,
            host: vec![0.0; shape.batch()],
        })
    }
}

impl<B: Ops> Default for CrossEntropy<B> {
    fn default() -> Self {
        CrossEntropy { smoothing: 0.0, buffers: HashMap::new() }
    }
}

impl<B: Ops> CrossEntropy<B> {
    /// Without any buffers yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with this share of each target spread evenly over all classes (Szegedy and others 2016).
    ///
    /// # Errors
    /// [`conv_core::Error::Argument`] unless it is from 0 to 1.
    pub fn label_smoothing(self, smoothing: f32) -> Result<Self> {
        if !(0.0..=1.0).contains(&smoothing) {
            return Err(argument("label smoothing", "0 to 1", smoothing));
        }
        Ok(CrossEntropy { smoothing, ..self })
    }

    /// Scores `N C` logits of `C` classes against `N` labels (the formulas are
    /// [`conv_core::host::softmax_cross_entropy`]'s); the buffer is the gradient of the mean loss by the logits.
    ///
    /// # Errors
    /// [`Error::Label`] for a label that is not a class, [`Error::Shape`] for logits with spatial axes,
    /// [`conv_core::Error::Length`] where labels or logits do not fit the shape.
    pub fn evaluate(
        &mut self,
        backend: &B,
        shape: &Shape,
        logits: &B::Buffer,
        labels: &[usize],
    ) -> Result<(Score, &B::Buffer)> {
        let mut pending = self.begin(backend, shape, logits, labels)?;
        Ok((pending.score(backend)?, pending.grad))
    }

    /// The same without waiting for the score.
    ///
    /// # Errors
    /// As [`CrossEntropy::evaluate`].
    pub(crate) fn begin(
        &mut self,
        backend: &B,
        shape: &Shape,
        logits: &B::Buffer,
        labels: &[usize],
    ) -> Result<Pending<'_, B>> {
        Self::check(shape, labels)?;
        check_len("logits", shape.elements(), backend.len(logits))?;
        let kept = match self.buffers.entry(shape.clone()) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(Buffers::new(backend, shape)?),
        };
        kept.host.iter_mut().zip(labels).for_each(|(to, label)| *to = *label as f32);
        backend.upload(&kept.host, &mut kept.labels)?;
        let Buffers { labels, losses, hits, grad, host } = kept;
        backend.softmax_cross_entropy(Rows {
            logits,
            labels,
            smoothing: self.smoothing,
            losses,
            hits,
            grad,
        })?;
        Ok(Pending { grad, losses, hits, host })
    }

    /// Whether these labels go with logits of this shape.
    ///
    /// # Errors
    /// As [`CrossEntropy::evaluate`].
    pub(crate) fn check(shape: &Shape, labels: &[usize]) -> Result<()> {
        let classes = shape.channels();
        if !shape.axes().is_empty() {
            return Err(Error::Shape {
                expected: "logits without spatial axes".into(),
                found: shape.clone(),
            });
        }
        if classes > MAX_CLASSES {
            return Err(argument("classes", format!("at most {MAX_CLASSES}"), classes));
        }
        check_len("labels", shape.batch(), labels.len())?;
        match labels.iter().copied().enumerate().find(|(_, label)| *label >= classes) {
            Some((index, label)) => Err(Error::Label { index, label, classes }),
            None => Ok(()),
        }
    }
}

fn sum<B: Ops>(backend: &B, values: &B::Buffer, host: &mut [f32]) -> Result<f64> {
    backend.download(values, host)?;
    Ok(host.iter().map(|value| f64::from(*value)).sum())
}
