//! The made maps of one task: where their values are, and copies from and to tensors.

use pulp::{Arch, Simd, WithSimd};

use crate::padding::{Layout, clear, copy};

/// Values of the widest vector, to which rows of made maps are filled up.
pub(super) const WIDTH: usize = 16;

/// The layout of a made map.
///
/// It has its rows one below the other, filled up to whole vectors; or, where that takes less time and all
/// strides are 1, *flat*: points stand where they do in the padded map, and vectors run on from row to row, with
/// something between the rows that nobody reads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Made {
    padded: Layout,
    flat: bool,
    /// Values from one row, and from one slice, to the next; and in all.
    pitch: usize,
    slice: usize,
    pub(super) len: usize,
}

impl Made {
    /// The layout that takes less time, where a row takes as long as so many values besides its own.
    pub(super) fn new(padded: &Layout, per_row: usize) -> Made {
        let [a, b, c] = padded.classes.map(|class| class.count.max(1));
        let pitch = c.next_multiple_of(WIDTH);
        let rows = Made { padded: *padded, flat: false, pitch, slice: b * pitch, len: a * b * pitch };
        let slice = padded.spans[1] * padded.row;
        let len = ((a - 1) * slice + (b - 1) * padded.row + c).next_multiple_of(WIDTH);
        let flat = Made { flat: true, pitch: padded.row, slice, len, ..rows };
        let unit = padded.classes.iter().all(|class| class.stride == 1);
        if unit && flat.len <= Made::most(padded, per_row) { flat } else { rows }
    }

    /// Values that no layout of these or fewer rows exceeds.
    pub(super) fn most(padded: &Layout, per_row: usize) -> usize {
        let [a, b, c] = padded.classes.map(|class| class.count.max(1));
        a * b * c.next_multiple_of(WIDTH) + (a * b - 1) * per_row
    }

    /// The rows, whole vectors each; one where it is flat.
    pub(super) fn rows(&self) -> impl Iterator<Item = Row> {
        let Made { padded, flat, pitch, slice, len } = *self;
        let [a, b, _] = padded.classes;
        let (slices, rows, len) = if flat { (1, 1, len) } else { (a.count, b.count, pitch) };
        (0..slices).flat_map(move |z| {
            (0..rows).map(move |y| Row { made: z * slice + y * pitch, source: padded.row_of([z, y]), len })
        })
    }

    /// Vectors of so many lanes that hold all targets.
    pub(super) fn vectors(&self, lanes: usize) -> usize {
        self.len / lanes
    }

    /// What the first of every [`WIDTH`] targets meets at offset 0 in the padded map.
    pub(super) fn sources(&self) -> Vec<usize> {
        let along = |row: Row| (row.source..row.source + row.len).step_by(WIDTH);
        self.rows().flat_map(along).collect()
    }

    /// Calls `visit` for every row of targets, in order: its first value here, its first point in a tensor's map of this
    /// shape, its targets.
    #[inline(always)]
    fn for_each_row(&self, [_, h, w]: [usize; 3], mut visit: impl FnMut(usize, usize, usize)) {
        let [a, b, c] = self.padded.classes;
        for (z, y) in (0..a.count).flat_map(|z| (0..b.count).map(move |y| (z, y))) {
            let point = ((a.first + z * a.step) * h + b.first + y * b.step) * w + c.first;
            visit(z * self.slice + y * self.pitch, point, c.count);
        }
    }

    /// Copies the targets of a tensor's map, of this shape and from point `begin` on, to the made map `to`, zeros
    /// between.
    pub(super) fn spread(&self, shape: [usize; 3], begin: usize, from: &[f32], to: &mut [f32]) {
        Arch::new().dispatch(Spread { made: self, shape, begin, from, to });
    }

    /// Copies the made map `from` to the targets of a tensor's map, which begins with point `begin`.
    pub(super) fn gather(&self, shape: [usize; 3], begin: usize, from: &[f32], to: &mut [f32]) {
        Arch::new().dispatch(Gather { made: self, shape, begin, from, to });
    }
}

struct Spread<'a> {
    made: &'a Made,
    shape: [usize; 3],
    begin: usize,
    from: &'a [f32],
    to: &'a mut [f32],
}

impl WithSimd for Spread<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Spread { made, shape, begin, from, to } = self;
        let mut cleared = 0;
        made.for_each_row(shape, |at, point, len| {
            clear(&mut to[cleared..], at - cleared);
            copy(&mut to[at..], &from[point - begin..], len);
            cleared = at + len;
        });
        to[cleared..].fill(0.0);
    }
}

struct Gather<'a> {
    made: &'a Made,
    shape: [usize; 3],
    begin: usize,
    from: &'a [f32],
    to: &'a mut [f32],
}

impl WithSimd for Gather<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Gather { made, shape, begin, from, to } = self;
        let [a, b, c] = made.padded.classes;
        // Where every row is written, those behind are after this one.
        let all = a.step == 1 && b.step == 1;
        made.for_each_row(shape, |at, point, len| {
            let (from, to) = (&from[at..], &mut to[point - begin..]);
            match c.step {
                1 if all => copy(to, from, len),
                1 => to[..len].copy_from_slice(&from[..len]),
                step => to.iter_mut().step_by(step).zip(&from[..len]).for_each(|(to, from)| *to = *from),
            }
        });
    }
}

/// A row of a made map: where it begins there, and what that meets at offset 0 in the padded map.
pub(super) struct Row {
    pub(super) made: usize,
    pub(super) source: usize,
    pub(super) len: usize,
}
