//! The made maps of one task: where their values are, and copies from and to tensors.

use crate::padding::Layout;

/// Values of the widest vector, to which rows of made maps are filled up.
const WIDTH: usize = 16;

/// The layout of a made map.
///
/// It has its rows one below the other, filled up to whole vectors; or, where that makes fewer vectors and all
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
    pub(super) fn new(padded: &Layout) -> Made {
        let counts = padded.classes.map(|class| class.count.max(1));
        let pitch = counts[2].next_multiple_of(WIDTH);
        let (slice, len) = (counts[1] * pitch, counts[0] * counts[1] * pitch);
        let rows = Made { padded: *padded, flat: false, pitch, slice, len };
        let slice = padded.spans[1] * padded.row;
        let last = (counts[0] - 1) * slice + (counts[1] - 1) * padded.row + counts[2];
        let len = last.next_multiple_of(WIDTH);
        let flat = Made { flat: true, pitch: padded.row, slice, len, ..rows };
        let unit = padded.classes.iter().all(|class| class.stride == 1);
        if unit && flat.len < rows.len { flat } else { rows }
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

    /// The vectors of so many lanes, in order.
    #[inline(always)]
    pub(super) fn chunks(&self, lanes: usize) -> Chunks {
        Chunks { made: *self, lanes, at: [0; 3], left: self.vectors(lanes), last: Chunk::default() }
    }

    /// Calls `visit` for every row of targets: its first value here, its first point in a tensor's map of this shape,
    /// its targets.
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
        to.fill(0.0);
        self.for_each_row(shape, |at, point, len| {
            to[at..at + len].copy_from_slice(&from[point - begin..][..len]);
        });
    }

    /// Copies the made map `from` to the targets of a tensor's map, which begins with point `begin`, each row after
    /// `finish`.
    pub(super) fn gather(
        &self,
        shape: [usize; 3],
        begin: usize,
        from: &mut [f32],
        to: &mut [f32],
        finish: impl Fn(&mut [f32]),
    ) {
        let step = self.padded.classes[2].step;
        self.for_each_row(shape, |at, point, len| {
            let row = &mut from[at..at + len];
            finish(row);
            let to = &mut to[point - begin..];
            match step {
                1 => to[..len].copy_from_slice(row),
                _ => to.iter_mut().step_by(step).zip(row).for_each(|(value, x)| *value = *x),
            }
        });
    }
}

/// A vector of targets: its first value in the made map, and what that meets at offset 0 in the padded map.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Chunk {
    pub(super) made: usize,
    pub(super) source: usize,
}

/// A row of a made map: where it begins there, and what that meets at offset 0 in the padded map.
pub(super) struct Row {
    pub(super) made: usize,
    pub(super) source: usize,
    pub(super) len: usize,
}

/// The vectors of a task's targets; after the last one, that again.
pub(super) struct Chunks {
    made: Made,
    lanes: usize,
    /// Slice, row and first column of the next one.
    at: [usize; 3],
    left: usize,
    last: Chunk,
}

impl Chunks {
    #[inline(always)]
    pub(super) fn is_empty(&self) -> bool {
        self.left == 0
    }

    #[inline(always)]
    pub(super) fn next(&mut self) -> Chunk {
        let Made { padded, pitch, slice, flat, .. } = self.made;
        if self.left == 0 {
            return self.last;
        }
        self.left -= 1;
        let [z, y, x] = self.at;
        self.at[2] += self.lanes;
        if flat {
            self.last = Chunk { made: x, source: x };
            return self.last;
        }
        self.last = Chunk { made: z * slice + y * pitch + x, source: padded.row_of([z, y]) + x };
        if self.at[2] >= pitch {
            self.at = if y + 1 < padded.classes[1].count { [z, y + 1, 0] } else { [z + 1, 0, 0] };
        }
        self.last
    }
}
