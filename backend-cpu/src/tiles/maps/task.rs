//! What a task does: the points of either factor, their products, and the targets made of them.

use std::ops::Range;

use conv_core::Pass;
use fft_core::interleave;

use super::{CHUNK, Maps, Tasks};
use crate::blocking::Epilogue;
use crate::epilogue;
use crate::product::{LANES, Product, Scalars};
use crate::raw::{Block, for_each_block, for_each_part};
use crate::strip::{self, FITS, Source};
use crate::tiles::grid::Group;
use crate::tiles::{PANEL, Transform, transformed};

/// The work on one group of channels.
pub(super) struct Task<'a, T> {
    pub(super) maps: &'a Maps<T>,
    pub(super) group: usize,
    pub(super) groups: &'a [Group],
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
    /// The points of all weights, then group after group of tiles.
    pub(super) fn by_groups(&self, out: &mut [f32], weights: &mut [f32], scratch: &mut [f32]) {
        let (maps, scratch_len) = (self.maps, self.maps.scratch_len());
        self.keep_weights(weights, scratch);
        let (weights, len) = (&*weights, maps.weights().len());
        let parts = self.parts(vec![self.made(0..maps.channels()[0])]);
        for_each_block(out, self.shape(), &parts, (scratch, scratch_len), |index, mut block, scratch| {
            let (private, mut strips) = self.strips(scratch);
            let (tiles, products) = private.split_at_mut(maps.tiles().len());
            let group = &self.groups[index];
            self.tiles(group, 0, tiles, &mut strips);
            for (panel, weights) in weights.chunks_exact(len).enumerate() {
                self.multiply_all(group, [panel, 0], [tiles, weights], products);
                self.targets(group, panel, products, &mut block, &mut strips);
            }
        });
    }

    /// The points of all tiles, then panel after panel of made channels in every group.
    pub(super) fn by_panels(&self, out: &mut [f32], tiles: &mut [f32], scratch: &mut [f32]) {
        let (maps, len, chunks) = (self.maps, self.maps.tiles().len(), self.maps.chunks());
        self.keep_tiles(tiles, scratch);
        let tiles = &*tiles;
        self.for_each_panel(out, scratch, |number, panel, block, scratch| {
            let (group, tiles) = (&self.groups[number], &tiles[number * chunks * len..][..chunks * len]);
            let (private, mut strips) = self.strips(scratch);
            let (weights, products) = private.split_at_mut(maps.weights().len());
            for (chunk, tiles) in tiles.chunks_exact(len).enumerate() {
                self.weights([panel, chunk], weights, &mut strips);
                self.multiply_all(group, [panel, chunk], [tiles, weights], products);
            }
            self.targets(group, panel, products, block, &mut strips);
        });
    }

    /// The points of all weights and of all tiles, then point after point their products, then all targets.
    pub(super) fn by_points(
        &self,
        out: &mut [f32],
        [weights, tiles, products]: [&mut [f32]; 3],
        scratch: &mut [f32],
    ) {
        let (maps, spectrum) = (self.maps, self.maps.products());
        self.keep_weights(weights, scratch);
        self.keep_tiles(tiles, scratch);
        let [weights_len, tiles_len] = [maps.weights().len(), maps.tiles().len()];
        let (weights, tiles, apart) = (&*weights, &*tiles, spectrum.apart());
        let place =
            |number: usize, panel: usize| spectrum.place(number * maps.grid.group_len(), panel * PANEL);
        let range = |point| point * apart..(point + 1) * apart;
        for_each_part(products, spectrum.points, range, (&mut [], 0), |point, products, _| {
            for (panel, weights) in weights.chunks_exact(weights_len).enumerate() {
                let mut groups = tiles.chunks_exact(tiles_len).enumerate().peekable();
                while let Some((number, tiles)) = groups.next() {
                    let to = &mut products[place(number, panel)..];
                    let ahead = groups.peek().map_or(&[][..], |(_, next)| maps.tiles().point(next, point));
                    self.multiply(point, &self.groups[number], [panel, 0], [tiles, weights], ahead, to);
                }
            }
        });
        let products = &*products;
        self.for_each_panel(out, scratch, |number, panel, block, scratch| {
            let from = &products[place(number, panel)..];
            self.targets(&self.groups[number], panel, from, block, &mut self.strips(scratch).1);
        });
    }

    /// The points of all weights.
    fn keep_weights(&self, kept: &mut [f32], scratch: &mut [f32]) {
        let (len, scratch_len) = (self.maps.weights().len(), self.maps.scratch_len());
        let range = |panel| panel * len..(panel + 1) * len;
        for_each_part(kept, self.maps.panels(), range, (scratch, scratch_len), |panel, weights, scratch| {
            self.weights([panel, 0], weights, &mut self.strips(scratch).1);
        });
    }

    /// The points of all tiles.
    fn keep_tiles(&self, kept: &mut [f32], scratch: &mut [f32]) {
        let (len, chunks) = (self.maps.tiles().len(), self.maps.chunks());
        let (count, scratch_len) = (self.groups.len() * chunks, self.maps.scratch_len());
        let range = |index| index * len..(index + 1) * len;
        for_each_part(kept, count, range, (scratch, scratch_len), |index, tiles, scratch| {
            let (group, chunk) = (&self.groups[index / chunks], index % chunks);
            self.tiles(group, chunk, tiles, &mut self.strips(scratch).1);
        });
    }

    /// Runs `task(group's number, panel, block, scratch)` for every panel of made channels in every group.
    fn for_each_panel(
        &self,
        out: &mut [f32],
        scratch: &mut [f32],
        task: impl Fn(usize, usize, &mut Block<'_>, &mut [f32]) + Sync,
    ) {
        let (made, panels) = (self.maps.channels()[0], self.maps.panels());
        let width = self.maps.panel * LANES;
        let of_panel = |panel: usize| self.made(panel * width..((panel + 1) * width).min(made));
        let parts = self.parts((0..panels).map(of_panel).collect());
        // Groups of an image stand together, in every panel.
        let of_image = self.groups.len() / parts[0].len();
        let scratch = (scratch, self.maps.scratch_len());
        for_each_block(out, self.shape(), &parts, scratch, |index, mut block, scratch| {
            let (rest, panel) = (index / (of_image * panels), index / of_image % panels);
            task(rest * of_image + index % of_image, panel, &mut block, scratch);
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
        for (block, first) in self.maps.summed(chunk).step_by(LANES).enumerate() {
            for run in group.runs() {
                let map = run.image * channels + self.group * summed + first;
                let source = Source::new(self.source, map, LANES.min(summed - first), grid.data);
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
            for from in channels.clone().step_by(most) {
                let first = (panel * blocks + block) * LANES;
                let lanes = LANES.min(made - first);
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
                    let at = spectrum.place(from - channels.start + i, block * transform.kind().element());
                    transformed(|| transform.flops()[1]);
                    transform.kernel(strip, steps, &mut to[at..], spectrum.apart(), strips.scratch);
                }
            }
        }
    }

    /// The products of a chunk of a group and of a panel, at all points.
    fn multiply_all(
        &self,
        group: &Group,
        [panel, chunk]: [usize; 2],
        factors: [&[f32]; 2],
        products: &mut [f32],
    ) {
        let [tiles, weights] = factors;
        // What all tasks share is not in the second-level cache.
        let (shared, values) = match self.maps.tasks {
            Tasks::Panels => (self.maps.tiles(), tiles),
            _ => (self.maps.weights(), weights),
        };
        for point in 0..shared.points {
            let products = self.maps.products().point_mut(products, point);
            let ahead = if point + 1 < shared.points { shared.point(values, point + 1) } else { &[] };
            self.multiply(point, group, [panel, chunk], factors, ahead, products);
        }
    }

    /// The products at a point, while what comes ahead is asked for; those of later chunks are added.
    fn multiply(
        &self,
        point: usize,
        group: &Group,
        [panel, chunk]: [usize; 2],
        [tiles, weights]: [&[f32]; 2],
        ahead: &[f32],
        products: &mut [f32],
    ) {
        let (tiles_at, weights_at) = (self.maps.tiles(), self.maps.weights());
        let (kind, add) = (self.maps.transform.kind(), chunk > 0);
        let sizes = [group.len(), self.maps.elements(panel), self.maps.summed(chunk).len()];
        let left = Scalars::Rows(tiles_at.point(tiles, point), tiles_at.row);
        let right = weights_at.elements(weights, point, 0);
        Product { kind, sizes, left, right, add, ahead }.run_to(products, self.maps.products().row);
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
