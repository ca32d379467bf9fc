//! What an FFT pass is made of: units, groups, the layout of spectra.
//!
//! A *unit* is one tile of one image. The spectra of a tensor hold, for every frequency, the maps of all its units
//! behind each other: `[frequency][unit][channel][phase]`, complex. So the product at one frequency is a matrix
//! product over maps.

use std::ops::Range;

use conv_core::fourier::{Tiling, meets};
use conv_core::{ConvProblem, Machine, Pass, Role, Unsupported};

use super::passes::Passes;
use super::steps::radices;
use super::transform::{Maps, pairs, volume};
use crate::product::{Groups, Product, Sizes, Strides};

/// The spectra of a group of units take one part in this many of the second-level cache.
const GROUP_CACHE_SHARE: usize = 2;

/// Units of a group at least: the rows of a tile of the product.
const LEAST_UNITS: usize = 64;

/// One pass of a problem cut by a tiling.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) problem: ConvProblem,
    pub(crate) pass: Pass,
    pub(crate) tiling: Tiling,
    /// Units whose spectra are held at the same time.
    pub(crate) group: usize,
    /// Pairs of maps a block transforms.
    pub(crate) pairs: usize,
    /// Where no block holds one.
    pub(super) passes: Option<Passes>,
    /// Frequencies of one map that are kept.
    pub(crate) frequencies: usize,
    pub(super) multiprocessors: usize,
}

impl Plan {
    /// All units in one group where `whole`, and transforms of any size, else groups that fit the cache.
    ///
    /// # Errors
    /// As [`Plan::of_pairs`], and where a transform has no room.
    pub(crate) fn new(
        problem: &ConvProblem,
        pass: Pass,
        tiling: Tiling,
        machine: &Machine,
        whole: bool,
    ) -> Result<Self, Unsupported> {
        let (shape, cache) = (tiling.shape(), machine.caches[2] / GROUP_CACHE_SHARE);
        let pairs = pairs(shape, machine.caches[0]);
        let mut plan = Plan::of_pairs(problem, pass, tiling, machine, pairs.unwrap_or(1))?;
        let fit = cache / plan.unit_bytes().max(1);
        plan.group = if whole { plan.units() } else { fit.max(LEAST_UNITS).min(plan.units()) };
        if pairs.is_none() {
            let maps = pass.roles().map(|role| plan.map_count(role, plan.group).div_ceil(2));
            let most = maps.into_iter().max().unwrap_or(1);
            plan.passes =
                Some(Passes::new(shape, cache, most).filter(|_| whole).ok_or_else(|| no_room(shape))?);
        }
        Ok(plan)
    }

    /// All units in one group, so many pairs of maps in a block.
    ///
    /// # Errors
    /// A refusal where every sum is empty, a length is not smooth, or indices exceed 32 bits.
    pub(crate) fn of_pairs(
        problem: &ConvProblem,
        pass: Pass,
        tiling: Tiling,
        machine: &Machine,
        pairs: usize,
    ) -> Result<Self, Unsupported> {
        let refuse = |reason: &str| Err(Unsupported::Geometry(reason.to_string().into()));
        if !problem.volume().iter().all(meets) {
            return refuse("the kernel meets nothing but padding: every sum is empty");
        }
        let [a, b, c] = tiling.shape();
        if tiling.shape().iter().any(|n| radices(*n).is_none()) {
            return Err(no_room(tiling.shape()));
        }
        if !super::is_narrow(problem, &tiling) {
            return refuse("its indices exceed 32 bits");
        }
        let multiprocessors = machine.threads.max(1);
        let frequencies = a.saturating_mul(b).saturating_mul(c / 2 + 1);
        let mut plan = Plan {
            problem: *problem,
            pass,
            tiling,
            group: 1,
            pairs,
            passes: None,
            frequencies,
            multiprocessors,
        };
        plan.group = plan.units();
        Ok(plan)
    }

    /// Bytes of the input and output spectra of one unit.
    fn unit_bytes(&self) -> usize {
        let maps = self.problem.in_channels() * self.tiling.phase_count() + self.problem.out_channels();
        maps * self.frequencies * size_of::<[f32; 2]>()
    }

