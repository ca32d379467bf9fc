//! Direct convolution with 16 made channels in the lanes, for `depthwise` and `broadcast`; `broadcast` makes two such
//! blocks at once.
//!
//! A task copies what a band of targets meets into its cache. Then every tap is a vector of weights times what a target
//! meets there, whatever the width of the maps, and rows of padding are passed over. Both engines are one code over the
//! [`Value`] met: an [`Element`] of the lanes' own source channels, or one value for all lanes.

mod kernel;
mod maps;
mod value;
mod weights;

use std::ops::Range;

use conv_core::{Axis, ConvProblem, Machine, Pass, Role, Unsupported};

use crate::blocking::{Planned, channels};
use crate::padding::{Class, MOST_VALUES, Tap};
use crate::product::LANES;
pub(crate) use kernel::{MOST_STEP, Place};
use maps::Maps;
pub(crate) use value::{Element, Value};
use weights::Weights;

/// The longest step from row to row, or slice to slice, of targets or sources.
const MOST_STEPS: usize = 64;

/// Weights of a made channel at most: those of a block are 4 MiB.
const MOST_WEIGHTS: usize = 1 << 16;

/// What begins and ends a row of 16 maps, in moves.
pub(crate) const ROW_MOVES: f64 = 256.0;

/// By maps in forward and backward-input, or by weights.
///
/// # Errors
/// A refusal of axes and kernels that are larger than any cache.
pub(crate) fn plan<T: Value>(machine: &Machine, problem: &ConvProblem, pass: Pass) -> Planned {
    refusal(problem, pass)?;
    Ok(match pass {
        Pass::BackwardWeights => Box::new(Weights::<T>::new(machine, problem)?),
        _ => Box::new(Maps::<T>::new(machine, problem, pass)?),
    })
}

/// # Errors
/// Axes and kernels that are larger than any cache.
pub(crate) fn refusal(problem: &ConvProblem, pass: Pass) -> Result<(), Unsupported> {
    let refused = |reason: &'static str| Err(Unsupported::Geometry(reason.into()));
    let large = |axis: &Axis| axis.stride > MOST_STEPS || axis.padded() > MOST_VALUES;
    if problem.volume().iter().any(large) {
        return refused("its axes are longer than any cache");
    }
    let [made, summed] = channels(problem, pass);
    if problem.points(Role::Weight).saturating_mul(made.max(summed)) > MOST_WEIGHTS {
        return refused("its kernels are larger than any cache");
    }
    Ok(())
}

/// Blocks of up to so many made channels, of all groups: where a value has its own channels, those of neighbouring groups.
fn channel_blocks<T: Value>(problem: &ConvProblem, pass: Pass, most: usize) -> Vec<Range<usize>> {
    let (groups, [made, _]) = (problem.groups(), channels(problem, pass));
    let (parts, len) = if T::CHANNELS == LANES { (1, groups) } else { (groups, made) };
    let of =
        |part: Range<usize>| part.clone().step_by(most).map(move |first| first..(first + most).min(part.end));
    (0..parts).flat_map(|part| of(part * len..(part + 1) * len)).collect()
}

/// Boxes of maps of this shape, one after the other along the axis that is cut into bands.
pub(crate) fn boxes(
    shape: [usize; 3],
    cut: usize,
    band: usize,
) -> impl Iterator<Item = [Range<usize>; 3]> + use<> {
    let whole = shape.map(|len| 0..len);
    (0..shape[cut]).step_by(band).map(move |begin| {
        let mut part = whole.clone();
        part[cut] = begin..(begin + band).min(shape[cut]);
        part
    })
}

/// A box of source positions, in the maps or in their padding, by axis as what a class meets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    classes: [Class; 3],
}

impl Field {
    /// What classes of targets meet.
    pub(crate) fn new<'a>(axes: [impl Iterator<Item = (Class, &'a [Tap])>; 3]) -> Field {
        let met = |(class, taps): &(Class, &[Tap])| class.count > 0 && !taps.is_empty();
        Field { classes: axes.map(|axis| Class::covering(axis.filter(met).map(|(class, _)| class))) }
    }

    /// The same positions, the columns in their own order.
    pub(crate) fn in_order(self) -> Field {
        Field { classes: self.classes.map(|class| Class::positions(class.low(), class.span())) }
    }

    pub(crate) fn origin(&self) -> [isize; 3] {
        self.classes.map(|class| class.low())
    }

    pub(crate) fn lens(&self) -> [usize; 3] {
        self.classes.map(|class| class.span())
    }

    /// Values from one slice to the next.
    pub(crate) fn slice<T: Value>(&self) -> usize {
        self.lens()[1] * T::row(self)
    }

    /// Values from one summed channel to the next.
    pub(crate) fn map<T: Value>(&self) -> usize {
        self.lens()[0] * self.slice::<T>()
    }

    /// Moves of the copies of so many summed channels.
    pub(crate) fn moves<T: Value>(&self, summed: usize) -> f64 {
        let [slices, rows, _] = self.lens();
        let row = if T::CHANNELS == LANES { ROW_MOVES } else { 64.0 };
        let value = if T::CHANNELS == 1 && self.classes[2].stride > 1 { 3.0 } else { 1.0 };
        (summed * slices * rows) as f64 * (row + value * (T::row(self) * T::CHANNELS) as f64)
    }
}
