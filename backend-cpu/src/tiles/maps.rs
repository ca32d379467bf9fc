//! Forward and backward-input: every tile is multiplied with the weights of all its channels.
//!
//! The points of one factor are made first and *kept*: of the weights, and tasks are groups of tiles; or, where the
//! weights are heavier than the tiles, of the tiles, and tasks are panels of made channels. The other factor's points
//! live in the task's cache, and so do the products of one group and one panel, which become targets at once.

mod task;

use conv_core::{ConvProblem, Cost, Machine, Pass, Unsupported};

use super::grid::{Correlation, Grid};
use super::{LANES, Spectrum, Transform, element_blocks};
use crate::blocking::{Blocking, Epilogue, channels};
use crate::product::PANEL;
use crate::strip;
use task::Task;

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
        Spectrum::in_rows(self.transform.kind(), self.transform.points(), self.grid.group_len(), len)
    }

    /// Points of a panel of weights: `[point][summed channel][made channel]`.
    fn weights(&self) -> Spectrum {
        Spectrum::in_panels(self.transform.kind(), self.transform.points(), self.channels()[1], PANEL)
    }

    /// Points of the products of a group and a panel: `[point][tile][made channel]`.
    fn products(&self) -> Spectrum {
        Spectrum::in_panels(self.transform.kind(), self.transform.points(), self.grid.group_len(), PANEL)
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
