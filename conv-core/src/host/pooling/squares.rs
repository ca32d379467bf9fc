//! Windows of 2 × 2 side by side on even maps: every point is in one window, and neighbouring windows go together.

#[cfg(target_arch = "x86_64")]
mod fours;

use super::{larger, masked};
use crate::Axis;

/// Two neighbouring points of a row.
type Pair = [f32; 2];

/// Windows in a row of a map, where all windows are such.
pub(super) fn windows([a, b, c]: &[Axis; 3]) -> Option<usize> {
    let square = |axis: &Axis| {
        let Axis { input, kernel, stride, dilation, padding } = *axis;
        input % 2 == 0 && [kernel, stride, dilation] == [2, 2, 1] && padding == (0, 0)
    };
    (*a == Axis::UNIT && square(b) && square(c)).then_some(c.input / 2)
}

/// Whether the second point is the larger one, all ones or zero, and the larger one.
#[inline(always)]
fn of_pair([left, right]: Pair) -> (u32, f32) {
    let mask = larger(right, left);
    (mask, masked(mask, right, left))
}

/// The largest point of each window of maps with so many windows in a row.
pub(super) fn largest(windows: usize, maps: &[f32], out: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    if let Some(v3) = fours::vectors(windows) {
        return v3.vectorize(fours::Largest { v3, windows, maps, out });
    }
    largest_each(windows, maps, out);
}

/// The gradient of each window's output at its largest point, zero at the others.
pub(super) fn spread(windows: usize, maps: &[f32], dy: &[f32], dx: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    if let Some(v3) = fours::vectors(windows) {
        return v3.vectorize(fours::Spread { v3, windows, maps, dy, dx });
    }
    spread_each(windows, maps, dy, dx);
}

/// [`largest`], one window after the other.
///
/// Loops by index over slices of equal length become vectors, chains of zipped iterators do not.
#[allow(clippy::needless_range_loop)]
fn largest_each(windows: usize, maps: &[f32], out: &mut [f32]) {
    let pairs = maps.as_chunks::<2>().0;
    for (rows, out) in pairs.chunks_exact(2 * windows).zip(out.chunks_exact_mut(windows)) {
        let (upper, lower) = rows.split_at(windows);
        for i in 0..windows {
            let ((_, upper), (_, lower)) = (of_pair(upper[i]), of_pair(lower[i]));
            out[i] = masked(larger(lower, upper), lower, upper);
        }
    }
}

/// [`spread`], one window after the other.
#[allow(clippy::needless_range_loop)]
fn spread_each(windows: usize, maps: &[f32], dy: &[f32], dx: &mut [f32]) {
    let rows = maps.as_chunks::<2>().0.chunks_exact(2 * windows).zip(dy.chunks_exact(windows));
    for ((rows, dy), dx) in rows.zip(dx.as_chunks_mut::<2>().0.chunks_exact_mut(2 * windows)) {
        let (upper, lower) = rows.split_at(windows);
        let (dx_upper, dx_lower) = dx.split_at_mut(windows);
        for i in 0..windows {
            let ((right_above, upper), (right_below, lower)) = (of_pair(upper[i]), of_pair(lower[i]));
            let below = larger(lower, upper);
            let only = |mask: u32| f32::from_bits(mask & dy[i].to_bits());
            dx_upper[i] = [only(!below & !right_above), only(!below & right_above)];
            dx_lower[i] = [only(below & !right_below), only(below & right_below)];
        }
    }
}
