//! Forward and backward-input: tasks make some channels of a group in a box of targets.

use std::ops::Range;

use conv_core::{ConvProblem, Cost, Machine, Pass, Role, Unsupported};

use super::cut::Cut;
use super::pack::{Group, Piece};
use super::unfold::{Source, Unfold, for_each_row};
use super::{FEWEST, MOST_VALUES, elements, tensor_bytes, too_large};
use crate::blocking::{Blocking, CACHED, Epilogue, channels};
use crate::buffer::whole_lines;
use crate::epilogue;
use crate::padding::{Class, Layout, Tap, classes};
use crate::product::{Elements, Kind, LANES, MOST_ROWS, Product, Scalars};
use crate::raw::{Block, for_each_block, for_each_part};

/// Tasks a thread should find, so that threads end together.
const TASKS_PER_THREAD: usize = 4;

/// Terms, channels times taps, that are unfolded at a time: products of so many do not feel their beginnings and ends.
const TERMS: usize = 256;

/// Targets of a box at most: beyond, nothing is gained.
const MOST_TARGETS: usize = 1024;

/// Made channels of a task at most: more would leave room for few targets in the second-level cache.
const MOST_CHANNELS: usize = 256;

/// Made channels whose weights stay in the second-level cache while all elements of a box pass by.
const ROWS: usize = 8 * MOST_ROWS;

/// The blocking of one problem and pass.
pub(super) struct Maps {
    problem: ConvProblem,
    pass: Pass,
    parts: Vec<Part>,
    /// Values of a group's packed weights.
    packed: usize,
    cut: Cut,
    /// Summed channels of a piece.
    chunk: usize,
    /// Made channels of a task.
    rows: usize,
    /// Values of a task's padded maps, unfolded elements and made maps.
    lens: [usize; 3],
    threads: usize,
    /// Values of a quarter of the second-level cache.
    cached: usize,
}

/// Targets that meet the same taps: in backward-input those of one residue of the stride on every axis.
struct Part {
    classes: [Class; 3],
    taps: [Vec<Tap>; 3],
    /// The kernel points of the taps.
    points: Vec<usize>,
    /// Where its pieces begin in a group's packed weights.
    first: usize,
}

impl Part {
    fn new(problem: &ConvProblem, axes: [&(Class, Vec<Tap>); 3]) -> Part {
        let [a, b, c] = axes.map(|(_, taps)| taps);
        let [_, h, w] = problem.kernel_shape();
        let rows = a.iter().flat_map(|z| b.iter().map(move |y| z.point * h + y.point));
        let points = rows.flat_map(|row| c.iter().map(move |x| row * w + x.point)).collect();
        Part { classes: axes.map(|axis| axis.0), taps: axes.map(|axis| axis.1.clone()), points, first: 0 }
    }

    /// The classes of a box.
    fn within(&self, [_, z, y, x]: &[Range<usize>; 4]) -> [Class; 3] {
        let [a, b, c] = self.classes;
        [a.within(z), b.within(y), c.within(x)]
    }
}

