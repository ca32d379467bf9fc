//! How transforms that no block can hold go through device memory in passes, each some steps of all lines of an axis:
//! mirrors `Lines` of `kernels/passes.cu`.

use super::THREADS;
use super::steps::{Step, flops_of, radices, steps};
use super::transform::Maps;
use crate::geometry::Divisor;
use crate::raw::Launch;

/// Steps of a pass, and points of its lines, at most.
const MOST_STEPS: usize = 8;
const MOST_POINTS: usize = 512;

/// Complex points that a block holds, and lines, at most.
const BLOCK_POINTS: usize = 4096;
const MOST_LINES: usize = 256;

/// Complex points of all volumes that are held at once, at most: indices are 32 bits wide.
pub(super) const MOST_VOLUME: usize = 1 << 28;

/// Some steps of the lines of an axis.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lines {
    points: Divisor<i32>,
    apart: Divisor<i32>,
    lines: Divisor<i32>,
    inner: Divisor<i32>,
    columns: i32,
    pitch: i32,
    steps: i32,
    step: [Step; MOST_STEPS],
}

impl Lines {
    /// Steps of these radices on lines of `length` points, the part of axes of `whole` points that earlier steps left,
    /// which are `inner` apart.
    fn new(radices: &[usize], whole: usize, length: usize, inner: usize) -> Self {
        let points: usize = radices.iter().product();
        let columns = length / points;
        let lines = (BLOCK_POINTS / points).min(MOST_LINES);
        Lines {
            points: Divisor::new(points),
            apart: Divisor::new(columns * inner),
            lines: Divisor::new(lines),
            inner: Divisor::new(inner),
            columns: columns as i32,
            pitch: (lines | 1) as i32,
            steps: radices.len() as i32,
            step: steps(radices, whole, length, columns),
        }
    }

    /// The launch that takes all lines of so many points, and how many lines these are.
    pub(super) fn launch(&self, points: usize) -> (Launch, i32) {
        let count = points / self.points.value() as usize;
        let blocks = count.div_ceil(self.lines.value() as usize) as u64;
        (Launch { blocks, threads: THREADS, shared: self.shared() }, count as i32)
    }

    fn shared(&self) -> u32 {
        self.points.value() as u32 * self.pitch as u32 * size_of::<[f32; 2]>() as u32
    }
}

/// A pass: along which axis, what it does, and how many operations that is for a line.
#[derive(Clone, Copy, Debug)]
pub(super) struct AxisPass {
    pub(super) axis: usize,
    pub(super) lines: Lines,
    flops: usize,
}

/// How volumes of one shape are transformed: the last axis first, each in one or more passes.
#[derive(Clone, Debug)]
pub(crate) struct Passes {
    /// Complex points of a volume.
    pub(super) volume: usize,
    /// Pairs of maps whose volumes are held at once.
    pairs: usize,
    pub(super) all: Vec<AxisPass>,
}

impl Passes {
    /// Passes over as many volumes as `cache` bytes hold, at most `most`; `None` for volumes that are too large.
    pub(super) fn new(shape: [usize; 3], cache: usize, most: usize) -> Option<Self> {
        let volume = shape.iter().try_fold(1usize, |all, n| all.checked_mul(*n));
        let volume = volume.filter(|volume| *volume < MOST_VOLUME)?;
        let fit = (cache / size_of::<[f32; 2]>()).min(MOST_VOLUME) / volume;
        let all = [2, 1, 0].into_iter().flat_map(|axis| of_axis(shape, axis));
        Some(Passes { volume, pairs: fit.min(most).max(1), all: all.collect() })
    }

    /// Values of the volumes.
    pub(super) fn len(&self) -> usize {
        self.pairs * self.volume * 2
    }

    /// Launches of a transform of so many pairs.
    pub(super) fn launches(&self, pairs: usize) -> usize {
        pairs.div_ceil(self.pairs) * (self.all.len() + 2)
    }

    /// Operations on the lines of so many pairs, those that fill the last block included.
    pub(super) fn flops(&self, pairs: usize) -> f64 {
        let of_turn = |pairs: usize| -> f64 {
            let of = |pass: &AxisPass| {
                let [points, each] = [pass.lines.points, pass.lines.lines].map(|n| n.value() as usize);
                (pairs * self.volume / points).next_multiple_of(each) as f64 * pass.flops as f64
            };
            self.all.iter().map(of).sum()
        };
        (pairs / self.pairs) as f64 * of_turn(self.pairs) + of_turn(pairs % self.pairs)
    }

    /// Bytes that a transform of a pair reads and writes in its volume.
    pub(super) fn bytes(&self) -> f64 {
        16.0 * self.volume as f64 * (self.all.len() + 1) as f64
    }

    /// Pairs of maps in turns, as a first one and a count.
    pub(super) fn turns(&self, maps: &Maps) -> impl Iterator<Item = (usize, usize)> {
        let (all, each) = ((maps.count as usize).div_ceil(2), self.pairs);
        (0..all).step_by(each).map(move |first| (first, each.min(all - first)))
    }
}

/// The passes along an axis of volumes of this shape.
fn of_axis(shape: [usize; 3], axis: usize) -> Vec<AxisPass> {
    let (n, inner) = (shape[axis], shape[axis + 1..].iter().product());
    let (mut passes, mut length) = (Vec::new(), n);
    let all = radices(n).unwrap_or_default();
    let mut rest = &all[..];
    while !rest.is_empty() {
        let mut points = 1;
        let fits = |radix: &&usize| {
            points *= **radix;
            points <= MOST_POINTS
        };
        let steps = rest.iter().take(MOST_STEPS).take_while(fits).count();
        let (now, later) = rest.split_at(steps);
        passes.push(AxisPass { axis, lines: Lines::new(now, n, length, inner), flops: flops_of(now) });
        length /= now.iter().product::<usize>();
        rest = later;
    }
    passes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_do_all_steps_of_an_axis() {
        for n in [512, 513, 1000, 1 << 17, 177_147, 1_058_400] {
            let n = fft_core::good_length(n).unwrap();
            let passes = of_axis([1, n, 3], 1);
            let points: Vec<usize> = passes.iter().map(|pass| pass.lines.points.value() as usize).collect();
            assert_eq!(points.iter().product::<usize>(), n);
            assert!(points.iter().all(|points| *points <= MOST_POINTS), "{n}: {points:?}");
            assert_eq!(passes.last().map(|pass| pass.lines.apart.value()), Some(3), "{n}");
            assert!(passes.iter().all(|pass| pass.lines.shared() <= 48 << 10), "{n}");
        }
    }

    #[test]
    fn volumes_are_held_as_the_cache_allows() {
        let pairs = |cache: usize, most| Passes::new([1, 512, 512], cache, most).unwrap().pairs;
        assert_eq!((pairs(8 << 20, 100), pairs(8 << 20, 3), pairs(1 << 10, 100)), (4, 3, 1));
        assert!(Passes::new([1 << 10, 1 << 10, 1 << 10], 1 << 30, 1).is_none());
    }
}
