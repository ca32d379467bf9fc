//! Forward and backward-input: every tile is multiplied with the weights of all its channels.
//!
//! The points of one factor are made first and *kept*: of the weights, and tasks are groups of tiles; or, where the
//! weights are heavier than the tiles, of the tiles, and tasks are panels of made channels. The other factor's points
//! live in the task's cache, and so do the products of one group and one panel, which become targets at once.

use std::ops::Range;

use conv_core::{ConvProblem, Cost, Machine, Pass, Unsupported};
use fft_core::interleave;

use super::grid::{Correlation, Grid, Group};
use super::{LANES, Spectrum, Transform, element_blocks, transformed};
use crate::blocking::{Blocking, Epilogue};
use crate::epilogue;
use crate::product::{PANEL, Product, Scalars};
use crate::raw::{Block, for_each_block, for_each_part};
use crate::strip::{self, FITS, Source};

/// Input channels whose weights are turned into lanes at once.
const CHUNK: usize = 4;

/// How long a byte from the third-level cache takes, in bytes from memory.
const CACHED: f64 = 0.2;

/// Which factor's points are made once, for all tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    Weights,
    Tiles,
}

/// The blocking of one problem and pass.
pub(crate) struct Maps<T> {
    problem: ConvProblem,
    pass: Pass,
    grid: Grid,
    kernel: [usize; 3],
    transform: T,
    kept: Kept,
    /// Blocks of made channels of a panel.
    panel: usize,
    threads: usize,
    /// Half of the bytes of the third-level cache.
    cached: f64,
}

impl<T: Transform> Maps<T> {
    /// # Errors
    /// A refusal where the points do not fit any memory.
    pub(super) fn new(
        machine: &Machine,
        problem: &ConvProblem,
        pass: Pass,
        sizes: Correlation,
        transform: T,
    ) -> Result<Maps<T>, Unsupported> {
        let threads = machine.threads.max(1);
        let summed = channels(problem, pass)[1];
        let element = transform.kind().element();
        let panel = PANEL / element;
        let grid = |kept: Kept| {
            let blocks = if kept == Kept::Weights { element_blocks(summed) + panel } else { panel };
            let of_tile = transform.points() * element * blocks;
            let most = machine.caches[1] * 3 / 2 / size_of::<f32>() / of_tile;
            let tiles = transform.kind().fewest()..=most;
            Grid::new(problem, pass, (sizes.tile, sizes.targets()), (tiles, threads))
        };
        let [grid, of_kept_tiles] = [Kept::Weights, Kept::Tiles].map(grid);
        let maps = Maps {
            problem: *problem,
            pass,
            grid,
            kernel: sizes.kernel,
            transform,
            kept: Kept::Weights,
            panel,
            threads,
            cached: machine.caches[2] as f64 / 2.0,
        };
        let large = || Unsupported::Geometry("its transformed tiles are larger than any memory".into());
        maps.checked().ok_or_else(large)?;
        let least = maps.bytes();
        let other = Maps { kept: Kept::Tiles, grid: of_kept_tiles, ..maps };
        Ok(if other.bytes() < least { other } else { Maps { kept: Kept::Weights, grid, ..other } })
    }

    /// Whether lengths stay far below the address space.
    fn checked(&self) -> Option<()> {
        let [made, summed] = self.channels();
        let points = self.transform.points().checked_mul(2 * LANES)?;
        let weights =
            points.checked_mul(made.checked_add(LANES)?)?.checked_mul(summed.checked_add(LANES)?)?;
        let tiles = points.checked_mul(self.grid.tiles().checked_add(LANES)?)?.checked_mul(summed + LANES)?;
        (weights.checked_add(tiles)? < 1 << 40).then_some(())
    }

    /// Made and summed channels of a group.
    fn channels(&self) -> [usize; 2] {
        channels(&self.problem, self.pass)
    }

