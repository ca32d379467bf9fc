//! `depthwise`: direct convolution of layers whose groups have one channel, 16 channels in the lanes.

use conv_core::{ConvProblem, Machine, Pass, Unsupported};

use crate::blocking::{Blocked, Planned};
use crate::channels::{self, Element, MOST_STEP};

/// Direct convolution of depthwise layers.
pub(crate) const DEPTHWISE: Blocked = Blocked::new("depthwise", plan);

fn plan(machine: &Machine, problem: &ConvProblem, pass: Pass) -> Planned {
    let refused = |reason: &'static str| Err(Unsupported::Geometry(reason.into()));
    if problem.group_in() != 1 || problem.group_out() != 1 {
        return refused("its groups have more than one channel");
    }
    if problem.volume()[2].stride > MOST_STEP {
        return refused("the stride of its last axis is above 2");
    }
    channels::plan::<Element>(machine, problem, pass)
}
