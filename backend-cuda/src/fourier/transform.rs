//! A transform as kernels take it: mirrors the structures of `kernels/transform.cuh`, with their tables.

use std::f64::consts::TAU;

use conv_core::fourier::Tiling;
use conv_core::{Backend, Result, Role};

use super::plan::Plan;
use super::steps::{Step, order, radices, steps};
use crate::buffer::Table;
use crate::geometry::Divisor;
use crate::{Buffer, Cuda};

/// Steps of an axis, which no line in shared memory exceeds.
const MOST_STEPS: usize = 10;

/// Pairs of maps of a block at most.
const MOST_PAIRS: usize = 8;

#[repr(C)]
#[derive(Clone, Copy, Debug)]
struct Side {
    length: i32,
    steps: i32,
    factors: i32,
    order: i32,
    placements: i32,
    tiles: i32,
    phases: i32,
    begin: i32,
    held: Divisor<i32>,
    origin: i32,
    inner_apart: i32,
    mid_apart: i32,
    point_apart: i32,
    inner: Divisor<i32>,
    mid: Divisor<i32>,
    lines: Divisor<i32>,
    step: [Step; MOST_STEPS],
}

/// The transform of one tensor of a pass.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Transform {
    sides: [Side; 3],
    pairs: i32,
    volume: i32,
    pitch: i32,
    half: Divisor<i32>,
    rows: Divisor<i32>,
    scale: f32,
}

/// The maps of a tensor in a group of units.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Maps {
    pub(super) count: i64,
    pub(super) first_unit: i64,
    pub(super) planes_per_unit: i32,
    pub(super) phases: i32,
    pub(super) tiles: i32,
    pub(super) shape: [i32; 3],
}

/// Integers and factors that transforms look up, of all tensors of a pass.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tables {
    integers: Vec<i32>,
    /// `exp(-2πi k/n)` for each axis, real and imaginary parts in turn.
    factors: Vec<f32>,
}

/// Values from one row of a volume to the next: odd, so that neighbouring rows are in different banks.
fn pitch(shape: [usize; 3]) -> usize {
    shape[2] | 1
}

/// Complex points of the volume of one pair of maps.
pub(crate) fn volume(shape: [usize; 3]) -> usize {
    shape[0] * shape[1] * pitch(shape)
}

/// Pairs of maps a block transforms: as many as half of a multiprocessor's shared memory holds, so that two blocks
/// run on it, but at least one; `None` where not even one fits.
pub(crate) fn pairs(shape: [usize; 3], shared: usize) -> Option<usize> {
    let points = shape[0].saturating_mul(shape[1]).saturating_mul(pitch(shape));
    let bytes = points.saturating_mul(size_of::<[f32; 2]>());
    let fit = |share: usize| [MOST_PAIRS, 4, 2, 1].into_iter().find(|pairs| bytes <= shared / share / pairs);
    // The kernel has other shared memory besides.
    let shared = shared.saturating_sub(1 << 10);
    fit(2).or(if bytes <= shared { Some(1) } else { None })
}

impl Transform {
    /// The transform of this tensor; adds what it looks up to `tables`.
    pub(crate) fn new(plan: &Plan, role: Role, tables: &mut Tables) -> Self {
        let (tiling, shape) = (&plan.tiling, plan.tiling.shape());
        let [n0, n1, n2] = shape;
        let in_block = plan.passes.is_none();
        let (pitch, span) = (if in_block { pitch(shape) } else { n2 }, tiling.span(role));
        let held = span.clone().map(|span| span.len());
        // Lines along each axis: how many are next to each other, how many such rows, and how far apart all is.
        let lines = [
            ([n2, 1], [n1, pitch], n1 * pitch, 0),
            ([n2, 1], [held[0], n1 * pitch], pitch, span[0].start * n1 * pitch),
            ([held[1], pitch], [held[0], n1 * pitch], 1, (span[0].start * n1 + span[1].start) * pitch),
        ];
        let side = |axis: usize| {
            let ([inner, inner_apart], [mid, mid_apart], point_apart, origin) = lines[axis];
            let radices = radices(shape[axis]).expect("the plan has good lengths");
            let placements = tables.add_placements(tiling, role, axis);
            let order = tables.add(&order(&radices));
            let factors = tables.add_factors(shape[axis]);
            let phases = if role == Role::Output { 1 } else { tiling.phases()[axis] };
            let tiles = if role == Role::Weight { 1 } else { tiling.tiles()[axis] };
            Side {
                length: shape[axis] as i32,
                steps: radices.len() as i32,
                factors,
                order,
                placements,
                tiles: tiles as i32,
                phases: phases as i32,
                begin: span[axis].start as i32,
                held: Divisor::new(held[axis]),
                origin: origin as i32,
                inner_apart: inner_apart as i32,
                mid_apart: mid_apart as i32,
                point_apart: point_apart as i32,
                inner: Divisor::new(inner),
                mid: Divisor::new(mid),
                lines: Divisor::new(inner * mid * plan.pairs),
                step: steps(&radices, shape[axis], shape[axis], 1),
            }
        };
        Transform {
            sides: [0, 1, 2].map(side),
            pairs: plan.pairs as i32,
            volume: (n0 * n1 * pitch) as i32,
            pitch: pitch as i32,
            half: Divisor::new(n2 / 2 + 1),
            rows: Divisor::new(n1),
            scale: 1.0 / (n0 * n1 * n2) as f32,
        }
    }

    /// Where an axis' factors begin in their table.
    pub(super) fn factors(&self, axis: usize) -> usize {
        self.sides[axis].factors as usize
    }
}

impl Tables {
    /// As kernels read them.
    ///
    /// # Errors
    /// As [`Backend::alloc`].
    pub(crate) fn upload(&self, backend: &Cuda) -> Result<(Table, Buffer)> {
        let mut factors = backend.alloc(self.factors.len())?;
        backend.upload(&self.factors, &mut factors)?;
        Ok((Table::new(backend.device(), &self.integers)?, factors))
    }

    fn add(&mut self, values: &[i32]) -> i32 {
        let at = self.integers.len();
        self.integers.extend(values);
        at as i32
    }

    /// Placements of every tile and phase along an axis: first element, elements apart, first point, points apart,
    /// count.
    fn add_placements(&mut self, tiling: &Tiling, role: Role, axis: usize) -> i32 {
        let tiles = if role == Role::Weight { 1 } else { tiling.tiles()[axis] };
        let phases = if role == Role::Output { 1 } else { tiling.phases()[axis] };
        let at = self.integers.len();
        for (tile, phase) in (0..tiles).flat_map(|tile| (0..phases).map(move |phase| (tile, phase))) {
            let place = tiling.axis_placement(axis, role, tile, phase);
            let values = [place.first, place.step, place.at, place.apart, place.len];
            self.integers.extend(values.map(|value| value as i32));
        }
        at as i32
    }

    fn add_factors(&mut self, n: usize) -> i32 {
        let at = self.factors.len() / 2;
        for k in 0..n {
            let (sine, cosine) = (TAU * k as f64 / n as f64).sin_cos();
            self.factors.extend([cosine as f32, -sine as f32]);
        }
        at as i32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_follow_the_shared_memory() {
        let shared = 227 << 10;
        assert_eq!(pairs([1, 16, 16], shared), Some(8));
        assert_eq!(pairs([1, 64, 64], shared), Some(2));
        assert_eq!(pairs([1, 128, 128], shared), Some(1));
        assert_eq!(pairs([1, 256, 256], shared), None);
    }
}
