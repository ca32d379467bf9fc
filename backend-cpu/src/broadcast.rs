//! `broadcast`: direct convolution with 16 made channels of a group in the lanes and values of the source, padded copies
//! of its maps, broadcast to all of them. For maps of any width under 16 channels and more.

use conv_core::{ConvProblem, Machine, Pass};

use crate::blocking::{Blocked, Planned};
use crate::channels;
use crate::merge::merged;

/// Direct convolution by broadcast values.
pub(crate) const BROADCAST: Blocked = Blocked::new("broadcast", plan);

fn plan(machine: &Machine, problem: &ConvProblem, pass: Pass) -> Planned {
    channels::plan::<f32>(machine, &merged(problem), pass)
}
