//! Backward-weights: tasks sum over some images for up to 16 output channels; then the sums of the parts are added.

use std::marker::PhantomData;
use std::ops::Range;

use conv_core::{ConvProblem, Cost, Machine, Pass, Role, Unsupported};

use super::kernel::{Sum, tap_blocks};
use super::{Element, Field, Value, boxes, channel_blocks};
use crate::blocking::{Blocking, CACHED, Epilogue};
use crate::padding::{Class, Tap, classes, cut_axis, longest_band};
use crate::product::LANES;
use crate::raw::for_each_part;
use crate::strip::{self, Source};

/// Tasks a thread should find, so that threads end together.
const TASKS_PER_THREAD: usize = 2;

/// Products that are summed before they are added to the others, so that rounding errors stay small.
const SUMMED: usize = 1024;

/// The blocking of one problem.
pub(super) struct Weights<T> {
    problem: ConvProblem,
    /// Output channels of the tasks, by blocks.
    blocks: Vec<Range<usize>>,
    /// Outputs by axis, and their taps.
    classes: [(Class, Vec<Tap>); 3],
    cut: usize,
    band: usize,
    /// Parts that the batch is cut into.
    parts: usize,
    /// f32 values of a task's field of inputs, or of sums, and of its gradients.
    scratch: [usize; 2],
    threads: usize,
    /// Values of half of the second-level cache.
    cached: usize,
    value: PhantomData<T>,
}

impl<T: Value> Weights<T> {
    /// # Errors
    /// A refusal where the inputs that a row of outputs needs are very many.
    pub(super) fn new(machine: &Machine, problem: &ConvProblem) -> Result<Self, Unsupported> {
        let shape = problem.output_shape();
        let of = |axis| classes(axis, Pass::BackwardWeights).swap_remove(0);
        let (classes, cut) = (problem.volume().each_ref().map(of), cut_axis(shape));
        let threads = machine.threads.max(1);
        let blocks = channel_blocks::<T>(problem, Pass::BackwardWeights, LANES);
        let parts = (threads * TASKS_PER_THREAD).div_ceil(blocks.len()).min(problem.batch());
        let cached = machine.caches[1] / 2 / size_of::<f32>();
        let mut weights = Weights {
            problem: *problem,
            blocks,
            classes,
            cut,
            band: shape[cut],
            parts,
            scratch: [0; 2],
            threads,
            cached,
            value: PhantomData,
        };
        let values = |band: usize| {
            let targets = weights.boxes(band).next()?;
            let input = T::len(&weights.field(&targets), problem.group_in())?;
            Some([input.max(weights.sums()), Element::len(&gradients(&targets), 1)?])
        };
        (weights.band, weights.scratch) = longest_band(shape[cut], cached, values, |_| false)?;
        Ok(weights)
    }

    /// The boxes of outputs, with bands of this length.
    fn boxes(&self, band: usize) -> impl Iterator<Item = [Range<usize>; 3]> + use<T> {
        boxes(self.problem.output_shape(), self.cut, band)
    }

    /// What a box of outputs meets.
    fn field(&self, outputs: &[Range<usize>; 3]) -> Field {
        let of = |axis: usize| {
            let (class, taps) = &self.classes[axis];
            std::iter::once((class.within(&outputs[axis]), &taps[..]))
        };
        Field::new([of(0), of(1), of(2)]).in_order()
    }

    /// Weights of an output channel.
    fn terms(&self) -> usize {
        self.problem.group_in() * self.problem.points(Role::Weight)
    }

