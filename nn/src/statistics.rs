//! What a column of times comes to.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Count, extremes and averages of times, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Statistics {
    /// Times.
    pub count: usize,
    /// The shortest.
    pub min: f64,
    /// The longest.
    pub max: f64,
    /// Sum over count.
    pub mean: f64,
    /// The middle one, or the mean of the middle two.
    pub median: f64,
    /// Standard deviation of these times as the whole population, `√(Σ(t - mean)² / count)`.
    pub std: f64,
}

impl Statistics {
    /// Of at least one time.
    pub fn of(times: &[Duration]) -> Option<Self> {
        let mut sorted: Vec<f64> = times.iter().map(|time| time.as_secs_f64() * 1e3).collect();
        sorted.sort_by(f64::total_cmp);
        let count = sorted.len();
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let mean = sorted.iter().sum::<f64>() / count as f64;
        let variance = sorted.iter().map(|time| (time - mean).powi(2)).sum::<f64>() / count as f64;
        let median = (sorted[(count - 1) / 2] + sorted[count / 2]) / 2.0;
        Some(Statistics { count, min, max, mean, median, std: variance.sqrt() })
    }
}

impl fmt::Display for Statistics {
    /// `count 29 min 1.2 max 3.4 mean 1.5 median 1.4 std 0.3 ms`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Statistics { count, min, max, mean, median, std } = self;
        write!(f, "count {count} min {min:.3} max {max:.3} mean {mean:.3} median {median:.3} std {std:.3} ms")
    }
}
