//! What an FFT pass takes: transforms, products, and what other passes are spared by spectra that they share.

use std::ops::{Add, Range};

use conv_core::spectra::Shared;
use conv_core::{Cost, Pass, Role};
use fft_core::{COMPLEX_POINT, LANES, PlaneFft, RealFft};

use super::plan::{InLanes, Maps, Plan};

/// Groups whose lane blocks are counted one by one; more are taken to be like them.
const COUNTED_GROUPS: usize = 8;

/// Times that a byte of spectra larger than all second-level caches is fetched or written where another one is once:
/// memory is read before it is written.
const SPILLED: f64 = 3.0;

/// Moves of a value that passes through the second-level cache: 2 for a vector of 16.
const PASSED: f64 = 1.0 / 8.0;

/// Moves that taking or putting a map and each of its rows takes: each lane's from elsewhere, or strips of whole
/// vectors unless values stand apart.
fn moves(in_lanes: InLanes, rows: f64, apart: bool) -> f64 {
    match (in_lanes, apart) {
        (InLanes::Maps, _) => 256.0 + 64.0 * rows,
        (InLanes::Points, false) => 640.0 + 8.0 * rows,
        (InLanes::Points, true) => 640.0 + 64.0 * rows,
    }
}

impl Plan {
    /// Lane blocks of a group's transforms of this tensor, and tasks they are done in: in the inverse transform,
    /// where tasks write planes, no block is shared by two tasks.
    fn lane_blocks(&self, role: Role, maps: &Maps) -> [usize; 2] {
        if role != self.pass.roles()[2] {
            return [maps.count().div_ceil(self.in_lanes.maps()); 2];
        }
        let (planes, block) = (maps.planes(), self.planes_per_task(maps));
        let at_once = self.in_lanes.maps();
        let of_task = |first: usize| maps.count_of(first..(first + block).min(planes.end)).div_ceil(at_once);
        [planes.clone().step_by(block).map(of_task).sum(), planes.len().div_ceil(block)]
    }

    /// The sum over all groups of what one takes; the weights are in one group.
    fn over_groups(&self, role: Role, of_group: impl Fn(Range<usize>) -> Cost) -> Cost {
        if role == Role::Weight {
            return of_group(0..1);
        }
        let (whole, rest) = (self.units() / self.group, self.units() % self.group);
        let counted = whole.min(COUNTED_GROUPS);
        let groups = self.groups().take(counted).map(&of_group);
        let all = groups.fold(Cost::default(), Add::add) * (whole as f64 / counted as f64);
        if rest == 0 { all } else { all + of_group(self.units() - rest..self.units()) }
    }

    /// The spectra that a pass in one group can keep for the others, or take from them.
    pub(crate) fn shares(&self) -> Vec<Shared> {
        let [left, right, _] = self.pass.roles();
        let shared = |role| {
            let saved = Cost { workspace: 0, ..self.transform_cost(role) };
            Shared { key: self.key(role), len: self.spectra_len(role), saved }
        };
        match (&self.fused, self.pass) {
            (None, _) => vec![shared(left), shared(right)],
            (Some(_), Pass::BackwardWeights) => Vec::new(),
            (Some(_), _) => vec![shared(right)],
        }
    }

    /// What a byte of the spectra counts as.
    fn spilled(&self) -> f64 {
        let values: usize = self.pass.roles().iter().map(|role| self.spectra_len(*role)).sum();
        if values * size_of::<f32>() > self.cached * self.threads { SPILLED } else { 1.0 }
    }

    /// What transforming this tensor once takes, over all units: the flops of whole lane blocks, the tensor
    /// read or written once and its spectra once. Moves are [`moves`] of each map, and a value's part of a vector where maps that are transformed at once
    /// are too large for the cache near them and pass through it for every axis.
    pub(crate) fn transform_cost(&self, role: Role) -> Cost {
        let (span, shape) = (self.tiling.span(role), self.tiling.shape());
        let in_all_lanes = |flops: u64| flops.saturating_mul(LANES as u64);
        let (product, support) = (role == self.pass.roles()[2], span.clone().map(|span| span.end));
        let flops = match (self.in_lanes, product) {
            (InLanes::Maps, false) => RealFft::forward_flops(&shape, &support).map(in_all_lanes),
            (InLanes::Maps, true) => RealFft::inverse_flops(&shape, &span).map(in_all_lanes),
            (InLanes::Points, false) => PlaneFft::forward_flops(&shape, &support),
            (InLanes::Points, true) => PlaneFft::inverse_flops(&shape, &span),
        };
        let block_flops = flops.unwrap_or(0) as f64;
        let rows = (span[0].len() * span[1].len()) as f64;
        let apart = self.problem.volume().iter().any(|axis| axis.stride > 1 || axis.dilation > 1);
        let block_values = match self.in_lanes {
            InLanes::Maps => self.points * LANES + self.blocks() * LANES * COMPLEX_POINT,
            InLanes::Points => self.points + self.blocks() * COMPLEX_POINT,
        } as f64;
        let axes = shape.iter().filter(|points| **points > 1).count() as f64;
        let passing = if block_values * 4.0 > self.near as f64 { block_values * axes } else { 0.0 };
        let spectrum = (self.blocks() * COMPLEX_POINT) as f64;
        let all = self.over_groups(role, |units| {
            let maps = self.maps(role, units);
            let [blocks, tasks] = self.lane_blocks(role, &maps);
            let count = maps.count() as f64;
            let transform_flops = block_flops * blocks as f64;
            let moves = count * moves(self.in_lanes, rows, apart) + blocks as f64 * passing * PASSED;
            let bytes = 4.0 * count * spectrum * self.spilled();
            let cost = Cost { transform_flops, moves, bytes, launches: 1.0, ..Cost::default() };
            cost.in_tasks(tasks, self.threads)
        });
        Cost { bytes: all.bytes + 4.0 * self.problem.len(role) as f64, ..all }
    }

    /// What the products take: 8 operations for each complex multiply-add of the stored frequencies, their
    /// padding to blocks of 16 included, and every spectrum read or written once.
    pub(super) fn product_cost(&self) -> Cost {
        let sums = self.units() as f64 * self.problem.out_channels() as f64;
        let terms = (self.problem.group_in() * self.phases(Role::Input)) as f64;
        let product_flops = 8.0 * sums * terms * (self.blocks() * LANES) as f64;
        let groups = self.units().div_ceil(self.group) as f64;
        let values = |role| self.maps_f64(role) * (self.blocks() * COMPLEX_POINT) as f64 * groups;
        let bytes =
            4.0 * [Role::Input, Role::Weight, Role::Output].map(values).iter().sum::<f64>() * self.spilled();
        let cost = Cost { product_flops, bytes, launches: groups, ..Cost::default() };
        let sizes = self.product_sizes(self.group);
        cost.in_tasks(sizes[0].div_ceil(self.product_rows(sizes[0])) * self.slabs(), self.threads)
    }

    /// The counted cost of the pass.
    pub(crate) fn cost(&self) -> Cost {
        let all = match &self.fused {
            Some(fused) => fused.cost(self),
            None => {
                let transforms = self.pass.roles().map(|role| self.transform_cost(role));
                transforms.into_iter().fold(self.product_cost(), |sum, cost| sum + cost)
            }
        };
        Cost { workspace: self.workspace_len() * size_of::<f32>(), ..all }
    }
}
