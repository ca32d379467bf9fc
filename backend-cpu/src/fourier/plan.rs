//! What an FFT pass is made of: maps, units, groups, and the layout of spectra.
//!
//! A *unit* is one tile of one image. The spectra of a tensor hold, for every slab of some blocks of 16 frequencies,
//! the maps of all its units behind each other: `[slab][unit][channel][phase][block][re 16 | im 16]`. So the
//! product at one block is a matrix product over maps whose every element is a vector of 16 frequencies, and what
//! a product of a slab reads lies in a piece: of maps a transform long, it would read a line of every page.

use std::ops::Range;

use conv_core::fourier::{Tiling, meets};
use conv_core::spectra::SpectrumKey;
use conv_core::{ConvProblem, Machine, Pass, Role, Unsupported};
use fft_core::{COMPLEX_POINT, LANES, PlaneFft, RealFft};

use super::fused::Fused;
use crate::buffer::whole_lines;

/// The spectra of a group of units take one part in this many of the third-level cache.
const GROUP_CACHE_SHARE: usize = 2;

/// Tasks a thread should find, so that threads end together.
const TASKS_PER_THREAD: usize = 4;

/// What stands in the 16 lanes of a transform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InLanes {
    /// The same point of 16 maps.
    Maps,
    /// Neighbouring points of one map.
    Points,
}

impl InLanes {
    /// Maps that are transformed at once.
    pub(super) fn maps(self) -> usize {
        match self {
            InLanes::Maps => LANES,
            InLanes::Points => 1,
        }
    }
}

/// `count` in ranges of `len`, the last perhaps shorter.
pub(crate) fn divided(count: usize, len: usize) -> Vec<Range<usize>> {
    (0..count).step_by(len).map(|begin| begin..(begin + len).min(count)).collect()
}

/// The maps of one tensor in one group of units, numbered as they lie in the spectra.
#[derive(Clone, Debug)]
pub(crate) struct Maps {
    /// Planes of the tensor that one unit has a tile of.
    pub(crate) planes_per_unit: usize,
    /// Maps one tile of a plane is split into.
    pub(crate) phases: usize,
    /// Tiles of one image.
    pub(crate) tiles: usize,
    /// The units of the group.
    pub(crate) units: Range<usize>,
}

/// One map: a tile of a plane of the tensor, in one phase.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Map {
    pub(crate) plane: usize,
    pub(crate) tile: usize,
    pub(crate) phase: usize,
}

impl Maps {
    /// Maps of one unit.
    pub(crate) fn per_unit(&self) -> usize {
        self.planes_per_unit * self.phases
    }

    /// Maps of the group.
    pub(crate) fn count(&self) -> usize {
        self.units.len() * self.per_unit()
    }

    /// The map of this number.
    pub(crate) fn map(&self, number: usize) -> Map {
        let unit = self.units.start + number / self.per_unit();
        let (plane, phase) = (number % self.per_unit() / self.phases, number % self.phases);
        Map { plane: unit / self.tiles * self.planes_per_unit + plane, tile: unit % self.tiles, phase }
    }

    /// Planes of the tensor that have a tile in the group.
    pub(crate) fn planes(&self) -> Range<usize> {
        let images = self.units.start / self.tiles..self.units.end.div_ceil(self.tiles);
        images.start * self.planes_per_unit..images.end * self.planes_per_unit
    }

    /// Maps of these planes: those of whole images, less the tiles of the first and the last image that belong to
    /// other groups.
    pub(super) fn count_of(&self, planes: Range<usize>) -> usize {
        let of_image = |image: usize| {
            let own = image * self.planes_per_unit..(image + 1) * self.planes_per_unit;
            own.end.min(planes.end).saturating_sub(own.start.max(planes.start))
        };
        let (first, last) = (self.units.start / self.tiles, (self.units.end - 1) / self.tiles);
        let (before, after) =
            (self.units.start % self.tiles, self.tiles - 1 - (self.units.end - 1) % self.tiles);
        let tiles = planes.len() * self.tiles - of_image(first) * before - of_image(last) * after;
        tiles * self.phases
    }

    /// The maps of one plane, with their numbers.
    pub(crate) fn of_plane(&self, plane: usize) -> impl Iterator<Item = (usize, Map)> + '_ {
        let first_unit = plane / self.planes_per_unit * self.tiles;
        let units = first_unit.max(self.units.start)..(first_unit + self.tiles).min(self.units.end);
        units.flat_map(move |unit| {
            (0..self.phases).map(move |phase| {
                let in_unit = plane % self.planes_per_unit * self.phases + phase;
                let number = (unit - self.units.start) * self.per_unit() + in_unit;
                (number, Map { plane, tile: unit % self.tiles, phase })
            })
        })
    }
}

