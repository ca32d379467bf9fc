//! Forward and backward-input: tasks make up to 16 channels of one image in a band of targets, or two blocks of as many
//! that meet the same values.

mod task;

use std::marker::PhantomData;
use std::ops::Range;

use conv_core::{ConvProblem, Cost, Machine, Pass, Role, Unsupported};
use fft_core::interleave;

use super::kernel::{Columns, LONGEST_PAIR, Place, idle, tiles};
use super::{Field, ROW_MOVES, Value, boxes, channel_blocks};
use crate::blocking::{Blocking, CACHED, Epilogue, channels};
use crate::padding::{Class, Tap, classes, cut_axis, longest_band};
use crate::product::LANES;
use crate::raw::{for_each_block, for_each_part};
use crate::strip::FITS;
use task::Task;

/// Tasks a thread should find, so that threads end together.
const TASKS_PER_THREAD: usize = 4;

/// Targets of a strip, those of its last row not counted.
const STRIP: usize = 64;

/// Points of a map below which it is not cut for the sake of more tasks.
const SMALLEST_BAND: usize = 512;

/// Moves of a tile's first loads from a row of a channel, which come from the second-level cache: 18 and 29 by the rates
/// of 430 measured problems.
const ROW_LOADED: f64 = 24.0;

/// The blocking of one problem and pass.
pub(super) struct Maps<T> {
    problem: ConvProblem,
    pass: Pass,
    /// Made channels by blocks.
    blocks: Vec<Range<usize>>,
    /// Made channels of the tasks: one block, or two.
    tasks: Vec<Range<usize>>,
    /// Shapes of source and target maps.
    shapes: [[usize; 3]; 2],
    classes: [Vec<(Class, Vec<Tap>)>; 3],
    /// The axis along which maps are cut into bands, and the targets of a band.
    cut: usize,
    band: usize,
    /// f32 values of a task's field of sources, and of its targets.
    scratch: [usize; 2],
    threads: usize,
    lanes: usize,
    /// Values of half of the second-level cache.
    cached: usize,
    value: PhantomData<T>,
}

impl<T: Value> Maps<T> {
    /// # Errors
    /// A refusal where the sources that a row of targets needs are very many.
    pub(super) fn new(machine: &Machine, problem: &ConvProblem, pass: Pass) -> Result<Self, Unsupported> {
        let shapes = match pass {
            Pass::Forward => [problem.input_shape(), problem.output_shape()],
            _ => [problem.output_shape(), problem.input_shape()],
        };
        let (cut, threads) = (cut_axis(shapes[1]), machine.threads.max(1));
        let classes = problem.volume().map(|axis| classes(&axis, pass));
        let band = shapes[1][cut];
        let blocks = channel_blocks::<T>(problem, pass, LANES);
        let pairs = channel_blocks::<T>(problem, pass, 2 * LANES);
        let bands = (shapes[1].iter().product::<usize>() / SMALLEST_BAND).max(1);
        let enough = problem.batch().saturating_mul(pairs.len()).saturating_mul(bands) >= 2 * threads;
        let tasks = if T::CHANNELS == 1 && enough { pairs } else { blocks.clone() };
        let count = problem.batch().saturating_mul(tasks.len());
        let cached = machine.caches[1] / 2 / size_of::<f32>();
        let mut maps = Maps {
            problem: *problem,
            pass,
            blocks,
            tasks,
            shapes,
            classes,
            cut,
            band,
            scratch: [0; 2],
            threads,
            lanes: machine.lanes.max(1),
            cached,
            value: PhantomData,
        };
        let rest: usize = shapes[1][cut + 1..].iter().product();
        let more = |band: usize| {
            let tasks = count.saturating_mul(shapes[1][cut].div_ceil(band));
            tasks < threads * TASKS_PER_THREAD && band / 2 * rest >= SMALLEST_BAND
        };
        (maps.band, maps.scratch) = longest_band(band, cached, |band| maps.values(band), more)?;
        Ok(maps)
    }

    /// The largest field and row of targets with bands of so many targets.
    fn values(&self, band: usize) -> Option<[usize; 2]> {
        let (mut source, mut row) = (0, 0);
        for [z, y, x] in self.boxes(band) {
            source = T::len(&self.field(&[z, y, x.clone()]), self.summed())?.max(source);
            row = ((STRIP + x.len()) * LANES).max(row);
        }
        row *= self.tasks.iter().map(|task| task.len().div_ceil(LANES)).max().unwrap_or(1);
        Some([source, row])
    }

    /// Summed channels of a made one.
    fn summed(&self) -> usize {
        channels(&self.problem, self.pass)[1]
    }

    /// Whether tasks have two blocks of channels.
    fn shared(&self) -> bool {
        self.tasks.len() < self.blocks.len()
    }

    /// The boxes of targets, with bands of this length.
    fn boxes(&self, band: usize) -> impl Iterator<Item = [Range<usize>; 3]> + use<T> {
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
        let (class, taps) = &classes[target % class_step(classes)];
        let first = class.low() + (target / class.step * class.stride) as isize;
        let sources = 0..self.shapes[0][axis] as isize;
        let met = taps.iter().map(move |tap| (first + tap.offset as isize, tap.point));
        met.filter(move |(position, _)| sources.contains(position))
    }

