//! What tasks do: the points of all tiles, their products and sums, and the weights made of them.

use std::ops::Range;

use fft_core::deinterleave;

use super::{CHUNK, Weights};
use crate::product::{LANES, Product, Scalars};
use crate::raw::{Block, for_each_block, for_each_part};
use crate::strip::{self, FITS, Source};
use crate::tiles::grid::Group;
use crate::tiles::{PANEL, Transform, element_blocks, transformed};

/// The work on one group of channels.
pub(super) struct Task<'a, T> {
    pub(super) weights: &'a Weights<T>,
    pub(super) group: usize,
    pub(super) input: &'a [f32],
    pub(super) gradient: &'a [f32],
    pub(super) groups: &'a [Group],
}

/// Copies of values in lanes, and what transforms need.
struct Strips<'a> {
    strip: &'a mut [f32],
    scratch: &'a mut [f32],
}

impl<T: Transform> Task<'_, T> {
    /// Every thread sums its share of the groups.
    pub(super) fn by_shares(&self, sums: &mut [f32], scratch: &mut [f32]) {
        let Weights { transform, .. } = self.weights;
        let parts = self.weights.parts();
        let (len, count) = (self.weights.sums().len(), self.groups.len());
        let range = |part| part * len..(part + 1) * len;
        let scratch = (scratch, self.weights.scratch_len());
        for_each_part(sums, parts, range, scratch, |part, sums, scratch| {
            let (points, mut strips) = self.strips(scratch);
            let share = part * count / parts..(part + 1) * count / parts;
            for number in share.clone() {
                self.points(number, points, &mut strips);
                for point in 0..transform.points() {
                    let sums = self.weights.sums().point_mut(sums, point);
                    self.for_each_panel(|panels, place| {
                        let add = number > share.start;
                        self.multiply((number, point), panels, points, None, &mut sums[place..], add);
                    });
                }
            }
        });
    }

    /// The points of all groups, then point after point.
    pub(super) fn by_points(&self, sums: &mut [f32], kept: &mut [f32], scratch: &mut [f32]) {
        self.keep_tiles(kept, scratch);
        let (kept, apart) = (&*kept, self.weights.sums().apart());
        let range = |point| point * apart..(point + 1) * apart;
        for_each_part(sums, self.weights.transform.points(), range, (&mut [], 0), |point, sums, _| {
            self.for_each_panel(|panels, place| {
                self.multiply_all(point, panels, kept, &mut sums[place..]);
            });
        });
    }

    /// The points of all groups, then the weights of panel after panel.
    pub(super) fn by_panels(&self, out: &mut [f32], kept: &mut [f32], scratch: &mut [f32]) {
        self.keep_tiles(kept, scratch);
        let (kept, scratch) = (&*kept, (scratch, self.weights.scratch_len()));
        let (parts, inputs) = (self.parts([self.weights.width(); 2]), self.weights.panels()[0]);
        for_each_block(out, self.shape(), &parts, scratch, |index, mut weights, scratch| {
            let panels = [index % inputs, index / inputs];
            let (sums, mut strips) = self.strips(scratch);
            for point in 0..self.weights.transform.points() {
                let sums = self.weights.sums().point_mut(sums, point);
                self.multiply_all(point, panels, kept, sums);
            }
            self.targets(sums, 0, &mut weights, &mut strips);
        });
    }

    /// The points of all groups.
    fn keep_tiles(&self, kept: &mut [f32], scratch: &mut [f32]) {
        let (len, scratch_len) = (self.weights.group_len(), self.weights.scratch_len());
        let range = |number| number * len..(number + 1) * len;
        for_each_part(kept, self.groups.len(), range, (scratch, scratch_len), |number, points, scratch| {
            self.points(number, points, &mut self.strips(scratch).1);
        });
    }

    /// The weights of all groups: a row for every output channel, with a column for every value.
    fn shape(&self) -> [usize; 5] {
        let Weights { problem, kernel, .. } = self.weights;
        let values: usize = kernel.iter().product();
        [1, problem.groups() * problem.group_out(), 1, 1, problem.group_in() * values]
    }

    /// This group's weights, cut after so many input and output channels.
    fn parts(&self, [inputs, outputs]: [usize; 2]) -> [Vec<Range<usize>>; 5] {
        let Weights { problem, kernel, .. } = self.weights;
        let (cin, cout) = (problem.group_in(), problem.group_out());
        let (values, first) = (kernel.iter().product::<usize>(), self.group * cout);
        let rows = (0..cout).step_by(outputs).map(|row| first + row..first + cout.min(row + outputs));
        let columns =
            (0..cin).step_by(inputs).map(|column| column * values..cin.min(column + inputs) * values);
        let one = || std::iter::once(0..1).collect();
        [one(), rows.collect(), one(), one(), columns.collect()]
    }

    /// A task's private points and its strips.
    fn strips<'s>(&self, scratch: &'s mut [f32]) -> (&'s mut [f32], Strips<'s>) {
        let (rest, scratch) = scratch.split_at_mut(scratch.len() - self.weights.transform.scratch_len());
        let (private, strip) = rest.split_at_mut(rest.len() - self.weights.strip_len());
        (private, Strips { strip, scratch })
    }

    /// The points of a group's tiles, of the input and then of the gradient.
    fn points(&self, number: usize, to: &mut [f32], strips: &mut Strips<'_>) {
        let Weights { grid, transform, problem, .. } = self.weights;
        let (input, gradient) = to.split_at_mut(self.weights.tiles().len());
        let side = Side { tensor: self.input, shape: grid.data, tile: grid.tile, low: grid.low };
        self.side(number, side, (problem.group_in(), input), strips, |from, steps, to, apart, scratch| {
            transformed(|| transform.flops()[0]);
            transform.data(from, steps, to, apart, scratch);
        });
        let side = Side { tensor: self.gradient, shape: grid.domain, tile: grid.step, low: [0; 3] };
        self.side(
            number,
            side,
            (problem.group_out(), gradient),
            strips,
            |from, steps, to, apart, scratch| {
                transformed(|| transform.flops()[1]);
                transform.kernel(from, steps, to, apart, scratch);
            },
        );
    }

    /// The points of one factor.
    fn side(
        &self,
        number: usize,
        side: Side<'_>,
        (channels, to): (usize, &mut [f32]),
        strips: &mut Strips<'_>,
        transform: impl Fn(&[f32], [usize; 2], &mut [f32], usize, &mut [f32]),
    ) {
        let (grid, spectrum) = (&self.weights.grid, self.weights.spectrum(channels));
        let element = self.weights.transform.kind().element();
        for (block, first) in (0..channels).step_by(LANES).enumerate() {
            for run in self.groups[number].runs() {
                let map = (run.image * self.weights.problem.groups() + self.group) * channels + first;
                let maps = LANES.min(channels - first);
                let source = Source::new(side.tensor, map, maps, side.shape);
                let tiles = [run.at[0], run.at[1], run.columns.start];
                let origin =
                    std::array::from_fn(|axis| (tiles[axis] * grid.step[axis]) as isize - side.low[axis]);
                let lens =
                    [side.tile[0], side.tile[1], (run.columns.len() - 1) * grid.step[2] + side.tile[2]];
                source.load(origin, lens, strips.strip);
                let row = strip::width(lens[2]) * LANES;
                for i in 0..run.columns.len() {
                    let from = &strips.strip[i * grid.step[2] * LANES..];
                    let at = spectrum.place(run.first + i, block * element);
                    transform(from, [lens[1] * row, row], &mut to[at..], spectrum.apart(), strips.scratch);
                }
            }
        }
    }

    /// Calls `visit` with every panel of input channels and of output channels, and the place of their sums at a point.
    fn for_each_panel(&self, mut visit: impl FnMut([usize; 2], usize)) {
        let [inputs, outputs] = self.weights.panels();
        let rows = self.weights.width() * self.weights.sums().row;
        for output in 0..outputs {
            for input in 0..inputs {
                visit([input, output], input * rows + output * PANEL);
            }
        }
    }

    /// The products of all groups' tiles at one point, of a panel of input channels and one of output channels.
    fn multiply_all(&self, point: usize, panels: [usize; 2], kept: &[f32], sums: &mut [f32]) {
        let mut groups = kept.chunks_exact(self.weights.group_len()).enumerate().peekable();
        while let Some((number, points)) = groups.next() {
            let next = groups.peek().map(|(_, points)| *points);
            self.multiply((number, point), panels, points, next, sums, number > 0);
        }
    }

    /// The products of a group's tiles, when those of the next group follow.
    fn multiply(
        &self,
        (number, point): (usize, usize),
        [input, output]: [usize; 2],
        points: &[f32],
        next: Option<&[f32]>,
        sums: &mut [f32],
        add: bool,
    ) {
        let Weights { problem, transform, .. } = self.weights;
        let (tiles, gradients, width) =
            (self.weights.tiles(), self.weights.gradients(), self.weights.width());
        let (inputs, gradient) = points.split_at(tiles.len());
        let blocks = element_blocks((problem.group_out() - output * width).min(width));
        let sizes = [(problem.group_in() - input * width).min(width), blocks, self.groups[number].len()];
        let panel = width / LANES;
        let left = Scalars::Terms(tiles.elements(inputs, point, input * panel));
        let right = gradients.elements(gradient, point, output * panel);
        let ahead = next.map_or(&[][..], |next| {
            let next = gradients.elements(&next[tiles.len()..], point, output * panel);
            &next.values[..blocks * next.apart]
        });
        let product = Product { kind: transform.kind(), sizes, left, right, add, ahead };
        product.run_to(sums, self.weights.sums().row);
    }

    /// The weights from the sums of all parts.
    pub(super) fn weights(&self, sums: &[f32], out: &mut [f32], scratch: &mut [f32]) {
        let parts = self.parts([self.weights.problem.group_in(), LANES]);
        let scratch = (scratch, self.weights.scratch_len());
        for_each_block(out, self.shape(), &parts, scratch, |block, mut weights, scratch| {
            self.targets(sums, block, &mut weights, &mut self.strips(scratch).1);
        });
    }

    /// Some weights from their sums, from a block of output channels on.
    fn targets(&self, sums: &[f32], block: usize, to: &mut Block<'_>, strips: &mut Strips<'_>) {
        let Weights { transform, kernel, .. } = self.weights;
        let values: usize = kernel.iter().product();
        let (row, element) = (self.weights.sums().row, transform.kind().element());
        let [_, outputs, _, _, columns] = to.ranges().clone();
        let (strip, points) = strips.strip.split_at_mut(CHUNK * values * LANES);
        for (number, first) in outputs.clone().step_by(LANES).enumerate() {
            let lanes = first..(first + LANES).min(outputs.end);
            for (chunk, column) in columns.clone().step_by(CHUNK * values).enumerate() {
                let end = columns.end.min(column + CHUNK * values);
                let strip = &mut strip[..(end - column) * LANES];
                for (i, to) in strip.chunks_exact_mut(values * LANES).enumerate() {
                    let sums = &sums[(chunk * CHUNK + i) * row + (block + number) * element..];
                    let (from, apart) = self.sum(sums, points);
                    let steps = [kernel[1] * kernel[2] * LANES, kernel[2] * LANES];
                    transformed(|| transform.flops()[2]);
                    transform.target(from, apart, to, steps, strips.scratch);
                }
                let mut rows: [_; LANES] = to.rows([0; 3], lanes.clone(), column..end);
                deinterleave(strip, &mut rows[..lanes.len()]).expect(FITS);
            }
        }
    }

    /// The points of an input channel and a block of output channels, summed over the parts, and how far they are apart.
    fn sum<'s>(&self, sums: &'s [f32], to: &'s mut [f32]) -> (&'s [f32], usize) {
        let (spectrum, element) = (self.weights.sums(), self.weights.transform.kind().element());
        if self.weights.parts() == 1 {
            return (sums, spectrum.apart());
        }
        for (point, to) in to.chunks_exact_mut(element).enumerate().take(spectrum.points) {
            for (part, sums) in sums.chunks(spectrum.len()).enumerate() {
                let from = &sums[point * spectrum.apart()..][..element];
                match part {
                    0 => to.copy_from_slice(from),
                    _ => to.iter_mut().zip(from).for_each(|(to, from)| *to += from),
                }
            }
        }
        (to, element)
    }
}

/// One factor: its tensor, its maps, and the tiles cut from them.
struct Side<'a> {
    tensor: &'a [f32],
    shape: [usize; 3],
    tile: [usize; 3],
    low: [isize; 3],
}
