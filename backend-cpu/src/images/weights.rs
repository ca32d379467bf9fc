//! Backward-weights: tasks sum over some bands of 16 images, for all channels; then the sums of the parts and the lanes
//! are added.

use std::ops::Range;

use conv_core::{ConvProblem, Cost, Machine, Pass, Role, Unsupported};

use super::kernel::{MOST_MADE, Sum, idle, most_neighbours};
use super::{copies, image_groups, made_groups};
use crate::blocking::{Blocking, CACHED, Epilogue};
use crate::channels::{Element, Field, Value, boxes};
use crate::padding::{Class, Tap, classes, cut_axis, longest_band};
use crate::product::LANES;
use crate::raw::for_each_part;
use crate::split::{balanced, blocks};
use crate::strip::Source;

/// Tasks a thread should find, so that threads end together.
const TASKS_PER_THREAD: usize = 2;

/// Products that are summed before they are added to the others, so that rounding errors stay small.
const SUMMED: usize = 1024;

/// Weights whose sums a task adds up at once.
const ADDED: usize = 1024;

/// The blocking of one problem.
pub(super) struct Weights {
    problem: ConvProblem,
    /// Outputs by axis, and their taps.
    classes: [(Class, Vec<Tap>); 3],
    cut: usize,
    band: usize,
    /// f32 values of a task's field of inputs, and of its gradients.
    scratch: [usize; 2],
    threads: usize,
    /// Values of half of the second-level cache.
    cached: usize,
}

impl Weights {
    /// # Errors
    /// A refusal where the inputs that a row of outputs needs are very many.
    pub(super) fn new(machine: &Machine, problem: &ConvProblem) -> Result<Weights, Unsupported> {
        let shape = problem.output_shape();
        let of = |axis| classes(axis, Pass::BackwardWeights).swap_remove(0);
        let (classes, cut) = (problem.volume().each_ref().map(of), cut_axis(shape));
        let (threads, cached) = (machine.threads.max(1), machine.caches[1] / 2 / size_of::<f32>());
        let (band, scratch) = (shape[cut], [0; 2]);
        let mut weights = Weights { problem: *problem, classes, cut, band, scratch, threads, cached };
        let values = |band: usize| {
            let targets = weights.boxes(band).next()?;
            let input = copies(&weights.field(&targets), problem.group_in())?;
            Some([input, copies(&gradients(&targets), problem.group_out())?])
        };
        let more = |band: usize| weights.units(band) < threads * TASKS_PER_THREAD;
        (weights.band, weights.scratch) = longest_band(shape[cut], cached, values, more)?;
        Ok(weights)
    }

    /// The boxes of outputs, with bands of this length.
    fn boxes(&self, band: usize) -> impl Iterator<Item = [Range<usize>; 3]> + use<> {
        boxes(self.problem.output_shape(), self.cut, band)
    }

    /// Bands of 16 images.
    fn units(&self, band: usize) -> usize {
        let bands = self.problem.output_shape()[self.cut].div_ceil(band);
        self.problem.batch().div_ceil(LANES).saturating_mul(bands)
    }

    /// Parts that these are cut into.
    fn parts(&self) -> usize {
        self.units(self.band).min(self.threads * TASKS_PER_THREAD)
    }

    /// What a box of outputs meets.
    fn field(&self, outputs: &[Range<usize>; 3]) -> Field {
        let of = |axis: usize| {
            let (class, taps) = &self.classes[axis];
            std::iter::once((class.within(&outputs[axis]), &taps[..]))
        };
        Field::new([of(0), of(1), of(2)])
    }

    /// Weights of an output channel.
    fn terms(&self) -> usize {
        self.problem.group_in() * self.problem.points(Role::Weight)
    }

    /// The tiles: output channels of a group, and a point of the kernel or some in a row, by axis.
    fn tiles(&self) -> Vec<Tile> {
        let ([d, h, w], made) = (self.problem.kernel_shape(), self.problem.group_out());
        let widest = |wanted: usize| {
            (1..=MOST_MADE.min(made)).rev().find(|made| most_neighbours(*made) >= wanted).unwrap_or(1)
        };
        let most = w.min(most_neighbours(2));
        let places = (0..d).flat_map(|z| (0..h).map(move |y| [z, y]));
        let mut tiles = Vec::new();
        for ([slice, row], columns) in
            places.flat_map(|place| blocks(w, most).map(move |columns| (place, columns)))
        {
            tiles.extend(blocks(made, widest(columns.len())).map(|made| Tile {
                made,
                slice,
                row,
                columns: columns.clone(),
            }));
        }
        tiles
    }

