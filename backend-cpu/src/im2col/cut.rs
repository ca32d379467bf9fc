//! How images and targets are cut into boxes, each small enough for the cache.

use std::ops::Range;

/// Targets of a box below which it is not cut for the sake of more tasks.
const SMALLEST: usize = 64;

/// Boxes of images, slices, rows and columns.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    counts: [usize; 4],
    lens: [usize; 4],
}

impl Cut {
    /// Boxes of at most `most` targets, whole rows before slices before images, whose sides are multiples of `steps`;
    /// cut further while there are fewer than `tasks`.
    pub(super) fn new(counts: [usize; 4], steps: [usize; 4], most: usize, tasks: usize) -> Cut {
        let (mut lens, mut left) = ([1; 4], most.max(1));
        for axis in (0..4).rev() {
            lens[axis] = balanced(counts[axis], left, steps[axis]);
            left = if lens[axis] < counts[axis] { 1 } else { (left / counts[axis]).max(1) };
        }
        let mut cut = Cut { counts, lens };
        while cut.len() < tasks && cut.lens.iter().product::<usize>() >= 2 * SMALLEST {
            let halved = |axis: usize| balanced(counts[axis], cut.lens[axis].div_ceil(2), steps[axis]);
            let Some(axis) = (0..4).find(|axis| halved(*axis) < cut.lens[*axis]) else { break };
            cut.lens[axis] = halved(axis);
        }
        cut
    }

    /// The number of boxes.
    pub(super) fn len(&self) -> usize {
        (0..4).map(|axis| self.sides(axis)).fold(1, usize::saturating_mul)
    }

    /// Sides of the largest box.
    pub(super) fn lens(&self) -> [usize; 4] {
        self.lens
    }

    /// The number of sides of an axis.
    fn sides(&self, axis: usize) -> usize {
        self.counts[axis].div_ceil(self.lens[axis])
    }

    /// One side of an axis.
    fn side(&self, axis: usize, number: usize) -> Range<usize> {
        let begin = number * self.lens[axis];
        begin..(begin + self.lens[axis]).min(self.counts[axis])
    }

    /// The sides of an axis.
    pub(super) fn ranges(&self, axis: usize) -> Vec<Range<usize>> {
        (0..self.sides(axis)).map(|number| self.side(axis, number)).collect()
    }

    /// Box number `number`, the last axis first.
    pub(super) fn at(&self, mut number: usize) -> [Range<usize>; 4] {
        let mut ranges = [const { 0..0 }; 4];
        for axis in (0..4).rev() {
            ranges[axis] = self.side(axis, number % self.sides(axis));
            number /= self.sides(axis);
        }
        ranges
    }

    /// One box of every kind, and how often its like occurs: all sides but the last one of an axis are alike.
    pub(super) fn kinds(&self) -> Vec<([Range<usize>; 4], f64)> {
        let mut kinds = vec![([const { 0..0 }; 4], 1.0)];
        for axis in 0..4 {
            let last = self.sides(axis) - 1;
            let of_axis = [(self.side(axis, 0), last as f64), (self.side(axis, last), 1.0)];
            let longer = |(ranges, times): &([Range<usize>; 4], f64)| {
                let (ranges, times) = (ranges.clone(), *times);
                let with = move |(range, more): (Range<usize>, f64)| {
                    let mut ranges = ranges.clone();
                    ranges[axis] = range;
                    (ranges, times * more)
                };
                of_axis.clone().map(with)
            };
            kinds = kinds.iter().flat_map(longer).filter(|(_, times)| *times > 0.0).collect();
        }
        kinds
    }
}

/// The length of nearly equal parts of `count`, multiples of `step`, none longer than `most` where a step is not.
fn balanced(count: usize, most: usize, step: usize) -> usize {
    let (count, most) = (count.div_ceil(step), (most / step).max(1));
    count.div_ceil(count.div_ceil(most)) * step
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_cover_every_target_once() {
        for (counts, steps, most, tasks) in [
            ([3, 1, 14, 14], [1; 4], 256, 1),
            ([2, 5, 9, 31], [1, 1, 2, 3], 40, 8),
            ([7, 1, 1, 5], [1; 4], 1000, 4),
            ([1, 2, 3, 1000], [1, 1, 1, 4], 1, 2),
        ] {
            let cut = Cut::new(counts, steps, most, tasks);
            let boxes: Vec<_> = (0..cut.len()).map(|number| cut.at(number)).collect();
            let size = |ranges: &[Range<usize>; 4]| ranges.iter().map(|range| range.len()).product::<usize>();
            assert_eq!(boxes.iter().map(size).sum::<usize>(), counts.iter().product::<usize>(), "{cut:?}");
            let counted = cut.kinds().iter().map(|(ranges, times)| size(ranges) as f64 * times).sum::<f64>();
            assert_eq!(counted, counts.iter().product::<usize>() as f64, "{cut:?}");
            for (axis, step) in steps.iter().enumerate() {
                assert!(boxes.iter().all(|ranges| ranges[axis].start % step == 0), "{cut:?}");
            }
        }
    }
}