    /// Phases of this tensor's maps: outputs have one.
    fn phases(&self, role: Role) -> usize {
        if role == Role::Output { 1 } else { self.tiling.phase_count() }
    }

    /// Units of the pass.
    pub(crate) fn units(&self) -> usize {
        self.problem.batch() * self.tiling.tile_count()
    }

    /// The units in groups.
    pub(crate) fn groups(&self) -> Groups {
        Groups { units: self.units(), group: self.group }
    }

    /// Maps of this tensor in so many units; weights are one unit of their own.
    pub(crate) fn map_count(&self, role: Role, units: usize) -> usize {
        match role {
            Role::Input => units * self.problem.in_channels() * self.phases(role),
            Role::Output => units * self.problem.out_channels(),
            Role::Weight => self.problem.maps(role) * self.phases(role),
        }
    }

    /// The maps of a group of units as kernels take them.
    pub(crate) fn maps(&self, role: Role, units: &Range<usize>) -> Maps {
        let (planes_per_unit, tiles, first_unit, shape) = match role {
            Role::Input => (
                self.problem.in_channels(),
                self.tiling.tile_count(),
                units.start,
                self.problem.input_shape(),
            ),
            Role::Output => (
                self.problem.out_channels(),
                self.tiling.tile_count(),
                units.start,
                self.problem.output_shape(),
            ),
            Role::Weight => (self.problem.maps(role), 1, 0, self.problem.kernel_shape()),
        };
        Maps {
            count: self.map_count(role, units.len()) as i64,
            first_unit: first_unit as i64,
            planes_per_unit: planes_per_unit as i32,
            phases: self.phases(role) as i32,
            tiles: tiles as i32,
            shape: shape.map(|points| points as i32),
        }
    }

    /// Blocks that transform this tensor in a group of so many units.
    pub(crate) fn transform_blocks(&self, role: Role, units: usize) -> usize {
        self.map_count(role, units).div_ceil(2 * self.pairs)
    }

    /// Bytes of shared memory of such a block.
    pub(crate) fn shared(&self) -> u32 {
        (self.pairs * self.volume() * size_of::<[f32; 2]>()) as u32
    }

    /// Complex points of one pair of maps in shared memory.
    pub(crate) fn volume(&self) -> usize {
        volume(self.tiling.shape())
    }

    /// Values of the spectra of this tensor over one group.
    pub(crate) fn spectra_len(&self, role: Role) -> usize {
        self.map_count(role, self.group) * self.frequencies * 2
    }

    /// Values of the volumes that are transformed in passes.
    pub(crate) fn volumes_len(&self) -> usize {
        self.passes.as_ref().map_or(0, Passes::len)
    }

    /// Values of workspace: the spectra of the three tensors, and those volumes.
    pub(crate) fn workspace_len(&self) -> usize {
        self.volumes_len() + self.pass.roles().iter().map(|role| self.spectra_len(*role)).sum::<usize>()
    }

    /// The products of a group of so many units.
    pub(crate) fn product(&self, units: usize) -> Product {
        let (problem, phases) = (&self.problem, self.tiling.phase_count());
        let (input, output) = (problem.group_in() * phases, problem.group_out());
        let [x, w, y] =
            [problem.in_channels() * phases, problem.out_channels() * input, problem.out_channels()];
        let strides = [
            Strides { all: units * x, group: input, unit: x, input: 1, output: 0 },
            Strides { all: w, group: output * input, unit: 0, input: 1, output: input },
            Strides { all: units * y, group: output, unit: y, input: 0, output: 1 },
        ];
        let sizes = Sizes { frequencies: self.frequencies, units, channels: [input, output], complex: true };
        Product::new(problem, self.pass, sizes, strides)
    }
}

/// The refusal of a transform that is too large.
pub(crate) fn no_room([a, b, c]: [usize; 3]) -> Unsupported {
    let reason = format!("a transform of {a}x{b}x{c} points has no room");
    Unsupported::Geometry(reason.into())
}