    /// Bytes from and to memory besides the tensors, or from the third-level cache where the kept points fit half of it:
    /// they are written once and read by every task.
    fn bytes(&self) -> f64 {
        let groups = self.grid.group_count() as f64;
        let weights = 4.0 * self.panels() as f64 * self.weights().len() as f64;
        let tiles = 4.0 * groups * self.tiles().len() as f64;
        let (kept, tasks) = match self.kept {
            Kept::Weights => (weights, groups),
            Kept::Tiles => (tiles, self.panels() as f64),
        };
        kept * (1.0 + tasks * if kept < self.cached { CACHED } else { 1.0 })
    }

    fn panels(&self) -> usize {
        element_blocks(self.channels()[0]).div_ceil(self.panel)
    }

    /// Blocks of made channels in a panel.
    fn elements(&self, panel: usize) -> usize {
        self.panel.min(element_blocks(self.channels()[0]) - panel * self.panel)
    }

    /// Points of a group of tiles: `[point][tile][summed channel]`.
    fn tiles(&self) -> Spectrum {
        let len = element_blocks(self.channels()[1]) * self.transform.kind().element();
        Spectrum::in_rows(self.transform.points(), self.grid.group_len(), len)
    }

    /// Points of a panel of weights: `[point][summed channel][made channel]`.
    fn weights(&self) -> Spectrum {
        Spectrum::in_panels(self.transform.points(), self.channels()[1], PANEL)
    }

    /// Points of the products of a group and a panel: `[point][tile][made channel]`.
    fn products(&self) -> Spectrum {
        Spectrum::in_panels(self.transform.points(), self.grid.group_len(), PANEL)
    }

    /// Values of what a task copies into lanes.
    fn strip_len(&self) -> usize {
        let [a, b, _] = self.grid.tile;
        let [c, d, _] = self.grid.step;
        let (data, domain) = (strip::width(self.grid.columns()), strip::width(self.grid.domain_columns()));
        let weights = CHUNK * self.kernel.iter().product::<usize>() * LANES;
        (a * b * data * LANES).max(c * d * domain * LANES).max(weights)
    }

    fn kept_len(&self) -> usize {
        match self.kept {
            Kept::Weights => self.panels() * self.weights().len(),
            Kept::Tiles => self.grid.group_count() * self.tiles().len(),
        }
    }

    fn scratch_len(&self) -> usize {
        let private = match self.kept {
            Kept::Weights => self.tiles().len(),
            Kept::Tiles => self.weights().len(),
        };
        private + self.products().len() + self.strip_len() + self.transform.scratch_len()
    }
}

impl<T: Transform> Blocking for Maps<T> {
    /// Values of the kept points, then of every thread's scratch.
    fn workspace_len(&self) -> usize {
        self.kept_len() + self.threads * self.scratch_len()
    }

    /// What the pass takes: transforms of whole blocks of channels, products of whole blocks of made channels; every
    /// value copied to and from lanes; the tensors and what [`Maps::bytes`] says.
    fn cost(&self) -> Cost {
        let [made, summed] = self.channels();
        let lanes = |channels: usize| (element_blocks(channels) * LANES) as f64;
        let [data, kernel, target] = self.transform.flops().map(|flops| flops as f64);
        let (tiles, groups) = (self.grid.tiles() as f64, self.problem.groups() as f64);
        let transforms =
            tiles * (lanes(summed) * data + lanes(made) * target) + lanes(made) * summed as f64 * kernel;
        let products = self.transform.kind().flops()
            * tiles
            * lanes(made)
            * summed as f64
            * self.transform.points() as f64;
        let values = |sizes: [usize; 3]| sizes.iter().product::<usize>() as f64;
        let copies = tiles * (lanes(summed) * values(self.grid.tile) + lanes(made) * values(self.grid.step));
        let tensors = self.pass.roles().map(|role| self.problem.len(role) as f64).iter().sum::<f64>();
        let tasks = match self.kept {
            Kept::Weights => self.grid.group_count(),
            Kept::Tiles => self.panels(),
        };
        let cost = Cost {
            transform_flops: transforms * groups,
            product_flops: products * groups,
            moves: copies * groups,
            bytes: 4.0 * tensors + self.bytes() * groups,
            launches: 2.0 * groups,
            ..Cost::default()
        };
        cost.in_tasks(tasks, self.threads)
    }

