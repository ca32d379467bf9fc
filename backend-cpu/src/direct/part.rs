//! One task of forward or backward-input: which terms it sums, and tiles of which size.

use std::ops::Range;

use conv_core::Role;
use pulp::{Simd, WithSimd};

use super::line::Line;
use super::maps::{CHUNKS, Maps, PACKED};
use super::terms::{Terms, WeightMap};
use super::tile::Frame;
use super::walk::Walk;
use crate::raw::Columns;

/// The made channels `made` of one image and group, at the targets of one piece.
pub(super) struct Part<'a> {
    pub(super) maps: &'a Maps,
    pub(super) source: &'a [f32],
    pub(super) weight: &'a [f32],
    pub(super) bias: Option<&'a [f32]>,
    pub(super) relu: bool,
    pub(super) image: usize,
    pub(super) group: usize,
    pub(super) made: Range<usize>,
    pub(super) targets: Range<usize>,
    /// First point of the piece.
    pub(super) begin: usize,
}

/// A part and where it goes.
pub(super) struct Task<'a, 'c> {
    pub(super) part: Part<'a>,
    pub(super) out: Columns<'c>,
}

impl WithSimd for Task<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match self.part.made.len() {
            1 => self.blocks::<S, 1, { CHUNKS[0] }, { CHUNKS[0] / 2 }>(simd),
            2 => self.blocks::<S, 2, { CHUNKS[1] }, { CHUNKS[1] / 2 }>(simd),
            3 => self.blocks::<S, 3, { CHUNKS[2] }, { CHUNKS[2] / 2 }>(simd),
            4 => self.blocks::<S, 4, { CHUNKS[3] }, { CHUNKS[3] / 2 }>(simd),
            5 => self.blocks::<S, 5, { CHUNKS[4] }, { CHUNKS[4] / 2 }>(simd),
            6 => self.blocks::<S, 6, { CHUNKS[5] }, { CHUNKS[5] / 2 }>(simd),
            7 => self.blocks::<S, 7, { CHUNKS[6] }, { CHUNKS[6] / 2 }>(simd),
            _ => self.blocks::<S, 8, { CHUNKS[7] }, { CHUNKS[7] / 2 }>(simd),
        }
    }
}

impl Task<'_, '_> {
    /// With tiles of `V` chunks, or of `NARROW` where there are only 16 registers.
    #[inline(always)]
    fn blocks<S: Simd, const R: usize, const V: usize, const NARROW: usize>(self, simd: S) {
        if const { S::REGISTER_COUNT >= 32 } {
            self.passes::<S, R, V>(simd)
        } else {
            self.passes::<S, R, NARROW>(simd)
        }
    }

    /// Every class of targets, in passes over blocks of its terms, each adding to the one before: the packed
    /// weights of a block stay in first-level cache, and no sum gets long.
    #[inline(always)]
    fn passes<S: Simd, const R: usize, const V: usize>(mut self, simd: S) {
        let mut packed = [0.0; PACKED];
        let (packed, _) = packed.as_chunks_mut::<R>();
        let Maps { problem, pass, summed, .. } = *self.part.maps;
        let map = WeightMap::new(&problem, pass);
        let weights = self.part.group_weights();
        let classes = problem.volume().map(|axis| Line::classes(&axis, pass));
        for class in 0..classes.iter().product() {
            let class =
                [class / classes[2] / classes[1], class / classes[2] % classes[1], class % classes[2]];
            let lines = [0, 1, 2].map(|axis| Line::new(&problem.volume()[axis], pass, class[axis]));
            for terms in Terms::blocks(&lines, summed, packed.len()) {
                map.pack(weights, &lines, &terms, self.part.made.start, packed);
                let frame = self.part.frame(lines, terms, packed);
                let walk = self.part.walk(&lines, &terms, S::F32_LANES);
                frame.tiles::<S, V>(simd, walk, &mut self.out);
            }
        }
    }
}

impl<'a> Part<'a> {
    fn group_weights(&self) -> &'a [f32] {
        let Maps { problem, made, summed, .. } = self.maps;
        let len = made * summed * problem.points(Role::Weight);
        &self.weight[self.group * len..][..len]
    }

    fn walk<'l>(&self, lines: &'l [Line; 3], terms: &'l Terms, lanes: usize) -> Walk<'l> {
        let mut ranges = lines.map(|line| 0..line.count);
        let split = &mut ranges[self.maps.split];
        *split = self.targets.start.min(split.end)..self.targets.end.min(split.end);
        Walk::new((lines, terms), ranges, self.maps.shapes, self.begin, lanes)
    }

    fn frame<'f, const R: usize>(
        &self,
        lines: [Line; 3],
        terms: Terms,
        weights: &'f [[f32; R]],
    ) -> Frame<'f, R>
    where
        'a: 'f,
    {
        let Maps { problem, made, summed, shapes: [_, source], .. } = self.maps;
        let source_map: usize = source.iter().product();
        let first_map = (self.image * problem.groups() + self.group) * summed + terms.channels.start;
        let steps = [source[1] * source[2], source[2], 1];
        let bias_first = self.group * made + self.made.start;
        Frame {
            lines,
            terms,
            weights,
            source: self.source,
            source_first: (first_map * source_map) as isize,
            source_taps: [0, 1, 2].map(|axis| lines[axis].per_tap.wrapping_mul(steps[axis])),
            source_map,
            bias: self.bias.filter(|_| terms.last).map(|bias| &bias[bias_first..]),
            relu: self.relu && terms.last,
        }
    }
}