    /// Packed weights of a block of channels.
    fn packed(&self) -> usize {
        self.summed() * self.problem.points(Role::Weight) * LANES
    }

    /// Packs the weights of a block as `[summed channel][kernel point][made channel]`.
    fn pack(&self, block: &Range<usize>, weight: &[f32], packed: &mut [f32]) {
        let [made, summed] = channels(&self.problem, self.pass);
        let points = self.problem.points(Role::Weight);
        for (channel, packed) in packed.chunks_exact_mut(points * LANES).enumerate() {
            let mut rows = [&weight[..0]; LANES];
            for (row, made_one) in rows.iter_mut().zip(block.clone()) {
                let kernel = match self.pass {
                    Pass::Forward => made_one * summed + channel,
                    _ => (made_one / made * summed + channel) * made + made_one % made,
                };
                *row = &weight[kernel * points..][..points];
            }
            interleave(&rows[..block.len()], packed).expect(FITS);
        }
    }
}

impl<T: Value> Blocking for Maps<T> {
    /// Values of the packed weights, by blocks, then of every thread's scratch.
    fn workspace_len(&self) -> usize {
        self.packed() * self.blocks.len() + self.threads * self.scratch.iter().sum::<usize>()
    }

    /// What the pass takes: a multiply-add of all lanes for every target and tap whose row is not in the padding; every
    /// value copied to fields and from lanes, and [`super::ROW_MOVES`] a row; a move for every multiply-add that a tile
    /// waits; [`ROW_LOADED`] for the values of a row of taps where they are one for all lanes; each tensor once, and the
    /// packed weights for every band where the second-level cache does not hold them.
    fn cost(&self) -> Cost {
        let (blocks, [_, targets]) = (self.blocks.len(), self.shapes);
        let met = |axis: usize| {
            let met =
                |class: &Class, tap: &Tap| class.met(tap.offset..=tap.offset, self.shapes[0][axis]).len();
            let of =
                |(class, taps): &(Class, Vec<Tap>)| taps.iter().map(|tap| met(class, tap)).sum::<usize>();
            self.classes[axis].iter().map(of).sum::<usize>() as f64
        };
        let sum = |of: &dyn Fn(&Class) -> f64| -> f64 {
            self.classes[2].iter().map(|(class, taps)| of(class) * taps.len() as f64).sum()
        };
        let terms = self.summed() as f64 * met(0) * met(1);
        let shared = self.shared();
        let tiles =
            |class: &Class| if T::CHANNELS == 1 { tiles(self.lanes, class.count, shared) } else { 0.0 };
        let tap_rows: f64 = self.classes[2].iter().map(|(class, _)| tiles(class)).sum();
        let (mut made, mut copied) = (self.summed() as f64 * met(0) * met(1) * ROW_LOADED * tap_rows, 0.0);
        made += terms * sum(&|class| idle(class.count, T::CHANNELS == 1, shared));
        for [z, y, x] in self.boxes(self.band) {
            let rows = (z.len() * y.len()) as f64;
            made += rows * (ROW_MOVES + (x.len() * LANES) as f64);
            copied += self.field(&[z, y, x]).moves::<T>(self.summed());
        }
        let [maps, fields] =
            [blocks, self.tasks.len()].map(|count| self.problem.batch() as f64 * count as f64);
        let tensors = [Role::Input, Role::Weight, Role::Output].map(|role| self.problem.len(role) as f64);
        let bands = targets[self.cut].div_ceil(self.band);
        let weights = (blocks * self.packed()) as f64;
        let reread = if blocks * self.packed() > self.cached {
            CACHED * (self.problem.batch() * bands) as f64 * weights
        } else {
            0.0
        };
        let cost = Cost {
            product_flops: 2.0 * LANES as f64 * maps * terms * sum(&|class| class.count as f64),
            moves: maps * made + fields * copied + (blocks * self.packed()) as f64,
            bytes: 4.0 * (tensors.iter().sum::<f64>() + reread),
            launches: 2.0,
            ..Cost::default()
        };
        let tasks = self.problem.batch().saturating_mul(self.tasks.len()).saturating_mul(bands);
        cost.in_tasks(tasks, self.threads)
    }

