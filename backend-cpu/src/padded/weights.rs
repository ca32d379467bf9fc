//! Backward-weights: tasks sum over bands of some images for some output channels of a group; then the sums of the
//! parts are added.

use std::ops::Range;

use conv_core::{ConvProblem, Cost, Machine, Pass, Role, Unsupported};

use super::kernel::{MOST_SUMMED_ROWS, Sums, loads};
use super::made::{Made, WIDTH};
use super::maps::{MOST_WEIGHTS, TASK_MOVES, copied};
use crate::blocking::{Blocking, Epilogue};
use crate::buffer::whole_lines;
use crate::padding::{Class, Layout, MOST_VALUES, TAIL, Tap, classes, cut_axis, longest_band, pad};
use crate::raw::for_each_part;
use crate::split::blocks;

/// Tasks a thread should find, so that threads end together.
const TASKS_PER_THREAD: usize = 2;

/// Values that a tile multiplies while it begins a row.
const PER_ROW: usize = WIDTH / 2;

/// Sums a task adds at a time.
const ADDED: usize = 4096;

/// The blocking of one problem.
pub(super) struct Weights {
    problem: ConvProblem,
    classes: [(Class, Vec<Tap>); 3],
    cut: usize,
    band: usize,
    /// Images that are taken at a time, where maps are not cut.
    images: usize,
    /// Parts that the batch is cut into, and the output channels of a group.
    parts: usize,
    divisions: usize,
    /// Values of a task's padded maps, and of its gradients.
    scratch: [usize; 2],
    threads: usize,
    lanes: usize,
}

impl Weights {
    /// # Errors
    /// A refusal where the maps that a row of outputs needs are very large.
    pub(super) fn new(machine: &Machine, problem: &ConvProblem) -> Result<Weights, Unsupported> {
        let long = || Unsupported::Geometry("its rows are longer than any cache".into());
        if problem.volume().iter().any(|axis| axis.kernel > MOST_VALUES) {
            return Err(long());
        }
        let shape = problem.output_shape();
        let of = |axis| classes(axis, Pass::BackwardWeights).swap_remove(0);
        let (classes, cut) = (problem.volume().each_ref().map(of), cut_axis(shape));
        let threads = machine.threads.max(1);
        let (batch, groups, group_out) = (problem.batch(), problem.groups(), problem.group_out());
        let parts = (threads * TASKS_PER_THREAD).div_ceil(groups).min(batch);
        let divisions =
            (threads * TASKS_PER_THREAD).div_ceil(groups * parts).min(group_out.div_ceil(MOST_SUMMED_ROWS));
        let cached = machine.caches[1] / 2 / size_of::<f32>();
        let mut weights = Weights {
            problem: *problem,
            classes,
            cut,
            band: shape[cut],
            images: 1,
            parts,
            divisions,
            scratch: [0; 2],
            threads,
            lanes: machine.lanes.max(1),
        };
        let (band, scratch) = longest_band(shape[cut], cached, |band| weights.values(band), |_| false)?;
        (weights.band, weights.scratch) = (band, scratch);
        if band == shape[cut] {
            let fit = cached / scratch.iter().sum::<usize>();
            weights.images = fit.clamp(1, batch.div_ceil(parts));
            weights.scratch = scratch.map(|values| values * weights.images);
        }
        if weights.parts.checked_mul(problem.len(Role::Weight)).is_none_or(|len| len > MOST_WEIGHTS) {
            return Err(Unsupported::Geometry("the sums of its parts are larger than any memory".into()));
        }
        Ok(weights)
    }

    fn of_band(&self, band: &Range<usize>) -> Layout {
        let mut classes = self.classes.each_ref().map(|(class, _)| *class);
        classes[self.cut] = classes[self.cut].within(band);
        Layout::new(classes)
    }

    fn band(&self, band: &Range<usize>) -> Band {
        let padded = self.of_band(band);
        let rest: usize = self.problem.output_shape()[self.cut + 1..].iter().product();
        let (made, offsets) = (Made::new(&padded, PER_ROW), padded.offsets(self.taps()));
        Band { padded, made, offsets, begin: band.start * rest }
    }