    /// The outputs of an axis that meet the maps at one of these taps.
    fn met(&self, axis: usize, outputs: &Range<usize>, taps: &Range<usize>) -> Range<usize> {
        let (class, offsets) = &self.classes[axis];
        let [first, last] = [taps.start, taps.end - 1].map(|tap| offsets[tap].offset);
        let met = class.met(first..=last, self.problem.input_shape()[axis]);
        let begin = outputs.start.max(met.start);
        begin..outputs.end.min(met.end).max(begin)
    }

    /// Outputs of a box that a tile meets, by axis.
    fn met_by(&self, tile: &Tile, outputs: &[Range<usize>; 3]) -> [Range<usize>; 3] {
        let [slice, row] = [tile.slice, tile.row].map(|tap| tap..tap + 1);
        [(0, &slice), (1, &row), (2, &tile.columns)].map(|(axis, taps)| self.met(axis, &outputs[axis], taps))
    }
}

impl Blocking for Weights {
    /// Values of the sums of all parts, 16 of a weight, then of every thread's copies.
    fn workspace_len(&self) -> usize {
        let sums = self.parts() * self.problem.len(Role::Weight) * LANES;
        sums + self.threads * self.scratch.iter().sum::<usize>()
    }

    /// What the pass takes: a multiply-add of all lanes for every output and tap whose tile of taps meets the maps; every
    /// value copied; a move for every multiply-add that a tile waits; each tensor once, and the sums, which are added to
    /// for every band, in the third-level cache where the second does not hold them.
    fn cost(&self) -> Cost {
        let (problem, units) = (&self.problem, self.units(self.band) as f64);
        let images = problem.batch().div_ceil(LANES) as f64;
        let (mut products, mut waits) = (0.0, 0.0);
        for (tile, outputs) in
            self.tiles().iter().flat_map(|tile| self.boxes(self.band).map(move |outputs| (tile, outputs)))
        {
            let met: f64 = self.met_by(tile, &outputs).map(|met| met.len() as f64).iter().product();
            products += met * (tile.made.len() * tile.columns.len()) as f64;
            waits += met * idle(tile.made.len(), tile.columns.len());
        }
        let terms = (problem.group_in() * problem.groups()) as f64 * images;
        let of_box = |targets: [Range<usize>; 3]| {
            self.field(&targets).moves::<Element>(problem.group_in())
                + gradients(&targets).moves::<Element>(problem.group_out())
        };
        let copied = self.boxes(self.band).map(of_box).sum::<f64>() * problem.groups() as f64;
        let sums = (problem.len(Role::Weight) * LANES) as f64;
        let all = self.parts() as f64 * sums;
        let reread = if sums > self.cached as f64 { 2.0 * CACHED * units * sums } else { 0.0 };
        let tensors = [Role::Input, Role::Weight, Role::Output].map(|role| problem.len(role) as f64);
        let cost = Cost {
            product_flops: 2.0 * LANES as f64 * terms * products,
            moves: terms * waits + images * copied + 2.0 * all + units * sums / LANES as f64,
            bytes: 4.0 * (tensors.iter().sum::<f64>() + 2.0 * all + reread),
            launches: 2.0,
            ..Cost::default()
        };
        cost.in_tasks(self.parts(), self.threads)
    }

    /// Computes the pass.
    fn run(&self, tensors: [&[f32]; 2], out: &mut [f32], _: Epilogue<'_>, workspace: &mut [f32]) {
        let (parts, len) = (self.parts(), self.problem.len(Role::Weight) * LANES);
        let (sums, scratch) = workspace.split_at_mut(parts * len);
        let (images, bands, tiles) =
            (image_groups(self.problem.batch()), self.boxes(self.band).collect::<Vec<_>>(), self.tiles());
        let units: Vec<_> = balanced(images.len() * bands.len(), parts).collect();
        let range = |part| part * len..(part + 1) * len;
        let scratch = (scratch, self.scratch.iter().sum());
        for_each_part(sums, parts, range, scratch, |part, sums, scratch| {
            sums.fill(0.0);
            let task = Task { weights: self, tiles: &tiles, tensors };
            for unit in units[part].clone() {
                let (images, outputs) = (&images[unit / bands.len()], &bands[unit % bands.len()]);
                task.run(images, outputs, sums.as_chunks_mut().0, scratch);
            }
        });
        let (sums, weights): (&[Element], _) = (sums.as_chunks().0, out.len());
        let range = |block: usize| block * ADDED..((block + 1) * ADDED).min(weights);
        for_each_part(out, weights.div_ceil(ADDED), range, (&mut [], 0), |block, out, _| {
            for (weight, out) in range(block).zip(out) {
                let mut total = [0.0; LANES];
                for sum in sums[weight..].iter().step_by(weights) {
                    total.iter_mut().zip(sum).for_each(|(total, sum)| *total += sum);
                }
                *out = total.iter().sum();
            }
        });
    }
}