impl Maps {
    /// # Errors
    /// A refusal where matrices are very large.
    pub(super) fn new(machine: &Machine, problem: &ConvProblem, pass: Pass) -> Result<Maps, Unsupported> {
        let far = |axis: &conv_core::Axis| axis.stride.max(axis.kernel) > 1 << 24;
        if problem.volume().iter().any(far) || problem.len(Role::Weight) > MOST_VALUES / LANES {
            return Err(too_large());
        }
        let axes = problem.volume().each_ref().map(|axis| classes(axis, pass));
        let [a, b, c] = &axes;
        let axes = a.iter().flat_map(|a| b.iter().flat_map(move |b| c.iter().map(move |c| [a, b, c])));
        let parts: Vec<Part> = axes.map(|axes| Part::new(problem, axes)).collect();
        let (threads, cached) = (machine.threads.max(1), machine.caches[1] / 4 / size_of::<f32>());
        let [made, summed] = channels(problem, pass);
        let kernel = problem.points(Role::Weight);
        let chunk = summed.div_ceil(summed.div_ceil((TERMS / kernel).max(1)));
        let rows = made.div_ceil(made.div_ceil(MOST_CHANNELS)).next_multiple_of(MOST_ROWS);
        let most = (cached / (chunk * kernel).max(rows)).clamp(FEWEST, MOST_TARGETS) / FEWEST * FEWEST;
        let [z, y, x] = target_shape(problem, pass);
        let counts = [problem.batch(), z, y, x];
        let mut steps = [1; 4];
        if pass == Pass::BackwardInput {
            let of_axis = problem.volume().each_ref().map(|axis| axis.stride.min(axis.input));
            steps[1..].copy_from_slice(&of_axis);
        }
        let most = steps.iter().fold(most, |most, step| most.saturating_mul(*step));
        let blocks = problem.groups().saturating_mul(made.div_ceil(rows));
        let cut = Cut::new(counts, steps, most, (threads * TASKS_PER_THREAD).div_ceil(blocks));
        let (problem, lens) = (*problem, [0; 3]);
        let mut maps = Maps { problem, pass, parts, packed: 0, cut, chunk, rows, lens, threads, cached };
        for number in 0..maps.parts.len() {
            maps.parts[number].first = maps.packed;
            let last = maps.piece(&maps.parts[number], maps.pieces() - 1);
            maps.packed = last.first + made.next_multiple_of(MOST_ROWS) * last.terms;
        }
        maps.packed = maps.packed.next_multiple_of(LANES);
        let fits = |lens: &[usize; 3]| lens.iter().all(|len| *len < MOST_VALUES);
        maps.lens = maps.largest().filter(fits).ok_or_else(too_large)?;
        Ok(maps)
    }

    /// Pieces of a part.
    fn pieces(&self) -> usize {
        self.channels()[1].div_ceil(self.chunk)
    }

    fn piece(&self, part: &Part, number: usize) -> Piece {
        let ([made, summed], begin) = (self.channels(), number * self.chunk);
        let channels = begin..(begin + self.chunk).min(summed);
        let taps = part.points.len();
        let first = part.first + made.next_multiple_of(MOST_ROWS) * begin * taps;
        Piece { terms: channels.len() * taps, channels, first }
    }

    /// Values that the largest box needs.
    fn largest(&self) -> Option<[usize; 3]> {
        let ([images, lens @ ..], mut most) = (self.cut.lens(), [0; 3]);
        for part in &self.parts {
            let mut classes = part.classes;
            for (class, len) in classes.iter_mut().zip(lens) {
                class.count = class.count.min(len.div_ceil(class.step));
            }
            let targets = images * classes.iter().map(|class| class.count).product::<usize>();
            let padded = Layout::values(classes, images.checked_mul(self.chunk)?)?;
            let terms = self.chunk.checked_mul(part.points.len())?;
            let unfolded = targets.next_multiple_of(LANES).checked_mul(terms)?;
            let made = self.rows.checked_mul(targets.next_multiple_of(LANES))?;
            for (most, len) in most.iter_mut().zip([padded, unfolded, made]) {
                *most = len.checked_next_multiple_of(LANES)?.max(*most);
            }
        }
        Some(most)
    }

    /// Made and summed channels of a group.
    fn channels(&self) -> [usize; 2] {
        channels(&self.problem, self.pass)
    }

    /// Packs the weights of every group, piece after piece.
    fn pack(&self, weight: &[f32], packed: &mut [f32]) {
        let ([made, summed], points) = (self.channels(), self.problem.points(Role::Weight));
        let (parts, pieces) = (self.parts.len(), self.pieces());
        let of = |index: usize| {
            let (rest, part) = (index / pieces, &self.parts[index / pieces % parts]);
            (rest / parts, part, self.piece(part, index % pieces))
        };
        let range = |index: usize| {
            let (group, _, piece) = of(index);
            let first = group * self.packed + piece.first;
            first..first + made.next_multiple_of(MOST_ROWS) * piece.terms
        };
        let count = self.problem.groups() * parts * pieces;
        for_each_part(packed, count, range, (&mut [], 0), |index, packed, _| {
            let (group, part, piece) = of(index);
            let weights = &weight[group * made * summed * points..][..made * summed * points];
            let group = Group { weights, pass: self.pass, made, summed, points };
            piece.pack(&group, &part.points, packed.as_chunks_mut().0);
        });
    }
}

