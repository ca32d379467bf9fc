//! `images`: direct convolution with 16 images in the lanes, as in the layout C H W N of cuda-convnet. For batches of
//! small maps of few channels, where neither channels nor columns fill vectors.
//!
//! A task copies what a band of targets of 16 images meets into its cache. Then every tap is a value of weights, broadcast,
//! times what a target meets there, whatever the width of the maps and the number of channels, and taps that meet padding
//! alone are passed over.

mod kernel;
mod maps;
mod weights;

use std::ops::Range;

use conv_core::{ConvProblem, Machine, Pass, Role, Unsupported};

use crate::blocking::{Blocked, Planned, channels};
use crate::channels::{Element, Field, Value, refusal};
use crate::merge::merged;
use crate::product::LANES;
use maps::Maps;
use weights::Weights;

/// Direct convolution of 16 images at once.
pub(crate) const IMAGES: Blocked = Blocked::new("images", plan);

/// Weights at most: their sums, for 16 images, are 4 MiB.
const MOST_WEIGHTS: usize = 1 << 16;

/// By maps in forward and backward-input, or by weights.
fn plan(machine: &Machine, problem: &ConvProblem, pass: Pass) -> Planned {
    let problem = &merged(problem);
    refusal(problem, pass)?;
    if problem.len(Role::Weight) > MOST_WEIGHTS {
        return Err(Unsupported::Geometry("its kernels are larger than any cache".into()));
    }
    Ok(match pass {
        Pass::BackwardWeights => Box::new(Weights::new(machine, problem)?),
        _ => Box::new(Maps::new(machine, problem, pass)?),
    })
}

/// Images by groups of those that go together.
fn image_groups(batch: usize) -> Vec<Range<usize>> {
    (0..batch).step_by(LANES).map(|first| first..(first + LANES).min(batch)).collect()
}

/// Made channels by groups of the problem.
fn made_groups(problem: &ConvProblem, pass: Pass) -> impl Iterator<Item = Range<usize>> + use<> {
    let made = channels(problem, pass)[0];
    (0..problem.groups()).map(move |group| group * made..(group + 1) * made)
}

/// f32 values of the copies of a field of so many channels; `None` where they are very many.
fn copies(field: &Field, channels: usize) -> Option<usize> {
    let [slices, rows, _] = field.lens();
    let elements = slices.checked_mul(rows)?.checked_mul(Element::row(field))?;
    elements.checked_mul(channels)?.checked_mul(LANES)
}
