//! The terms of forward and backward-input sums, cut into blocks whose weights fit a small packed array.

use conv_core::{ConvProblem, Pass};

use super::line::{Line, Span};

/// Taps of a block at most: what a list of steps has room for.
pub(super) const MOST_TAPS: usize = 64;

/// Neighbouring summed channels and taps, numbered densely, taps of the last axis fastest.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    pub(super) channels: Span,
    pub(super) taps: [Span; 3],
    /// Whether this is the first block to add to its targets, and whether it is the last.
    pub(super) first: bool,
    pub(super) last: bool,
}

impl Terms {
    /// The blocks that all `channels` and taps of the lines fall into, at most `limit` terms each and nearly
    /// equal; one empty block where a line has no tap.
    pub(super) fn blocks(lines: &[Line; 3], channels: usize, limit: usize) -> impl Iterator<Item = Terms> {
        let counts = [lines[2].taps, lines[1].taps, lines[0].taps, channels];
        let (mut room, mut numbers) = (limit.min(MOST_TAPS), [1; 4]);
        for (number, count) in numbers.iter_mut().zip(counts).take(3) {
            let size = count.clamp(1, room);
            *number = count.div_ceil(size).max(1);
            room /= size;
        }
        let taps: usize = (0..3).map(|axis: usize| counts[axis].div_ceil(numbers[axis]).max(1)).product();
        numbers[3] = channels.div_ceil(limit / taps);
        let total: usize = numbers.iter().product();
        (0..total).map(move |number| {
            let mut rest = number;
            let [w, h, d, channels] = [0, 1, 2, 3].map(|axis: usize| {
                let (count, parts) = (counts[axis], numbers[axis]);
                let part = rest % parts;
                rest /= parts;
                Span { start: part * count / parts, end: (part + 1) * count / parts }
            });
            Terms { channels, taps: [d, h, w], first: number == 0, last: number + 1 == total }
        })
    }

    /// Taps of the block.
    #[inline(always)]
    pub(super) fn taps_len(&self) -> usize {
        self.taps[0].len() * self.taps[1].len() * self.taps[2].len()
    }

    /// Number of the tap among those of the block.
    #[inline(always)]
    pub(super) fn tap(&self, [d, h, w]: [usize; 3]) -> usize {
        let [ds, hs, ws] = self.taps;
        ((d - ds.start) * hs.len() + h - hs.start) * ws.len() + w - ws.start
    }
}

/// Where the weights of a group's terms are.
#[derive(Clone, Copy)]
pub(super) struct WeightMap {
    /// Weights from one made channel, and from one summed channel, to the next.
    made: isize,
    summed: isize,
    /// Weights from one kernel point of each axis to the next.
    points: [isize; 3],
}

impl WeightMap {
    pub(super) fn new(problem: &ConvProblem, pass: Pass) -> Self {
        let [d, h, w] = problem.kernel_shape().map(|points| points as isize);
        let output_channel = problem.group_in() as isize * d * h * w;
        let [made, summed] = match pass {
            Pass::BackwardInput => [d * h * w, output_channel],
            _ => [output_channel, d * h * w],
        };
        WeightMap { made, summed, points: [h * w, w, 1] }
    }

    /// Copies the weights of a block's terms, `R` made channels from `made` on, to `packed` in order.
    /// `weights` are those of the group.
    #[inline(always)]
    pub(super) fn pack<const R: usize>(
        &self,
        weights: &[f32],
        lines: &[Line; 3],
        terms: &Terms,
        made: usize,
        packed: &mut [[f32; R]],
    ) {
        let Terms { channels, taps: [ds, hs, ws], .. } = *terms;
        let steps = [0, 1, 2].map(|axis: usize| lines[axis].kernel_step * self.points[axis]);
        let tap_0: isize = (0..3).map(|axis| lines[axis].kernel * self.points[axis]).sum();
        let mut packed = packed.iter_mut();
        for c in channels.start..channels.end {
            for d in ds.start..ds.end {
                for h in hs.start..hs.end {
                    let row = made as isize * self.made + c as isize * self.summed + tap_0;
                    let row = row + d as isize * steps[0] + h as isize * steps[1];
                    for (w, packed) in (ws.start..ws.end).zip(&mut packed) {
                        let first = row + w as isize * steps[2];
                        for (r, packed) in packed.iter_mut().enumerate() {
                            *packed = weights[(first + r as isize * self.made) as usize];
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use conv_core::Axis;

    #[test]
    fn blocks_hold_every_term_once_and_number_them_densely() {
        let axes = [Axis::new(9, 2), Axis::new(9, 3), Axis::new(9, 5)];
        let lines = axes.map(|axis| Line::new(&axis, Pass::Forward, 0));
        for limit in [1, 2, 4, 7, 15, 40, 1000] {
            let mut seen = Vec::new();
            for terms in Terms::blocks(&lines, 6, limit) {
                let mut numbers = Vec::new();
                for c in terms.channels.start..terms.channels.end {
                    for point in 0..30 {
                        let taps = [point / 15, point / 5 % 3, point % 5];
                        if (0..3).all(|axis: usize| terms.taps[axis].contains(taps[axis])) {
                            seen.push((c, point));
                            numbers.push((c - terms.channels.start) * terms.taps_len() + terms.tap(taps));
                        }
                    }
                }
                numbers.sort_unstable();
                assert!(numbers.len() <= limit && numbers.iter().copied().eq(0..numbers.len()));
                assert_eq!((terms.first, terms.last), (seen.len() == numbers.len(), seen.len() == 180));
            }
            seen.sort_unstable();
            seen.dedup();
            assert_eq!(seen.len(), 180, "limit {limit}");
        }
    }
}
