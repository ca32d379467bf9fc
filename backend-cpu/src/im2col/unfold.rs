//! Unfolding: padded copies of the source maps of a box, and the rows of the unfolded matrix made of them.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use crate::padding::{COPIED, Layout, TAIL, copy, pad};

/// The sources that targets of some images meet at `offsets`, in all of some neighbouring channels.
pub(super) struct Unfold<'a> {
    pub(super) layout: &'a Layout,
    pub(super) offsets: &'a [usize],
    pub(super) images: usize,
    pub(super) channels: usize,
    /// The targets of each panel, and values of a line: `to` is `[panel][channel][tap][line]`, and [`COPIED`] values.
    pub(super) panels: &'a [Range<usize>],
    pub(super) line: usize,
}

/// Neighbouring targets of a panel whose sources are neighbours.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    panel: usize,
    column: usize,
    source: usize,
    len: usize,
}

/// A source tensor.
pub(super) struct Source<'a> {
    pub(super) tensor: &'a [f32],
    pub(super) shape: [usize; 3],
    /// The map of the first channel in the first image, and maps from one image to the next.
    pub(super) map: usize,
    pub(super) apart: usize,
}

impl Unfold<'_> {
    /// Copies the source maps to `padded` and unfolds them to `to`.
    pub(super) fn run(&self, source: &Source<'_>, padded: &mut [f32], to: &mut [f32]) {
        let len = self.images * self.channels * self.layout.map;
        let points: usize = source.shape.iter().product();
        for (number, map) in padded[..len].chunks_exact_mut(self.layout.map).enumerate() {
            let (image, channel) = (number / self.channels, number % self.channels);
            let first = (source.map + image * source.apart + channel) * points;
            pad(self.layout, source.shape, &source.tensor[first..][..points], map);
        }
        padded[len..len + TAIL].fill(0.0);
        Arch::new().dispatch(Copies { unfold: self, stretches: &self.stretches(), padded, to });
    }

    fn stretches(&self) -> Vec<Stretch> {
        let [a, b, c] = self.layout.classes;
        let mut stretches = Vec::new();
        let (mut target, mut panel) = (0, 0);
        for image in 0..self.images {
            for (z, y) in (0..a.count).flat_map(|z| (0..b.count).map(move |y| (z, y))) {
                let row = image * self.channels * self.layout.map + self.layout.row_of([z, y]);
                let mut x = 0;
                while x < c.count {
                    panel += usize::from(target == self.panels[panel].end);
                    let Range { start, end } = self.panels[panel];
                    let len = (c.count - x).min(end - target);
                    stretches.push(Stretch { panel, column: target - start, source: row + x, len });
                    (x, target) = (x + len, target + len);
                }
            }
        }
        stretches
    }
}

struct Copies<'a> {
    unfold: &'a Unfold<'a>,
    stretches: &'a [Stretch],
    padded: &'a [f32],
    to: &'a mut [f32],
}

impl WithSimd for Copies<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Unfold { layout, offsets, channels, line: width, .. } = *self.unfold;
        let terms = channels * offsets.len();
        for stretches in self.stretches.chunk_by(|a, b| a.panel == b.panel) {
            let panel = &mut self.to[stretches[0].panel * terms * width..];
            for channel in 0..channels {
                for (tap, offset) in offsets.iter().enumerate() {
                    let line = &mut panel[(channel * offsets.len() + tap) * width..][..width + COPIED];
                    let from = &self.padded[channel * layout.map + offset..];
                    for stretch in stretches {
                        let (line, from) = (&mut line[stretch.column..], &from[stretch.source..]);
                        copy(line, from, stretch.len);
                    }
                }
            }
        }
    }
}

/// The rows of targets of a box: calls `visit(number of the first, [image, slice, row] of the box)`.
pub(super) fn for_each_row(images: &Range<usize>, layout: &Layout, mut visit: impl FnMut(usize, [usize; 3])) {
    let [a, b, c] = layout.classes;
    let mut target = 0;
    for image in images.clone() {
        for (z, y) in (0..a.count).flat_map(|z| (0..b.count).map(move |y| (z, y))) {
            visit(target, [image, a.first + z * a.step, b.first + y * b.step]);
            target += c.count;
        }
    }
}
