//! Forward and backward-input: tasks make the channels of a group, of 16 images, in a band of targets.

use std::ops::Range;

use conv_core::{ConvProblem, Cost, Machine, Pass, Role, Unsupported};

use super::kernel::{Columns, MOST_MADE, Row, idle, most_neighbours};
use super::{copies, image_groups, made_groups};
use crate::blocking::{Blocking, Epilogue, channels};
use crate::buffer::whole_lines;
use crate::channels::{Element, Field, Place, ROW_MOVES, Value, boxes};
use crate::padding::{Class, Tap, classes, cut_axis, longest_band};
use crate::product::LANES;
use crate::raw::{Block, for_each_block, for_each_part};
use crate::split::{balanced, blocks, groups_of};
use crate::strip::{self, Source};

/// Tasks a thread should find, so that threads end together.
const TASKS_PER_THREAD: usize = 4;

/// Targets of a strip, those of its last row not counted.
const STRIP: usize = 64;

/// Points of a map below which it is not cut for the sake of more tasks.
const SMALLEST_BAND: usize = 64;

/// The blocking of one problem and pass.
pub(super) struct Maps {
    problem: ConvProblem,
    pass: Pass,
    /// Shapes of source and target maps.
    shapes: [[usize; 3]; 2],
    /// Targets by axis, and their taps, those of columns as they meet the source.
    classes: [Vec<(Class, Vec<Tap>)>; 3],
    /// The axis along which maps are cut into bands, and the targets of a band.
    cut: usize,
    band: usize,
    /// f32 values of a task's field of sources, and of its targets.
    scratch: [usize; 2],
    threads: usize,
}

impl Maps {
    /// # Errors
    /// A refusal where columns are dilated, or the sources that a row of targets needs are very many.
    pub(super) fn new(machine: &Machine, problem: &ConvProblem, pass: Pass) -> Result<Maps, Unsupported> {
        let shapes = match pass {
            Pass::Forward => [problem.input_shape(), problem.output_shape()],
            _ => [problem.output_shape(), problem.input_shape()],
        };
        let (cut, threads) = (cut_axis(shapes[1]), machine.threads.max(1));
        let mut classes = problem.volume().map(|axis| classes(&axis, pass));
        for (_, taps) in &mut classes[2] {
            taps.sort_by_key(|tap| tap.offset);
            if !taps.is_sorted_by(|tap, next| tap.offset + 1 == next.offset) {
                return Err(Unsupported::Geometry("the taps of its columns do not meet neighbours".into()));
            }
        }
        let band = shapes[1][cut];
        let mut maps = Maps { problem: *problem, pass, shapes, classes, cut, band, scratch: [0; 2], threads };
        let cached = machine.caches[1] / 2 / size_of::<f32>();
        let rest: usize = shapes[1][cut + 1..].iter().product();
        let more =
            |band: usize| maps.tasks(band) < threads * TASKS_PER_THREAD && band / 2 * rest >= SMALLEST_BAND;
        (maps.band, maps.scratch) = longest_band(band, cached, |band| maps.values(band), more)?;
        Ok(maps)
    }

    /// How many there are, with bands of so many targets.
    fn tasks(&self, band: usize) -> usize {
        let fields = self.problem.batch().div_ceil(LANES).saturating_mul(self.problem.groups());
        fields.saturating_mul(self.shapes[1][self.cut].div_ceil(band))
    }

    /// The largest field and strip of targets with bands of so many targets.
    fn values(&self, band: usize) -> Option<[usize; 2]> {
        let summed = channels(&self.problem, self.pass)[1];
        let of = |targets: [Range<usize>; 3]| copies(&self.field(&targets), summed);
        let source = self.boxes(band).map(of).try_fold(0, |most, len| Some(len?.max(most)))?;
        let row = if self.cut == 2 { band } else { self.shapes[1][2] };
        Some([source, MOST_MADE * (STRIP + row) * LANES])
    }

    /// The boxes of targets, with bands of this length.
    fn boxes(&self, band: usize) -> impl Iterator<Item = [Range<usize>; 3]> + use<> {
        boxes(self.shapes[1], self.cut, band)
    }

