//! Padded copies of source maps: which targets meet which taps, where values stand, and the copying.
//!
//! Forward and backward-input are one form: targets, cut into classes that meet the same taps, and sources.

mod axis;
mod band;
mod copy;
mod layout;

pub(crate) use axis::{Class, Tap, classes};
pub(crate) use band::{MOST_VALUES, cut_axis, longest_band};
pub(crate) use copy::{clear, copy, pad};
pub(crate) use layout::{Layout, TAIL};
