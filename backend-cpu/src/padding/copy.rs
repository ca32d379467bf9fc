//! Copies from tensors to padded maps.

use std::ops::Range;

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
        let [slices, rows] = [inside(lows[0], layout.spans[0], depth), inside(lows[1], layout.spans[1], h)];
        let whole = layout.classes[2].stride == 1 && lows[2] == 0 && layout.row == w;
        for (z, to) in to.chunks_exact_mut(layout.spans[1] * layout.row).enumerate() {
            if !slices.contains(&z) || rows.is_empty() {
                clear(to, to.len());
                continue;
            }
            let first = ((lows[0] + z as isize) as usize * h + (lows[1] + rows.start as isize) as usize) * w;
            let from = &from[first..];
            clear(to, rows.start * layout.row);
            if whole {
                copy(&mut to[rows.start * layout.row..], from, rows.len() * w);
            } else {
                for (number, y) in rows.clone().enumerate() {
                    pad_row(layout, lows[2], (&from[number * w..], w), &mut to[y * layout.row..]);
                }
            }
            let end = rows.end * layout.row;
            clear(&mut to[end..], layout.spans[1] * layout.row - end);
        }
    }
}

/// The positions, of so many, that have elements of `len`, where the first is element `low`; `0..0` where none has.
#[inline(always)]
fn inside(low: isize, positions: usize, len: usize) -> Range<usize> {
    let positions = positions as isize;
    let (begin, end) = ((-low).clamp(0, positions), (len as isize - low).clamp(0, positions));
    if begin < end { begin as usize..end as usize } else { 0..0 }
}

/// Copies what a padded row reads of a source row of `w` values; `from` and `to` hold what follows the rows, too.
#[inline(always)]
fn pad_row(layout: &Layout, low: isize, (from, w): (&[f32], usize), to: &mut [f32]) {
    let begin = low.min(0).unsigned_abs().min(layout.spans[2]);
    let skipped = (low.max(0) as usize).min(w);
    let from = &from[skipped..];
    let len = (w - skipped).min(layout.spans[2] - begin);
    if layout.classes[2].stride == 1 {
        clear(to, begin);
        copy(&mut to[begin..], from, len);
        clear(&mut to[begin + len..], layout.row - begin - len);
        return;
    }
    clear(to, layout.row);
    let (from, to) = (&from[..len], &mut to[..layout.row]);
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

/// Periods that are dealt at once, a vector for every residue: in long rows, and in shorter ones.
const DEALT: [usize; 3] = [16, 8, 4];

/// The same for a stride of `N`, many periods at once.
#[inline(always)]
fn deal<const N: usize>(begin: usize, from: &[f32], to: &mut [f32]) {
    let first = begin.next_multiple_of(N).min(begin + from.len());
    let (head, rest) = from.split_at(first - begin);
    let (periods, tail) = rest.as_chunks::<N>();
    place(N, begin, head, to);
    match periods.len() {
        len if len >= DEALT[0] => deal_periods::<N, { DEALT[0] }>(first / N, periods, to),
        len if len >= DEALT[1] => deal_periods::<N, { DEALT[1] }>(first / N, periods, to),
        len if len >= DEALT[2] => deal_periods::<N, { DEALT[2] }>(first / N, periods, to),
        _ => return place(N, first, rest, to),
    };
    place(N, first + N * periods.len(), tail, to);
}

/// Deals periods from number `first` on, `D` of them at least; the last ones overlap those before.
#[inline(always)]
fn deal_periods<const N: usize, const D: usize>(first: usize, periods: &[[f32; N]], to: &mut [f32]) {
    let residue = to.len() / N;
    for block in (0..periods.len()).step_by(D) {
        let block = block.min(periods.len() - D);
        let periods: &[[f32; N]; D] = periods[block..].first_chunk().expect("there are so many");
        for number in 0..N {
            let mut lanes = [0.0; D];
            for (lane, period) in lanes.iter_mut().zip(periods) {
                *lane = period[number];
            }
            to[number * residue + first + block..][..D].copy_from_slice(&lanes);
        }
    }
}

/// Values of a vector: what is copied at once.
const COPIED: usize = 16;

/// Copies `len` values, by whole vectors where both sides are long enough: up to a vector of what follows them in `to`
/// changes, too.
#[inline(always)]
pub(crate) fn copy(to: &mut [f32], from: &[f32], len: usize) {
    let whole = len.next_multiple_of(COPIED);
    match (to.get_mut(..whole), from.get(..whole)) {
        (Some(to), Some(from)) => {
            for (to, from) in to.as_chunks_mut::<COPIED>().0.iter_mut().zip(from.as_chunks::<COPIED>().0) {
                *to = *from;
            }
        }
        _ => to[..len].copy_from_slice(&from[..len]),
    }
}

/// Makes `len` values zero; what follows them changes as in [`copy`].
#[inline(always)]
pub(crate) fn clear(to: &mut [f32], len: usize) {
    match to.get_mut(..len.next_multiple_of(COPIED)) {
        Some(to) => to.as_chunks_mut::<COPIED>().0.iter_mut().for_each(|to| *to = [0.0; COPIED]),
        None => to[..len].fill(0.0),
    }
}
