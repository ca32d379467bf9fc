//! Copies from tensors to padded maps.

use pulp::{Arch, Simd, WithSimd};

use super::layout::Layout;

/// Copies a source map of this shape to the padded map `to` of the layout, zeros around it.
pub(crate) fn pad(layout: &Layout, shape: [usize; 3], from: &[f32], to: &mut [f32]) {
    Arch::new().dispatch(Pad { layout, shape, from, to });
}

struct Pad<'a> {
    layout: &'a Layout,
    shape: [usize; 3],
    from: &'a [f32],
    to: &'a mut [f32],
}

impl WithSimd for Pad<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Pad { layout, shape: [depth, h, w], from, to } = self;
        let lows = layout.classes.map(|class| class.low());
        for (number, row) in to.chunks_exact_mut(layout.row).enumerate() {
            let (z, y) = (number / layout.spans[1], number % layout.spans[1]);
            match (inside(lows[0], z, depth), inside(lows[1], y, h)) {
                (Some(z), Some(y)) => pad_row(layout, lows[2], &from[(z * h + y) * w..][..w], row),
                _ => row.fill(0.0),
            }
        }
    }
}

/// The element at a position, if there is one.
#[inline(always)]
fn inside(low: isize, position: usize, len: usize) -> Option<usize> {
    let element = low + position as isize;
    (0..len as isize).contains(&element).then_some(element as usize)
}

/// Copies what a padded row reads of a source row.
#[inline(always)]
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
    let from = &from[..len];
    match layout.classes[2].stride {
        2 => deal::<2>(begin, from, to),
        3 => deal::<3>(begin, from, to),
        4 => deal::<4>(begin, from, to),
        stride => place(stride, begin, from, to),
    }
}

/// Copies values from position `begin` on to their residues by the stride, one by one.
#[inline(always)]
fn place(stride: usize, begin: usize, from: &[f32], to: &mut [f32]) {
    let residue = to.len() / stride;
    for (value, x) in from.iter().zip(begin..) {
        to[x % stride * residue + x / stride] = *value;
    }
}

/// Periods that are dealt at once: a vector for every residue.
const DEALT: usize = 16;

/// The same for a stride of `N`, [`DEALT`] periods at once; the last ones overlap those before.
#[inline(always)]
fn deal<const N: usize>(begin: usize, from: &[f32], to: &mut [f32]) {
    let first = begin.next_multiple_of(N).min(begin + from.len());
    let (head, rest) = from.split_at(first - begin);
    let (periods, tail) = rest.as_chunks::<N>();
    let whole = if periods.len() < DEALT { 0 } else { periods.len() };
    place(N, begin, head, to);
    place(N, first + N * whole, if whole == 0 { rest } else { tail }, to);
    let residue = to.len() / N;
    for block in (0..whole).step_by(DEALT) {
        let block = block.min(whole - DEALT);
        let mut lanes = [[0.0; DEALT]; N];
        for (i, period) in periods[block..].iter().enumerate().take(DEALT) {
            for (lane, value) in lanes.iter_mut().zip(period) {
                lane[i] = *value;
            }
        }
        for (lane, values) in lanes.iter().zip(to.chunks_exact_mut(residue)) {
            values[first / N + block..][..DEALT].copy_from_slice(lane);
        }
    }
}
