//! Forward and backward-input: tasks make 16 channels of one image in a band of targets.

use std::ops::Range;

use conv_core::{ConvProblem, Cost, Machine, Pass, Role, Unsupported};
use fft_core::interleave;

use super::kernel::{Element, Place, Row};
use super::{Field, ROW_MOVES, boxes, channel_blocks};
use crate::blocking::{Blocking, Epilogue};
use crate::padding::{Class, Tap, classes, cut_axis, longest_band};
use crate::product::LANES;
use crate::raw::{Block, for_each_block, for_each_part};
use crate::strip::{self, FITS, Source};

/// Tasks a thread should find, so that threads end together.
const TASKS_PER_THREAD: usize = 4;

/// Points of a map below which it is not cut for the sake of more tasks.
const SMALLEST_BAND: usize = 512;

/// The blocking of one problem and pass.
pub(super) struct Maps {
    problem: ConvProblem,
    /// Shapes of source and target maps.
    shapes: [[usize; 3]; 2],
    classes: [Vec<(Class, Vec<Tap>)>; 3],
    /// The axis along which maps are cut into bands, and the targets of a band.
    cut: usize,
    band: usize,
    /// f32 values of a task's strip of sources, and of its row of targets.
    scratch: [usize; 2],
    threads: usize,
}

impl Maps {
    /// # Errors
    /// A refusal where the sources that a row of targets needs are very many.
    pub(super) fn new(machine: &Machine, problem: &ConvProblem, pass: Pass) -> Result<Maps, Unsupported> {
        let shapes = match pass {
            Pass::Forward => [problem.input_shape(), problem.output_shape()],
            _ => [problem.output_shape(), problem.input_shape()],
        };
        let (cut, threads) = (cut_axis(shapes[1]), machine.threads.max(1));
        let classes = problem.volume().map(|axis| classes(&axis, pass));
        let band = shapes[1][cut];
        let mut maps = Maps { problem: *problem, shapes, classes, cut, band, scratch: [0; 2], threads };
        let blocks = problem.batch().saturating_mul(channel_blocks(problem).len());
        let rest: usize = shapes[1][cut + 1..].iter().product();
        let more = |band: usize| {
            let tasks = blocks.saturating_mul(shapes[1][cut].div_ceil(band));
            tasks < threads * TASKS_PER_THREAD && band / 2 * rest >= SMALLEST_BAND
        };
        let cached = machine.caches[1] / 2 / size_of::<f32>();
        (maps.band, maps.scratch) = longest_band(band, cached, |band| maps.values(band), more)?;
        Ok(maps)
    }

    /// The largest strip and row of targets with bands of so many targets.
    fn values(&self, band: usize) -> Option<[usize; 2]> {
        let (mut source, mut row) = (0, 0);
        for [z, y, x] in self.boxes(band) {
            source = self.field(&[z, y, x.clone()]).values()?.max(source);
            row = (strip::width(x.len()) * LANES).max(row);
        }
        Some([source, row])
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
        let (class, taps) = &classes[target % class_step(classes)];
        let first = class.low() + (target / class.step * class.stride) as isize;
        let sources = 0..self.shapes[0][axis] as isize;
        let met = taps.iter().map(move |tap| (first + tap.offset as isize, tap.point));
        met.filter(move |(position, _)| sources.contains(position))
    }

    /// Packed weights of a block of channels.
    fn packed(&self) -> usize {
        self.problem.points(Role::Weight) * LANES
    }
}

impl Blocking for Maps {
    /// Values of the packed weights, `[block of channels][kernel point][channel]`, then of every thread's scratch.
    fn workspace_len(&self) -> usize {
        self.packed() * channel_blocks(&self.problem).len()
            + self.threads * self.scratch.iter().sum::<usize>()
    }

