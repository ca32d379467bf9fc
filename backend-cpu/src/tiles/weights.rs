//! Backward-weights: the tiles of the gradient are kernels of those of the input, and the products of all tiles are
//! summed before they become weights.
//!
//! Where the sums of all weights fit the second-level cache each thread keeps its own, for its share of the groups; else
//! the points of all tiles are made first, and tasks are points, or, where sums are heavier than tiles, panels of weights,
//! whose sums become weights while they are in the cache.

mod task;

use conv_core::{ConvProblem, Cost, Machine, Pass, Unsupported};

use super::grid::{Correlation, GROUPS_PER_THREAD, Grid};
use super::{LANES, PANEL, Spectrum, Transform, element_blocks, too_large};
use crate::blocking::{Blocking, CACHED, Epilogue};
use crate::strip;
use task::Task;

/// Input channels whose weights leave the lanes at once.
const CHUNK: usize = 4;

/// What tasks are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tasks {
    /// Shares of the groups of tiles, with sums of their own.
    Shares,
    /// Points.
    Points,
    /// Panels of output channels and of input channels.
    Panels,
}

/// The blocking of one problem.
pub(crate) struct Weights<T> {
    problem: ConvProblem,
    grid: Grid,
    kernel: [usize; 3],
    transform: T,
    tasks: Tasks,
    /// Half of the bytes of the third-level cache.
    cached: f64,
    threads: usize,
}

impl<T: Transform> Weights<T> {
    /// # Errors
    /// A refusal where the points do not fit any memory.
    pub(super) fn new(
        machine: &Machine,
        problem: &ConvProblem,
        (sizes, transform): (Correlation, T),
        seconds: &dyn Fn(&Cost) -> f64,
    ) -> Result<Weights<T>, Unsupported> {
        let threads = machine.threads.max(1);
        let element = transform.kind().element();
        let blocks = element_blocks(problem.group_in()) + element_blocks(problem.group_out());
        let cache = machine.caches[1] / size_of::<f32>();
        let of_tile = transform.points() * element * blocks;
        let (fewest, wanted) = (transform.kind().fewest(), threads * GROUPS_PER_THREAD);
        let grid = Grid::new(problem, Pass::BackwardWeights, (sizes.tile, sizes.kernel));
        let weights = Weights {
            problem: *problem,
            grid: grid.in_groups(fewest..=cache / 2 / of_tile, wanted),
            kernel: sizes.targets(),
            transform,
            tasks: Tasks::Shares,
            threads,
            cached: machine.caches[2] as f64 / 2.0,
        };
        weights.checked().ok_or_else(too_large)?;
        if weights.sums().len() <= cache && weights.grid.group_count() >= threads {
            return Ok(weights);
        }
        let grid = grid.in_groups(fewest..=usize::MAX, wanted);
        let weights = Weights { grid, tasks: Tasks::Points, ..weights };
        let least = seconds(&weights.cost());
        let weights = Weights { tasks: Tasks::Panels, ..weights };
        Ok(if seconds(&weights.cost()) < least {
            weights
        } else {
            Weights { tasks: Tasks::Points, ..weights }
        })
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
        Spectrum::in_elements(
            self.transform.kind(),
            self.transform.points(),
            self.grid.group_len(),
            self.row_len(channels),
        )
    }

    /// Points of a task's weights, or of all: `[point][input channel][output channel]`.
    fn sums(&self) -> Spectrum {
        let [rows, outputs] = match self.tasks {
            Tasks::Panels => [self.width(); 2],
            _ => [self.problem.group_in(), self.problem.group_out()],
        };
        Spectrum::in_parts(self.transform.kind(), self.transform.points(), rows, [self.row_len(outputs); 2])
    }

    /// Channels of a panel.
    fn width(&self) -> usize {
        PANEL / self.transform.kind().element() * LANES
    }

    /// Panels of input and of output channels.
    fn panels(&self) -> [usize; 2] {
        [self.problem.group_in(), self.problem.group_out()].map(|channels| channels.div_ceil(self.width()))
    }

    fn row_len(&self, channels: usize) -> usize {
        element_blocks(channels) * self.transform.kind().element()
    }

    /// Sums of the same points.
    fn parts(&self) -> usize {
        if self.tasks == Tasks::Shares { self.threads } else { 1 }
    }

    /// Points of the tiles of all groups, and of the sums that all tasks share.
    fn kept_lens(&self) -> [usize; 2] {
        let (tiles, sums) = (self.grid.group_count() * self.group_len(), self.sums().len());
        match self.tasks {
            Tasks::Shares => [0, self.parts() * sums],
            Tasks::Points => [tiles, sums],
            Tasks::Panels => [tiles, 0],
        }
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

    /// Bytes from and to memory besides the tensors: kept points are written once, and read once or by every panel of
    /// the other factor, then from the third-level cache where they fit half of it.
    fn bytes(&self) -> f64 {
        let [kept, sums] = self.kept_lens().map(|len| 4.0 * len as f64);
        if self.tasks != Tasks::Panels {
            return 2.0 * (kept + sums);
        }
        let [inputs, outputs] = self.panels().map(|panels| panels as f64);
        let times = 2.0 * inputs * outputs / (inputs + outputs);
        kept * (1.0 + times * if kept < self.cached { CACHED } else { 1.0 })
    }

    fn scratch_len(&self) -> usize {
        let private = match self.tasks {
            Tasks::Shares => self.group_len(),
            Tasks::Points => 0,
            Tasks::Panels => self.sums().len(),
        };
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
        let tasks = match self.tasks {
            Tasks::Shares => self.parts(),
            Tasks::Points => self.transform.points(),
            Tasks::Panels => self.panels().iter().product(),
        };
        let cost = Cost {
            transform_flops: transforms * groups,
            product_flops: products * groups,
            moves: copies * groups,
            bytes: 4.0 * tensors + self.bytes() * groups,
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
            match self.tasks {
                Tasks::Shares => task.by_shares(sums, scratch),
                Tasks::Points => task.by_points(sums, kept, scratch),
                Tasks::Panels => task.by_panels(out, kept, scratch),
            }
            if self.tasks != Tasks::Panels {
                task.weights(sums, out, scratch);
            }
        }
    }
}