impl Blocking for Maps {
    /// Values of the packed weights, then of every thread's scratch.
    fn workspace_len(&self) -> usize {
        whole_lines(self.problem.groups() * self.packed) + self.threads * self.lens.iter().sum::<usize>()
    }

    /// What the pass takes: products of whole vectors of targets; every value copied to padded maps and from made ones,
    /// with 16 more a row, and in unfolded lines whole vectors, with one more a row, for every block of made channels;
    /// the operands once, and the weights for every box where the second-level cache does not keep them.
    fn cost(&self) -> Cost {
        let [made, summed] = self.channels();
        let (groups, blocks) = (self.problem.groups() as f64, made.div_ceil(self.rows) as f64);
        let (mut flops, mut moves) = (0.0, self.packed as f64);
        for (ranges, times) in self.cut.kinds() {
            for part in &self.parts {
                let layout = Layout::new(part.within(&ranges));
                let [a, b, c] = layout.classes;
                if a.count * b.count * c.count == 0 {
                    continue;
                }
                let images = ranges[0].len();
                let (rows, terms) = (images * a.count * b.count, summed as f64 * part.points.len() as f64);
                let targets = (rows * c.count).next_multiple_of(LANES);
                flops += times * Kind::Real.flops() * made as f64 * targets as f64 * terms;
                let padded = images * (layout.map + 16 * layout.spans[0] * layout.spans[1]);
                let line = targets + LANES * (rows - 1);
                let stored = made as f64 * (rows * (c.count + 16)) as f64;
                moves += times * (blocks * (summed as f64 * padded as f64 + terms * line as f64) + stored);
            }
        }
        let boxes = self.cut.len() as f64;
        let reread = if self.packed > self.cached { boxes * self.packed as f64 * CACHED } else { 0.0 };
        let bytes = tensor_bytes(&self.problem) + 4.0 * groups * (self.packed as f64 + reread);
        let cost = Cost {
            product_flops: flops * groups,
            moves: moves * groups,
            bytes,
            launches: 2.0,
            ..Cost::default()
        };
        let blocks = self.problem.groups().saturating_mul(made.div_ceil(self.rows));
        cost.in_tasks(self.cut.len().saturating_mul(blocks), self.threads)
    }

    /// Computes the pass.
    fn run(
        &self,
        [source, weight]: [&[f32]; 2],
        out: &mut [f32],
        epilogue: Epilogue<'_>,
        workspace: &mut [f32],
    ) {
        let len = self.problem.groups() * self.packed;
        let (packed, scratch) = workspace.split_at_mut(whole_lines(len));
        let packed = &mut packed[..len];
        self.pack(weight, packed);
        let (made, groups, [z, y, x]) =
            (self.channels()[0], self.problem.groups(), target_shape(&self.problem, self.pass));
        let rows = |group: usize| (0..made).step_by(self.rows).map(move |row| (group * made + row, row));
        let block = |(first, row): (usize, usize)| first..first + self.rows.min(made - row);
        let channels = (0..groups).flat_map(rows).map(block).collect();
        let ranges = |axis| self.cut.ranges(axis);
        let parts = [ranges(0), channels, ranges(1), ranges(2), ranges(3)];
        let shape = [self.problem.batch(), groups * made, z, y, x];
        let scratch = (scratch, self.lens.iter().sum());
        for_each_block(out, shape, &parts, scratch, |_, mut block, scratch| {
            let channels = block.ranges()[1].clone();
            let (group, row) = (channels.start / made, channels.start % made);
            let packed = &packed[group * self.packed..][..self.packed];
            let rows = row..row + channels.len();
            Task { maps: self, group, rows, source, packed, epilogue }.run(&mut block, scratch);
        });
    }
}

fn target_shape(problem: &ConvProblem, pass: Pass) -> [usize; 3] {
    if pass == Pass::Forward { problem.output_shape() } else { problem.input_shape() }
}

/// Some made channels of a group in a box.
struct Task<'a> {
    maps: &'a Maps,
    group: usize,
    rows: Range<usize>,
    source: &'a [f32],
    packed: &'a [f32],
    epilogue: (Option<&'a [f32]>, bool),
}

