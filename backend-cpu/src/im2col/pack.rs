//! Weights as left factors: rows of made channels, in pieces of summed channels.

use std::ops::Range;

use conv_core::Pass;

use crate::product::LANES;

/// The weights of one group.
pub(super) struct Group<'a> {
    pub(super) weights: &'a [f32],
    pub(super) pass: Pass,
    pub(super) made: usize,
    pub(super) summed: usize,
    /// Kernel points.
    pub(super) points: usize,
}

/// Weights of some summed channels at some taps: `[made channel][channel][tap]`, rows filled up to whole lanes.
pub(super) struct Piece {
    pub(super) channels: Range<usize>,
    /// Where it begins in a group's packed weights, and values of a row.
    pub(super) first: usize,
    pub(super) row: usize,
}

impl Piece {
    /// Packs the weights at these kernel points.
    pub(super) fn pack(&self, group: &Group<'_>, taps: &[usize], to: &mut [f32]) {
        if self.row == 0 {
            return;
        }
        let len = self.channels.len() * taps.len();
        for (row, to) in to.chunks_exact_mut(self.row).enumerate() {
            to[len..].fill(0.0);
            if group.pass == Pass::Forward {
                // All taps, in their order.
                let from = (row * group.summed + self.channels.start) * group.points;
                to[..len].copy_from_slice(&group.weights[from..][..len]);
            }
        }
        if group.pass != Pass::Forward {
            self.turn(group, taps, to);
        }
    }

    /// Packs weights whose rows are input channels: some output channels of every row before the next ones, since rows
    /// are neighbours there.
    fn turn(&self, group: &Group<'_>, taps: &[usize], to: &mut [f32]) {
        for first in self.channels.clone().step_by(LANES) {
            let channels = first..(first + LANES).min(self.channels.end);
            for (row, to) in to.chunks_exact_mut(self.row).enumerate() {
                let to = &mut to[(first - self.channels.start) * taps.len()..];
                for (channel, to) in channels.clone().zip(to.chunks_exact_mut(taps.len())) {
                    let map = &group.weights[(channel * group.made + row) * group.points..][..group.points];
                    to.iter_mut().zip(taps).for_each(|(to, point)| *to = map[*point]);
                }
            }
        }
    }
}
