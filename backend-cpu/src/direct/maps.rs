//! Forward and backward-input: every made map is a sum of source maps, computed tile by tile in registers.

use std::ops::Range;

use conv_core::{ConvProblem, Machine, Pass, Role};
use pulp::{Arch, Simd, WithSimd};

use super::line::Line;
use super::terms::{Terms, WeightMap};
use super::tile::{Chunk, Frame, Tile};
use super::walk::Walk;
use crate::raw::{Columns, for_each_rectangle};

/// Made channels of the widest register tile.
pub(super) const MOST_ROWS: usize = 8;

/// Chunks of a tile of 1 to [`MOST_ROWS`] made channels: at least 8 sums, so that fused multiply-adds of four
/// cycles on two units never wait, and at most 24 of 32 registers.
pub(super) const CHUNKS: [usize; MOST_ROWS] = [8, 4, 4, 4, 4, 4, 2, 2];

/// Packed weights of a block of terms: half of a first-level cache of 32 KiB.
const PACKED: usize = 4096;

/// Tasks a thread gets where there is enough work: late ones even out the early.
const TASKS_A_THREAD: usize = 4;

/// The blocking of one problem and pass.
pub(super) struct Maps {
    problem: ConvProblem,
    pass: Pass,
    made: usize,
    summed: usize,
    /// Points of a made and of a source map.
    shapes: [[usize; 3]; 2],
    /// The axis along which maps are cut into pieces, and targets of a class in a piece.
    split: usize,
    piece: usize,
}

/// `parts` nearly equal ranges of `0..len`.
fn balanced(len: usize, parts: usize) -> impl Iterator<Item = Range<usize>> {
    (0..parts).map(move |part| part * len / parts..(part + 1) * len / parts)
}

impl Maps {
    pub(super) fn new(machine: &Machine, problem: &ConvProblem, pass: Pass) -> Self {
        let (cin, cout) = (problem.group_in(), problem.group_out());
        let (input, output) = (problem.input_shape(), problem.output_shape());
        let (made, summed, shapes) = match pass {
            Pass::BackwardInput => (cin, cout, [input, output]),
            _ => (cout, cin, [output, input]),
        };
        let split = shapes[0].iter().position(|points| *points > 1).unwrap_or(2);
        let targets = Line::new(&problem.volume()[split], pass, 0).count;
        let tasks = problem.batch() * problem.groups() * made.div_ceil(MOST_ROWS);
        let pieces = (machine.threads * TASKS_A_THREAD).div_ceil(tasks).clamp(1, targets);
        let unit = if split == 2 { machine.lanes.max(1) } else { 1 };
        let piece = targets.div_ceil(pieces).next_multiple_of(unit);
        Maps { problem: *problem, pass, made, summed, shapes, split, piece }
    }

    /// Computes the made maps; `bias` holds one value a made channel of all groups.
    pub(super) fn run(
        &self,
        source: &[f32],
        weight: &[f32],
        out: &mut [f32],
        bias: Option<&[f32]>,
        relu: bool,
    ) {
        let blocks = self.made.div_ceil(MOST_ROWS);
        let points = self.shapes[0].iter().product();
        let channels: Vec<Range<usize>> = balanced(self.made, blocks).collect();
        let rows: Vec<Range<usize>> = (0..self.problem.batch() * self.problem.groups())
            .flat_map(|part| {
                channels.iter().map(move |c| part * self.made + c.start..part * self.made + c.end)
            })
            .collect();
        let columns = self.pieces();
        for_each_rectangle(out, points, [&rows, &columns], (&mut [], 0), |[row, piece], out, _| {
            let group = row / blocks % self.problem.groups();
            let made = channels[row % blocks].clone();
            let image = row / blocks / self.problem.groups();
            let targets = piece * self.piece..(piece + 1) * self.piece;
            let begin = columns[piece].start;
            let part = Part { maps: self, source, weight, bias, relu, image, group, made, targets, begin };
            Arch::new().dispatch(Task { part, out });
        });
    }

    /// The points of a map each piece owns.
    fn pieces(&self) -> Vec<Range<usize>> {
        let shape = self.shapes[0];
        let step = Line::new(&self.problem.volume()[self.split], self.pass, 0).step;
        let inner: usize = shape[self.split + 1..].iter().product();
        let len = self.piece.saturating_mul(step).min(shape[self.split]);
        let starts = (0..shape[self.split]).step_by(len);
        starts.map(|at| at * inner..(at + len).min(shape[self.split]) * inner).collect()
    }
}

/// The made channels `made` of one image and group, at the targets of one piece.
struct Part<'a> {
    maps: &'a Maps,
    source: &'a [f32],
    weight: &'a [f32],
    bias: Option<&'a [f32]>,
    relu: bool,
    image: usize,
    group: usize,
    made: Range<usize>,
    targets: Range<usize>,
    /// First point of the piece.
    begin: usize,
}

/// A part and where it goes.
struct Task<'a, 'c> {
    part: Part<'a>,
    out: Columns<'c>,
}

