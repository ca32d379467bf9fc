//! Forward and backward-input: every tile is multiplied with the weights of all its channels.
//!
//! The points of one factor are made first and *kept*: of the weights, and tasks are groups of tiles; or, where the
//! weights are heavier than the tiles, of the tiles, and tasks are panels of made channels in groups of tiles, which
//! transform their weights again for every group, some summed channels at a time. The other factor's points live in the
//! task's cache, and so do the products of one group and one panel, which become targets at once. Where either factor
//! would be read too often, both are kept, and so are the products: tasks are points, whose factors meet in the cache.

mod task;

use std::ops::Range;

use conv_core::{ConvProblem, Cost, Machine, Pass, Unsupported};

use super::grid::{Correlation, GROUPS_PER_THREAD, Grid};
use super::{LANES, PANEL, Spectrum, Transform, element_blocks, too_large};
use crate::blocking::{Blocking, CACHED, Epilogue, channels};
use crate::strip;
use task::Task;

/// Input channels whose weights are turned into lanes at once.
const CHUNK: usize = 8;

/// What tasks are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tasks {
    /// Groups of tiles; the points of weights are kept.
    Groups,
    /// Panels of made channels in groups of tiles; the points of tiles are kept.
    Panels,
    /// Points; those of both factors and of the products are kept.
    Points,
}

/// The blocking of one problem and pass.
pub(crate) struct Maps<T> {
    problem: ConvProblem,
    pass: Pass,
    grid: Grid,
    kernel: [usize; 3],
    transform: T,
    tasks: Tasks,
    /// Blocks of summed channels of a chunk, whose points stand together: all but where tasks are panels.
    chunk: usize,
    /// Blocks of made channels of a panel.
    panel: usize,
    threads: usize,
    /// Bytes that a task may keep in the second-level cache, and half of those of the third-level cache.
    cached: [f64; 2],
}

impl<T: Transform> Maps<T> {
    /// Keeps those points with which the pass takes the least time.
    ///
    /// # Errors
    /// A refusal where the points do not fit any memory.
    pub(super) fn new(
        machine: &Machine,
        problem: &ConvProblem,
        pass: Pass,
        (sizes, transform): (Correlation, T),
        seconds: &dyn Fn(&Cost) -> f64,
    ) -> Result<Maps<T>, Unsupported> {
        let maps = Maps {
            problem: *problem,
            pass,
            grid: Grid::new(problem, pass, (sizes.tile, sizes.targets())),
            kernel: sizes.kernel,
            panel: PANEL / transform.kind().element(),
            transform,
            tasks: Tasks::Groups,
            chunk: 1,
            threads: machine.threads.max(1),
            cached: [machine.caches[1] as f64 * 1.5, machine.caches[2] as f64 / 2.0],
        };
        maps.checked().ok_or_else(too_large)?;
        let cache = machine.caches[1] / size_of::<f32>();
        let (mut maps, mut best, mut least) = (maps, Tasks::Groups, f64::INFINITY);
        for tasks in [Tasks::Groups, Tasks::Panels, Tasks::Points] {
            maps = maps.by(tasks, cache);
            let seconds = seconds(&maps.cost());
            if seconds < least {
                (best, least) = (tasks, seconds);
            }
        }
        Ok(maps.by(best, cache))
    }

    /// The blocking into such tasks where the cache holds so many values. Kept weights meet as many tiles as fit it with
    /// their products and half as much again; of kept tiles, three quarters of it hold products and a chunk's weights,
    /// twice as many of the former.
    fn by(self, tasks: Tasks, cache: usize) -> Maps<T> {
        let (blocks, points) = (element_blocks(self.channels()[1]), self.transform.points());
        let wanted = self.threads * GROUPS_PER_THREAD;
        let (chunk, tiles, groups) = match tasks {
            Tasks::Groups => {
                let of_tile = points * self.transform.kind().element() * (blocks + self.panel);
                (blocks, cache * 3 / 2 / of_tile, wanted)
            }
            Tasks::Panels => {
                let rows = cache * 3 / 4 / (points * PANEL);
                let chunk = ((rows / 3 + LANES / 2) / LANES).clamp(1, blocks);
                (chunk, rows.saturating_sub(chunk * LANES), wanted.div_ceil(self.panels()))
            }
            Tasks::Points => (blocks, usize::MAX, wanted),
        };
        let grid = self.grid.in_groups(self.transform.kind().fewest()..=tiles, groups);
        Maps { grid, tasks, chunk, ..self }
    }