    /// Computes the pass.
    fn run(
        &self,
        [source, weight]: [&[f32]; 2],
        out: &mut [f32],
        epilogue: Epilogue<'_>,
        workspace: &mut [f32],
    ) {
        let (kept, scratch) = workspace.split_at_mut(self.kept_len());
        for group in 0..self.problem.groups() {
            let task = Task { maps: self, group, source, weight, epilogue };
            match self.kept {
                Kept::Weights => task.keep_weights(out, kept, scratch),
                Kept::Tiles => task.keep_tiles(out, kept, scratch),
            }
        }
    }
}

/// Made and summed channels of a group.
fn channels(problem: &ConvProblem, pass: Pass) -> [usize; 2] {
    let (group_in, group_out) = (problem.group_in(), problem.group_out());
    if pass == Pass::Forward { [group_out, group_in] } else { [group_in, group_out] }
}

/// The work on one group of channels.
struct Task<'a, T> {
    maps: &'a Maps<T>,
    group: usize,
    source: &'a [f32],
    weight: &'a [f32],
    epilogue: (Option<&'a [f32]>, bool),
}

/// Copies of values in lanes, and what transforms need.
struct Strips<'a> {
    strip: &'a mut [f32],
    scratch: &'a mut [f32],
}

impl<T: Transform> Task<'_, T> {
    /// Points of all weights, then group after group of tiles.
    fn keep_weights(&self, out: &mut [f32], kept: &mut [f32], scratch: &mut [f32]) {
        let (maps, len) = (self.maps, self.maps.weights().len());
        let scratch_len = maps.scratch_len();
        for_each_part(
            kept,
            maps.panels(),
            |panel| panel * len..(panel + 1) * len,
            (&mut *scratch, scratch_len),
            |panel, weights, scratch| self.weights(panel, weights, &mut self.strips(scratch).1),
        );
        let (kept, groups) = (&*kept, maps.grid.groups());
        let parts = self.parts(maps.grid.parts(), vec![self.made(0..maps.channels()[0])]);
        for_each_block(out, self.shape(), &parts, (scratch, scratch_len), |index, mut block, scratch| {
            let (private, mut strips) = self.strips(scratch);
            let (tiles, products) = private.split_at_mut(maps.tiles().len());
            self.tiles(&groups[index], tiles, &mut strips);
            for (panel, weights) in kept.chunks_exact(len).enumerate() {
                self.finish((&groups[index], panel), [tiles, weights], products, &mut block, &mut strips);
            }
        });
    }

    /// Points of all tiles, then panel after panel of made channels.
    fn keep_tiles(&self, out: &mut [f32], kept: &mut [f32], scratch: &mut [f32]) {
        let (maps, len) = (self.maps, self.maps.tiles().len());
        let (scratch_len, groups) = (maps.scratch_len(), maps.grid.groups());
        for_each_part(
            kept,
            groups.len(),
            |group| group * len..(group + 1) * len,
            (&mut *scratch, scratch_len),
            |group, tiles, scratch| self.tiles(&groups[group], tiles, &mut self.strips(scratch).1),
        );
        let (kept, made) = (&*kept, maps.channels()[0]);
        let width = maps.panel * LANES;
        let panels =
            (0..maps.panels()).map(|panel| self.made(panel * width..((panel + 1) * width).min(made)));
        let whole = |count: usize| std::iter::once(0..count).collect::<Vec<_>>();
        let counts = maps.grid.tile_counts().map(whole);
        let parts = self.parts(counts, panels.collect());
        for_each_block(out, self.shape(), &parts, (scratch, scratch_len), |panel, mut block, scratch| {
            let (private, mut strips) = self.strips(scratch);
            let (weights, products) = private.split_at_mut(maps.weights().len());
            self.weights(panel, weights, &mut strips);
            for (group, tiles) in groups.iter().zip(kept.chunks_exact(len)) {
                self.finish((group, panel), [tiles, weights], products, &mut block, &mut strips);
            }
        });
    }

    /// The product tensor.
    fn shape(&self) -> [usize; 5] {
        let ([made, _], [a, b, c]) = (self.maps.channels(), self.maps.grid.domain);
        [self.maps.problem.batch(), made * self.maps.problem.groups(), a, b, c]
    }

    /// Made channels of this group as channels of the tensor.
    fn made(&self, channels: Range<usize>) -> Range<usize> {
        let first = self.group * self.maps.channels()[0];
        first + channels.start..first + channels.end
    }

    /// Ranges of the product tensor from ranges of images and tiles.
    fn parts(&self, tiles: [Vec<Range<usize>>; 4], channels: Vec<Range<usize>>) -> [Vec<Range<usize>>; 5] {
        let [images, slices, rows, columns] = tiles;
        let points = |axis: usize, tiles: Vec<Range<usize>>| {
            tiles.iter().map(|tiles| self.maps.grid.points(axis, tiles)).collect()
        };
        [images, channels, points(0, slices), points(1, rows), points(2, columns)]
    }

    /// A task's private points and products, and its strips.
    fn strips<'s>(&self, scratch: &'s mut [f32]) -> (&'s mut [f32], Strips<'s>) {
        let (rest, scratch) = scratch.split_at_mut(scratch.len() - self.maps.transform.scratch_len());
        let (private, strip) = rest.split_at_mut(rest.len() - self.maps.strip_len());
        (private, Strips { strip, scratch })
    }

    /// The points of a group of tiles.
    fn tiles(&self, group: &Group, to: &mut [f32], strips: &mut Strips<'_>) {
        let Maps { grid, transform, .. } = self.maps;
        let (summed, spectrum) = (self.maps.channels()[1], self.maps.tiles());
        let channels = summed * self.maps.problem.groups();
        let points: usize = grid.data.iter().product();
        for (block, first) in (0..summed).step_by(LANES).enumerate() {
            for run in group.runs() {
                let map = run.image * channels + self.group * summed + first;
                let source = Source {
                    tensor: self.source,
                    first: map * points,
                    maps: LANES.min(summed - first),
                    shape: grid.data,
                };
                let lens =
                    [grid.tile[0], grid.tile[1], (run.columns.len() - 1) * grid.step[2] + grid.tile[2]];
                source.load(grid.origin(&run), lens, strips.strip);
                let row = strip::width(lens[2]) * LANES;
                for i in 0..run.columns.len() {
                    let from = &strips.strip[i * grid.step[2] * LANES..];
                    let at = (run.first + i) * spectrum.row + block * transform.kind().element();
                    transformed(transform.flops()[0]);
                    transform.data(
                        from,
                        [lens[1] * row, row],
                        &mut to[at..],
                        spectrum.apart(),
                        strips.scratch,
                    );
                }
            }
        }
    }

    /// The points of a panel of weights.
    fn weights(&self, panel: usize, to: &mut [f32], strips: &mut Strips<'_>) {
        let Maps { kernel, transform, pass, panel: blocks, .. } = self.maps;
        let ([made, summed], spectrum) = (self.maps.channels(), self.maps.weights());
        let points: usize = kernel.iter().product();
        let steps = [kernel[1] * kernel[2] * LANES, kernel[2] * LANES];
        let chunk = if *pass == Pass::Forward { CHUNK } else { 1 };
        for block in 0..self.maps.elements(panel) {
            let first = (panel * blocks + block) * LANES;
            let lanes = LANES.min(made - first);
            for from in (0..summed).step_by(chunk) {
                let count = chunk.min(summed - from);
                let mut rows = [&self.weight[..0]; LANES];
                for (lane, row) in rows.iter_mut().enumerate().take(lanes) {
                    let begin = match pass {
                        Pass::Forward => (self.group * made + first + lane) * summed + from,
                        _ => (self.group * summed + from) * made + first + lane,
                    };
                    *row = &self.weight[begin * points..][..count * points];
                }
                let strip = &mut strips.strip[..count * points * LANES];
                interleave(&rows[..lanes], strip).expect(FITS);
                if *pass == Pass::BackwardInput {
                    strip.as_chunks_mut::<LANES>().0.reverse();
                }
                for (i, strip) in strip.chunks_exact(points * LANES).enumerate() {
                    let at = (from + i) * spectrum.row + block * transform.kind().element();
                    transformed(transform.flops()[1]);
                    transform.kernel(strip, steps, &mut to[at..], spectrum.apart(), strips.scratch);
                }
            }
        }
    }

    /// The products of a group and a panel, and their targets.
    fn finish(
        &self,
        (group, panel): (&Group, usize),
        [tiles, weights]: [&[f32]; 2],
        products: &mut [f32],
        out: &mut Block<'_>,
        strips: &mut Strips<'_>,
    ) {
        let Maps { transform, panel: blocks, .. } = self.maps;
        let summed = self.maps.channels()[1];
        let (tiles_at, weights_at, products_at) =
            (self.maps.tiles(), self.maps.weights(), self.maps.products());
        let kind = transform.kind();
        let elements = self.maps.elements(panel);
        for point in 0..transform.points() {
            let left = Scalars::Rows(tiles_at.point(tiles, point), tiles_at.row);
            let right = weights_at.panel(weights, point, 0);
            let out = (products_at.point_mut(products, point), products_at.row);
            let sizes = [group.len(), elements, summed];
            Product { kind, sizes, left, right, out, add: false }.run();
        }
        for element in 0..elements {
            let block = panel * blocks + element;
            let from = &products[element * kind.element()..];
            self.targets(group, block, from, out, strips);
        }
    }

    /// The targets of a block of made channels.
    fn targets(
        &self,
        group: &Group,
        block: usize,
        from: &[f32],
        out: &mut Block<'_>,
        strips: &mut Strips<'_>,
    ) {
        let Maps { grid, transform, .. } = self.maps;
        let (spectrum, step) = (self.maps.products(), grid.step);
        let made = self.maps.channels()[0];
        let first = self.group * made + block * LANES;
        let lanes = LANES.min(made - block * LANES);
        let (bias, relu) = self.epilogue;
        for run in group.runs() {
            let row = strip::width(run.columns.len() * step[2]) * LANES;
            for i in 0..run.columns.len() {
                let (from, to) =
                    (&from[(run.first + i) * spectrum.row..], &mut strips.strip[i * step[2] * LANES..]);
                transformed(transform.flops()[2]);
                transform.target(from, spectrum.apart(), to, [step[1] * row, row], strips.scratch);
            }
            let [slices, rows] = [0, 1].map(|axis| grid.points(axis, &(run.at[axis]..run.at[axis] + 1)));
            let columns = grid.points(2, &run.columns);
            for (z, y) in slices.clone().flat_map(|z| rows.clone().map(move |y| (z, y))) {
                let number = (z - slices.start) * step[1] + y - rows.start;
                let channels = first..first + lanes;
                let mut to: [_; LANES] = out.rows([run.image, z, y], channels.clone(), columns.clone());
                strip::store(&strips.strip[number * row..][..row], &mut to[..lanes]);
                for (row, channel) in to.iter_mut().zip(channels) {
                    epilogue::apply(row, bias.map(|bias| bias[channel]), relu);
                }
            }
        }
    }
}