    /// The classes of an axis, of these targets.
    fn within<'a>(
        &'a self,
        axis: usize,
        targets: &'a Range<usize>,
    ) -> impl Iterator<Item = (Class, &'a [Tap])> {
        self.classes[axis].iter().map(|(class, taps)| (class.within(targets), &taps[..]))
    }

    /// What a box of targets meets.
    fn field(&self, [z, y, x]: &[Range<usize>; 3]) -> Field {
        Field::new([self.within(0, z), self.within(1, y), self.within(2, x)])
    }

    /// The taps of a target of an axis that meet a source: its position and the kernel point.
    fn taps(&self, axis: usize, target: usize) -> impl Iterator<Item = (isize, usize)> {
        let classes = &self.classes[axis];
        let (class, taps) = &classes[target % classes[0].0.step];
        let first = class.low() + (target / class.step * class.stride) as isize;
        let sources = 0..self.shapes[0][axis] as isize;
        let met = taps.iter().map(move |tap| (first + tap.offset as isize, tap.point));
        met.filter(move |(position, _)| sources.contains(position))
    }

    /// Where the rows of taps of a row of targets are in the field of the summed channels.
    fn rows(&self, field: &Field, [z, y]: [usize; 2]) -> Vec<Place> {
        let [_, h, w] = self.problem.kernel_shape();
        let ([slice_low, row_low, _], [slice, row]) =
            (field.origin(), [field.slice::<Element>(), Element::row(field)]);
        let (map, points) = (field.map::<Element>(), self.problem.points(Role::Weight));
        let mut rows = Vec::new();
        for channel in 0..channels(&self.problem, self.pass)[1] {
            for (slice_at, point) in self.taps(0, z) {
                rows.extend(self.taps(1, y).map(|(row_at, line)| Place {
                    source: channel * map
                        + (slice_at - slice_low) as usize * slice
                        + (row_at - row_low) as usize * row,
                    weight: channel * points + (point * h + line) * w,
                }));
            }
        }
        rows
    }

    /// The rows of so many made channels, by the classes of these columns, in a field that begins at column `origin`.
    fn columns(&self, made: usize, targets: &Range<usize>, origin: isize) -> Vec<Line> {
        let mut begin = 0;
        let of = |(mut class, taps): (Class, &[Tap])| {
            class.first -= targets.start.min(class.first);
            let weight = begin;
            begin += taps.len();
            // Offsets are 0, 1, …: those from which one of the targets meets a source, up to the last such.
            let low = class.low();
            let tile = |range: Range<usize>| {
                let at = |number: usize| low + (number * class.stride) as isize;
                let first = (-at(range.end - 1)).max(0) as usize;
                let end =
                    (self.shapes[0][2] as isize - at(range.start)).clamp(0, taps.len() as isize) as usize;
                let taps = end.saturating_sub(first);
                let tap = match taps {
                    0 => Place { source: 0, weight: 0 },
                    _ => {
                        Place { source: (at(range.start) - origin) as usize + first, weight: weight + first }
                    }
                };
                Columns { first: range.start, count: range.len(), tap, taps }
            };
            let tiles = blocks(class.count, most_neighbours(made)).map(tile).collect();
            Line { first: class.first, apart: class.step, step: class.stride, tiles }
        };
        self.within(2, targets).map(of).collect()
    }

    /// The kernel's columns, those of a class side by side.
    fn kernel_columns(&self) -> Vec<usize> {
        let mut columns: Vec<_> =
            self.classes[2].iter().flat_map(|(_, taps)| taps).map(|tap| tap.point).collect();
        let unmet: Vec<_> =
            (0..self.problem.kernel_shape()[2]).filter(|point| !columns.contains(point)).collect();
        columns.extend(unmet);
        columns
    }

    /// Packs the weights of some made channels as `[summed channel][kernel point][made channel]`, columns in this order.
    fn pack(&self, block: &Range<usize>, columns: &[usize], weight: &[f32], packed: &mut [f32]) {
        let [made, summed] = channels(&self.problem, self.pass);
        let points = self.problem.points(Role::Weight);
        for (number, channel) in block.clone().enumerate() {
            for other in 0..summed {
                let kernel = match self.pass {
                    Pass::Forward => channel * summed + other,
                    _ => (channel / made * summed + other) * made + channel % made,
                };
                let rows = weight[kernel * points..][..points].chunks_exact(columns.len());
                let values = rows.flat_map(|row| columns.iter().map(|column| row[*column]));
                let to = packed[other * points * block.len() + number..].iter_mut().step_by(block.len());
                to.zip(values).for_each(|(to, value)| *to = value);
            }
        }
    }

    /// The blocks of made channels that go together, of all groups.
    fn made_blocks(&self) -> Vec<Range<usize>> {
        let made = channels(&self.problem, self.pass)[0];
        groups_of(&blocks(made, MOST_MADE).collect::<Vec<_>>(), made, self.problem.groups())
    }
}