    /// Whether lengths stay far below the address space.
    fn checked(&self) -> Option<()> {
        let [made, summed] = self.channels();
        let points = self.transform.points().checked_mul(2 * LANES)?;
        let [made, summed] = [made.checked_add(LANES)?, summed.checked_add(LANES)?];
        let weights = points.checked_mul(made)?.checked_mul(summed)?;
        let tiles = points.checked_mul(self.grid.tiles().checked_add(LANES)?)?;
        let tiles = tiles.checked_mul(made.checked_add(summed)?)?;
        (weights.checked_add(tiles)? < 1 << 40).then_some(())
    }

    /// Made and summed channels of a group.
    fn channels(&self) -> [usize; 2] {
        channels(&self.problem, self.pass)
    }

    /// Bytes from and to memory besides the tensors, or from the third-level cache where the kept points fit half of it:
    /// they are written once and read by every task, or once where tasks are points. What a task has for itself is written
    /// and read for every panel and chunk; that counts where the second-level cache does not hold it.
    fn bytes(&self) -> f64 {
        let groups = self.grid.group_count() as f64;
        let [weights, tiles, products] = self.kept_lens().map(|len| 4.0 * len as f64);
        let times = match self.tasks {
            Tasks::Groups => groups,
            Tasks::Panels => self.panels() as f64,
            Tasks::Points => 1.0,
        };
        let share = |bytes: f64| if bytes < self.cached[1] { CACHED } else { 1.0 };
        let of = |kept: f64| kept * (1.0 + times * share(kept));
        let own = 4.0 * self.own_len() as f64;
        let rounds = groups * (self.panels() * self.chunks()) as f64;
        let spilled = match own > self.cached[0] {
            true => 2.0 * rounds * own * share(own * self.threads as f64),
            false => 0.0,
        };
        of(weights) + of(tiles) + of(products) + spilled
    }

    fn panels(&self) -> usize {
        element_blocks(self.channels()[0]).div_ceil(self.panel)
    }

    /// Blocks of made channels in a panel.
    fn elements(&self, panel: usize) -> usize {
        self.panel.min(element_blocks(self.channels()[0]) - panel * self.panel)
    }

    fn chunks(&self) -> usize {
        element_blocks(self.channels()[1]).div_ceil(self.chunk)
    }

    /// The summed channels of a chunk.
    fn summed(&self, chunk: usize) -> Range<usize> {
        let (summed, len) = (self.channels()[1], self.chunk * LANES);
        chunk * len..summed.min((chunk + 1) * len)
    }

    /// Points of a chunk of a group of tiles: `[point][tile][summed channel]`.
    fn tiles(&self) -> Spectrum {
        let len = self.chunk * self.transform.kind().element();
        Spectrum::in_parts(self.transform.kind(), self.transform.points(), self.grid.group_len(), [len; 2])
    }

    /// Points of a chunk of a panel of weights: `[point][summed channel][made channel]`.
    fn weights(&self) -> Spectrum {
        let rows = self.summed(0).len();
        Spectrum::in_elements(self.transform.kind(), self.transform.points(), rows, PANEL)
    }

    /// Points of the products of a group and a panel: `[point][tile][made channel]`; or of all, by panels.
    fn products(&self) -> Spectrum {
        let (rows, panels) = match self.tasks {
            Tasks::Points => (self.grid.group_count() * self.grid.group_len(), self.panels()),
            _ => (self.grid.group_len(), 1),
        };
        Spectrum::in_parts(self.transform.kind(), self.transform.points(), rows, [panels * PANEL, PANEL])
    }

