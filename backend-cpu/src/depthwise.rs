//! `depthwise`: direct convolution of layers whose groups have one channel, 16 channels in the lanes.
//!
//! A task copies a band of 16 source maps into its cache, so that the values of 16 channels at a point are a vector.
//! Then every tap is a vector of weights times vectors that lie whole in memory, whatever the width of the maps and the
//! stride, and rows of padding are passed over.

mod kernel;
mod maps;
mod weights;

use std::ops::Range;

use conv_core::{
    ConvAlgorithm, ConvKernel, ConvProblem, Cost, Error, Machine, Operands, Pass, Result, Role, Scratch,
    Unsupported,
};

use crate::Cpu;
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
        Blocking::new(machine, problem, pass).map(|blocking| blocking.cost())
    }

    fn build(&self, backend: &Cpu, problem: &ConvProblem, pass: Pass) -> Result<Box<dyn ConvKernel<Cpu>>> {
        let algorithm = self.name();
        let refused = |reason| Error::Refused { algorithm, pass, problem: Box::new(*problem), reason };
        let blocking = Blocking::new(&backend.machine, problem, pass).map_err(refused)?;
        Ok(Box::new(Kernel { problem: *problem, pass, blocking }))
    }
}

/// How the pass is cut into tasks.
enum Blocking {
    /// By maps: forward and backward-input.
    Maps(Maps),
    /// By weights.
    Weights(Weights),
}

impl Blocking {
    fn new(machine: &Machine, problem: &ConvProblem, pass: Pass) -> std::result::Result<Self, Unsupported> {
        check(problem)?;
        Ok(match pass {
            Pass::BackwardWeights => Blocking::Weights(Weights::new(machine, problem)?),
            _ => Blocking::Maps(Maps::new(machine, problem, pass)?),
        })
    }

    fn cost(&self) -> Cost {
        match self {
            Blocking::Maps(maps) => maps.cost(),
            Blocking::Weights(weights) => weights.cost(),
        }
    }

    fn workspace_len(&self) -> usize {
        match self {
            Blocking::Maps(maps) => maps.workspace_len(),
            Blocking::Weights(weights) => weights.workspace_len(),
        }
    }
}

/// One problem and pass.
struct Kernel {
    problem: ConvProblem,
    pass: Pass,
    blocking: Blocking,
}

impl ConvKernel<Cpu> for Kernel {
    fn workspace_len(&self) -> usize {
        self.blocking.workspace_len()
    }

    fn run(&self, backend: &Cpu, operands: Operands<'_, Cpu>, scratch: Scratch<'_, Cpu>) -> Result<()> {
        operands.check(backend, &self.problem, self.pass)?;
        let found = scratch.workspace.len();
        conv_core::algorithm::check_len("workspace", self.workspace_len().max(found), found)?;
        let workspace = &mut scratch.workspace[..self.blocking.workspace_len()];
        let Operands { lhs, rhs, out, bias, relu } = operands;
        match &self.blocking {
            Blocking::Maps(maps) => maps.run([lhs, rhs], out, (bias.map(|bias| &bias[..]), relu), workspace),
            Blocking::Weights(weights) => weights.run([lhs, rhs], out, workspace),
        }
        Ok(())
    }
}