impl Blocking for Maps {
    /// Values of the packed weights, then of every thread's scratch.
    fn workspace_len(&self) -> usize {
        whole_lines(self.problem.len(Role::Weight)) + self.threads * self.scratch.iter().sum::<usize>()
    }

    /// What the pass takes: a multiply-add of all lanes for every target and tap whose tile of columns meets the maps; every
    /// value copied to fields and from lanes, and [`ROW_MOVES`] a row; a move for every multiply-add that a tile waits;
    /// each tensor once.
    fn cost(&self) -> Cost {
        let [made, summed] = channels(&self.problem, self.pass);
        let met = |axis: usize| {
            let of = |target| self.taps(axis, target).count();
            (0..self.shapes[1][axis]).map(of).sum::<usize>() as f64
        };
        let terms = summed as f64 * met(0) * met(1);
        let (mut products, mut waits) = (0.0, 0.0);
        let cuts = if self.cut == 2 { self.boxes(self.band).count() } else { 1 };
        for [z, y, x] in self.boxes(self.band).take(cuts) {
            let origin = self.field(&[z, y, x.clone()]).origin()[2];
            for len in 1..=MOST_MADE {
                let blocks = blocks(made, MOST_MADE).filter(|block| block.len() == len).count() as f64;
                let lines = if blocks > 0.0 { self.columns(len, &x, origin) } else { Vec::new() };
                for tile in lines.iter().flat_map(|line| &line.tiles) {
                    products += blocks * (len * tile.count * tile.taps) as f64;
                    waits += blocks * idle(len, tile.count) * tile.taps as f64;
                }
            }
        }
        let fields = (self.problem.batch().div_ceil(LANES) * self.problem.groups()) as f64;
        let [slices, rows, columns] = self.shapes[1];
        let strips = (slices * rows).div_ceil(STRIP.div_ceil(columns));
        let stored = made as f64 * (strips as f64 * ROW_MOVES + (slices * rows * columns * LANES) as f64);
        let copied: f64 =
            self.boxes(self.band).map(|targets| self.field(&targets).moves::<Element>(summed)).sum();
        let tensors = [Role::Input, Role::Weight, Role::Output].map(|role| self.problem.len(role) as f64);
        let cost = Cost {
            product_flops: 2.0 * LANES as f64 * fields * terms * products,
            moves: fields * (terms * waits + stored + copied) + tensors[1],
            bytes: 4.0 * tensors.iter().sum::<f64>(),
            launches: 2.0,
            ..Cost::default()
        };
        cost.in_tasks(self.tasks(self.band), self.threads)
    }

    /// Computes the pass.
    fn run(
        &self,
        [source, weight]: [&[f32]; 2],
        out: &mut [f32],
        epilogue: Epilogue<'_>,
        workspace: &mut [f32],
    ) {
        let blocks = self.made_blocks();
        let len = self.problem.len(Role::Weight);
        let (packed, scratch) = workspace.split_at_mut(whole_lines(len));
        let packed = &mut packed[..len];
        let kernels = channels(&self.problem, self.pass)[1] * self.problem.points(Role::Weight);
        let range = |block: usize| blocks[block].start * kernels..blocks[block].end * kernels;
        let columns = self.kernel_columns();
        for_each_part(packed, blocks.len(), range, (&mut [], 0), |block, packed, _| {
            self.pack(&blocks[block], &columns, weight, packed);
        });
        let boxes: Vec<_> = self.boxes(self.band).collect();
        let [_, h, w] = self.shapes[1];
        let begin = |[z, y, x]: [usize; 3]| (z * h + y) * w + x;
        let points = |targets: &[Range<usize>; 3]| {
            let [first, last] =
                [targets.each_ref().map(|range| range.start), targets.each_ref().map(|range| range.end - 1)];
            begin(first)..begin(last) + 1
        };
        let images = image_groups(self.problem.batch());
        let groups: Vec<_> = made_groups(&self.problem, self.pass).collect();
        let made = groups.last().map_or(0, |last| last.end);
        let whole = || balanced(1, 1).collect();
        let parts = [images, groups, whole(), whole(), boxes.iter().map(points).collect()];
        let shape = [self.problem.batch(), made, 1, 1, self.shapes[1].iter().product()];
        let scratch = (scratch, self.scratch.iter().sum());
        for_each_block(out, shape, &parts, scratch, |index, block, scratch| {
            let targets = &boxes[index % boxes.len()];
            Task { maps: self, source, packed, epilogue, blocks: &blocks, targets }.run(block, scratch);
        });
    }
}

