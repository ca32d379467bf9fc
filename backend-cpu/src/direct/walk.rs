//! The chunks of target points a task computes, in the order that lets a tile share its taps.

use std::ops::Range;

use super::line::Line;
use super::line::Span;
use super::terms::Terms;

/// Neighbouring targets along the last axis, one a lane.
#[derive(Clone, Copy, Default)]
pub(super) struct Chunk {
    /// Target of the last axis that the first lane is.
    pub(super) target: usize,
    /// Targets, at most a register of them.
    pub(super) lanes: usize,
    /// Point of the task's part of the map that the first lane is.
    pub(super) point: usize,
    /// Point of the source map that the first lane meets at tap 0 of every axis, in the map or not.
    pub(super) source: isize,
    /// Taps of the first two axes at which it meets the source.
    pub(super) taps: [Span; 2],
    /// Whether those are all taps of the block.
    pub(super) whole: bool,
}

/// What the targets of a chunk have in common along one axis: point of the target map, point of the source map,
/// taps.
#[derive(Clone, Copy, Default)]
struct Place {
    point: usize,
    source: isize,
    taps: Span,
}

/// Chunks of one class of targets: down the rows first, so that those of a tile mostly stand above each other
/// and meet the source at the same taps of the last axis.
pub(super) struct Walk<'a> {
    lines: &'a [Line; 3],
    taps: [Span; 3],
    ranges: [Range<usize>; 3],
    /// Values from one point of each axis to the next, in a target and in a source map.
    target_steps: [usize; 3],
    source_steps: [isize; 3],
    /// Point of the map that is the task's first.
    begin: usize,
    lanes: usize,
    /// Targets of the next chunk, and where those of the slower axes are.
    next: [usize; 3],
    slow: Place,
    column: Place,
    left: usize,
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        (lines, terms): (&'a [Line; 3], &Terms),
        ranges: [Range<usize>; 3],
        [target, source]: [[usize; 3]; 2],
        begin: usize,
        lanes: usize,
    ) -> Self {
        let next = [0, 1, 2].map(|axis: usize| ranges[axis].start);
        let left = ranges[0].len() * ranges[1].len() * ranges[2].len().div_ceil(lanes);
        let steps = |[_, rows, columns]: [usize; 3]| [rows * columns, columns, 1];
        let mut walk = Walk {
            lines,
            taps: terms.taps,
            ranges,
            target_steps: steps(target),
            source_steps: steps(source).map(|step| step as isize),
            begin,
            lanes,
            next,
            slow: Place::default(),
            column: Place::default(),
            left,
        };
        (walk.slow, walk.column) = (walk.place(0), walk.place(2));
        walk
    }

    /// Chunks that are left.
    pub(super) fn left(&self) -> usize {
        self.left
    }

    #[inline(always)]
    fn place(&self, axis: usize) -> Place {
        let (line, target) = (&self.lines[axis], self.next[axis]);
        Place {
            point: (line.first + target * line.step) * self.target_steps[axis],
            source: line.source_of(target).wrapping_mul(self.source_steps[axis]),
            taps: line.taps_of(target),
        }
    }

    /// The next chunk; after the last one, the last again.
    #[inline(always)]
    pub(super) fn next(&mut self) -> Chunk {
        let (slow, row, column) = (self.slow, self.place(1), self.column);
        let target = self.next[2];
        let chunk = Chunk {
            target,
            lanes: self.lanes.min(self.ranges[2].end - target),
            point: slow.point + row.point + column.point - self.begin,
            source: slow.source.wrapping_add(row.source).wrapping_add(column.source),
            taps: [slow.taps, row.taps],
            whole: slow.taps.holds(self.taps[0]) && row.taps.holds(self.taps[1]),
        };
        if self.left > 1 {
            self.advance();
        }
        self.left = self.left.saturating_sub(1);
        chunk
    }

    #[inline(always)]
    fn advance(&mut self) {
        self.next[1] += 1;
        if self.next[1] < self.ranges[1].end {
            return;
        }
        self.next[1] = self.ranges[1].start;
        self.next[0] += 1;
        if self.next[0] == self.ranges[0].end {
            self.next[0] = self.ranges[0].start;
            self.next[2] += self.lanes;
            self.column = self.place(2);
        }
        self.slow = self.place(0);
    }
}