/// The gradients of a box of outputs.
fn gradients(outputs: &[Range<usize>; 3]) -> Field {
    let of = |range: &Range<usize>| {
        std::iter::once((
            Class::positions(range.start as isize, range.len()),
            &[Tap { point: 0, offset: 0 }][..],
        ))
    };
    Field::new(outputs.each_ref().map(of))
}

/// Sums that are made together.
struct Tile {
    made: Range<usize>,
    slice: usize,
    row: usize,
    columns: Range<usize>,
}

/// The sums over some images.
struct Task<'a> {
    weights: &'a Weights,
    tiles: &'a [Tile],
    tensors: [&'a [f32]; 2],
}

impl Task<'_> {
    /// Adds the products of a box of outputs of 16 images.
    fn run(
        &self,
        images: &Range<usize>,
        outputs: &[Range<usize>; 3],
        sums: &mut [Element],
        scratch: &mut [f32],
    ) {
        let Weights { problem, .. } = self.weights;
        let (input, gradient) = scratch.split_at_mut(self.weights.scratch[0]);
        let fields = [self.weights.field(outputs), gradients(outputs)];
        for (group, made) in made_groups(problem, Pass::BackwardWeights).enumerate() {
            let summed = group * problem.group_in()..(group + 1) * problem.group_in();
            let shapes = [problem.input_shape(), problem.output_shape()];
            self.load(0, (images, &summed), (&fields[0], shapes[0]), input);
            self.load(1, (images, &made), (&fields[1], shapes[1]), gradient);
            let terms = self.weights.terms();
            let sums = &mut sums[made.start * terms..made.end * terms];
            for tile in self.tiles {
                self.add(tile, outputs, &fields, [Element::of(input), Element::of(gradient)], sums);
            }
        }
    }

    /// Copies a box of some channels of a tensor.
    fn load(
        &self,
        tensor: usize,
        (images, channels): (&Range<usize>, &Range<usize>),
        (field, shape): (&Field, [usize; 3]),
        to: &mut [f32],
    ) {
        let Weights { problem, .. } = self.weights;
        let per_image = [problem.in_channels(), problem.out_channels()][tensor];
        let apart = per_image * shape.iter().product::<usize>();
        for (channel, to) in channels.clone().zip(to.chunks_exact_mut(field.map::<Element>() * LANES)) {
            let near =
                Source::new(self.tensors[tensor], images.start * per_image + channel, images.len(), shape);
            Source { apart, ..near }.load(field.origin(), field.lens(), to);
        }
    }

    /// Adds the products of a tile to the sums of a group.
    fn add(
        &self,
        tile: &Tile,
        outputs: &[Range<usize>; 3],
        [input, gradient]: &[Field; 2],
        [source, gradients]: [&[Element]; 2],
        sums: &mut [Element],
    ) {
        let Weights { problem, classes, .. } = self.weights;
        let [slices, lines, columns] = self.weights.met_by(tile, outputs);
        if columns.is_empty() {
            return;
        }
        let taps = [tile.slice, tile.row, tile.columns.start];
        let at = |axis: usize, output: usize| {
            let (class, taps_of) = &classes[axis];
            let position = class.low() + (output * class.stride + taps_of[taps[axis]].offset) as isize;
            (position - input.origin()[axis]) as usize
        };
        let mut rows = Vec::new();
        for (z, y) in slices.flat_map(|z| lines.clone().map(move |y| (z, y))) {
            let source =
                at(0, z) * input.slice::<Element>() + at(1, y) * Element::row(input) + at(2, columns.start);
            let [z, y, x] = [z - outputs[0].start, y - outputs[1].start, columns.start - outputs[2].start];
            rows.push([source, z * gradient.slice::<Element>() + y * Element::row(gradient) + x]);
        }
        let ([_, h, w], points) = (problem.kernel_shape(), problem.points(Role::Weight));
        let first = (tile.slice * h + tile.row) * w + tile.columns.start;
        for channel in 0..problem.group_in() {
            let first = tile.made.start * self.weights.terms() + channel * points + first;
            for rows in rows.chunks((SUMMED / columns.len()).max(1)) {
                Sum {
                    source: &source[channel * input.map::<Element>()..],
                    gradient: &gradients[tile.made.start * gradient.map::<Element>()..],
                    made: tile.made.len(),
                    map: gradient.map::<Element>(),
                    rows,
                    targets: columns.len(),
                    step: classes[2].0.stride,
                    taps: [problem.volume()[2].dilation, tile.columns.len()],
                    sums: &mut sums[first..],
                    terms: self.weights.terms(),
                }
                .run();
            }
        }
    }
}