    /// What the pass takes: a multiply-add of all lanes for every target and tap whose row is not in the padding; every
    /// value copied to and from lanes, and [`super::ROW_MOVES`] a row; each tensor once.
    fn cost(&self) -> Cost {
        let (blocks, [_, targets]) = (channel_blocks(&self.problem).len(), self.shapes);
        let met = |axis: usize| {
            let met =
                |class: &Class, tap: &Tap| class.met(tap.offset..=tap.offset, self.shapes[0][axis]).len();
            let of =
                |(class, taps): &(Class, Vec<Tap>)| taps.iter().map(|tap| met(class, tap)).sum::<usize>();
            self.classes[axis].iter().map(of).sum::<usize>()
        };
        let columns = self.classes[2].iter().map(|(class, taps)| class.count * taps.len()).sum::<usize>();
        let mut moves = 0.0;
        for [z, y, x] in self.boxes(self.band) {
            let rows = (z.len() * y.len()) as f64;
            moves +=
                rows * (ROW_MOVES + (strip::width(x.len()) * LANES) as f64) + self.field(&[z, y, x]).moves();
        }
        let maps = self.problem.batch() as f64 * blocks as f64;
        let tensors = [Role::Input, Role::Weight, Role::Output].map(|role| self.problem.len(role) as f64);
        let cost = Cost {
            product_flops: 2.0 * LANES as f64 * maps * met(0) as f64 * met(1) as f64 * columns as f64,
            moves: maps * moves + (blocks * self.packed()) as f64,
            bytes: 4.0 * tensors.iter().sum::<f64>(),
            launches: 2.0,
            ..Cost::default()
        };
        let bands = targets[self.cut].div_ceil(self.band);
        let tasks = self.problem.batch().saturating_mul(blocks).saturating_mul(bands);
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
        let blocks = channel_blocks(&self.problem);
        let (packed, scratch) = workspace.split_at_mut(self.packed() * blocks.len());
        let (len, points) = (self.packed(), self.problem.points(Role::Weight));
        let range = |block| block * len..(block + 1) * len;
        for_each_part(packed, blocks.len(), range, (&mut [], 0), |block, packed, _| {
            let mut rows = [&weight[..0]; LANES];
            for (row, channel) in rows.iter_mut().zip(blocks[block].clone()) {
                *row = &weight[channel * points..][..points];
            }
            interleave(&rows[..blocks[block].len()], packed).expect(FITS);
        });
        let [d, h, w] = self.shapes[1];
        let images = (0..self.problem.batch()).map(|image| image..image + 1).collect();
        let mut parts = [images, blocks, whole(d), whole(h), whole(w)];
        parts[2 + self.cut] = self.boxes(self.band).map(|targets| targets[self.cut].clone()).collect();
        let shape = [self.problem.batch(), self.problem.groups(), d, h, w];
        let scratch = (scratch, self.scratch.iter().sum());
        for_each_block(out, shape, &parts, scratch, |_, mut block, scratch| {
            let number = block.ranges()[1].start / LANES;
            let weights = packed[range(number)].as_chunks().0;
            Task { maps: self, source, weights, epilogue }.run(&mut block, scratch);
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

/// 16 channels of an image in a band.
struct Task<'a> {
    maps: &'a Maps,
    source: &'a [f32],
    weights: &'a [Element],
    epilogue: (Option<&'a [f32]>, bool),
}

impl Task<'_> {
    fn run(&self, block: &mut Block<'_>, scratch: &mut [f32]) {
        let Maps { problem, shapes, .. } = self.maps;
        let [images, channels, z, y, x] = block.ranges().clone();
        let targets = [z, y, x];
        let field = self.maps.field(&targets);
        let (strip, row) = scratch.split_at_mut(self.maps.scratch[0]);
        let first = (images.start * problem.groups() + channels.start) * shapes[0].iter().product::<usize>();
        let source = Source { tensor: self.source, first, maps: channels.len(), shape: shapes[0] };
        source.load(field.origin, field.lens, strip);
        let (bias, relu) = self.epilogue;
        let mut biases = [0.0; LANES];
        if let Some(bias) = bias {
            biases[..channels.len()].copy_from_slice(&bias[channels.clone()]);
        }
        let columns = self.columns(&field, &targets[2]);
        let row = &mut row[..targets[2].len() * LANES];
        let mut rows = Vec::new();
        for (z, y) in targets[0].clone().flat_map(|z| targets[1].clone().map(move |y| (z, y))) {
            self.rows(&field, [z, y], &mut rows);
            for (class, columns) in &columns {
                Row {
                    source: strip.as_chunks().0,
                    weights: self.weights,
                    rows: &rows,
                    columns,
                    stride: class.stride,
                    bias: &biases,
                    relu,
                    to: &mut row.as_chunks_mut().0[class.first - targets[2].start..],
                    step: class.step,
                    targets: class.count,
                }
                .run();
            }
            let mut to: [_; LANES] = block.rows([images.start, z, y], channels.clone(), targets[2].clone());
            strip::store(row, &mut to[..channels.len()]);
        }
    }

    /// The classes of columns, and where their taps are in a row of the strip.
    fn columns(&self, field: &Field, targets: &Range<usize>) -> Vec<(Class, Vec<Place>)> {
        let met = self.maps.within(2, targets).filter(|(class, _)| class.count > 0);
        met.map(|(class, taps)| {
            let place = |tap: &Tap| Place {
                source: (class.low() - field.origin[2]) as usize + tap.offset,
                weight: tap.point,
            };
            (class, taps.iter().map(place).collect())
        })
        .collect()
    }

    /// Where the rows of taps of a row of targets are in the strip.
    fn rows(&self, field: &Field, [z, y]: [usize; 2], rows: &mut Vec<Place>) {
        let [_, h, w] = self.maps.problem.kernel_shape();
        rows.clear();
        for (slice, point) in self.maps.taps(0, z) {
            let slice = (slice - field.origin[0]) as usize * field.slice();
            rows.extend(self.maps.taps(1, y).map(|(row, line)| Place {
                source: slice + (row - field.origin[1]) as usize * field.row(),
                weight: (point * h + line) * w,
            }));
        }
    }
}
