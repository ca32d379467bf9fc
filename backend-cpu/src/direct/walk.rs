//! The chunks of target points a task computes, in the order that lets a tile share its taps.

use std::ops::Range;

use super::line::Line;
use super::tile::Chunk;

/// Chunks of one class of targets: down the rows first, so that those of a tile mostly stand above each other
/// and meet the source at the same taps of the last axis.
pub(super) struct Walk<'a> {
    lines: &'a [Line; 3],
    ranges: [Range<usize>; 3],
    /// Rows and columns of a target and of a source map.
    target_shape: [usize; 2],
    source_shape: [usize; 2],
    /// Point of the map that is the task's first.
    begin: usize,
    lanes: usize,
    /// Targets of the next chunk.
    next: [usize; 3],
    left: usize,
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        lines: &'a [Line; 3],
        ranges: [Range<usize>; 3],
        [target, source]: [[usize; 3]; 2],
        begin: usize,
        lanes: usize,
    ) -> Self {
        let next = [0, 1, 2].map(|axis: usize| ranges[axis].start);
        let left = ranges[0].len() * ranges[1].len() * ranges[2].len().div_ceil(lanes);
        let [target_shape, source_shape] = [target, source].map(|[_, rows, columns]| [rows, columns]);
        Walk { lines, ranges, target_shape, source_shape, begin, lanes, next, left }
    }

    /// Chunks that are left.
    pub(super) fn left(&self) -> usize {
        self.left
    }

    /// The next chunk; after the last one, the last again.
    #[inline(always)]
    pub(super) fn next(&mut self) -> Chunk {
        let chunk = self.chunk();
        if self.left > 1 {
            self.advance();
        }
        self.left = self.left.saturating_sub(1);
        chunk
    }

    #[inline(always)]
    fn chunk(&self) -> Chunk {
        let [d, h, w] = self.next;
        let point = |axis: usize| self.lines[axis].first + self.next[axis] * self.lines[axis].step;
        let source = |axis: usize| self.lines[axis].source_of(self.next[axis]);
        let [rows, columns] = self.target_shape;
        let [source_rows, source_columns] = self.source_shape.map(|points| points as isize);
        let source_row = source(0).wrapping_mul(source_rows).wrapping_add(source(1));
        Chunk {
            target: w,
            lanes: self.lanes.min(self.ranges[2].end - w),
            point: (point(0) * rows + point(1)) * columns + point(2) - self.begin,
            source: source_row.wrapping_mul(source_columns).wrapping_add(source(2)),
            taps: [self.lines[0].taps_of(d), self.lines[1].taps_of(h)],
        }
    }

    #[inline(always)]
    fn advance(&mut self) {
        self.next[1] += 1;
        if self.next[1] == self.ranges[1].end {
            self.next[1] = self.ranges[1].start;
            self.next[0] += 1;
        }
        if self.next[0] == self.ranges[0].end {
            self.next[0] = self.ranges[0].start;
            self.next[2] += self.lanes;
        }
    }
}
