//! Kernels of one point: products of weights and maps, without unfolding.

mod maps;
mod weights;

use conv_core::{ConvProblem, Machine, Pass, Role};

use super::MOST_VALUES;
use crate::blocking::Blocking;
use crate::product::LANES;
use maps::Maps;
use weights::Weights;

/// Points of a map at least: in smaller ones too many of the last vector's lanes are beyond them.
const FEWEST_POINTS: usize = 128;

/// The blocking of a pass of a merged layer in which every target meets one source, its own point.
pub(super) fn plan(machine: &Machine, problem: &ConvProblem, pass: Pass) -> Option<Box<dyn Blocking>> {
    let [a, b, axis] = problem.volume();
    let own = [a, b].iter().all(|axis| axis.input == 1) && problem.points(Role::Weight) == 1;
    let plain = own && axis.padding == (0, 0) && axis.output() == axis.input;
    if !plain || axis.input < FEWEST_POINTS || problem.len(Role::Weight) > MOST_VALUES / LANES {
        return None;
    }
    Some(match pass {
        Pass::BackwardWeights => Box::new(Weights::new(machine, problem)),
        _ => Box::new(Maps::new(machine, problem, pass)),
    })
}