impl WithSimd for Task<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match self.part.made.len() {
            1 => self.blocks::<S, 1, { CHUNKS[0] }, { CHUNKS[0] / 2 }>(simd),
            2 => self.blocks::<S, 2, { CHUNKS[1] }, { CHUNKS[1] / 2 }>(simd),
            3 => self.blocks::<S, 3, { CHUNKS[2] }, { CHUNKS[2] / 2 }>(simd),
            4 => self.blocks::<S, 4, { CHUNKS[3] }, { CHUNKS[3] / 2 }>(simd),
            5 => self.blocks::<S, 5, { CHUNKS[4] }, { CHUNKS[4] / 2 }>(simd),
            6 => self.blocks::<S, 6, { CHUNKS[5] }, { CHUNKS[5] / 2 }>(simd),
            7 => self.blocks::<S, 7, { CHUNKS[6] }, { CHUNKS[6] / 2 }>(simd),
            _ => self.blocks::<S, 8, { CHUNKS[7] }, { CHUNKS[7] / 2 }>(simd),
        }
    }
}

impl Task<'_, '_> {
    /// With tiles of `V` chunks, or of `NARROW` where there are only 16 registers.
    #[inline(always)]
    fn blocks<S: Simd, const R: usize, const V: usize, const NARROW: usize>(self, simd: S) {
        if S::REGISTER_COUNT >= 32 { self.passes::<S, R, V>(simd) } else { self.passes::<S, R, NARROW>(simd) }
    }

    /// Every class of targets, in passes over blocks of its terms, each adding to the one before: the packed
    /// weights of a block stay in first-level cache, and no sum gets long.
    #[inline(always)]
    fn passes<S: Simd, const R: usize, const V: usize>(mut self, simd: S) {
        let mut packed = [0.0; PACKED];
        let (packed, _) = packed.as_chunks_mut::<R>();
        let Maps { problem, pass, summed, .. } = *self.part.maps;
        let map = WeightMap::new(&problem, pass);
        let weights = self.part.group_weights();
        let classes = problem.volume().map(|axis| Line::classes(&axis, pass));
        for class in 0..classes.iter().product() {
            let class = [class / classes[2] / classes[1], class / classes[2] % classes[1], class % classes[2]];
            let lines = [0, 1, 2].map(|axis| Line::new(&problem.volume()[axis], pass, class[axis]));
            Terms::for_each(&lines, summed, packed.len(), |terms| {
                map.pack(weights, &lines, &terms, self.part.made.start, packed);
                let frame = self.part.frame(lines, terms, packed);
                let walk = self.part.walk(&lines, S::F32_LANES);
                tiles::<S, R, V>(simd, &frame, walk, &mut self.out);
            });
        }
    }
}

/// All tiles of one class of targets. The last one is filled up, unless it is a single chunk.
#[inline(always)]
fn tiles<S: Simd, const R: usize, const V: usize>(
    simd: S,
    frame: &Frame<'_, R>,
    mut walk: Walk<'_>,
    out: &mut Columns<'_>,
) {
    while walk.left() > 0 {
        let count = walk.left().min(V);
        if count == 1 {
            simd.vectorize(Tile::<R, 1> { frame, chunks: &[walk.next()], count, out });
        } else {
            let mut chunks = [Chunk::default(); V];
            chunks.iter_mut().for_each(|chunk| *chunk = walk.next());
            simd.vectorize(Tile::<R, V> { frame, chunks: &chunks, count, out });
        }
    }
}

impl<'a> Part<'a> {
    fn group_weights(&self) -> &'a [f32] {
        let Maps { problem, made, summed, .. } = self.maps;
        let len = made * summed * problem.points(Role::Weight);
        &self.weight[self.group * len..][..len]
    }

    fn walk<'l>(&self, lines: &'l [Line; 3], lanes: usize) -> Walk<'l> {
        let mut ranges = lines.map(|line| 0..line.count);
        let split = &mut ranges[self.maps.split];
        *split = self.targets.start.min(split.end)..self.targets.end.min(split.end);
        Walk::new(lines, ranges, self.maps.shapes, self.begin, lanes)
    }

    fn frame<'f, const R: usize>(
        &self,
        lines: [Line; 3],
        terms: Terms,
        weights: &'f [[f32; R]],
    ) -> Frame<'f, R>
    where
        'a: 'f,
    {
        let Maps { problem, made, summed, shapes: [_, source], .. } = self.maps;
        let source_map: usize = source.iter().product();
        let first_map = (self.image * problem.groups() + self.group) * summed;
        let steps = [source[1] * source[2], source[2], 1];
        let bias_first = self.group * made + self.made.start;
        Frame {
            lines,
            terms,
            weights,
            source: self.source,
            source_first: (first_map * source_map) as isize,
            source_taps: [0, 1, 2].map(|axis| lines[axis].per_tap.wrapping_mul(steps[axis]) as isize),
            source_map: source_map as isize,
            bias: self.bias.filter(|_| terms.last).map(|bias| &bias[bias_first..]),
            relu: self.relu && terms.last,
        }
    }
}