    fn taps(&self) -> [&[Tap]; 3] {
        self.classes.each_ref().map(|(_, taps)| &taps[..])
    }

    fn values(&self, band: usize) -> Option<[usize; 2]> {
        let mut classes = self.classes.each_ref().map(|(class, _)| *class);
        classes[self.cut] = classes[self.cut].within(&(0..band));
        let padded = Layout::values(classes, self.problem.group_in()).filter(|len| *len <= MOST_VALUES)?;
        Some([padded, Made::most(&Layout::new(classes), PER_ROW).checked_mul(self.most_channels())?])
    }

    /// The output channels of a group in a division.
    fn division(&self, number: usize) -> Range<usize> {
        let channels = self.problem.group_out();
        number * channels / self.divisions..(number + 1) * channels / self.divisions
    }

    /// Output channels of the largest division.
    fn most_channels(&self) -> usize {
        (0..self.divisions).map(|number| self.division(number).len()).max().unwrap_or(1)
    }

    fn bands(&self) -> impl Iterator<Item = Range<usize>> {
        let outputs = self.problem.output_shape()[self.cut];
        (0..outputs).step_by(self.band).map(move |begin| begin..(begin + self.band).min(outputs))
    }
}

impl Blocking for Weights {
    /// Values of the sums of all parts, then of every thread's maps.
    fn workspace_len(&self) -> usize {
        whole_lines(self.parts * self.problem.len(Role::Weight))
            + self.threads * self.scratch.iter().sum::<usize>()
    }

    /// What the pass takes; counted as forward is.
    fn cost(&self) -> Cost {
        let terms = self.problem.group_in() * self.problem.points(Role::Weight);
        let (mut flops, mut moves) = (0.0, 0.0);
        let outputs = self.problem.output_shape()[self.cut];
        let whole = (outputs / self.band) as f64;
        for (band, times) in [(0..self.band, whole), (outputs - outputs % self.band..outputs, 1.0)] {
            if band.is_empty() || times == 0.0 {
                continue;
            }
            let layout = self.of_band(&band);
            let made = Made::new(&layout, PER_ROW).len as f64;
            flops += times * 2.0 * made * (terms * self.problem.group_out()) as f64;
            let strided = layout.classes.iter().any(|class| class.stride > 1);
            let padded = copied(layout.spans[0] * layout.spans[1], layout.map, strided);
            let rows = layout.classes[0].count * layout.classes[1].count;
            let gradient = copied(rows, made as usize, false) * self.problem.group_out() as f64;
            moves += times * (padded * self.problem.group_in() as f64 * self.divisions as f64 + gradient);
            // Sums are added lane by lane.
            let reduced = terms as f64 * self.problem.group_out() as f64 * 16.0;
            moves += times * reduced / self.images as f64;
            let vectors = made / self.lanes as f64;
            moves += times * vectors * loads(self.lanes, self.problem.group_out(), MOST_SUMMED_ROWS, terms);
        }
        let maps = self.problem.batch() as f64 * self.problem.groups() as f64;
        let lens = Pass::BackwardWeights.roles().map(|role| self.problem.len(role) as f64);
        let bytes = 4.0 * (lens[0] * self.divisions as f64 + lens[1] + lens[2] * 2.0 * self.parts as f64);
        let tasks = self.parts.saturating_mul(self.problem.groups()).saturating_mul(self.divisions);
        let cost = Cost {
            product_flops: flops * maps,
            moves: moves * maps + TASK_MOVES * tasks as f64,
            bytes,
            launches: 2.0,
            ..Cost::default()
        };
        cost.in_tasks(tasks, self.threads)
    }

