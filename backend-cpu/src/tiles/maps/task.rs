//! What a task does: the points of either factor, their products, and the targets made of them.

use std::ops::Range;

use conv_core::Pass;
use fft_core::interleave;

use super::{CHUNK, Maps};
use crate::blocking::Epilogue;
use crate::epilogue;
use crate::product::{LANES, Product, Scalars};
use crate::raw::{Block, for_each_block, for_each_part};
use crate::strip::{self, FITS, Source};
use crate::tiles::grid::Group;
use crate::tiles::{Transform, transformed};

/// The work on one group of channels.
pub(super) struct Task<'a, T> {
    pub(super) maps: &'a Maps<T>,
    pub(super) group: usize,
    pub(super) source: &'a [f32],
    pub(super) weight: &'a [f32],
    pub(super) epilogue: Epilogue<'a>,
}

/// Copies of values in lanes, and what transforms need.
struct Strips<'a> {
    strip: &'a mut [f32],
    scratch: &'a mut [f32],
}

impl<T: Transform> Task<'_, T> {
    /// Points of all weights, then group after group of tiles.
    pub(super) fn keep_weights(&self, out: &mut [f32], kept: &mut [f32], scratch: &mut [f32]) {
        let (maps, len) = (self.maps, self.maps.weights().len());
        let scratch_len = maps.scratch_len();
        for_each_part(
            kept,
            maps.panels(),
            |panel| panel * len..(panel + 1) * len,
            (&mut *scratch, scratch_len),
            |panel, weights, scratch| self.weights([panel, 0], weights, &mut self.strips(scratch).1),
        );
        let (kept, groups) = (&*kept, maps.grid.groups());
        let parts = self.parts(vec![self.made(0..maps.channels()[0])]);
        for_each_block(out, self.shape(), &parts, (scratch, scratch_len), |index, mut block, scratch| {
            let (private, mut strips) = self.strips(scratch);
            let (tiles, products) = private.split_at_mut(maps.tiles().len());
            self.tiles(&groups[index], 0, tiles, &mut strips);
            for (panel, weights) in kept.chunks_exact(len).enumerate() {
                self.multiply(&groups[index], [panel, 0], [tiles, weights], products);
                self.targets(&groups[index], panel, products, &mut block, &mut strips);
            }
        });
    }

    /// Points of all tiles, then panel after panel of made channels in every group.
    pub(super) fn keep_tiles(&self, out: &mut [f32], kept: &mut [f32], scratch: &mut [f32]) {
        let (maps, len, chunks) = (self.maps, self.maps.tiles().len(), self.maps.chunks());
        let (scratch_len, groups) = (maps.scratch_len(), maps.grid.groups());
        for_each_part(
            kept,
            groups.len() * chunks,
            |index| index * len..(index + 1) * len,
            (&mut *scratch, scratch_len),
            |index, tiles, scratch| {
                self.tiles(&groups[index / chunks], index % chunks, tiles, &mut self.strips(scratch).1);
            },
        );
        let (kept, made, panels) = (&*kept, maps.channels()[0], maps.panels());
        let width = maps.panel * LANES;
        let of_panel = |panel: usize| self.made(panel * width..((panel + 1) * width).min(made));
        let parts = self.parts((0..panels).map(of_panel).collect());
        // Groups of an image stand together, in every panel.
        let of_image = groups.len() / parts[0].len();
        for_each_block(out, self.shape(), &parts, (scratch, scratch_len), |index, mut block, scratch| {
            let (rest, panel) = (index / (of_image * panels), index / of_image % panels);
            let number = rest * of_image + index % of_image;
            let (group, tiles) = (&groups[number], &kept[number * chunks * len..][..chunks * len]);
            let (private, mut strips) = self.strips(scratch);
            let (weights, products) = private.split_at_mut(maps.weights().len());
            for (chunk, tiles) in tiles.chunks_exact(len).enumerate() {
                self.weights([panel, chunk], weights, &mut strips);
                self.multiply(group, [panel, chunk], [tiles, weights], products);
            }
            self.targets(group, panel, products, &mut block, &mut strips);
        });
    }

    /// The product tensor.
    fn shape(&self) -> [usize; 5] {
        let ([made, _], [a, b, c]) = (self.maps.channels(), self.maps.grid.domain);
        [self.maps.problem.batch(), made * self.maps.problem.groups(), a, b, c]
    }

    /// Made channels of this group as channels of the tensor.
    fn made(&self, channels: Range<usize>) -> Range<usize> {
        let first = self.group * self.maps.channels()[0];
        first + channels.start..first + channels.end
    }

    /// Ranges of the product tensor: of groups, and of channels.
    fn parts(&self, channels: Vec<Range<usize>>) -> [Vec<Range<usize>>; 5] {
        let [images, slices, rows, columns] = self.maps.grid.parts();
        let points = |axis: usize, tiles: Vec<Range<usize>>| {
            tiles.iter().map(|tiles| self.maps.grid.points(axis, tiles)).collect()
        };
        [images, channels, points(0, slices), points(1, rows), points(2, columns)]
    }

    /// A task's private points and products, and its strips.
    fn strips<'s>(&self, scratch: &'s mut [f32]) -> (&'s mut [f32], Strips<'s>) {
        let (rest, scratch) = scratch.split_at_mut(scratch.len() - self.maps.transform.scratch_len());
        let (private, strip) = rest.split_at_mut(rest.len() - self.maps.strip_len());
        (private, Strips { strip, scratch })
    }

    /// The points of a chunk of a group of tiles.
    fn tiles(&self, group: &Group, chunk: usize, to: &mut [f32], strips: &mut Strips<'_>) {
        let Maps { grid, transform, .. } = self.maps;
        let (summed, spectrum) = (self.maps.channels()[1], self.maps.tiles());
        let channels = summed * self.maps.problem.groups();
        let points: usize = grid.data.iter().product();
        for (block, first) in self.maps.summed(chunk).step_by(LANES).enumerate() {
            for run in group.runs() {
                let map = run.image * channels + self.group * summed + first;
                let source = Source {
                    tensor: self.source,
                    first: map * points,
                    maps: LANES.min(summed - first),
                    shape: grid.data,
                };
                let lens =
                    [grid.tile[0], grid.tile[1], (run.columns.len() - 1) * grid.step[2] + grid.tile[2]];
                source.load(grid.origin(&run), lens, strips.strip);
                let row = strip::width(lens[2]) * LANES;
                for i in 0..run.columns.len() {
                    let from = &strips.strip[i * grid.step[2] * LANES..];
                    let at = (run.first + i) * spectrum.row + block * transform.kind().element();
                    transformed(|| transform.flops()[0]);
                    transform.data(
                        from,
                        [lens[1] * row, row],
                        &mut to[at..],
                        spectrum.apart(),
                        strips.scratch,
                    );
                }
            }
        }
    }

    /// The points of a chunk of a panel of weights.
    fn weights(&self, [panel, chunk]: [usize; 2], to: &mut [f32], strips: &mut Strips<'_>) {
        let Maps { kernel, transform, pass, panel: blocks, .. } = self.maps;
        let ([made, summed], spectrum) = (self.maps.channels(), self.maps.weights());
        let points: usize = kernel.iter().product();
        let steps = [kernel[1] * kernel[2] * LANES, kernel[2] * LANES];
        let (channels, most) = (self.maps.summed(chunk), if *pass == Pass::Forward { CHUNK } else { 1 });
        for block in 0..self.maps.elements(panel) {
            let first = (panel * blocks + block) * LANES;
            let lanes = LANES.min(made - first);
            for from in channels.clone().step_by(most) {
                let count = most.min(channels.end - from);
                let begin = |lane: usize| match pass {
                    Pass::Forward => ((self.group * made + first + lane) * summed + from) * points,
                    _ => ((self.group * summed + from) * made + first + lane) * points,
                };
                // Whole transposes are faster than single values: what follows is read, too.
                let (len, whole) = (count * points, (count * points).next_multiple_of(LANES / 2));
                let fits = begin(lanes - 1) + whole <= self.weight.len();
                let read = if fits { whole } else { len };
                let mut rows = [&self.weight[..0]; LANES];
                for (lane, row) in rows.iter_mut().enumerate().take(lanes) {
                    *row = &self.weight[begin(lane)..][..read];
                }
                interleave(&rows[..lanes], &mut strips.strip[..read * LANES]).expect(FITS);
                let strip = &mut strips.strip[..len * LANES];
                if *pass == Pass::BackwardInput {
                    strip.as_chunks_mut::<LANES>().0.reverse();
                }
                for (i, strip) in strip.chunks_exact(points * LANES).enumerate() {
                    let at = (from - channels.start + i) * spectrum.row + block * transform.kind().element();
                    transformed(|| transform.flops()[1]);
                    transform.kernel(strip, steps, &mut to[at..], spectrum.apart(), strips.scratch);
                }
            }
        }
    }

    /// The products of a chunk of a group and of a panel; those of later chunks are added.
    fn multiply(
        &self,
        group: &Group,
        [panel, chunk]: [usize; 2],
        [tiles, weights]: [&[f32]; 2],
        products: &mut [f32],
    ) {
        let Maps { transform, .. } = self.maps;
        let (tiles_at, weights_at, products_at) =
            (self.maps.tiles(), self.maps.weights(), self.maps.products());
        let (kind, add) = (transform.kind(), chunk > 0);
        let sizes = [group.len(), self.maps.elements(panel), self.maps.summed(chunk).len()];
        for point in 0..transform.points() {
            let left = Scalars::Rows(tiles_at.point(tiles, point), tiles_at.row);
            let right = weights_at.panel(weights, point, 0);
            let out = products_at.point_mut(products, point);
            Product { kind, sizes, left, right, add }.run_to(out, products_at.row);
        }
    }

    /// The targets of a panel.
    fn targets(
        &self,
        group: &Group,
        panel: usize,
        products: &[f32],
        out: &mut Block<'_>,
        strips: &mut Strips<'_>,
    ) {
        let Maps { transform, panel: blocks, .. } = self.maps;
        for element in 0..self.maps.elements(panel) {
            let from = &products[element * transform.kind().element()..];
            self.targets_of_block(group, panel * blocks + element, from, out, strips);
        }
    }

    /// The targets of a block of made channels.
    fn targets_of_block(
        &self,
        group: &Group,
        block: usize,
        from: &[f32],
        out: &mut Block<'_>,
        strips: &mut Strips<'_>,
    ) {
        let Maps { grid, transform, .. } = self.maps;
        let (spectrum, step) = (self.maps.products(), grid.step);
        let made = self.maps.channels()[0];
        let first = self.group * made + block * LANES;
        let lanes = LANES.min(made - block * LANES);
        let (bias, relu) = self.epilogue;
        for run in group.runs() {
            let row = strip::width(run.columns.len() * step[2]) * LANES;
            for i in 0..run.columns.len() {
                let (from, to) =
                    (&from[(run.first + i) * spectrum.row..], &mut strips.strip[i * step[2] * LANES..]);
                transformed(|| transform.flops()[2]);
                transform.target(from, spectrum.apart(), to, [step[1] * row, row], strips.scratch);
            }
            let [slices, rows] = [0, 1].map(|axis| grid.points(axis, &(run.at[axis]..run.at[axis] + 1)));
            let columns = grid.points(2, &run.columns);
            for (z, y) in slices.clone().flat_map(|z| rows.clone().map(move |y| (z, y))) {
                let number = (z - slices.start) * step[1] + y - rows.start;
                let channels = first..first + lanes;
                let mut to: [_; LANES] = out.rows([run.image, z, y], channels.clone(), columns.clone());
                strip::store(&strips.strip[number * row..][..row], &mut to[..lanes]);
                for (row, channel) in to.iter_mut().zip(channels) {
                    epilogue::apply(row, bias.map(|bias| bias[channel]), relu);
                }
            }
        }
    }
}
