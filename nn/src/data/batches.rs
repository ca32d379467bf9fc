//! The minibatches of an epoch, made on worker threads while the step before them runs.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use rand::SeedableRng;
use rand::rngs::StdRng;

use super::{Augment, DataError, Dataset};
use crate::Shape;

/// Minibatches that a worker makes ahead of the one being used.
const AHEAD: usize = 2;

/// One minibatch.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// `N C [spatial]`.
    pub shape: Shape,
    /// Dense values of this shape.
    pub images: Vec<f32>,
    /// A class an image.
    pub labels: Vec<usize>,
}

/// An iterator over the minibatches of one epoch.
///
/// A minibatch depends on its images, the seed and the epoch's number alone: not on the workers, nor on the minibatches
/// before it. Workers end when it is dropped.
pub struct Batches {
    /// Minibatch `i` comes from worker `i` modulo their number.
    workers: Vec<Receiver<Result<Batch, DataError>>>,
    next: usize,
    count: usize,
}

/// What the minibatches of an epoch are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Epoch {
    /// The image numbers of each minibatch.
    pub minibatches: Vec<Vec<usize>>,
    /// How images are varied.
    pub augment: Augment,
    /// Decides, with the epoch and the image's number, how an image is varied.
    pub seed: u64,
    /// Which epoch it is.
    pub number: u64,
}

/// What workers share.
struct Source {
    set: Arc<Dataset>,
    epoch: Epoch,
}

impl Batches {
    /// The minibatches of `epoch`, made by this many workers, at least one.
    pub fn new(set: Arc<Dataset>, epoch: Epoch, workers: usize) -> Self {
        let (workers, count) = (workers.max(1), epoch.minibatches.len());
        let source = Arc::new(Source { set, epoch });
        let start = |worker| {
            let (to, from) = sync_channel(AHEAD);
            let source = Arc::clone(&source);
            let numbers = (worker..count).step_by(workers);
            // One that does not start drops its end of the channel, as one that ended early.
            let _ = thread::Builder::new().name("batches".into()).spawn(move || source.work(numbers, &to));
            from
        };
        Batches { workers: (0..workers).map(start).collect(), next: 0, count }
    }
}

impl Iterator for Batches {
    type Item = Result<Batch, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next >= self.count {
            return None;
        }
        let worker = self.next % self.workers.len();
        self.next += 1;
        Some(self.workers[worker].recv().unwrap_or(Err(DataError::Worker)))
    }
}

impl Source {
    /// Makes these minibatches until nobody takes them.
    fn work(&self, numbers: impl Iterator<Item = usize>, to: &SyncSender<Result<Batch, DataError>>) {
        for number in numbers {
            if to.send(self.batch(number)).is_err() {
                return;
            }
        }
    }

    fn batch(&self, number: usize) -> Result<Batch, DataError> {
        let (indices, set) = (&self.epoch.minibatches[number], &self.set);
        let (mut images, mut labels) = (Vec::new(), Vec::new());
        set.gather(indices, &mut images, &mut labels)?;
        let shape = set.shape().with_batch(indices.len())?;
        if !self.epoch.augment.is_none() {
            for (image, index) in images.chunks_exact_mut(shape.features()).zip(indices) {
                self.epoch.augment.apply(image, shape.axes(), &mut self.epoch.random(*index));
            }
        }
        Ok(Batch { shape, images, labels })
    }
}

impl Epoch {
    /// What decides how one image is varied.
    fn random(&self, index: usize) -> StdRng {
        let mut seed = [0; 32];
        for (to, number) in seed.chunks_exact_mut(8).zip([self.seed, self.number, index as u64, 1]) {
            to.copy_from_slice(&number.to_le_bytes());
        }
        StdRng::from_seed(seed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::random as images;

    const AUGMENT: Augment = Augment { crop: 2, flip: true };

    fn batches(first: usize, number: u64, workers: usize) -> Vec<Batch> {
        let set = Arc::new(images(20, 2, &[5, 6], 4, 1).unwrap());
        let minibatches = (0..20).collect::<Vec<_>>().chunks(3).skip(first).map(<[usize]>::to_vec).collect();
        let epoch = Epoch { minibatches, augment: AUGMENT, seed: 5, number };
        Batches::new(set, epoch, workers).map(Result::unwrap).collect()
    }

    #[test]
    fn workers_and_beginnings_change_nothing_and_the_epoch_everything() {
        let whole = batches(0, 1, 1);
        assert_eq!((whole.len(), whole[6].labels.len()), (7, 2));
        for workers in [0, 2, 3, 9] {
            assert_eq!(batches(0, 1, workers), whole);
        }
        assert_eq!(batches(4, 1, 2), whole[4..]);
        assert_eq!(batches(7, 1, 2), []);
        assert_ne!(batches(0, 2, 1), whole);
    }

    #[test]
    fn an_image_that_is_not_there_is_an_error_and_a_dropped_iterator_ends_its_workers() {
        let set = Arc::new(images(4, 1, &[2], 2, 1).unwrap());
        let minibatches = vec![vec![0], vec![4], vec![1]];
        let epoch = Epoch { minibatches, augment: Augment::default(), seed: 1, number: 0 };
        let mut batches = Batches::new(Arc::clone(&set), epoch, 2);
        assert!(batches.next().unwrap().is_ok());
        assert_eq!(batches.next(), Some(Err(DataError::Image { images: 4, found: 4 })));
        drop(batches);
        while Arc::strong_count(&set) > 1 {
            thread::yield_now();
        }
    }
}