    /// Computes the pass.
    fn run(&self, [input, gradient]: [&[f32]; 2], out: &mut [f32], _: Epilogue<'_>, workspace: &mut [f32]) {
        let len = self.problem.len(Role::Weight);
        let (sums, scratch) = workspace.split_at_mut(whole_lines(self.parts * len));
        let sums = &mut sums[..self.parts * len];
        sums.fill(0.0);
        let groups = self.problem.groups();
        let bands: Vec<Band> = self.bands().map(|band| self.band(&band)).collect();
        let of = |task: usize| {
            let (part, rest) = (task / (groups * self.divisions), task % (groups * self.divisions));
            let batch = self.problem.batch();
            let images = part * batch / self.parts..(part + 1) * batch / self.parts;
            (
                part,
                Task {
                    weights: self,
                    bands: &bands,
                    input,
                    gradient,
                    images,
                    group: rest / self.divisions,
                    channels: self.division(rest % self.divisions),
                },
            )
        };
        let terms = self.problem.group_in() * self.problem.points(Role::Weight);
        let range = |task: usize| {
            let (part, task) = of(task);
            let first = part * len + task.group * self.problem.group_out() * terms;
            first + task.channels.start * terms..first + task.channels.end * terms
        };
        let scratch = (scratch, self.scratch.iter().sum());
        for_each_part(sums, self.parts * groups * self.divisions, range, scratch, |task, sums, scratch| {
            of(task).1.run(sums, scratch);
        });
        let range = |block: usize| block * ADDED..((block + 1) * ADDED).min(len);
        for_each_part(out, len.div_ceil(ADDED), range, (&mut [], 0), |block, out, _| {
            out.copy_from_slice(&sums[range(block)]);
            for part in sums.chunks_exact(len).skip(1) {
                out.iter_mut().zip(&part[range(block)]).for_each(|(sum, value)| *sum += value);
            }
        });
    }
}

/// A band of outputs, which begins with point `begin` of a map.
struct Band {
    padded: Layout,
    made: Made,
    /// How far from a target on is what each tap meets.
    offsets: Vec<usize>,
    begin: usize,
}

/// The sums of some output channels of a group over some images.
struct Task<'a> {
    weights: &'a Weights,
    bands: &'a [Band],
    input: &'a [f32],
    gradient: &'a [f32],
    images: Range<usize>,
    group: usize,
    channels: Range<usize>,
}

impl Task<'_> {
    fn run(&self, sums: &mut [f32], scratch: &mut [f32]) {
        for band in self.bands {
            for first in self.images.clone().step_by(self.weights.images) {
                let images = first..(first + self.weights.images).min(self.images.end);
                self.add(band, images, sums, scratch);
            }
        }
    }

    /// Adds the sums over a band of some images.
    fn add(&self, band: &Band, images: Range<usize>, sums: &mut [f32], scratch: &mut [f32]) {
        let problem = &self.weights.problem;
        let Band { padded: layout, made: of_made, offsets, begin } = band;
        let (group_in, group_out, groups) = (problem.group_in(), problem.group_out(), problem.groups());
        let (shapes, points) = (
            [problem.input_shape(), problem.output_shape()],
            [Role::Input, Role::Output].map(|role| problem.points(role)),
        );
        let (padded_image, made_image) = (group_in * layout.map, self.channels.len() * of_made.len);
        let (padded, made) = scratch.split_at_mut(self.weights.scratch[0]);
        padded[images.len() * padded_image..][..TAIL].fill(0.0);
        for (number, image) in images.clone().enumerate() {
            let maps = padded[number * padded_image..].chunks_exact_mut(layout.map).take(group_in);
            for (channel, map) in maps.enumerate() {
                let from = ((image * groups + self.group) * group_in + channel) * points[0];
                pad(layout, shapes[0], &self.input[from..][..points[0]], map);
            }
            let maps = made[number * made_image..].chunks_exact_mut(of_made.len);
            for (channel, map) in self.channels.clone().zip(maps) {
                let from = ((image * groups + self.group) * group_out + channel) * points[1];
                of_made.spread(shapes[1], *begin, &self.gradient[from + begin..from + points[1]], map);
            }
        }
        let terms = group_in * problem.points(Role::Weight);
        for block in blocks(self.channels.len(), MOST_SUMMED_ROWS) {
            let rows = block.len();
            let gradient = (&made[block.start * of_made.len..], made_image);
            let sums = &mut sums[block.start * terms..block.end * terms];
            let source = (&*padded, padded_image);
            Sums {
                layout: of_made,
                offsets,
                channels: group_in,
                map: layout.map,
                rows,
                images: images.len(),
                source,
                gradient,
                sums,
            }
            .run();
        }
    }
}
