#![doc = include_str!("scaling.md")]

use super::BUCKET;

/// What decides how long a step takes on several ranks; see the [module](self).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scaling {
    /// Seconds of a step on one rank, with the whole minibatch.
    pub step: f64,
    /// Share of it that the backward direction takes, 0 to 1.
    pub backward: f64,
    /// Values that are learned.
    pub parameters: usize,
    /// Bytes a second that a rank sends while sums are made.
    pub bandwidth: f64,
    /// Seconds that a sum of few values takes.
    pub latency: f64,
}

impl Scaling {
    /// Seconds of a step of the same minibatch on `ranks` ranks, at least one.
    pub fn seconds(&self, ranks: usize) -> f64 {
        let compute = self.step / ranks.max(1) as f64;
        compute + (self.sums(ranks) - self.backward * compute).max(0.0)
    }

    /// How many times faster than one rank.
    pub fn speedup(&self, ranks: usize) -> f64 {
        self.step / self.seconds(ranks)
    }

    /// Seconds of all sums of a step.
    fn sums(&self, ranks: usize) -> f64 {
        if ranks < 2 {
            return 0.0;
        }
        let share = 2.0 * (ranks - 1) as f64 / ranks as f64;
        let buckets = self.parameters.div_ceil(BUCKET).max(1) as f64;
        buckets * self.latency + share * 4.0 * self.parameters as f64 / self.bandwidth
    }
}
