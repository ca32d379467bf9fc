//! Unfolding: padded copies of the source maps of a box, and the rows of the unfolded matrix made of them.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use crate::padding::{Layout, TAIL, pad};

/// The sources that targets of some images meet at `offsets`, in all of some neighbouring channels.
pub(super) struct Unfold<'a> {
    pub(super) layout: &'a Layout,
    pub(super) offsets: &'a [usize],
    pub(super) images: usize,
    pub(super) channels: usize,
    /// The targets of each part, and values of a line: `to` is `[part][channel][tap][line]`.
    pub(super) parts: &'a [Range<usize>],
    pub(super) line: usize,
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
        Arch::new().dispatch(Lines { unfold: self, rows: &self.rows(), padded, to });
    }

    /// What the first target of every row meets at offset 0.
    fn rows(&self) -> Vec<usize> {
        let [a, b, _] = self.layout.classes;
        let row = |y: usize| self.layout.row_of([y / b.count % a.count, y % b.count]);
        let image = |y: usize| y / (a.count * b.count) * self.channels * self.layout.map;
        (0..self.images * a.count * b.count).map(|y| image(y) + row(y)).collect()
    }
}

/// Lanes of a vector of targets, from one on, whose sources are neighbours: a row's. Later ones begin further on.
#[derive(Clone, Copy)]
struct Piece<S: Simd> {
    /// What lane 0 would meet at offset 0.
    source: usize,
    lanes: S::m32s,
}

struct Lines<'a> {
    unfold: &'a Unfold<'a>,
    rows: &'a [usize],
    padded: &'a [f32],
    to: &'a mut [f32],
}

impl WithSimd for Lines<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let mut pieces = Vec::with_capacity(S::F32_LANES);
        for (part, targets) in self.unfold.parts.iter().enumerate() {
            for target in targets.clone().step_by(S::F32_LANES) {
                pieces.clear();
                self.cut(simd, target..targets.end.min(target + S::F32_LANES), &mut pieces);
                let place = (part, target - targets.start);
                match pieces[..] {
                    [a] => self.vectors(simd, &[a], place),
                    [a, b] => self.vectors(simd, &[a, b], place),
                    [a, b, c] => self.vectors(simd, &[a, b, c], place),
                    _ => self.vectors(simd, &pieces, place),
                }
            }
        }
    }
}

impl Lines<'_> {
    /// Cuts a vector of targets where rows end.
    #[inline(always)]
    fn cut<S: Simd>(&self, simd: S, targets: Range<usize>, pieces: &mut Vec<Piece<S>>) {
        let count = self.unfold.layout.classes[2].count;
        let mut target = targets.start;
        while target < targets.end {
            let (row, x, lane) = (target / count, target % count, target - targets.start);
            let lanes = simd.mask_between_m32s(lane as u32, S::F32_LANES as u32).mask();
            pieces.push(Piece { source: self.rows[row] + x - lane, lanes });
            target += count - x;
        }
    }

    /// The vector of these pieces at every term, to a column of the lines of a part.
    #[inline(always)]
    fn vectors<S: Simd>(&mut self, simd: S, pieces: &[Piece<S>], (part, column): (usize, usize)) {
        let Unfold { layout, offsets, channels, line: width, .. } = *self.unfold;
        let first = part * channels * offsets.len() * width;
        let mut lines = self.to[first + column..].chunks_mut(width);
        for map in (0..channels).map(|channel| channel * layout.map) {
            for (offset, line) in offsets.iter().zip(&mut lines) {
                let mut met = load::<S>(self.padded, map + offset + pieces[0].source);
                for piece in &pieces[1..] {
                    met = simd.select_f32s(
                        piece.lanes,
                        load::<S>(self.padded, map + offset + piece.source),
                        met,
                    );
                }
                S::as_mut_simd_f32s(&mut line[..S::F32_LANES]).0[0] = met;
            }
        }
    }
}

#[inline(always)]
fn load<S: Simd>(values: &[f32], at: usize) -> S::f32s {
    S::as_simd_f32s(&values[at..][..S::F32_LANES]).0[0]
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
