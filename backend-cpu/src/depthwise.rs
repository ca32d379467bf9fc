//! `depthwise`: direct convolution of layers whose groups have one channel, 16 channels in the lanes.
//!
//! A task copies a band of 16 source maps into its cache, so that the values of 16 channels at a point are a vector.
//! Then every tap is a vector of weights times vectors that lie whole in memory, whatever the width of the maps and the
//! stride, and rows of padding are passed over.

mod kernel;
mod maps;
mod weights;

use std::ops::Range;

use conv_core::{ConvAlgorithm, ConvKernel, ConvProblem, Cost, Machine, Pass, Result, Role, Unsupported};

use crate::Cpu;
use crate::blocking::{self, Planned};
use crate::padding::{Class, MOST_VALUES, Tap};
use crate::product::LANES;
use crate::strip;
use maps::Maps;
use weights::Weights;

/// Direct convolution of depthwise layers.
pub(crate) struct Depthwise;

/// The longest step from row to row, or slice to slice, of targets or sources.
const MOST_STEPS: usize = 64;

/// Points of the largest kernel: its sums are 4 MiB.
const MOST_POINTS: usize = 1 << 16;

/// What begins and ends a row of 16 maps, in moves.
const ROW_MOVES: f64 = 256.0;

/// Whether 16 channels can stand in the lanes.
///
/// # Errors
/// A refusal that says what the engine takes.
fn check(problem: &ConvProblem) -> std::result::Result<(), Unsupported> {
    let refused = |reason: &'static str| Err(Unsupported::Geometry(reason.into()));
    if problem.group_in() != 1 || problem.group_out() != 1 {
        return refused("its groups have more than one channel");
    }
    if problem.volume()[2].stride > kernel::MOST_STRIDE {
        return refused("the stride of its last axis is above 2");
    }
    let large = |axis: &conv_core::Axis| axis.stride > MOST_STEPS || axis.padded() > MOST_VALUES;
    if problem.volume().iter().any(large) {
        return refused("its axes are longer than any cache");
    }
    if problem.points(Role::Weight) > MOST_POINTS {
        return refused("its kernels are larger than any cache");
    }
    Ok(())
}

/// Blocks of 16 channels.
fn channel_blocks(problem: &ConvProblem) -> Vec<Range<usize>> {
    let channels = problem.groups();
    (0..channels).step_by(LANES).map(|first| first..(first + LANES).min(channels)).collect()
}

/// Boxes of maps of this shape, one after the other along the axis that is cut into bands.
fn boxes(shape: [usize; 3], cut: usize, band: usize) -> impl Iterator<Item = [Range<usize>; 3]> + use<> {
    let whole = shape.map(|len| 0..len);
    (0..shape[cut]).step_by(band).map(move |begin| {
        let mut part = whole.clone();
        part[cut] = begin..(begin + band).min(shape[cut]);
        part
    })
}

/// A box of source positions, in the maps or in their padding, and its strip.
#[derive(Clone, Copy, Debug)]
struct Field {
    origin: [isize; 3],
    lens: [usize; 3],
}

impl Field {
    /// What classes of targets meet.
    fn new<'a>(axes: [impl Iterator<Item = (Class, &'a [Tap])>; 3]) -> Field {
        let mut field = Field { origin: [0; 3], lens: [1; 3] };
        for (axis, classes) in axes.into_iter().enumerate() {
            let met = classes.filter(|(class, taps)| class.count > 0 && !taps.is_empty());
            let ends = met.map(|(class, _)| (class.low(), class.low() + class.span() as isize));
            if let Some((low, end)) = ends.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))) {
                (field.origin[axis], field.lens[axis]) = (low, (end - low) as usize);
            }
        }
        field
    }

    /// Elements from one row to the next.
    fn row(&self) -> usize {
        strip::width(self.lens[2])
    }

    /// Elements from one slice to the next.
    fn slice(&self) -> usize {
        self.lens[1] * self.row()
    }

    /// f32 values of the strip; `None` where they are very many.
    fn values(&self) -> Option<usize> {
        let elements = self.lens[0].checked_mul(self.lens[1])?.checked_mul(self.row())?;
        // A last column is read with those up to the next step.
        elements.checked_add(kernel::MOST_STRIDE)?.checked_mul(LANES)
    }

    /// Moves of its copies.
    fn moves(&self) -> f64 {
        let rows = (self.lens[0] * self.lens[1]) as f64;
        rows * (ROW_MOVES + (self.row() * LANES) as f64)
    }
}

impl ConvAlgorithm<Cpu> for Depthwise {
    fn name(&self) -> &'static str {
        "depthwise"
    }

    fn estimate(
        &self,
        machine: &Machine,
        problem: &ConvProblem,
        pass: Pass,
    ) -> std::result::Result<Cost, Unsupported> {
        plan(machine, problem, pass).map(|plan| plan.estimate())
    }

    fn build(&self, backend: &Cpu, problem: &ConvProblem, pass: Pass) -> Result<Box<dyn ConvKernel<Cpu>>> {
        blocking::build(self.name(), problem, pass, plan(&backend.machine, problem, pass))
    }
}

/// By maps in forward and backward-input, or by weights.
fn plan(machine: &Machine, problem: &ConvProblem, pass: Pass) -> Planned {
    check(problem)?;
    Ok(match pass {
        Pass::BackwardWeights => Box::new(Weights::new(machine, problem)?),
        _ => Box::new(Maps::new(machine, problem, pass)?),
    })
}
