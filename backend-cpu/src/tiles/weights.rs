//! Backward-weights: the tiles of the gradient are kernels of those of the input, and the products of all tiles are
//! summed before they become weights.
//!
//! Where the sums of all weights fit the second-level cache each thread keeps its own, for its share of the groups;
//! else the points of all tiles are made first, and tasks are points.

use conv_core::{ConvProblem, Cost, Machine, Pass, Unsupported};
use fft_core::deinterleave;

use super::grid::{Correlation, Grid, Group};
use super::{LANES, Spectrum, Transform, element_blocks, transformed};
use crate::blocking::{Blocking, Epilogue};
use crate::product::{PANEL, Product, Scalars};
use crate::raw::for_each_part;
use crate::strip::{self, FITS, Source};

/// Input channels whose weights leave the lanes at once.
const CHUNK: usize = 4;

/// The blocking of one problem.
pub(crate) struct Weights<T> {
    problem: ConvProblem,
    grid: Grid,
    kernel: [usize; 3],
    transform: T,
    /// Whether the points of all tiles are made first, for sums that all threads share.
    staged: bool,
    threads: usize,
}

impl<T: Transform> Weights<T> {
    /// # Errors
    /// A refusal where the points do not fit any memory.
    pub(super) fn new(
        machine: &Machine,
        problem: &ConvProblem,
        sizes: Correlation,
        transform: T,
    ) -> Result<Weights<T>, Unsupported> {
        let threads = machine.threads.max(1);
        let element = transform.kind().element();
        let blocks = element_blocks(problem.group_in()) + element_blocks(problem.group_out());
        let cached = machine.caches[1] / size_of::<f32>();
        let of_tile = transform.points() * element * blocks;
        let fewest = transform.kind().fewest();
        let grid_of = |most: usize| {
            let steps = (sizes.tile, sizes.kernel);
            Grid::new(problem, Pass::BackwardWeights, steps, (fewest..=most, threads))
        };
        let grid = grid_of(cached / 2 / of_tile);
        let weights =
            Weights { problem: *problem, grid, kernel: sizes.targets(), transform, staged: false, threads };
        let large = || Unsupported::Geometry("its transformed tiles are larger than any memory".into());
        weights.checked().ok_or_else(large)?;
        let private = weights.sums().len() <= cached && grid.group_count() >= threads;
        Ok(if private { weights } else { Weights { grid: grid_of(usize::MAX), staged: true, ..weights } })
    }

    /// Whether lengths stay far below the address space.
    fn checked(&self) -> Option<()> {
        let points = self.transform.points().checked_mul(2 * LANES)?;
        let [cout, cin] = [self.problem.group_out() + LANES, self.problem.group_in() + LANES];
        let sums = points.checked_mul(cout.checked_mul(cin)?)?;
        let tiles =
            points.checked_mul(self.grid.tiles().checked_add(LANES)?)?.checked_mul(cin.checked_add(cout)?)?;
        (sums.checked_add(tiles)? < 1 << 40).then_some(())
    }

    /// Points of a group of tiles of the input: `[point][tile][input channel]`.
    fn tiles(&self) -> Spectrum {
        self.spectrum(self.problem.group_in())
    }

    /// Points of a group of tiles of the gradient: `[point][tile][output channel]`.
    fn gradients(&self) -> Spectrum {
        self.spectrum(self.problem.group_out())
    }

    fn spectrum(&self, channels: usize) -> Spectrum {
        Spectrum::in_panels(
            self.transform.kind(),
            self.transform.points(),
            self.grid.group_len(),
            self.row_len(channels),
        )
    }

    /// Points of the weights: `[point][input channel][output channel]`.
    fn sums(&self) -> Spectrum {
        let (rows, len) = (self.problem.group_in(), self.row_len(self.problem.group_out()));
        Spectrum::in_rows(self.transform.kind(), self.transform.points(), rows, len)
    }

    fn row_len(&self, channels: usize) -> usize {
        element_blocks(channels) * self.transform.kind().element()
    }

    /// Sums of the same points.
    fn parts(&self) -> usize {
        if self.staged { 1 } else { self.threads }
    }

