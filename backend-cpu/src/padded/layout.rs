//! Where values are in the padded copies of source maps and in the made maps of one task.

use super::axis::{Class, Tap};

/// Values behind the last map, so that the last vector is whole.
pub(super) const TAIL: usize = 16;

/// Values of the widest vector, to which rows of made maps are filled up.
const WIDTH: usize = 16;

/// The layout of a task: `classes` of the three axes.
///
/// A padded map has `spans[0] × spans[1]` rows. The columns of a row stand in the order of their residues by the
/// stride of the last axis, so that those a tap meets are neighbours.
///
/// A made map has its rows one below the other, filled up to whole vectors; or, where that makes fewer vectors and all
/// strides are 1, *flat*: points stand where they do in the padded map, and vectors run on from row to row, with
/// something between the rows that nobody reads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    pub(super) classes: [Class; 3],
    /// Positions of a padded map.
    pub(super) spans: [usize; 3],
    /// Columns of one residue, and of a row.
    residue: usize,
    pub(super) row: usize,
    /// Values of a padded map.
    pub(super) map: usize,
    flat: bool,
    /// Values of a made map from one row, and from one slice, to the next; and in all.
    pub(super) pitch: usize,
    pub(super) slice: usize,
    pub(super) made: usize,
}

impl Layout {
    pub(super) fn new(classes: [Class; 3]) -> Layout {
        let spans = classes.map(|class| class.span());
        let residue = spans[2].div_ceil(classes[2].stride);
        let row = residue * classes[2].stride;
        let map = spans[0] * spans[1] * row;
        let counts = classes.map(|class| class.count.max(1));
        let pitch = counts[2].next_multiple_of(WIDTH);
        let rows = Layout {
            classes,
            spans,
            residue,
            row,
            map,
            flat: false,
            pitch,
            slice: counts[1] * pitch,
            made: counts[0] * counts[1] * pitch,
        };
        let slice = spans[1] * row;
        let last = (counts[0] - 1) * slice + (counts[1] - 1) * row + counts[2];
        let flat = Layout { flat: true, pitch: row, slice, made: last.next_multiple_of(WIDTH), ..rows };
        let unit = classes.iter().all(|class| class.stride == 1);
        if unit && flat.made < rows.made { flat } else { rows }
    }

    /// Values of a padded map from a target on to what the tap of the last axis meets.
    #[inline(always)]
    pub(super) fn column(&self, tap: &Tap) -> usize {
        let stride = self.classes[2].stride;
        match stride {
            1 => tap.offset,
            _ => tap.offset % stride * self.residue + tap.offset / stride,
        }
    }

    /// Where position `x` of a row is.
    #[inline(always)]
    pub(super) fn place(&self, x: usize) -> usize {
        let stride = self.classes[2].stride;
        x % stride * self.residue + x / stride
    }

    /// The greatest distance in a padded map from a target on to what a tap meets.
    pub(super) fn reach(&self, taps: [&[Tap]; 3]) -> usize {
        let most = |taps: &[Tap]| taps.iter().map(|tap| tap.offset).max().unwrap_or(0);
        let columns = taps[2].iter().map(|tap| self.column(tap)).max().unwrap_or(0);
        (most(taps[0]) * self.spans[1] + most(taps[1])) * self.row + columns
    }

    /// The rows of the made map, whole vectors each; one where it is flat.
    pub(super) fn rows(&self) -> impl Iterator<Item = Row> {
        let Layout { classes, spans, row, pitch, slice, flat, made, .. } = *self;
        let (slices, rows, len) =
            if flat { (1, 1, made) } else { (classes[0].count, classes[1].count, pitch) };
        (0..slices).flat_map(move |z| {
            (0..rows).map(move |y| Row {
                made: z * slice + y * pitch,
                source: (z * classes[0].stride * spans[1] + y * classes[1].stride) * row,
                len,
            })
        })
    }

    /// Vectors of so many lanes that hold all targets.
    pub(super) fn vectors(&self, lanes: usize) -> usize {
        self.made / lanes
    }

    /// The vectors of so many lanes, in order.
    #[inline(always)]
    pub(super) fn chunks(&self, lanes: usize) -> Chunks {
        Chunks { layout: *self, lanes, at: [0; 3], left: self.vectors(lanes), last: Chunk::default() }
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
    layout: Layout,
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
        let Layout { classes, spans, row, pitch, slice, flat, .. } = self.layout;
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
        let source = (z * classes[0].stride * spans[1] + y * classes[1].stride) * row + x;
        self.last = Chunk { made: z * slice + y * pitch + x, source };
        if self.at[2] >= pitch {
            self.at = if y + 1 < classes[1].count { [z, y + 1, 0] } else { [z + 1, 0, 0] };
        }
        self.last
    }
}
