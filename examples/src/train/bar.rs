//! The progress bar of a training.

use indicatif::{ProgressBar, ProgressStyle};
use nn::Score;

use crate::progress::target;

/// A bar over all minibatches of a run, of which some are done.
pub(super) fn new(minibatches: u64, done: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(minibatches), target());
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} minibatches, {msg}, {eta} left");
    let bar = bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())).with_position(done);
    bar.reset_eta();
    bar
}

/// One minibatch more; the score is that of the epoch so far.
pub(super) fn step(bar: &ProgressBar, score: &Score, batch: usize) {
    bar.inc(1);
    if !bar.is_hidden() {
        let (loss, accuracy) = (score.loss(), 100.0 * score.accuracy());
        let speed = bar.per_sec() * batch as f64;
        bar.set_message(format!("loss {loss:.4}, accuracy {accuracy:.1} %, {speed:.0} images/s"));
    }
}
