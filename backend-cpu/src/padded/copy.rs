//! Copies between tensors, padded maps and made maps.

use super::layout::Layout;

/// Copies a source map of this shape to the padded map `to` of the layout, zeros around it.
pub(super) fn pad(layout: &Layout, shape: [usize; 3], from: &[f32], to: &mut [f32]) {
    let [_, h, w] = shape;
    let lows = layout.classes.map(|class| class.low());
    for (number, row) in to.chunks_exact_mut(layout.row).enumerate() {
        let (z, y) = (number / layout.spans[1], number % layout.spans[1]);
        match (inside(lows[0], z, shape[0]), inside(lows[1], y, h)) {
            (Some(z), Some(y)) => pad_row(layout, lows[2], &from[(z * h + y) * w..][..w], row),
            _ => row.fill(0.0),
        }
    }
}

/// The element at a position, if there is one.
fn inside(low: isize, position: usize, len: usize) -> Option<usize> {
    let element = low + position as isize;
    (0..len as isize).contains(&element).then_some(element as usize)
}

/// Copies what a padded row reads of a source row.
fn pad_row(layout: &Layout, low: isize, from: &[f32], to: &mut [f32]) {
    let (begin, skipped) = ((-low).max(0) as usize, low.max(0) as usize);
    let from = from.get(skipped..).unwrap_or_default();
    let begin = begin.min(layout.spans[2]);
    let len = from.len().min(layout.spans[2] - begin);
    if layout.classes[2].stride == 1 {
        to[..begin].fill(0.0);
        to[begin..begin + len].copy_from_slice(&from[..len]);
        to[begin + len..].fill(0.0);
        return;
    }
    to.fill(0.0);
    let stride = layout.classes[2].stride;
    for first in begin..(begin + stride).min(begin + len) {
        let places = to[layout.place(first)..].iter_mut();
        for (value, x) in places.zip(from[first - begin..len].iter().step_by(stride)) {
            *value = *x;
        }
    }
}

/// Copies the targets of a made map's tensor map, of this shape and from point `begin` on, to the made map, zeros
/// between.
pub(super) fn spread(layout: &Layout, shape: [usize; 3], begin: usize, from: &[f32], to: &mut [f32]) {
    to.fill(0.0);
    for_each_row(layout, shape, |at, point, len| {
        to[at..at + len].copy_from_slice(&from[point - begin..][..len]);
    });
}

/// Copies a made map to the targets of its tensor map, which begins with point `begin`, each row after `finish`.
pub(super) fn gather(
    layout: &Layout,
    shape: [usize; 3],
    begin: usize,
    from: &mut [f32],
    to: &mut [f32],
    finish: impl Fn(&mut [f32]),
) {
    let step = layout.classes[2].step;
    for_each_row(layout, shape, |at, point, len| {
        let row = &mut from[at..at + len];
        finish(row);
        let to = &mut to[point - begin..];
        match step {
            1 => to[..len].copy_from_slice(row),
            _ => to.iter_mut().step_by(step).zip(row).for_each(|(value, x)| *value = *x),
        }
    });
}

/// Calls `visit` for every row of targets: its first value in the made map, its first point in the tensor's map, its
/// targets.
fn for_each_row(layout: &Layout, [_, h, w]: [usize; 3], mut visit: impl FnMut(usize, usize, usize)) {
    let [a, b, c] = layout.classes;
    for (z, y) in (0..a.count).flat_map(|z| (0..b.count).map(move |y| (z, y))) {
        let point = ((a.first + z * a.step) * h + b.first + y * b.step) * w + c.first;
        visit(z * layout.slice + y * layout.pitch, point, c.count);
    }
}