/// One pass of a problem cut by a tiling.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) problem: ConvProblem,
    pub(crate) pass: Pass,
    pub(crate) tiling: Tiling,
    pub(crate) in_lanes: InLanes,
    /// Units whose spectra are held at the same time.
    pub(crate) group: usize,
    pub(crate) threads: usize,
    /// Where whole images are transformed, multiplied and inverted in the cache.
    pub(crate) fused: Option<Fused>,
    /// Bytes of second-level cache.
    pub(super) cached: usize,
    /// Bytes of maps that are transformed at once, above which every value passes through a cache for every axis: a
    /// quarter of the second level, or twice the first where it is one map.
    pub(super) near: usize,
    /// Points of one transform, and blocks of 16 frequencies.
    pub(super) points: usize,
    blocks: usize,
    /// Blocks of a map that stand together.
    slab: usize,
}

impl Plan {
    /// All units in one group where `group_units` is `None`, else groups of about that many.
    ///
    /// # Errors
    /// A refusal where every sum is empty, or the spectra would not fit an address space.
    pub(crate) fn new(
        problem: &ConvProblem,
        pass: Pass,
        tiling: Tiling,
        in_lanes: InLanes,
        machine: &Machine,
        whole: bool,
    ) -> Result<Self, Unsupported> {
        if !problem.volume().iter().all(meets) {
            return Err(Unsupported::Geometry(
                "the kernel meets nothing but padding: every sum is empty".into(),
            ));
        }
        let too_large = || Unsupported::Geometry("its spectra are larger than any memory".into());
        let [a, b, c] = tiling.shape();
        let rows = a.checked_mul(b).ok_or_else(too_large)?;
        let points = rows.checked_mul(c).ok_or_else(too_large)?;
        let blocks = match in_lanes {
            InLanes::Maps => rows.checked_mul(c / 2 + 1).ok_or_else(too_large)?.div_ceil(LANES),
            InLanes::Points => PlaneFft::spectrum_len_of(&tiling.shape()).map_err(|_| too_large())?,
        };
        let threads = machine.threads.max(1);
        let cached = machine.caches[1];
        let near = match in_lanes {
            InLanes::Maps => cached / 4,
            InLanes::Points => 2 * machine.caches[0],
        };
        let (group, fused, slab) = (1, None, 1);
        let mut plan = Plan {
            problem: *problem,
            pass,
            tiling,
            in_lanes,
            group,
            threads,
            fused,
            cached,
            near,
            points,
            blocks,
            slab,
        };
        let units = problem.batch().checked_mul(tiling.tile_count()).ok_or_else(too_large)?;
        plan.group = if whole { units } else { plan.group_units(machine).min(units) };
        let maps = [Role::Input, Role::Weight, Role::Output].map(|role| plan.maps_f64(role));
        let values = maps.iter().sum::<f64>() * (blocks * COMPLEX_POINT) as f64
            + points as f64 * 100.0 * threads as f64;
        if values >= (1u64 << 48) as f64 {
            return Err(too_large());
        }
        plan.fused = if whole { Fused::new(&plan, machine.caches) } else { None };
        plan.slab = plan.blocks_together();
        Ok(plan)
    }

    /// Units whose input and output spectra take a share of the third-level cache, but at least a lane block.
    fn group_units(&self, machine: &Machine) -> usize {
        let input = self.problem.in_channels() as f64 * self.phases(Role::Input) as f64;
        let maps = input + self.problem.out_channels() as f64;
        let bytes = maps * self.blocks() as f64 * (COMPLEX_POINT * size_of::<f32>()) as f64;
        let fit = (machine.caches[2] / GROUP_CACHE_SHARE) as f64 / bytes;
        (fit as usize).max(LANES)
    }

    pub(super) fn maps_f64(&self, role: Role) -> f64 {
        let maps = self.maps(role, 0..self.group);
        maps.units.len() as f64 * maps.planes_per_unit as f64 * maps.phases as f64
    }

    /// Phases of this tensor's maps: outputs have one.
    pub(super) fn phases(&self, role: Role) -> usize {
        if role == Role::Output { 1 } else { self.tiling.phase_count() }
    }