    /// f32 values of the sums of a block of channels: `[input channel][kernel point][channel]`.
    fn sums(&self) -> usize {
        self.terms() * LANES
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

impl<T: Value> Blocking for Weights<T> {
    /// Values of the sums of all parts, then of every thread's copies.
    fn workspace_len(&self) -> usize {
        let sums = self.parts * self.blocks.len() * self.sums();
        sums + self.threads * self.scratch.iter().sum::<usize>()
    }

    /// What the pass takes: a multiply-add of all lanes for every output and tap whose tile of taps meets a row that is not
    /// in the padding; every value copied; each tensor once, and the sums, which
    /// are added to for every box, in the third-level cache where the second does not hold them.
    fn cost(&self) -> Cost {
        let outputs = self.problem.output_shape();
        let of_tile = |tile: &Tile| {
            let slices = self.met(0, 0..outputs[0], &(tile.slice..tile.slice + 1)).count();
            let rows = self.met(1, 0..outputs[1], &tile.rows).count();
            (slices * rows * tile.rows.len() * tile.columns.len()) as f64
        };
        let products = self.tiles().iter().map(of_tile).sum::<f64>() * outputs[2] as f64;
        let (summed, blocks) = (self.problem.group_in(), self.blocks.len());
        let of_box = |targets: [Range<usize>; 3]| {
            self.field(&targets).moves::<T>(summed) + gradients(&targets).moves::<Element>(1)
        };
        let moves = self.boxes(self.band).map(of_box).sum::<f64>();
        let (maps, sums) =
            (self.problem.batch() as f64 * blocks as f64, (self.parts * blocks * self.sums()) as f64);
        let added = maps * self.boxes(self.band).count() as f64 * self.sums() as f64;
        let reread = if self.sums() > self.cached { 2.0 * CACHED * added } else { 0.0 };
        let tensors = [Role::Input, Role::Weight, Role::Output].map(|role| self.problem.len(role) as f64);
        let cost = Cost {
            product_flops: 2.0 * LANES as f64 * maps * summed as f64 * products,
            moves: maps * moves + sums + added / LANES as f64,
            bytes: 4.0 * (tensors.iter().sum::<f64>() + 2.0 * sums + reread),
            launches: 2.0,
            ..Cost::default()
        };
        let tasks = self.parts.saturating_mul(blocks);
        cost.in_tasks(tasks, self.threads)
    }

    /// Computes the pass.
    fn run(&self, [input, gradient]: [&[f32]; 2], out: &mut [f32], _: Epilogue<'_>, workspace: &mut [f32]) {
        let (blocks, len, terms) = (&self.blocks, self.sums(), self.terms());
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
        let range = |block: usize| blocks[block].start * terms..blocks[block].end * terms;
        for_each_part(out, blocks.len(), range, (scratch, scratch_len), |block, out, sum| {
            let (sum, mut parts) = (&mut sum[..len], sums[block * self.parts * len..].chunks_exact(len));
            sum.copy_from_slice(parts.next().unwrap_or_default());
            for part in parts.take(self.parts - 1) {
                sum.iter_mut().zip(part).for_each(|(sum, value)| *sum += value);
            }
            let mut rows: [&mut [f32]; LANES] = Default::default();
            rows.iter_mut().zip(out.chunks_exact_mut(terms)).for_each(|(row, map)| *row = map);
            strip::store(sum, &mut rows[..blocks[block].len()]);
        });
    }
}

/// The gradients of a box of outputs.
fn gradients(outputs: &[Range<usize>; 3]) -> Field {
    Field { classes: outputs.each_ref().map(|range| Class::positions(range.start as isize, range.len())) }
}

/// Taps whose sums are made together.
struct Tile {
    slice: usize,
    rows: Range<usize>,
    columns: Range<usize>,
}

/// The sums of a block of channels over some images.
struct Task<'a, T> {
    weights: &'a Weights<T>,
    tiles: &'a [Tile],
    tensors: [&'a [f32]; 2],
    channels: Range<usize>,
}

impl<T: Value> Task<'_, T> {
    fn run(&self, images: Range<usize>, sums: &mut [f32], scratch: &mut [f32]) {
        let Weights { problem, .. } = self.weights;
        let (input, gradient) = scratch.split_at_mut(self.weights.scratch[0]);
        for image in images {
            for outputs in self.weights.boxes(self.weights.band) {
                let fields = [self.weights.field(&outputs), gradients(&outputs)];
                T::load(&fields[0], &self.input(image), input);
                let (made, shape) = (problem.out_channels(), problem.output_shape());
                let map = image * made + self.channels.start;
                let source = Source::new(self.tensors[1], map, self.channels.len(), shape);
                Element::load(&fields[1], &source, gradient);
                let copies = (T::of(input), Element::of(gradient));
                self.tiles.iter().for_each(|tile| self.add(tile, &outputs, fields, copies, sums));
            }
        }
    }

    /// The input maps of an image that the channels meet.
    fn input(&self, image: usize) -> Source<'_> {
        let Weights { problem, .. } = self.weights;
        let summed = problem.group_in();
        let map = (image * problem.groups() + self.channels.start / problem.group_out()) * summed;
        let maps = if T::CHANNELS == LANES { self.channels.len() } else { summed };
        Source::new(self.tensors[0], map, maps, problem.input_shape())
    }

    /// Adds the products of a box of outputs to the sums of a tile.
    fn add(
        &self,
        tile: &Tile,
        outputs: &[Range<usize>; 3],
        [input, gradient]: [Field; 2],
        (source, gradients): (&[T], &[Element]),
        sums: &mut [f32],
    ) {
        let Weights { problem, classes, .. } = self.weights;
        let ([_, h, w], [slice_low, row_low, _]) = (problem.kernel_shape(), input.origin());
        let column = classes[2].1[tile.columns.start].offset;
        let mut rows = Vec::new();
        for (z, slice) in self.weights.met(0, outputs[0].clone(), &(tile.slice..tile.slice + 1)) {
            for (y, row) in self.weights.met(1, outputs[1].clone(), &tile.rows) {
                let source = (slice - slice_low) as usize * input.slice::<T>()
                    + (row - row_low) as usize * T::row(&input);
                let [z, y] = [z - outputs[0].start, y - outputs[1].start];
                rows.push([source + column, z * gradient.slice::<Element>() + y * Element::row(&gradient)]);
            }
        }
        let targets = outputs[2].len();
        let first = (tile.slice * h + tile.rows.start) * w + tile.columns.start;
        for channel in 0..problem.group_in() {
            let first = channel * problem.points(Role::Weight) + first;
            for rows in rows.chunks((SUMMED / targets).max(1)) {
                Sum {
                    source: &source[channel * input.map::<T>()..],
                    gradient: gradients,
                    rows,
                    targets,
                    step: classes[2].0.stride,
                    taps: [tile.rows.len(), tile.columns.len()],
                    apart: problem.volume()[1].dilation * T::row(&input),
                    sums: (&mut sums.as_chunks_mut().0[first..], w),
                }
                .run();
            }
        }
    }
}
