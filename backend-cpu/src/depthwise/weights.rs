//! Backward-weights: tasks sum over some images for 16 channels; then the sums of the parts are added.

use std::ops::Range;

use conv_core::{ConvProblem, Cost, Machine, Pass, Role, Unsupported};

use super::kernel::{Element, Sum, tap_blocks};
use super::{Field, boxes, channel_blocks};
use crate::blocking::{Blocking, Epilogue};
use crate::padding::{Class, Tap, classes, cut_axis, longest_band};
use crate::product::LANES;
use crate::raw::for_each_part;
use crate::strip::{self, Source};

/// Tasks a thread should find, so that threads end together.
const TASKS_PER_THREAD: usize = 2;

/// Products that are summed before they are added to the others, so that rounding errors stay small.
const SUMMED: usize = 1024;

/// The blocking of one problem.
pub(super) struct Weights {
    problem: ConvProblem,
    /// Outputs by axis, and their taps.
    classes: [(Class, Vec<Tap>); 3],
    cut: usize,
    band: usize,
    /// Parts that the batch is cut into.
    parts: usize,
    /// f32 values of a task's strips of inputs, or of sums, and of gradients.
    scratch: [usize; 2],
    threads: usize,
}

impl Weights {
    /// # Errors
    /// A refusal where the inputs that a row of outputs needs are very many.
    pub(super) fn new(machine: &Machine, problem: &ConvProblem) -> Result<Weights, Unsupported> {
        let shape = problem.output_shape();
        let of = |axis| classes(axis, Pass::BackwardWeights).swap_remove(0);
        let (classes, cut) = (problem.volume().each_ref().map(of), cut_axis(shape));
        let (threads, blocks) = (machine.threads.max(1), channel_blocks(problem).len());
        let parts = (threads * TASKS_PER_THREAD).div_ceil(blocks).min(problem.batch());
        let band = shape[cut];
        let mut weights = Weights { problem: *problem, classes, cut, band, parts, scratch: [0; 2], threads };
        let cached = machine.caches[1] / 2 / size_of::<f32>();
        let values = |band: usize| {
            let targets = weights.boxes(band).next()?;
            Some([weights.field(&targets).values()?.max(weights.sums()), gradients(&targets).values()?])
        };
        (weights.band, weights.scratch) = longest_band(band, cached, values, |_| false)?;
        Ok(weights)
    }

    /// The boxes of outputs, with bands of this length.
    fn boxes(&self, band: usize) -> impl Iterator<Item = [Range<usize>; 3]> + use<> {
        boxes(self.problem.output_shape(), self.cut, band)
    }

    /// What a box of outputs meets.
    fn field(&self, outputs: &[Range<usize>; 3]) -> Field {
        let of = |axis: usize| {
            let (class, taps) = &self.classes[axis];
            std::iter::once((class.within(&outputs[axis]), &taps[..]))
        };
        Field::new([of(0), of(1), of(2)])
    }

    /// f32 values of the sums of a block of channels: `[kernel point][channel]`.
    fn sums(&self) -> usize {
        self.problem.points(Role::Weight) * LANES
    }

    /// The tiles of taps.
    fn tiles(&self) -> Vec<Tile> {
        let [d, h, w] = self.problem.kernel_shape();
        let mut tiles = Vec::new();
        for slice in 0..d {
            for (columns, most) in tap_blocks(w, self.problem.volume()[2].dilation) {
                let rows = (0..h).step_by(most).map(|first| first..(first + most).min(h));
                tiles.extend(rows.map(|rows| Tile { slice, rows, columns: columns.clone() }));
            }
        }
        tiles
    }

    /// The source slices or rows that the outputs of an axis meet at taps, where any is in the maps: the output and the
    /// position of the first tap.
    fn met(
        &self,
        axis: usize,
        outputs: Range<usize>,
        taps: &Range<usize>,
    ) -> impl Iterator<Item = (usize, isize)> {
        let (class, offsets) = &self.classes[axis];
        let [first, last] = [taps.start, taps.end - 1].map(|tap| offsets[tap].offset);
        let met = class.met(first..=last, self.problem.input_shape()[axis]);
        let at = move |output: usize| class.low() + (output * class.stride + first) as isize;
        (outputs.start.max(met.start)..outputs.end.min(met.end)).map(move |output| (output, at(output)))
    }
}

impl Blocking for Weights {
    /// Values of the sums of all parts, then of every thread's strips.
    fn workspace_len(&self) -> usize {
        let sums = self.parts * channel_blocks(&self.problem).len() * self.sums();
        sums + self.threads * self.scratch.iter().sum::<usize>()
    }

    /// What the pass takes: a multiply-add of all lanes for every output and tap whose tile of taps meets a row that is not
    /// in the padding; every value copied to lanes; each tensor once, and the sums.
    fn cost(&self) -> Cost {
        let outputs = self.problem.output_shape();
        let of_tile = |tile: &Tile| {
            let slices = self.met(0, 0..outputs[0], &(tile.slice..tile.slice + 1)).count();
            let rows = self.met(1, 0..outputs[1], &tile.rows).count();
            (slices * rows * tile.rows.len() * tile.columns.len()) as f64
        };
        let products = self.tiles().iter().map(of_tile).sum::<f64>() * outputs[2] as f64;
        let boxes =
            self.boxes(self.band).map(|targets| self.field(&targets).moves() + gradients(&targets).moves());
        let (moves, blocks) = (boxes.sum::<f64>(), channel_blocks(&self.problem).len());
        let (maps, sums) =
            (self.problem.batch() as f64 * blocks as f64, (self.parts * blocks * self.sums()) as f64);
        let tensors = [Role::Input, Role::Weight, Role::Output].map(|role| self.problem.len(role) as f64);
        let cost = Cost {
            product_flops: 2.0 * LANES as f64 * maps * products,
            moves: maps * moves + sums,
            bytes: 4.0 * (tensors.iter().sum::<f64>() + 2.0 * sums),
            launches: 2.0,
            ..Cost::default()
        };
        let tasks = self.parts.saturating_mul(blocks);
        cost.in_tasks(tasks, self.threads)
    }

