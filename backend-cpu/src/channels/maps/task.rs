//! What a task does: it copies what its channels meet in a band, makes row after row, and stores strips of them.

use std::ops::Range;

use conv_core::Role;

use super::{Band, Maps};
use crate::blocking::{Epilogue, channels};
use crate::channels::kernel::Row;
use crate::channels::{Element, Field, Value};
use crate::product::LANES;
use crate::raw::Block;
use crate::strip::{self, Source};

/// A task's channels of an image in a band.
pub(super) struct Task<'a, T> {
    pub(super) maps: &'a Maps<T>,
    pub(super) source: &'a [f32],
    /// Of the blocks of channels, one after the other.
    pub(super) weights: &'a [Element],
    pub(super) epilogue: Epilogue<'a>,
    pub(super) channels: Range<usize>,
}

impl<T: Value> Task<'_, T> {
    pub(super) fn run(&self, band: &Band, block: &mut Block<'_>, scratch: &mut [f32]) {
        let (image, channels) = (block.ranges()[0].start, self.channels.clone());
        let (source, made) = scratch.split_at_mut(self.maps.scratch[0]);
        self.load(&band.field, image, source);
        let (bias, relu) = self.epilogue;
        let mut biases = [[0.0; LANES]; 2];
        if let Some(bias) = bias {
            biases.as_flattened_mut()[..channels.len()].copy_from_slice(&bias[channels.clone()]);
        }
        let biases = &biases[..channels.len().div_ceil(LANES)];
        let len = made.len() / biases.len() / LANES * LANES;
        for strip in &band.strips {
            for line in &strip.lines {
                for (class, columns) in &band.columns {
                    Row {
                        source: T::of(source),
                        weights: self.weights,
                        channels: self.maps.summed(),
                        map: band.field.map::<T>(),
                        points: self.maps.problem.points(Role::Weight),
                        rows: &line.rows,
                        columns,
                        step: T::step(class),
                        biases,
                        relu,
                        to: &mut made.as_chunks_mut().0[line.first + class.first..],
                        block: len / LANES,
                        apart: class.step,
                        targets: class.count,
                        below: line.below,
                    }
                    .run();
                }
            }
            for (first, made) in channels.clone().step_by(LANES).zip(made.chunks_exact(len)) {
                let lanes = first..(first + LANES).min(channels.end);
                let mut to: [_; LANES] = block.rows([image, 0, 0], lanes.clone(), strip.points.clone());
                strip::store(made, &mut to[..lanes.len()]);
            }
        }
    }

    /// Copies what the channels meet.
    fn load(&self, field: &Field, image: usize, to: &mut [f32]) {
        let Maps { problem, pass, shapes, .. } = self.maps;
        let [made, summed] = channels(problem, *pass);
        let map = (image * problem.groups() + self.channels.start / made) * summed;
        let maps = if T::CHANNELS == LANES { self.channels.len() } else { summed };
        T::load(field, &Source::new(self.source, map, maps, shapes[0]), to);
    }
}
