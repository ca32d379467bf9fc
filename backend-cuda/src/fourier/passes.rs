//! Transforms that no block can hold, by passes through device memory: mirrors `kernels/passes.cu`.

use conv_core::Result;

use super::THREADS;
use super::transform::{Maps, Step, Transform, flops_of, radices};
use crate::device::{Device, Module};
use crate::geometry::Divisor;
use crate::raw::{Function, Launch, Span};

/// Steps of a pass, and points of its lines, at most.
const MOST_STEPS: usize = 8;
const MOST_POINTS: usize = 512;

/// Complex points that a block holds, and lines, at most.
const BLOCK_POINTS: usize = 4096;
const MOST_LINES: usize = 256;

/// Points that a block gathers or scatters.
const MOVED_POINTS: usize = 4096;

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
        let (mut left, mut step) = (length, [Step::NONE; MOST_STEPS]);
        for (step, radix) in step.iter_mut().zip(radices) {
            *step = Step::new(*radix, whole / left, left / radix / columns);
            left /= radix;
        }
        Lines {
            points: Divisor::new(points),
            apart: Divisor::new(columns * inner),
            lines: Divisor::new(lines),
            inner: Divisor::new(inner),
            columns: columns as i32,
            pitch: (lines | 1) as i32,
            steps: radices.len() as i32,
            step,
        }
    }

    fn shared(&self) -> u32 {
        self.points.value() as u32 * self.pitch as u32 * size_of::<[f32; 2]>() as u32
    }
}

/// A pass: along which axis, what it does, and how many operations that is for a line.
#[derive(Clone, Copy, Debug)]
struct AxisPass {
    axis: usize,
    lines: Lines,
    flops: usize,
}

/// How volumes of one shape are transformed: the last axis first, each in one or more passes.
#[derive(Clone, Debug)]
pub(crate) struct Passes {
    /// Complex points of a volume.
    volume: usize,
    /// Pairs of maps whose volumes are held at once.
    pairs: usize,
    all: Vec<AxisPass>,
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
    fn turns(&self, maps: &Maps) -> impl Iterator<Item = (usize, usize)> {
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

/// The kernels of passes.
pub(super) struct Memory {
    passes: Passes,
    gather: Function,
    scatter: Function,
    forward: Function,
    inverse: Function,
    separate: Function,
    join: Function,
}

/// What all kernels of a transform look up, and where volumes are.
#[derive(Clone, Copy)]
pub(super) struct Tables {
    pub(super) integers: Span,
    pub(super) factors: Span,
    pub(super) volumes: Span,
}

impl Memory {
    pub(super) fn new(device: &Device, passes: Passes) -> Result<Self> {
        let function = |name| device.function(Module::Passes, name);
        Ok(Memory {
            passes,
            gather: function("passes_gather")?,
            scatter: function("passes_scatter")?,
            forward: function("passes_forward")?,
            inverse: function("passes_inverse")?,
            separate: function("passes_separate")?,
            join: function("passes_join")?,
        })
    }

    /// The spectra of a tensor's maps.
    pub(super) fn transform(
        &self,
        device: &Device,
        [tensor, spectra]: [Span; 2],
        tables: Tables,
        transform: &Transform,
        maps: &Maps,
    ) -> Result<()> {
        let Tables { integers, volumes, .. } = tables;
        for (first, pairs) in self.passes.turns(maps) {
            let (number, (launch, blocks)) = (first as i64, self.by_pairs(pairs));
            device.launch(
                &self.gather,
                launch,
                &[&tensor, &volumes, &integers, transform, maps, &number, &blocks],
            )?;
            for pass in &self.passes.all {
                self.pass(device, &self.forward, tables, transform, pass, pairs)?;
            }
            let launch = self.by_points(pairs);
            device.launch(
                &self.separate,
                launch,
                &[&volumes, &spectra, &integers, transform, maps, &number, &(pairs as i32)],
            )?;
        }
        Ok(())
    }

    /// A tensor's elements from its maps' spectra.
    pub(super) fn invert(
        &self,
        device: &Device,
        [spectra, tensor, bias]: [Span; 3],
        relu: i32,
        tables: Tables,
        transform: &Transform,
        maps: &Maps,
    ) -> Result<()> {
        let Tables { integers, volumes, .. } = tables;
        for (first, pairs) in self.passes.turns(maps) {
            let (number, launch) = (first as i64, self.by_points(pairs));
            device.launch(
                &self.join,
                launch,
                &[&volumes, &spectra, &integers, transform, maps, &number, &(pairs as i32)],
            )?;
            for pass in self.passes.all.iter().rev() {
                self.pass(device, &self.inverse, tables, transform, pass, pairs)?;
            }
            let (launch, blocks) = self.by_pairs(pairs);
            device.launch(
                &self.scatter,
                launch,
                &[&volumes, &tensor, &integers, &bias, &relu, transform, maps, &number, &blocks],
            )?;
        }
        Ok(())
    }

    fn pass(
        &self,
        device: &Device,
        function: &Function,
        tables: Tables,
        transform: &Transform,
        pass: &AxisPass,
        pairs: usize,
    ) -> Result<()> {
        let lines = &pass.lines;
        let count = pairs * self.passes.volume / lines.points.value() as usize;
        let blocks = count.div_ceil(lines.lines.value() as usize) as u64;
        let first = 2 * transform.factors(pass.axis);
        let factors = tables.factors.part(first..tables.factors.len());
        let launch = Launch { blocks, threads: THREADS, shared: lines.shared() };
        device.launch(function, launch, &[&tables.volumes, &factors, lines, &(count as i32)])
    }

    /// Some blocks for every pair.
    fn by_pairs(&self, pairs: usize) -> (Launch, i32) {
        let blocks = self.passes.volume.div_ceil(MOVED_POINTS);
        (Launch { blocks: (pairs * blocks) as u64, threads: THREADS, shared: 0 }, blocks as i32)
    }

    /// Blocks that divide the points of all pairs among them.
    fn by_points(&self, pairs: usize) -> Launch {
        let blocks = (pairs * self.passes.volume).div_ceil(MOVED_POINTS) as u64;
        Launch { blocks, threads: THREADS, shared: 0 }
    }
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
