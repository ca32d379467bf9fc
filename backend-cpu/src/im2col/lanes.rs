//! Channels into the lanes of lines, as right factors of a product have them, and out of the lanes of sums.

use fft_core::{deinterleave, interleave, transpose16};

use crate::product::LANES;
use crate::raw::for_each_part;

/// Terms whose sums leave the lanes at once.
const CHUNK: usize = 64;

const FITS: &str = "lines are as long as their blocking says";

/// Values of scratch that [`Sums::finish`] needs.
pub(super) const STRIP: usize = CHUNK * LANES;

/// Rows of `len` values, `apart` from each other: those of at most 16 channels.
pub(super) struct Rows<'a> {
    pub(super) values: &'a [f32],
    pub(super) apart: usize,
    pub(super) count: usize,
    pub(super) len: usize,
}

impl Rows<'_> {
    /// Writes value `x` of every row to lane 0, 1, … of line `x`; lines after the last may be written, too.
    pub(super) fn to_lanes(&self, lines: &mut [f32]) {
        let Rows { values, apart, count, len } = *self;
        let squares = len.next_multiple_of(LANES);
        let whole = count == LANES && apart >= LANES && (count - 1) * apart + squares <= values.len();
        if whole && squares * LANES <= lines.len() {
            for x in (0..squares).step_by(LANES) {
                transpose16(&values[x..], apart, &mut lines[x * LANES..], LANES).expect(FITS);
            }
            return;
        }
        let mut rows = [&values[..0]; LANES];
        for (number, row) in rows.iter_mut().enumerate().take(count) {
            *row = &values[number * apart..][..len];
        }
        interleave(&rows[..count], &mut lines[..len * LANES]).expect(FITS);
    }
}

/// Sums `[part][group][term][output channel]`, output channels rounded up to lanes.
pub(super) struct Sums {
    pub(super) groups: usize,
    /// Terms and output channels of a group.
    pub(super) terms: usize,
    pub(super) outputs: usize,
}

impl Sums {
    /// Values of a part, where they can be counted.
    pub(super) fn part(&self) -> Option<usize> {
        self.groups.checked_mul(self.terms)?.checked_mul(self.outputs.next_multiple_of(LANES))
    }

    /// Adds the parts, and takes output channels out of the lanes: `out` is `[group][output channel][term]`.
    pub(super) fn finish(&self, sums: &[f32], out: &mut [f32], scratch: (&mut [f32], usize)) {
        let Sums { groups, terms, outputs } = *self;
        let (blocks, row) = (outputs.div_ceil(LANES), outputs.next_multiple_of(LANES));
        let part = groups * terms * row;
        let channels = |index: usize| {
            let first = index % blocks * LANES;
            (index / blocks * outputs + first, LANES.min(outputs - first))
        };
        let range = |index: usize| {
            let (first, count) = channels(index);
            first * terms..(first + count) * terms
        };
        for_each_part(out, groups * blocks, range, scratch, |index, out, scratch| {
            let first = index / blocks * terms * row + index % blocks * LANES;
            for term in (0..terms).step_by(CHUNK) {
                let count = CHUNK.min(terms - term);
                let strip = &mut scratch[..count * LANES];
                for (number, part) in sums.chunks_exact(part).enumerate() {
                    let lines = part[first + term * row..].chunks(row);
                    for (to, line) in strip.chunks_exact_mut(LANES).zip(lines) {
                        match number {
                            0 => to.copy_from_slice(&line[..LANES]),
                            _ => to.iter_mut().zip(line).for_each(|(to, value)| *to += value),
                        }
                    }
                }
                let mut rows: [&mut [f32]; LANES] = Default::default();
                for (row, map) in rows.iter_mut().zip(out.chunks_exact_mut(terms)) {
                    *row = &mut map[term..term + count];
                }
                deinterleave(strip, &mut rows[..channels(index).1]).expect(FITS);
            }
        });
    }
}