    /// Points of the tiles of all groups, and of sums.
    fn kept_lens(&self) -> [usize; 2] {
        let groups = if self.staged { self.grid.group_count() } else { 0 };
        [groups * self.group_len(), self.parts() * self.sums().len()]
    }

    fn group_len(&self) -> usize {
        self.tiles().len() + self.gradients().len()
    }

    /// Values of what a task copies into lanes.
    fn strip_len(&self) -> usize {
        let [a, b, _] = self.grid.tile;
        let columns = strip::width(self.grid.columns());
        let weights = CHUNK * self.kernel.iter().product::<usize>() + self.transform.points() * 2;
        (a * b * columns).max(weights) * LANES
    }

    fn scratch_len(&self) -> usize {
        let private = if self.staged { 0 } else { self.group_len() };
        private + self.strip_len() + self.transform.scratch_len()
    }
}

impl<T: Transform> Blocking for Weights<T> {
    /// Values of kept points and of every thread's scratch.
    fn workspace_len(&self) -> usize {
        self.kept_lens().iter().sum::<usize>() + self.threads * self.scratch_len()
    }

    /// What the pass takes: transforms of whole blocks of channels, products of whole blocks of output channels; every
    /// value copied to and from lanes; the tensors, the sums, and points that leave the cache.
    fn cost(&self) -> Cost {
        let (cin, cout) = (self.problem.group_in(), self.problem.group_out());
        let lanes = |channels: usize| (element_blocks(channels) * LANES) as f64;
        let [data, kernel, target] = self.transform.flops().map(|flops| flops as f64);
        let (tiles, groups) = (self.grid.tiles() as f64, self.problem.groups() as f64);
        let transforms =
            tiles * (lanes(cin) * data + lanes(cout) * kernel) + lanes(cout) * cin as f64 * target;
        let products =
            self.transform.kind().flops() * tiles * lanes(cout) * cin as f64 * self.transform.points() as f64;
        let values = |sizes: [usize; 3]| sizes.iter().product::<usize>() as f64;
        let copies = tiles * (lanes(cin) * values(self.grid.tile) + lanes(cout) * values(self.grid.step));
        let tensors =
            Pass::BackwardWeights.roles().map(|role| self.problem.len(role) as f64).iter().sum::<f64>();
        let [kept, sums] = self.kept_lens().map(|len| len as f64);
        let tasks = if self.staged { self.transform.points() } else { self.parts() };
        let cost = Cost {
            transform_flops: transforms * groups,
            product_flops: products * groups,
            moves: copies * groups,
            bytes: 4.0 * (tensors + 2.0 * (kept + sums) * groups),
            launches: 3.0 * groups,
            ..Cost::default()
        };
        cost.in_tasks(tasks, self.threads)
    }

    /// Computes the pass.
    fn run(&self, [input, gradient]: [&[f32]; 2], out: &mut [f32], _: Epilogue<'_>, workspace: &mut [f32]) {
        let [kept, sums] = self.kept_lens();
        let (kept, rest) = workspace.split_at_mut(kept);
        let (sums, scratch) = rest.split_at_mut(sums);
        let groups = self.grid.groups();
        for group in 0..self.problem.groups() {
            let task = Task { weights: self, group, input, gradient, groups: &groups };
            match self.staged {
                true => task.by_points(sums, kept, scratch),
                false => task.by_groups(sums, scratch),
            }
            task.targets(sums, out, scratch);
        }
    }
}

/// The work on one group of channels.
struct Task<'a, T> {
    weights: &'a Weights<T>,
    group: usize,
    input: &'a [f32],
    gradient: &'a [f32],
    groups: &'a [Group],
}

/// Copies of values in lanes, and what transforms need.
struct Strips<'a> {
    strip: &'a mut [f32],
    scratch: &'a mut [f32],
}