/// Targets of a row that meet the same taps.
struct Line {
    /// The first, and targets to the next.
    first: usize,
    apart: usize,
    /// Sources from what one meets to what the next meets.
    step: usize,
    tiles: Vec<Columns>,
}

/// The channels of a group, of 16 images, in a band of targets.
struct Task<'a> {
    maps: &'a Maps,
    source: &'a [f32],
    packed: &'a [f32],
    epilogue: Epilogue<'a>,
    /// Of all groups.
    blocks: &'a [Range<usize>],
    targets: &'a [Range<usize>; 3],
}

impl Task<'_> {
    fn run(&self, mut block: Block<'_>, scratch: &mut [f32]) {
        let Maps { problem, pass, scratch: [len, _], .. } = self.maps;
        let (field, [images, made, ..]) = (self.maps.field(self.targets), block.ranges().clone());
        let (source, strip) = scratch.split_at_mut(*len);
        let [per_group, summed] = channels(problem, *pass);
        self.load(&field, &images, made.start / per_group * summed, source);
        let [z, y, x] = self.targets;
        let rows: Vec<_> = z.clone().flat_map(|z| y.clone().map(move |y| [z, y])).collect();
        let count = STRIP.div_ceil(x.len());
        let blocks = self.blocks.iter().filter(|block| made.contains(&block.start));
        let lines = |block: &Range<usize>| self.maps.columns(block.len(), x, field.origin()[2]);
        let blocks: Vec<_> = blocks.map(|block| (block.clone(), lines(block))).collect();
        let mut first = block.ranges()[4].start;
        for rows in rows.chunks(count) {
            let targets = first..first + rows.len() * x.len();
            let rows: Vec<_> = rows.iter().map(|row| self.maps.rows(&field, *row)).collect();
            for (channels, lines) in &blocks {
                self.make(channels, (&rows, lines), (Element::of(source), strip));
                for (channel, strip) in channels.clone().zip(strip.chunks_exact(targets.len() * LANES)) {
                    let mut to: [_; LANES] = block.images(images.clone(), [channel, 0, 0], targets.clone());
                    strip::store(strip, &mut to[..images.len()]);
                }
            }
            first = targets.end;
        }
    }

    /// Copies what the channels of a group meet, from this map of every image on.
    fn load(&self, field: &Field, images: &Range<usize>, map: usize, to: &mut [f32]) {
        let Maps { problem, pass, shapes, .. } = self.maps;
        let summed = channels(problem, *pass)[1];
        let (per_image, points) = (summed * problem.groups(), shapes[0].iter().product::<usize>());
        let maps = (images.start * per_image + map..).take(summed);
        for (map, to) in maps.zip(to.chunks_exact_mut(field.map::<Element>() * LANES)) {
            let near = Source::new(self.source, map, images.len(), shapes[0]);
            Source { apart: per_image * points, ..near }.load(field.origin(), field.lens(), to);
        }
    }

    /// Makes rows of some channels: `[channel][target][image]`.
    fn make(
        &self,
        made: &Range<usize>,
        (rows, lines): (&[Vec<Place>], &[Line]),
        (source, strip): (&[Element], &mut [f32]),
    ) {
        let Maps { problem, pass, .. } = self.maps;
        let kernels = channels(problem, *pass)[1] * problem.points(Role::Weight);
        let ((bias, relu), width) = (self.epilogue, self.targets[2].len());
        for (number, places) in rows.iter().enumerate() {
            for line in lines {
                Row {
                    source,
                    weights: &self.packed[made.start * kernels..made.end * kernels],
                    made: made.len(),
                    rows: places,
                    columns: &line.tiles,
                    step: line.step,
                    biases: bias.map_or(&[], |bias| &bias[made.clone()]),
                    relu,
                    to: &mut strip.as_chunks_mut().0[number * width + line.first..],
                    block: rows.len() * width,
                    apart: line.apart,
                }
                .run();
            }
        }
    }
}