    /// Computes the pass.
    fn run(
        &self,
        [source, weight]: [&[f32]; 2],
        out: &mut [f32],
        epilogue: Epilogue<'_>,
        workspace: &mut [f32],
    ) {
        let (len, blocks) = (self.packed(), &self.blocks);
        let (packed, scratch) = workspace.split_at_mut(len * blocks.len());
        let range = |block| block * len..(block + 1) * len;
        for_each_part(packed, blocks.len(), range, (&mut [], 0), |block, packed, _| {
            self.pack(&blocks[block], weight, packed);
        });
        let bands: Vec<Band> = self.boxes(self.band).map(|targets| self.band_of(&targets)).collect();
        let points = bands.iter().map(|band| band.points.clone()).collect();
        let images = (0..self.problem.batch()).map(|image| image..image + 1).collect();
        let parts = [images, self.tasks.clone(), whole(1), whole(1), points];
        let made = channels(&self.problem, self.pass)[0] * self.problem.groups();
        let shape = [self.problem.batch(), made, 1, 1, self.shapes[1].iter().product()];
        let scratch = (scratch, self.scratch.iter().sum());
        for_each_block(out, shape, &parts, scratch, |index, mut block, scratch| {
            let (band, number) = (&bands[index % bands.len()], index / bands.len() % self.tasks.len());
            let channels = self.tasks[number].clone();
            let first = blocks.partition_point(|block| block.start < channels.start);
            let weights = packed[first * len..][..channels.len().div_ceil(LANES) * len].as_chunks().0;
            Task { maps: self, source, weights, epilogue, channels }.run(band, &mut block, scratch);
        });
    }
}

/// An axis that is not cut.
fn whole(len: usize) -> Vec<Range<usize>> {
    std::iter::once(0..len).collect()
}

/// Targets from one of a class to the next.
fn class_step(classes: &[(Class, Vec<Tap>)]) -> usize {
    classes[0].0.step
}

/// Neighbouring targets of a map, and what they meet.
struct Band {
    points: Range<usize>,
    field: Field,
    /// The classes of columns, and where their taps are in a row of the field.
    columns: Vec<(Class, Columns)>,
    strips: Vec<Strip>,
}

/// Whole rows of targets that are written at once.
struct Strip {
    points: Range<usize>,
    lines: Vec<Line>,
}

/// A row of targets, or two that meet the same taps.
struct Line {
    /// The first target, counted from the first of the strip.
    first: usize,
    /// Where the rows of taps are in the field.
    rows: Vec<Place>,
    /// Values of the source, and targets, to the row below.
    below: Option<[usize; 2]>,
}

impl<T: Value> Maps<T> {
    fn band_of(&self, targets: &[Range<usize>; 3]) -> Band {
        let field = self.field(targets);
        let [_, h, w] = self.shapes[1];
        let [z, y, x] = targets.clone();
        let begin = (z.start * h + y.start) * w + x.start;
        let width = x.len();
        let rows: Vec<_> = z.flat_map(|z| y.clone().map(move |y| [z, y])).collect();
        let strip = |rows: &[[usize; 2]], first: usize| {
            let begin = begin + first * width;
            Strip { points: begin..begin + rows.len() * width, lines: self.lines(&field, rows, width) }
        };
        let count = STRIP.div_ceil(width);
        let strips = rows.chunks(count).zip((0..).step_by(count)).map(|(rows, first)| strip(rows, first));
        let strips = strips.collect();
        let points = begin..begin + rows.len() * width;
        Band { points, field, columns: self.columns(&field, &x), strips }
    }

    /// The classes of columns, and where their taps are in a row of the field.
    fn columns(&self, field: &Field, targets: &Range<usize>) -> Vec<(Class, Columns)> {
        let met = self.within(2, targets).filter(|(class, _)| class.count > 0);
        met.map(|(mut class, taps)| {
            class.first -= targets.start;
            let place = |tap: &Tap| Place {
                source: T::place(field, (class.low() - field.origin()[2]) as usize + tap.offset),
                weight: tap.point,
            };
            (class, Columns::new(taps.iter().map(place).collect()))
        })
        .collect()
    }

    /// The rows of a strip; where they are short and tasks have one block, by twos if they meet the same taps.
    fn lines(&self, field: &Field, rows: &[[usize; 2]], width: usize) -> Vec<Line> {
        let mut lines: Vec<Line> = Vec::new();
        for (number, row) in rows.iter().enumerate() {
            let line = Line { first: number * width, rows: self.rows(field, *row), below: None };
            if T::CHANNELS == 1
                && !self.shared()
                && width <= LONGEST_PAIR
                && let Some(above) = lines.last_mut()
                && let Some(apart) = above.apart(&line)
            {
                above.below = Some([apart, width]);
            } else {
                lines.push(line);
            }
        }
        lines
    }

    /// Where the rows of taps of a row of targets are in the field.
    fn rows(&self, field: &Field, [z, y]: [usize; 2]) -> Vec<Place> {
        let [_, h, w] = self.problem.kernel_shape();
        let ([slice_low, row_low, _], [slice, row]) = (field.origin(), [field.slice::<T>(), T::row(field)]);
        let mut rows = Vec::new();
        for (slice_at, point) in self.taps(0, z) {
            rows.extend(self.taps(1, y).map(|(row_at, line)| Place {
                source: (slice_at - slice_low) as usize * slice + (row_at - row_low) as usize * row,
                weight: (point * h + line) * w,
            }));
        }
        rows
    }
}

impl Line {
    /// How far behind the taps of this single row those of the next are, where they are the same.
    fn apart(&self, next: &Line) -> Option<usize> {
        let apart = next.rows.first()?.source.checked_sub(self.rows.first()?.source)?;
        let below = self.rows.iter().map(|place| Place { source: place.source + apart, ..*place });
        (self.below.is_none() && below.eq(next.rows.iter().copied())).then_some(apart)
    }
}
