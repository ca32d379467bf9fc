//! What an FFT pass is made of: units, groups, the layout of spectra, and its counted cost.
//!
//! A *unit* is one tile of one image. The spectra of a tensor hold, for every frequency, the maps of all its units
//! behind each other: `[frequency][unit][channel][phase]`, complex. So the product at one frequency is a matrix
//! product over maps.

use std::ops::Range;

use conv_core::fourier::{Tiling, meets};
use conv_core::spectra::{Shared, SpectrumKey};
use conv_core::{ConvProblem, Cost, Machine, Pass, Role, Unsupported};

use super::passes::Passes;
use super::transform::{Maps, flops, pairs, radices, volume};
use crate::product::{Product, Sizes, Strides};

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
    multiprocessors: usize,
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

    /// The groups of units, in order.
    pub(crate) fn groups(&self) -> impl Iterator<Item = Range<usize>> {
        let (units, group) = (self.units(), self.group);
        (0..units).step_by(group).map(move |begin| begin..(begin + group).min(units))
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

    /// Operations of transforming one pair of this tensor's maps in a block, without lines of zeros and those not
    /// wanted.
    pub(crate) fn pair_flops(&self, role: Role) -> f64 {
        let [n0, n1, n2] = self.tiling.shape();
        let held = self.tiling.span(role).map(|span| span.len());
        let lines = [n1 * n2, held[0] * n2, held[0] * held[1]];
        [n0, n1, n2].into_iter().zip(lines).map(|(n, lines)| lines as f64 * flops(n) as f64).sum()
    }

    /// Values of the spectra of this tensor over one group.
    pub(crate) fn spectra_len(&self, role: Role) -> usize {
        self.map_count(role, self.group) * self.frequencies * 2
    }

    /// Values of workspace: the spectra of the three tensors, and volumes that are transformed in passes.
    pub(crate) fn workspace_len(&self) -> usize {
        let volumes = self.passes.as_ref().map_or(0, Passes::len);
        volumes + self.pass.roles().iter().map(|role| self.spectra_len(*role)).sum::<usize>()
    }

    /// The spectra that other passes can use or have made.
    pub(crate) fn shares(&self) -> Vec<Shared> {
        let [left, right, _] = self.pass.roles();
        let shared = |role| {
            let key = SpectrumKey { role, tiling: self.tiling, layout: "frequencies" };
            Shared { key, len: self.spectra_len(role), saved: self.transform_cost(role) }
        };
        vec![shared(left), shared(right)]
    }

    /// Operations of separating the spectra of so many maps, 4 for each frequency, or of joining those of so many pairs,
    /// 2 for each frequency and for its mirror.
    fn pairing_flops(&self, role: Role, maps: f64, pairs: f64) -> f64 {
        let [n0, n1, n2] = self.tiling.shape();
        let mirrors = self.frequencies - n0 * n1 * (1 + (n2 + 1) % 2);
        match self.pass.roles()[2] == role {
            true => pairs * 2.0 * (self.frequencies + mirrors) as f64,
            false => maps * 4.0 * self.frequencies as f64,
        }
    }

    /// What transforming this tensor once takes, over all units: the tensor once, its spectra once, and what lies
    /// between.
    pub(crate) fn transform_cost(&self, role: Role) -> Cost {
        let maps = self.map_count(role, self.units());
        let bytes = 4.0 * self.problem.len(role) as f64 + 8.0 * maps as f64 * self.frequencies as f64;
        let between = match &self.passes {
            Some(passes) => self.in_passes(role, passes, maps),
            None => self.in_blocks(role, maps),
        };
        between + Cost { bytes, ..Cost::default() }
    }

    /// All pairs of maps at once in device memory.
    fn in_passes(&self, role: Role, passes: &Passes, maps: usize) -> Cost {
        let pairs = maps.div_ceil(2);
        let transform_flops = passes.flops(pairs) + self.pairing_flops(role, maps as f64, pairs as f64);
        let (bytes, launches) = (pairs as f64 * passes.bytes(), passes.launches(pairs) as f64);
        Cost { transform_flops, bytes, launches, ..Cost::default() }
    }

    /// Group after group in shared memory, pairs that fill the last block included.
    fn in_blocks(&self, role: Role, maps: usize) -> Cost {
        let (groups, rest) = match role {
            Role::Weight => (1, 0),
            _ => (self.units() / self.group, self.units() % self.group),
        };
        let last = if rest > 0 { self.transform_blocks(role, rest) } else { 0 };
        let blocks = groups * self.transform_blocks(role, self.group) + last;
        let pairs = (blocks * self.pairs) as f64;
        let transform_flops = pairs * self.pair_flops(role) + self.pairing_flops(role, maps as f64, pairs);
        let launches = (groups + usize::from(rest > 0)) as f64;
        let cost = Cost { transform_flops, launches, ..Cost::default() };
        cost.in_tasks(self.transform_blocks(role, self.group), self.multiprocessors)
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

    /// What the products take: operations of whole tiles, and every spectrum once.
    fn product_cost(&self) -> Cost {
        let of_group = |units: usize| {
            let product = self.product(units);
            let cost = Cost { product_flops: product.flops(), launches: 1.0, ..Cost::default() };
            cost.in_tasks(usize::try_from(product.blocks()).unwrap_or(usize::MAX), self.multiprocessors)
        };
        let (groups, rest) = (self.units() / self.group, self.units() % self.group);
        let last = if rest > 0 { of_group(rest) } else { Cost::default() };
        let values: usize = self.pass.roles().iter().map(|role| self.spectra_len(*role)).sum();
        let bytes = 4.0 * values as f64 * self.units().div_ceil(self.group) as f64;
        of_group(self.group) * groups as f64 + last + Cost { bytes, ..Cost::default() }
    }

    /// The counted cost of the pass.
    pub(crate) fn cost(&self) -> Cost {
        let transforms = self.pass.roles().map(|role| self.transform_cost(role));
        let workspace = self.workspace_len() * size_of::<f32>();
        let all = transforms.into_iter().fold(self.product_cost(), |sum, cost| sum + cost);
        Cost { workspace, ..all }
    }
}

/// The refusal of a transform that is too large.
pub(crate) fn no_room([a, b, c]: [usize; 3]) -> Unsupported {
    let reason = format!("a transform of {a}x{b}x{c} points has no room");
    Unsupported::Geometry(reason.into())
}
