//! `im2col`: the layer as matrix products over unfolded sources, some targets at a time.
//!
//! Row `(channel, tap)` and column `target` of the unfolded matrix hold the source value that the two meet, or a zero
//! of the padding. Forward ([`maps`]) is `Y = W U`; backward-input is the same with the gradient for a source, one
//! product for each class of targets that meet the same taps, or, where outputs are few, what they add to the sources
//! ([`fold`]); backward-weights ([`weights`]) is `dW = Σ dY Uᵀ`. What is unfolded at a time stays in the second-level
//! cache. Where the kernel is as large as the input, images are the columns ([`linear`]); where it has one point, nothing
//! is unfolded ([`pointwise`]).

mod cut;
mod dots;
mod fold;
mod lanes;
mod linear;
mod maps;
mod pack;
mod pointwise;
mod unfold;
mod weights;

use std::ops::Range;

use conv_core::{ConvProblem, Machine, Pass, Role, Unsupported};

use crate::blocking::{Blocked, Blocking, Planned};
use crate::merge::merged;
use crate::product::LANES;
use fold::Fold;
use linear::Linear;
use maps::Maps;
use weights::Weights;

/// Values of the largest matrices that a task may need.
const MOST_VALUES: usize = 1 << 36;

/// Targets that a task should have at least.
const FEWEST: usize = 64;

/// Matrix products over unfolded sources.
pub(crate) const IM2COL: Blocked = Blocked::new("im2col", plan);

/// One product of all images, or products by targets, or by weights.
fn plan(machine: &Machine, problem: &ConvProblem, pass: Pass) -> Planned {
    let layer = merged(problem);
    if layer.volume().iter().all(|axis| axis.padded() == 1) {
        return Ok(Box::new(Linear::new(machine, &layer, pass)));
    }
    if let Some(pointwise) = pointwise::plan(machine, &layer, pass) {
        return Ok(pointwise);
    }
    if pass == Pass::BackwardWeights {
        return Ok(Box::new(Weights::new(machine, &layer)?));
    }
    let maps = Maps::new(machine, &layer, pass)?;
    let fold = if pass == Pass::BackwardInput { Fold::new(machine, &layer) } else { None };
    let seconds = |cost| machine.model.seconds(IM2COL.name, pass, &cost, machine.threads);
    Ok(match fold {
        Some(fold) if seconds(fold.cost()) < seconds(maps.cost()) => Box::new(fold),
        _ => Box::new(maps),
    })
}

/// What is refused.
fn too_large() -> Unsupported {
    Unsupported::Geometry("its unfolded matrices are larger than any memory".into())
}

/// The targets of each element.
fn elements(targets: usize) -> Vec<Range<usize>> {
    (0..targets).step_by(LANES).map(|first| first..targets.min(first + LANES)).collect()
}

/// Bytes of all operands.
fn tensor_bytes(problem: &ConvProblem) -> f64 {
    let lens = [Role::Input, Role::Weight, Role::Output].map(|role| problem.len(role) as f64);
    size_of::<f32>() as f64 * lens.iter().sum::<f64>()
}
