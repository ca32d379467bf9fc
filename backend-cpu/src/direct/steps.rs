//! The taps of a tile as a list of steps: those that every lane takes, and those with masks.

use pulp::Simd;

use super::block::{Masked, each, lanes_inside};
use super::line::{Line, Span};
use super::terms::{MOST_TAPS, Terms};
use super::walk::Chunk;

/// One tap.
#[derive(Clone, Copy, Default)]
pub(super) struct Step {
    /// Source values from the first tap of the tile to this one.
    pub(super) source: usize,
    /// Number among the taps of the block.
    pub(super) tap: usize,
}

/// The taps of a block that some lane of a tile meets.
pub(super) struct Steps<S: Simd, const V: usize> {
    all: [Step; MOST_TAPS],
    all_len: usize,
    masked: [Step; MOST_TAPS],
    masks: [Masked<S, V>; MOST_TAPS],
    masked_len: usize,
    /// Source values from tap 0 of every axis to the first tap of the tile, and from there to the last.
    pub(super) first: isize,
    pub(super) reach: usize,
    /// Where every row meets every tap: the targets of the last axis it was made for.
    column: Option<usize>,
}

/// Taps of an axis that every lane of a tile meets, and those that some lane may meet.
#[derive(Clone, Copy)]
struct Reach {
    every: Span,
    some: Span,
}

impl Reach {
    /// With a chunk whose first and last lane meet these taps.
    #[inline(always)]
    fn with(self, first: Span, last: Span) -> Self {
        let every = Span { start: first.start, end: last.end };
        let some = Span { start: last.start, end: first.end };
        Reach { every: self.every.meet(every), some: self.some.join(some) }
    }
}

impl<S: Simd, const V: usize> Steps<S, V> {
    #[inline(always)]
    pub(super) fn new(simd: S) -> Self {
        let none = Masked(each!(lanes_inside(simd, 0, 1, 0, 0), |_| lanes_inside(simd, 0, 1, 0, 0)));
        let (all, masked) = ([Step::default(); MOST_TAPS], [Step::default(); MOST_TAPS]);
        Steps {
            all,
            all_len: 0,
            masked,
            masks: [none; MOST_TAPS],
            masked_len: 0,
            first: 0,
            reach: 0,
            column: None,
        }
    }

    /// Steps that every lane takes.
    #[inline(always)]
    pub(super) fn all(&self) -> &[Step] {
        &self.all[..self.all_len]
    }

    /// Steps with masks.
    #[inline(always)]
    pub(super) fn masked(&self) -> impl Iterator<Item = (&Step, &Masked<S, V>)> {
        self.masked[..self.masked_len].iter().zip(&self.masks)
    }

    /// Makes the list for the chunks of a tile; keeps it where neighbouring tiles have the same.
    #[inline(always)]
    pub(super) fn set(
        &mut self,
        simd: S,
        lines: &[Line; 3],
        terms: &Terms,
        chunks: &[Chunk; V],
        source: [usize; 3],
    ) {
        let whole = |chunk: &Chunk| chunk.target == chunks[0].target && chunk.whole;
        let mut column = Some(chunks[0].target);
        for chunk in chunks {
            column = column.filter(|_| whole(chunk));
        }
        if column.is_none() || column != self.column {
            self.list(simd, lines, terms, chunks, source);
            self.column = column;
        }
    }

    #[inline(always)]
    fn list(&mut self, simd: S, lines: &[Line; 3], terms: &Terms, chunks: &[Chunk; V], source: [usize; 3]) {
        let mut reach = terms.taps.map(|taps| Reach { every: taps, some: Span::NONE });
        for Chunk { target, lanes, taps, .. } in chunks {
            reach[0] = reach[0].with(taps[0], taps[0]);
            reach[1] = reach[1].with(taps[1], taps[1]);
            reach[2] = reach[2].with(lines[2].taps_of(*target), lines[2].taps_of(target + lanes - 1));
        }
        let some = [0, 1, 2].map(|axis: usize| reach[axis].some.meet(terms.taps[axis]));
        (self.all_len, self.masked_len, self.reach) = (0, 0, 0);
        let offset = |taps: [usize; 3]| {
            let [d, h, w] = [0, 1, 2].map(|axis: usize| taps[axis].wrapping_mul(source[axis]));
            d.wrapping_add(h).wrapping_add(w)
        };
        let first = offset(some.map(|taps| taps.start));
        self.first = first as isize;
        for d in some[0].start..some[0].end {
            for h in some[1].start..some[1].end {
                let row_inside = reach[0].every.contains(d) && reach[1].every.contains(h);
                for w in some[2].start..some[2].end {
                    let step =
                        Step { source: offset([d, h, w]).wrapping_sub(first), tap: terms.tap([d, h, w]) };
                    self.reach = step.source;
                    if row_inside && reach[2].every.contains(w) {
                        self.all[self.all_len] = step;
                        self.all_len += 1;
                    } else {
                        self.masked[self.masked_len] = step;
                        self.masks[self.masked_len] = masks(simd, &lines[2], chunks, [d, h, w]);
                        self.masked_len += 1;
                    }
                }
            }
        }
    }
}

/// The lanes of each chunk that meet the source at a tap.
#[inline(always)]
fn masks<S: Simd, const V: usize>(
    simd: S,
    line: &Line,
    chunks: &[Chunk; V],
    tap: [usize; 3],
) -> Masked<S, V> {
    Masked(each!(lanes_inside(simd, 0, 1, 0, 0), |v| {
        let Chunk { target, taps, .. } = &chunks[v];
        let row_inside = taps[0].contains(tap[0]) && taps[1].contains(tap[1]);
        let at = line.source_of(*target) + (tap[2] * line.per_tap) as isize;
        lanes_inside(simd, at, line.per_target, line.len, if row_inside { S::F32_LANES } else { 0 })
    }))
}
