//! Convolution by tiles, fused: a group of tiles is transformed, multiplied and inverted while it is in the cache.
//!
//! Every pass is a correlation of tiles of one tensor, the *data*, with a *kernel*, which gives *targets*. 16 channels
//! stand in the lanes of every value and point. In forward and backward-input ([`maps`]) the kernels are the weights
//! (turned around in backward-input); in backward-weights ([`weights`]) the tiles of the gradient are the kernels of
//! those of the input, and the products of all tiles are summed before they become weights.

mod grid;
mod maps;
pub(crate) mod phases;
mod weights;

use conv_core::{ConvProblem, Cost, Machine, Pass, Unsupported};

use crate::blocking::{Blocking, Planned};
use crate::product::Elements;
pub(crate) use crate::product::{Kind, LANES};
pub(crate) use grid::Correlation;
use maps::Maps;
use weights::Weights;

/// f32 values at a point of the channels that tasks make together.
const PANEL: usize = 64;

/// What turns tiles, kernels and products of one size into each other, for 16 maps in the lanes.
///
/// Values of a map are rows of neighbours, slices and rows so many f32 apart as `steps` says; points are `apart` f32 apart.
pub(crate) trait Transform: Send + Sync {
    /// What a point is.
    fn kind(&self) -> Kind;

    /// Points of a map.
    fn points(&self) -> usize;

    /// f32 values of `scratch`.
    fn scratch_len(&self) -> usize;

    /// Operations of the three transforms of one map.
    fn flops(&self) -> [u64; 3];

    /// Values to points of a tile.
    fn data(&self, from: &[f32], steps: [usize; 2], to: &mut [f32], apart: usize, scratch: &mut [f32]);

    /// Values to points of a kernel.
    fn kernel(&self, from: &[f32], steps: [usize; 2], to: &mut [f32], apart: usize, scratch: &mut [f32]);

    /// Points of a product to targets.
    fn target(&self, from: &[f32], apart: usize, to: &mut [f32], steps: [usize; 2], scratch: &mut [f32]);
}

/// Blocks of 16 channels.
fn element_blocks(channels: usize) -> usize {
    channels.div_ceil(LANES)
}

/// Counts a transform of 16 maps.
fn transformed(flops: impl FnOnce() -> u64) {
    crate::counted::transformed(|| flops() * LANES as u64);
}

/// Points of a task: `[point][part][row][channel]`. A part has the channels of an element, of a panel, or all. A point has
/// an element more, so that those of neighbouring points do not compete for the same lines of the cache.
#[derive(Clone, Copy, Debug)]
struct Spectrum {
    points: usize,
    parts: usize,
    rows: usize,
    /// f32 values of a row of a part.
    row: usize,
    /// f32 values of an element.
    element: usize,
}

impl Spectrum {
    /// Points of `rows` rows whose channels take `len` f32 values, in parts of so many.
    fn in_parts(kind: Kind, points: usize, rows: usize, [len, part]: [usize; 2]) -> Spectrum {
        Spectrum { points, parts: len.div_ceil(part), rows, row: part, element: kind.element() }
    }

    /// The same in elements, as factors stand whose channels are in the lanes.
    fn in_elements(kind: Kind, points: usize, rows: usize, len: usize) -> Spectrum {
        Spectrum::in_parts(kind, points, rows, [len, kind.element()])
    }

    /// f32 values from one point to the next.
    fn apart(&self) -> usize {
        self.parts * self.rows * self.row + self.element
    }

    fn len(&self) -> usize {
        self.points * self.apart()
    }

    /// The place in a point of a row's value number `at`.
    fn place(&self, row: usize, at: usize) -> usize {
        (at / self.row * self.rows + row) * self.row + at % self.row
    }

    /// The values of a point.
    fn point<'a>(&self, values: &'a [f32], point: usize) -> &'a [f32] {
        &values[point * self.apart()..][..self.apart()]
    }

    fn point_mut<'a>(&self, values: &'a mut [f32], point: usize) -> &'a mut [f32] {
        let apart = self.apart();
        &mut values[point * apart..][..apart]
    }

    /// The elements at a point, from one on.
    fn elements<'a>(&self, values: &'a [f32], point: usize, first: usize) -> Elements<'a> {
        let apart = self.rows * self.row;
        Elements { values: &self.point(values, point)[first * apart..], apart }
    }
}

/// Plans a pass by the correlation of least predicted time: by tiles in forward and backward-input, or by weights. `None`
/// where none fits.
pub(crate) fn fastest<T: Transform + 'static>(
    machine: &Machine,
    (algorithm, problem, pass): (&str, &ConvProblem, Pass),
    correlations: impl Iterator<Item = (Correlation, T)>,
) -> Option<Box<dyn Blocking>> {
    let seconds = |cost: &Cost| machine.model.seconds(algorithm, pass, cost, machine.threads);
    let plan = |correlation| -> Planned {
        Ok(match pass {
            Pass::BackwardWeights => Box::new(Weights::new(machine, problem, correlation, &seconds)?),
            _ => Box::new(Maps::new(machine, problem, pass, correlation, &seconds)?),
        })
    };
    let priced = correlations.filter_map(|correlation| plan(correlation).ok()).map(|plan| {
        let seconds = seconds(&plan.estimate());
        (plan, seconds)
    });
    priced.min_by(|(_, a), (_, b)| a.total_cmp(b)).map(|(plan, _)| plan)
}

/// What is refused.
pub(crate) fn too_large() -> Unsupported {
    Unsupported::Geometry("its transformed tiles are larger than any memory".into())
}
