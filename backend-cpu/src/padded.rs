//! `padded`: direct convolution on padded copies of the maps, so that every tap of every target is a whole vector.
//!
//! A task copies the source maps of a group into its cache, zeros around them and strided columns side by side; then
//! neighbouring targets of a row stand in the lanes, and no tap needs a mask or a gather. Meant for few channels a
//! group: depthwise layers, first layers, LeNet's.

mod kernel;
mod made;
mod maps;
mod weights;

use conv_core::{ConvProblem, Machine, Pass};

use crate::blocking::{Blocked, Planned};
use crate::merge::merged;
use maps::Maps;
use weights::Weights;

/// Direct convolution on padded copies.
pub(crate) const PADDED: Blocked = Blocked::new("padded", plan);

/// By maps in forward and backward-input, or by weights.
fn plan(machine: &Machine, problem: &ConvProblem, pass: Pass) -> Planned {
    let layer = merged(problem);
    Ok(match pass {
        Pass::BackwardWeights => Box::new(Weights::new(machine, &layer)?),
        _ => Box::new(Maps::new(machine, &layer, pass)?),
    })
}