impl<T: Transform> Task<'_, T> {
    /// Every thread sums its share of the groups.
    fn by_groups(&self, sums: &mut [f32], scratch: &mut [f32]) {
        let Weights { transform, .. } = self.weights;
        let parts = self.weights.parts();
        let (len, count) = (self.weights.sums().len(), self.groups.len());
        let range = |part| part * len..(part + 1) * len;
        let scratch = (scratch, self.weights.scratch_len());
        for_each_part(sums, parts, range, scratch, |part, sums, scratch| {
            let (points, mut strips) = self.strips(scratch);
            let share = part * count / parts..(part + 1) * count / parts;
            for number in share.clone() {
                self.points(number, points, &mut strips);
                for point in 0..transform.points() {
                    let sums = self.weights.sums().point_mut(sums, point);
                    self.multiply(number, point, points, sums, number > share.start);
                }
            }
        });
    }

    /// The points of all groups, then point after point.
    fn by_points(&self, sums: &mut [f32], kept: &mut [f32], scratch: &mut [f32]) {
        let (len, scratch_len) = (self.weights.group_len(), self.weights.scratch_len());
        for_each_part(
            kept,
            self.groups.len(),
            |number| number * len..(number + 1) * len,
            (scratch, scratch_len),
            |number, points, scratch| self.points(number, points, &mut self.strips(scratch).1),
        );
        let (kept, apart) = (&*kept, self.weights.sums().apart());
        let range = |point| point * apart..(point + 1) * apart;
        for_each_part(sums, self.weights.transform.points(), range, (&mut [], 0), |point, sums, _| {
            for (number, points) in kept.chunks_exact(len).enumerate() {
                self.multiply(number, point, points, sums, number > 0);
            }
        });
    }

    /// A task's private points and its strips.
    fn strips<'s>(&self, scratch: &'s mut [f32]) -> (&'s mut [f32], Strips<'s>) {
        let (rest, scratch) = scratch.split_at_mut(scratch.len() - self.weights.transform.scratch_len());
        let (private, strip) = rest.split_at_mut(rest.len() - self.weights.strip_len());
        (private, Strips { strip, scratch })
    }

    /// The points of a group's tiles, of the input and then of the gradient.
    fn points(&self, number: usize, to: &mut [f32], strips: &mut Strips<'_>) {
        let Weights { grid, transform, problem, .. } = self.weights;
        let (input, gradient) = to.split_at_mut(self.weights.tiles().len());
        let flops = transform.flops();
        let side = Side { tensor: self.input, shape: grid.data, tile: grid.tile, low: grid.low };
        self.side(number, side, (problem.group_in(), input), strips, |from, steps, to, apart, scratch| {
            transformed(flops[0]);
            transform.data(from, steps, to, apart, scratch);
        });
        let side = Side { tensor: self.gradient, shape: grid.domain, tile: grid.step, low: [0; 3] };
        self.side(
            number,
            side,
            (problem.group_out(), gradient),
            strips,
            |from, steps, to, apart, scratch| {
                transformed(flops[1]);
                transform.kernel(from, steps, to, apart, scratch);
            },
        );
    }

    /// The points of one factor.
    fn side(
        &self,
        number: usize,
        side: Side<'_>,
        (channels, to): (usize, &mut [f32]),
        strips: &mut Strips<'_>,
        transform: impl Fn(&[f32], [usize; 2], &mut [f32], usize, &mut [f32]),
    ) {
        let (grid, spectrum) = (&self.weights.grid, self.weights.spectrum(channels));
        let element = self.weights.transform.kind().element();
        let points: usize = side.shape.iter().product();
        for (block, first) in (0..channels).step_by(LANES).enumerate() {
            for run in self.groups[number].runs() {
                let map = (run.image * self.weights.problem.groups() + self.group) * channels + first;
                let maps = LANES.min(channels - first);
                let source = Source { tensor: side.tensor, first: map * points, maps, shape: side.shape };
                let tiles = [run.at[0], run.at[1], run.columns.start];
                let origin =
                    std::array::from_fn(|axis| (tiles[axis] * grid.step[axis]) as isize - side.low[axis]);
                let lens =
                    [side.tile[0], side.tile[1], (run.columns.len() - 1) * grid.step[2] + side.tile[2]];
                source.load(origin, lens, strips.strip);
                let row = strip::width(lens[2]) * LANES;
                for i in 0..run.columns.len() {
                    let from = &strips.strip[i * grid.step[2] * LANES..];
                    let at = spectrum.place(run.first + i, block * element);
                    transform(from, [lens[1] * row, row], &mut to[at..], spectrum.apart(), strips.scratch);
                }
            }
        }
    }

    /// The products of a group's tiles at one point.
    fn multiply(&self, number: usize, point: usize, points: &[f32], sums: &mut [f32], add: bool) {
        let Weights { problem, transform, .. } = self.weights;
        let (tiles, gradients) = (self.weights.tiles(), self.weights.gradients());
        let (input, gradient) = points.split_at(tiles.len());
        let terms = self.groups[number].len();
        let (kind, apart) = (transform.kind(), self.weights.sums().row);
        let (cin, blocks) = (problem.group_in(), element_blocks(problem.group_out()));
        let width = PANEL / kind.element();
        for panel in 0..gradients.panels {
            let right = gradients.panel(gradient, point, panel);
            for (number, rows) in (0..cin).step_by(width * LANES).enumerate() {
                let left = Scalars::Terms(tiles.panel(input, point, number));
                let sizes = [(width * LANES).min(cin - rows), width.min(blocks - panel * width), terms];
                let out = (&mut sums[rows * apart + panel * PANEL..], apart);
                Product { kind, sizes, left, right, out, add }.run();
            }
        }
    }

    /// The weights from the sums of all parts.
    fn targets(&self, sums: &[f32], out: &mut [f32], scratch: &mut [f32]) {
        let Weights { problem, transform, kernel, .. } = self.weights;
        let (cin, cout) = (problem.group_in(), problem.group_out());
        let values: usize = kernel.iter().product();
        let map = |channel: usize| (self.group * cout + channel.min(cout)) * cin * values;
        let range = |block: usize| map(block * LANES)..map((block + 1) * LANES);
        let scratch = (scratch, self.weights.scratch_len());
        let out = &mut out[..];
        for_each_part(out, element_blocks(cout), range, scratch, |block, weights, scratch| {
            let lanes = LANES.min(cout - block * LANES);
            let Strips { strip, scratch, .. } = self.strips(scratch).1;
            let (strip, points) = strip.split_at_mut(CHUNK * values * LANES);
            for first in (0..cin).step_by(CHUNK) {
                let count = CHUNK.min(cin - first);
                let strip = &mut strip[..count * values * LANES];
                for (i, to) in strip.chunks_exact_mut(values * LANES).enumerate() {
                    self.sum(sums, [first + i, block], points);
                    transformed(transform.flops()[2]);
                    let steps = [kernel[1] * kernel[2] * LANES, kernel[2] * LANES];
                    transform.target(points, transform.kind().element(), to, steps, scratch);
                }
                let mut rows: [&mut [f32]; LANES] = Default::default();
                for (row, map) in rows.iter_mut().zip(weights.chunks_exact_mut(cin * values)) {
                    *row = &mut map[first * values..][..count * values];
                }
                deinterleave(strip, &mut rows[..lanes]).expect(FITS);
            }
        });
    }

    /// The points of one input channel and a block of output channels, summed over the parts.
    fn sum(&self, sums: &[f32], [channel, block]: [usize; 2], to: &mut [f32]) {
        let (spectrum, element) = (self.weights.sums(), self.weights.transform.kind().element());
        let at = channel * spectrum.row + block * element;
        for (point, to) in to.chunks_exact_mut(element).enumerate().take(spectrum.points) {
            for (part, sums) in sums.chunks_exact(spectrum.len()).enumerate() {
                let from = &spectrum.point(sums, point)[at..][..element];
                match part {
                    0 => to.copy_from_slice(from),
                    _ => to.iter_mut().zip(from).for_each(|(to, from)| *to += from),
                }
            }
        }
    }
}

/// One factor: its tensor, its maps, and the tiles cut from them.
struct Side<'a> {
    tensor: &'a [f32],
    shape: [usize; 3],
    tile: [usize; 3],
    low: [isize; 3],
}