    /// The shape of this tensor: images, channels and three axes.
    pub(crate) fn shape(&self, role: Role) -> [usize; 5] {
        let problem = &self.problem;
        let (images, channels, [a, b, c]) = match role {
            Role::Input => (problem.batch(), problem.in_channels(), problem.input_shape()),
            Role::Output => (problem.batch(), problem.out_channels(), problem.output_shape()),
            Role::Weight => (problem.out_channels(), problem.group_in(), problem.kernel_shape()),
        };
        [images, channels, a, b, c]
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

    /// The maps of a tensor over a group of units; weights are one unit of their own.
    pub(crate) fn maps(&self, role: Role, units: Range<usize>) -> Maps {
        let (phases, tiles) = (self.phases(role), self.tiling.tile_count());
        match role {
            Role::Input => Maps { planes_per_unit: self.problem.in_channels(), phases, tiles, units },
            Role::Output => Maps { planes_per_unit: self.problem.out_channels(), phases, tiles, units },
            Role::Weight => {
                Maps { planes_per_unit: self.problem.maps(Role::Weight), phases, tiles: 1, units: 0..1 }
            }
        }
    }

    /// Planes that a task of the inverse transform writes: enough tasks for the threads, but no more than there are
    /// blocks of 16 maps, so that lanes stay full.
    pub(crate) fn planes_per_task(&self, maps: &Maps) -> usize {
        let tasks = maps.count().div_ceil(self.in_lanes.maps()).min(self.threads * TASKS_PER_THREAD);
        maps.planes().len().div_ceil(tasks)
    }

    /// Rows of the product over a group of units, and elements of the three matrices of one group of channels.
    pub(crate) fn product_sizes(&self, units: usize) -> [usize; 2] {
        let (group_in, group_out) =
            (self.problem.group_in() * self.phases(Role::Input), self.problem.group_out());
        let rows = match self.pass {
            Pass::BackwardWeights => self.problem.out_channels(),
            _ => units,
        };
        [rows, units * (group_in + group_out) + group_in * group_out]
    }

    /// Rows of the product that are a task with one slab.
    pub(crate) fn product_rows(&self, rows: usize) -> usize {
        let wanted = self.threads * TASKS_PER_THREAD;
        rows.div_ceil(wanted.div_ceil(self.slabs()).min(rows))
    }

    /// Blocks of a map that stand together: all where images are multiplied while they are in the cache, one where
    /// maps are in the lanes, else as many as the second-level cache holds the three matrices of one group of channels of.
    fn blocks_together(&self) -> usize {
        if self.fused.is_some() {
            return self.blocks;
        }
        if self.in_lanes == InLanes::Maps {
            return 1;
        }
        let [_, elements] = self.product_sizes(self.group);
        let fit = self.cached / 2 / (elements * COMPLEX_POINT * size_of::<f32>()).max(1);
        let most = fit.min(self.blocks / (self.threads * TASKS_PER_THREAD)).max(1);
        self.blocks.div_ceil(self.blocks.div_ceil(most))
    }

    /// Blocks of 16 frequencies of one map.
    pub(crate) fn blocks(&self) -> usize {
        self.blocks
    }

    /// Blocks of a map that stand together.
    pub(crate) fn slab(&self) -> usize {
        self.slab
    }

    /// Slabs of a map; the last one may be filled up.
    pub(crate) fn slabs(&self) -> usize {
        self.blocks.div_ceil(self.slab)
    }

    /// What tells the spectra of this tensor from others.
    pub(crate) fn key(&self, role: Role) -> SpectrumKey {
        let layout = match self.in_lanes {
            InLanes::Maps => "maps",
            InLanes::Points if self.slab == self.blocks => "points",
            InLanes::Points => "slabs of points",
        };
        SpectrumKey { role, tiling: self.tiling, layout }
    }

    /// Values of the spectra of so many maps.
    pub(crate) fn spectra_len_of(&self, maps: usize) -> usize {
        self.slabs() * maps * self.slab * COMPLEX_POINT
    }

    /// Values of the spectra of this tensor over one group.
    pub(crate) fn spectra_len(&self, role: Role) -> usize {
        self.spectra_len_of(self.maps(role, 0..self.group).count())
    }

    /// Values of a spectrum before it is cut into slabs.
    pub(crate) fn uncut_len(&self) -> usize {
        if self.slab == self.blocks { 0 } else { self.blocks * COMPLEX_POINT }
    }

    /// Values of the points of one map.
    pub(crate) fn map_len(&self) -> usize {
        whole_lines(self.points)
    }

    /// Values of one worker's scratch, for [`InLanes::Maps`] in the order of [`super::lanes::LaneScratch`].
    pub(crate) fn scratch_lens(&self) -> [usize; 5] {
        let shape = self.tiling.shape();
        let fft = match self.in_lanes {
            InLanes::Points => PlaneFft::scratch_len_of(&shape),
            InLanes::Maps => RealFft::scratch_len_of(&shape),
        };
        let fft = whole_lines(fft.unwrap_or(0));
        if self.in_lanes == InLanes::Points {
            return [self.map_len(), self.uncut_len(), fft, 0, 0];
        }
        let [_, _, row] = shape;
        [self.points * LANES, self.blocks() * LANES * COMPLEX_POINT, fft, row * LANES, LANES * COMPLEX_POINT]
    }

    /// Values of workspace: the spectra of the three tensors and a scratch for every thread.
    pub(crate) fn workspace_len(&self) -> usize {
        if let Some(fused) = &self.fused {
            return fused.workspace_len(self);
        }
        let spectra: usize = self.pass.roles().iter().map(|role| self.spectra_len(*role)).sum();
        spectra + self.threads * self.scratch_lens().iter().sum::<usize>()
    }
}