impl Task<'_> {
    fn run(&self, block: &mut Block<'_>, scratch: &mut [f32]) {
        let [padded, unfolded, _] = self.maps.lens;
        let (padded, rest) = scratch.split_at_mut(padded);
        let (unfolded, made) = rest.split_at_mut(unfolded);
        let [images, _, slices, rows, columns] = block.ranges().clone();
        let ranges = [images, slices, rows, columns];
        for part in &self.maps.parts {
            let layout = Layout::new(part.within(&ranges));
            let targets = ranges[0].len() * layout.classes.iter().map(|class| class.count).product::<usize>();
            if targets == 0 {
                continue;
            }
            let made = &mut made[..self.rows.len() * targets.next_multiple_of(LANES)];
            if part.points.is_empty() {
                made.fill(0.0);
            }
            let elements = elements(targets);
            let offsets = layout.offsets(part.taps.each_ref().map(|taps| &taps[..]));
            let pieces = if part.points.is_empty() { 0 } else { self.maps.pieces() };
            for piece in (0..pieces).map(|number| self.maps.piece(part, number)) {
                let (images, channels) = (ranges[0].len(), piece.channels.len());
                let (layout, offsets, parts) = (&layout, &offsets[..], &elements[..]);
                let unfold = Unfold { layout, offsets, images, channels, parts, line: LANES };
                unfold.run(&self.source(ranges[0].start, &piece), padded, unfolded);
                self.multiply(&piece, elements.len(), channels * offsets.len(), unfolded, made);
            }
            self.store(&ranges[0], &layout, made, block);
        }
    }

    /// The source maps of a piece, from this image on.
    fn source(&self, image: usize, piece: &Piece) -> Source<'_> {
        let (problem, summed) = (&self.maps.problem, self.maps.channels()[1]);
        let shape = match self.maps.pass {
            Pass::Forward => problem.input_shape(),
            _ => problem.output_shape(),
        };
        let apart = problem.groups() * summed;
        let map = image * apart + self.group * summed + piece.channels.start;
        Source { tensor: self.source, shape, map, apart }
    }

    /// `made[row][target] (+)= Σ weight[row][term] unfolded[term][target]`.
    fn multiply(&self, piece: &Piece, elements: usize, terms: usize, unfolded: &[f32], made: &mut [f32]) {
        let rows = self.rows.len();
        let apart = made.len() / rows;
        let first = piece.first + self.rows.start * terms;
        let weights = self.packed[first..][..rows.next_multiple_of(MOST_ROWS) * terms].as_chunks().0;
        let right = Elements { values: unfolded, apart: terms * LANES };
        for row in (0..rows).step_by(ROWS) {
            let (sizes, add) = ([ROWS.min(rows - row), elements, terms], piece.channels.start > 0);
            let left = Scalars::Blocks(&weights[row / MOST_ROWS * terms..], terms);
            let product = Product { kind: Kind::Real, sizes, left, right, add, ahead: &[] };
            product.run_to(&mut made[row * apart..], apart);
        }
    }

    /// Writes the made maps to the block.
    fn store(&self, images: &Range<usize>, layout: &Layout, made: &mut [f32], block: &mut Block<'_>) {
        let (bias, relu) = self.epilogue;
        let class = layout.classes[2];
        let apart = made.len() / self.rows.len();
        let columns = class.first..class.first + (class.count - 1) * class.step + 1;
        let first = self.group * self.maps.channels()[0] + self.rows.start;
        for (channel, made) in made.chunks_exact_mut(apart).enumerate() {
            epilogue::apply(made, bias.map(|bias| bias[first + channel]), relu);
        }
        for (number, made) in made.chunks(LANES * apart).enumerate() {
            let channels = first + number * LANES..first + number * LANES + made.len() / apart;
            for_each_row(images, layout, |target, place| {
                let to: [_; LANES] = block.rows(place, channels.clone(), columns.clone());
                for (to, made) in to.into_iter().zip(made.chunks_exact(apart)) {
                    let from = &made[target..target + class.count];
                    match class.step {
                        1 => to.copy_from_slice(from),
                        step => to.iter_mut().step_by(step).zip(from).for_each(|(to, from)| *to = *from),
                    }
                }
            });
        }
    }
}
