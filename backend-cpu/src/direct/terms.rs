//! The terms of forward and backward-input sums, cut into blocks whose weights fit a small packed array.

use conv_core::{ConvProblem, Pass};

use super::line::{Line, Span};

/// Neighbouring summed channels and taps. Terms are numbered in the order that runs of steps take them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    pub(super) channels: Span,
    pub(super) taps: [Span; 3],
    /// Whether another block adds to the same targets before, and after this one.
    pub(super) first: bool,
    pub(super) last: bool,
}

impl Terms {
    /// Calls `visit` with the blocks that all `channels` and taps of the lines fall into, at most `limit` terms
    /// each; with one empty block where a line has no tap.
    #[inline(always)]
    pub(super) fn for_each(lines: &[Line; 3], channels: usize, limit: usize, mut visit: impl FnMut(Terms)) {
        let counts = [lines[2].taps, lines[1].taps, lines[0].taps, channels];
        let mut room = limit;
        let sizes = counts.map(|count| {
            let size = count.clamp(1, room);
            room /= size;
            size
        });
        let numbers = [0, 1, 2, 3].map(|axis: usize| counts[axis].div_ceil(sizes[axis]).max(1));
        let total: usize = numbers.iter().product();
        for number in 0..total {
            let mut rest = number;
            let [w, h, d, channels] = [0, 1, 2, 3].map(|axis: usize| {
                let start = rest % numbers[axis] * sizes[axis];
                rest /= numbers[axis];
                Span { start, end: (start + sizes[axis]).min(counts[axis]) }
            });
            visit(Terms { channels, taps: [d, h, w], first: number == 0, last: number + 1 == total });
        }
    }

    /// Whether runs of steps go along the channels, the more of the two, or along the taps of the last axis.
    #[inline(always)]
    pub(super) fn by_channels(&self) -> bool {
        self.channels.len() >= self.taps[2].len()
    }

    /// Number of the term among those of the block.
    #[inline(always)]
    pub(super) fn number(&self, channel: usize, taps: [usize; 3]) -> usize {
        let channel = channel - self.channels.start;
        let [d, h, w] = [0, 1, 2].map(|axis: usize| taps[axis] - self.taps[axis].start);
        let [ds, hs, ws] = self.taps.map(Span::len);
        match self.by_channels() {
            true => ((d * hs + h) * ws + w) * self.channels.len() + channel,
            false => ((channel * ds + d) * hs + h) * ws + w,
        }
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

    /// Copies the weights of a block's terms, `R` made channels from `made` on, to their places in `packed`.
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
        for c in channels.start..channels.end {
            for d in ds.start..ds.end {
                for h in hs.start..hs.end {
                    for w in ws.start..ws.end {
                        let mut at = made as isize * self.made + c as isize * self.summed;
                        for ((line, tap), step) in lines.iter().zip([d, h, w]).zip(self.points) {
                            at += (line.kernel + tap as isize * line.kernel_step) * step;
                        }
                        for (r, packed) in packed[terms.number(c, [d, h, w])].iter_mut().enumerate() {
                            *packed = weights[(at + r as isize * self.made) as usize];
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
            Terms::for_each(&lines, 6, limit, |terms| {
                let mut numbers = Vec::new();
                for c in terms.channels.start..terms.channels.end {
                    for point in 0..30 {
                        let taps = [point / 15, point / 5 % 3, point % 5];
                        if (0..3).all(|axis: usize| terms.taps[axis].contains(taps[axis])) {
                            seen.push((c, point));
                            numbers.push(terms.number(c, taps));
                        }
                    }
                }
                numbers.sort_unstable();
                assert!(numbers.len() <= limit && numbers.iter().copied().eq(0..numbers.len()));
                assert_eq!((terms.first, terms.last), (seen.len() == numbers.len(), seen.len() == 180));
            });
            seen.sort_unstable();
            seen.dedup();
            assert_eq!(seen.len(), 180, "limit {limit}");
        }
    }
}