    /// Computes the pass.
    fn run(&self, [input, gradient]: [&[f32]; 2], out: &mut [f32], _: Epilogue<'_>, workspace: &mut [f32]) {
        let blocks = channel_blocks(&self.problem);
        let (len, points) = (self.sums(), self.problem.points(Role::Weight));
        let (sums, scratch) = workspace.split_at_mut(self.parts * blocks.len() * len);
        let tiles = self.tiles();
        let scratch_len = self.scratch.iter().sum();
        let (range, count) = (|task| task * len..(task + 1) * len, self.parts * blocks.len());
        for_each_part(sums, count, range, (&mut *scratch, scratch_len), |task, sums, scratch| {
            let (channels, part) = (blocks[task / self.parts].clone(), task % self.parts);
            let batch = self.problem.batch();
            let images = part * batch / self.parts..(part + 1) * batch / self.parts;
            sums.fill(0.0);
            Task { weights: self, tiles: &tiles, tensors: [input, gradient], channels }
                .run(images, sums, scratch);
        });
        let sums = &*sums;
        let range = |block: usize| blocks[block].start * points..blocks[block].end * points;
        for_each_part(out, blocks.len(), range, (scratch, scratch_len), |block, out, sum| {
            let (sum, mut parts) = (&mut sum[..len], sums[block * self.parts * len..].chunks_exact(len));
            sum.copy_from_slice(parts.next().unwrap_or_default());
            for part in parts.take(self.parts - 1) {
                sum.iter_mut().zip(part).for_each(|(sum, value)| *sum += value);
            }
            let mut rows: [&mut [f32]; LANES] = Default::default();
            rows.iter_mut().zip(out.chunks_exact_mut(points)).for_each(|(row, map)| *row = map);
            strip::store(sum, &mut rows[..blocks[block].len()]);
        });
    }
}

/// The gradients of a box of outputs.
fn gradients(outputs: &[Range<usize>; 3]) -> Field {
    Field {
        origin: outputs.each_ref().map(|range| range.start as isize),
        lens: outputs.each_ref().map(|range| range.len()),
    }
}

/// Taps whose sums are made together.
struct Tile {
    slice: usize,
    rows: Range<usize>,
    columns: Range<usize>,
}

/// The sums of 16 channels over some images.
struct Task<'a> {
    weights: &'a Weights,
    tiles: &'a [Tile],
    tensors: [&'a [f32]; 2],
    channels: Range<usize>,
}

impl Task<'_> {
    fn run(&self, images: Range<usize>, sums: &mut [f32], scratch: &mut [f32]) {
        let Weights { problem, .. } = self.weights;
        let shapes = [problem.input_shape(), problem.output_shape()];
        let [input, gradient] = self.tensors;
        let (inputs, grads) = scratch.split_at_mut(self.weights.scratch[0]);
        for image in images {
            for outputs in self.weights.boxes(self.weights.band) {
                let fields = [self.weights.field(&outputs), gradients(&outputs)];
                let map = image * problem.groups() + self.channels.start;
                for ((tensor, shape), (field, to)) in [input, gradient]
                    .into_iter()
                    .zip(shapes)
                    .zip(fields.iter().zip([&mut *inputs, &mut *grads]))
                {
                    let first = map * shape.iter().product::<usize>();
                    let maps = self.channels.len();
                    Source { tensor, first, maps, shape }.load(field.origin, field.lens, to);
                }
                let strips = [&*inputs, &*grads].map(|strip| strip.as_chunks().0);
                self.tiles.iter().for_each(|tile| self.add(tile, &outputs, fields, strips, sums));
            }
        }
    }

    /// Adds the products of a box of outputs to the sums of a tile.
    fn add(
        &self,
        tile: &Tile,
        outputs: &[Range<usize>; 3],
        [input, gradient]: [Field; 2],
        strips: [&[Element]; 2],
        sums: &mut [f32],
    ) {
        let Weights { problem, classes, .. } = self.weights;
        let [_, h, w] = problem.kernel_shape();
        let column = classes[2].1[tile.columns.start].offset;
        let mut rows = Vec::new();
        for (z, slice) in self.weights.met(0, outputs[0].clone(), &(tile.slice..tile.slice + 1)) {
            for (y, row) in self.weights.met(1, outputs[1].clone(), &tile.rows) {
                let source = (slice - input.origin[0]) as usize * input.slice()
                    + (row - input.origin[1]) as usize * input.row();
                let [z, y] = [z - outputs[0].start, y - outputs[1].start];
                rows.push([source + column, z * gradient.slice() + y * gradient.row()]);
            }
        }
        let targets = outputs[2].len();
        let first = (tile.slice * h + tile.rows.start) * w + tile.columns.start;
        for rows in rows.chunks((SUMMED / targets).max(1)) {
            Sum {
                source: strips[0],
                gradient: strips[1],
                rows,
                targets,
                stride: classes[2].0.stride,
                taps: [tile.rows.len(), tile.columns.len()],
                apart: problem.volume()[1].dilation * input.row(),
                sums: (&mut sums.as_chunks_mut().0[first..], w),
            }
            .run();
        }
    }
}
