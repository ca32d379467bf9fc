//! Weights as left factors: blocks of made channels, in pieces of summed channels.

use std::ops::Range;

use conv_core::Pass;

use crate::product::{LANES, MOST_ROWS};

/// The weights of one group.
pub(super) struct Group<'a> {
    pub(super) weights: &'a [f32],
    pub(super) pass: Pass,
    pub(super) made: usize,
    pub(super) summed: usize,
    /// Kernel points.
    pub(super) points: usize,
}

/// Weights of some summed channels at some taps: `[block][channel][tap][made channel]`, as a product takes them.
pub(super) struct Piece {
    pub(super) channels: Range<usize>,
    /// Where it begins in a group's packed weights.
    pub(super) first: usize,
    /// Channels times taps: lines of a block.
    pub(super) terms: usize,
}

impl Piece {
    /// Packs the weights at these kernel points, block after block.
    pub(super) fn pack(&self, group: &Group<'_>, taps: &[usize], to: &mut [[f32; MOST_ROWS]]) {
        if self.terms == 0 {
            return;
        }
        let rows = |block: usize| block * MOST_ROWS..group.made.min((block + 1) * MOST_ROWS);
        if group.pass == Pass::Forward {
            // All taps, in their order.
            for (block, to) in to.chunks_exact_mut(self.terms).enumerate() {
                for (i, row) in rows(block).enumerate() {
                    let first = (row * group.summed + self.channels.start) * group.points;
                    to.iter_mut().zip(&group.weights[first..]).for_each(|(to, weight)| to[i] = *weight);
                }
            }
            return;
        }
        // Some output channels of every block before the next ones, since blocks are neighbours there.
        for first in self.channels.clone().step_by(LANES) {
            let channels = first..(first + LANES).min(self.channels.end);
            for (block, to) in to.chunks_exact_mut(self.terms).enumerate() {
                let to = &mut to[(first - self.channels.start) * taps.len()..];
                for (channel, to) in channels.clone().zip(to.chunks_exact_mut(taps.len())) {
                    for (i, row) in rows(block).enumerate() {
                        let map = (channel * group.made + row) * group.points;
                        to.iter_mut().zip(taps).for_each(|(to, point)| to[i] = group.weights[map + point]);
                    }
                }
            }
        }
    }
}