    /// Values of what a task copies into lanes.
    fn strip_len(&self) -> usize {
        let [a, b, _] = self.grid.tile;
        let [c, d, _] = self.grid.step;
        let (data, domain) = (strip::width(self.grid.columns()), strip::width(self.grid.domain_columns()));
        let weights = (CHUNK * self.kernel.iter().product::<usize>()).next_multiple_of(LANES / 2) * LANES;
        (a * b * data * LANES).max(c * d * domain * LANES).max(weights)
    }

    /// Kept points: of weights, of tiles, and of products.
    fn kept_lens(&self) -> [usize; 3] {
        let weights = self.panels() * self.weights().len();
        let tiles = self.grid.group_count() * self.chunks() * self.tiles().len();
        match self.tasks {
            Tasks::Groups => [weights, 0, 0],
            Tasks::Panels => [0, tiles, 0],
            Tasks::Points => [weights, tiles, self.products().len()],
        }
    }

    /// Points that a task has for itself.
    fn own_len(&self) -> usize {
        match self.tasks {
            Tasks::Groups => self.tiles().len() + self.products().len(),
            Tasks::Panels => self.weights().len() + self.products().len(),
            Tasks::Points => 0,
        }
    }

    fn scratch_len(&self) -> usize {
        self.own_len() + self.strip_len() + self.transform.scratch_len()
    }
}

impl<T: Transform> Blocking for Maps<T> {
    /// Values of the kept points, then of every thread's scratch.
    fn workspace_len(&self) -> usize {
        self.kept_lens().iter().sum::<usize>() + self.threads * self.scratch_len()
    }

    /// What the pass takes: transforms of whole blocks of channels, products of whole blocks of made channels; every
    /// value copied to and from lanes, and the sums of every chunk stored; the tensors and what [`Maps::bytes`] says.
    fn cost(&self) -> Cost {
        let [made, summed] = self.channels();
        let lanes = |channels: usize| (element_blocks(channels) * LANES) as f64;
        let [data, kernel, target] = self.transform.flops().map(|flops| flops as f64);
        let (tiles, groups) = (self.grid.tiles() as f64, self.problem.groups() as f64);
        let values = |sizes: [usize; 3]| sizes.iter().product::<usize>() as f64;
        let [times, tasks] = match self.tasks {
            Tasks::Groups => [1, self.grid.group_count()],
            Tasks::Panels => [self.grid.group_count(), self.grid.group_count() * self.panels()],
            Tasks::Points => [1, self.transform.points()],
        };
        let weights = lanes(made) * (times * summed) as f64;
        let transforms = tiles * (lanes(summed) * data + lanes(made) * target) + weights * kernel;
        let products = self.transform.kind().flops()
            * tiles
            * lanes(made)
            * summed as f64
            * self.transform.points() as f64;
        let copies = tiles * (lanes(summed) * values(self.grid.tile) + lanes(made) * values(self.grid.step))
            + weights * values(self.kernel);
        let values_of_map = self.transform.points() * self.transform.kind().element() / LANES;
        let sums = tiles * lanes(made) * (values_of_map * self.chunks()) as f64;
        let tensors = self.pass.roles().map(|role| self.problem.len(role) as f64).iter().sum::<f64>();
        let cost = Cost {
            transform_flops: transforms * groups,
            product_flops: products * groups,
            moves: (copies + sums) * groups,
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
        let [weights, tiles, products] = self.kept_lens();
        let (weights, rest) = workspace.split_at_mut(weights);
        let (tiles, rest) = rest.split_at_mut(tiles);
        let (products, scratch) = rest.split_at_mut(products);
        let groups = self.grid.groups();
        for group in 0..self.problem.groups() {
            let task = Task { maps: self, group, groups: &groups, source, weight, epilogue };
            match self.tasks {
                Tasks::Groups => task.by_groups(out, weights, scratch),
                Tasks::Panels => task.by_panels(out, tiles, scratch),
                Tasks::Points => task.by_points(out, [weights, tiles, products], scratch),
            }
        }
    }
}
