//! Forward and backward-input: a task makes some channels at some points of an image. Elements of the summed maps are
//! copied to lie together; sums go from registers to the tensor where vectors end with maps.

use std::ops::Range;

use conv_core::{ConvProblem, Cost, Machine, Pass, Role};

use crate::blocking::{Blocking, CACHED, Epilogue, channels};
use crate::buffer::whole_lines;
use crate::epilogue;
use crate::im2col::pack::{Group, Piece};
use crate::im2col::{FEWEST, tensor_bytes};
use crate::product::{Elements, Kind, LANES, MOST_ROWS, Product, Scalars};
use crate::raw::{Columns, for_each_part, for_each_rectangle, prefetch};

/// Tasks a thread should find, so that threads end together.
const TASKS_PER_THREAD: usize = 4;

/// Summed channels whose maps are copied at a time.
const CHUNK: usize = 256;

/// Made channels of a task at most: of one chunk, and of several, when sums come back from the cache.
const MOST_CHANNELS: [usize; 2] = [1024, 256];

/// Made channels whose weights stay in the second-level cache while all elements of a task pass by.
const ROWS: usize = 16 * MOST_ROWS;

/// Maps between the one that is copied and the one that is asked for: they are too short for the processor to foresee.
const AHEAD: usize = 8;

/// The blocking of one problem and pass.
pub(super) struct Maps {
    problem: ConvProblem,
    pass: Pass,
    /// Made channels and points of a task.
    rows: usize,
    columns: usize,
    threads: usize,
    cached: usize,
}

impl Maps {
    /// The blocking of a layer whose only axis is the last.
    pub(super) fn new(machine: &Machine, problem: &ConvProblem, pass: Pass) -> Maps {
        let points = problem.points(Role::Output);
        let (threads, cached) = (machine.threads.max(1), machine.caches[1] / 4 / size_of::<f32>());
        let [made, summed] = channels(problem, pass);
        let most = MOST_CHANNELS[usize::from(summed > CHUNK)];
        let rows = made.div_ceil(made.div_ceil(most)).next_multiple_of(MOST_ROWS);
        let most = (cached / CHUNK.min(summed)).clamp(FEWEST, points.next_multiple_of(FEWEST));
        let blocks = problem.batch() * problem.groups() * made.div_ceil(rows);
        let cuts = points.div_ceil(most / FEWEST * FEWEST).max((threads * TASKS_PER_THREAD).div_ceil(blocks));
        let columns = points.div_ceil(cuts.min(points / FEWEST)).next_multiple_of(LANES);
        Maps { problem: *problem, pass, rows, columns, threads, cached }
    }

    /// Made and summed channels of a group.
    fn channels(&self) -> [usize; 2] {
        channels(&self.problem, self.pass)
    }

    /// Summed channels of a piece: nearly equal numbers.
    fn chunk(&self) -> usize {
        let summed = self.channels()[1];
        summed.div_ceil(self.pieces_len())
    }

    fn pieces_len(&self) -> usize {
        self.channels()[1].div_ceil(CHUNK)
    }

    fn points(&self) -> usize {
        self.problem.points(Role::Output)
    }

    fn made_blocks(&self) -> usize {
        self.channels()[0].div_ceil(self.rows)
    }

    fn tasks(&self) -> usize {
        let cuts = self.points().div_ceil(self.columns);
        self.problem.batch().saturating_mul(self.problem.groups()).saturating_mul(self.made_blocks() * cuts)
    }

    /// Values of a group's packed weights.
    fn packed(&self) -> usize {
        let [made, summed] = self.channels();
        (made.next_multiple_of(MOST_ROWS) * summed).next_multiple_of(LANES)
    }

    /// The chunks of summed channels, as their weights are packed.
    fn pieces(&self) -> impl Iterator<Item = Piece> + '_ {
        let [made, summed] = self.channels();
        (0..summed).step_by(self.chunk()).map(move |first| {
            let channels = first..(first + self.chunk()).min(summed);
            let terms = channels.len();
            Piece { channels, first: made.next_multiple_of(MOST_ROWS) * first, terms }
        })
    }

    /// Whether sums go from registers to the tensor: where its rows begin with vectors of the cache's lines.
    fn to_tensor(&self) -> bool {
        self.points().is_multiple_of(LANES)
    }

    /// Values of a task's elements and of its sums: of all channels where they are sums of several pieces.
    fn lens(&self) -> [usize; 2] {
        let rows = match (self.to_tensor(), self.pieces_len()) {
            (true, _) => 0,
            (false, 1) => ROWS,
            (false, _) => self.rows,
        };
        [self.columns * self.chunk(), rows * self.columns]
    }

    fn pack(&self, weight: &[f32], packed: &mut [f32]) {
        let ([made, summed], pieces) = (self.channels(), self.pieces().collect::<Vec<_>>());
        let of = |index: usize| (index / pieces.len(), &pieces[index % pieces.len()]);
        let range = |index: usize| {
            let (group, piece) = of(index);
            let first = group * self.packed() + piece.first;
            first..first + made.next_multiple_of(MOST_ROWS) * piece.terms
        };
        let count = self.problem.groups() * pieces.len();
        for_each_part(packed, count, range, (&mut [], 0), |index, packed, _| {
            let (group, piece) = of(index);
            let weights = &weight[group * made * summed..][..made * summed];
            let group = Group { weights, pass: self.pass, made, summed, points: 1 };
            piece.pack(&group, &[0], packed.as_chunks_mut().0);
        });
    }
}

impl Blocking for Maps {
    /// Values of the packed weights, then of every thread's scratch.
    fn workspace_len(&self) -> usize {
        whole_lines(self.problem.groups() * self.packed()) + self.threads * self.lens().iter().sum::<usize>()
    }

    /// What the pass takes: products of whole vectors of points; every value copied to elements, for every block of made
    /// channels, and sums that do not go to the tensor; the operands once, and the weights for every task where the
    /// second-level cache does not keep them.
    fn cost(&self) -> Cost {
        let ([made, summed], points) = (self.channels(), self.points());
        let maps = (self.problem.batch() * self.problem.groups()) as f64;
        let vectors = (points.next_multiple_of(LANES) * made) as f64;
        let stored = if self.to_tensor() { 0 } else { made * points };
        let copied = (self.made_blocks() * points * summed + stored) as f64;
        let reread = if self.packed() > self.cached { self.tasks() as f64 * CACHED } else { 0.0 };
        let packed = (self.problem.groups() * self.packed()) as f64;
        let cost = Cost {
            product_flops: maps * Kind::Real.flops() * vectors * summed as f64,
            moves: maps * copied + packed,
            bytes: tensor_bytes(&self.problem) + 4.0 * packed * (1.0 + reread / self.problem.groups() as f64),
            launches: 2.0,
            ..Cost::default()
        };
        cost.in_tasks(self.tasks(), self.threads)
    }

    /// Computes the pass.
    fn run(
        &self,
        [source, weight]: [&[f32]; 2],
        out: &mut [f32],
        epilogue: Epilogue<'_>,
        workspace: &mut [f32],
    ) {
        let ([made, summed], groups, points) = (self.channels(), self.problem.groups(), self.points());
        let (packed, scratch) = workspace.split_at_mut(whole_lines(groups * self.packed()));
        let packed = &mut packed[..groups * self.packed()];
        self.pack(weight, packed);
        let blocks = self.made_blocks();
        let begin = |map: usize| map / blocks * made + map % blocks * self.rows;
        let maps = self.problem.batch() * groups * blocks;
        let rows: Vec<_> =
            (0..maps).map(|m| begin(m)..begin(m) + self.rows.min(made - begin(m) % made)).collect();
        let columns: Vec<_> =
            (0..points).step_by(self.columns).map(|x| x..(x + self.columns).min(points)).collect();
        let scratch = (scratch, self.lens().iter().sum());
        for_each_rectangle(out, points, [&rows, &columns], scratch, |[row, column], mut out, scratch| {
            let (image_group, made_row) = (row / blocks, row % blocks * self.rows);
            let source = &source[image_group * summed * points..][..summed * points];
            let group = image_group % groups;
            let weights = &packed[group * self.packed()..][..self.packed()];
            let channels = made_row..made_row + rows[row].len();
            let task = Task { maps: self, source, weights, channels, points: columns[column].clone() };
            let bias = epilogue.0.map(|bias| &bias[group * made + made_row..]);
            task.run(&mut out, (bias, epilogue.1), scratch);
        });
    }
}

/// Some made channels at some points of an image.
struct Task<'a> {
    maps: &'a Maps,
    source: &'a [f32],
    weights: &'a [f32],
    channels: Range<usize>,
    points: Range<usize>,
}

impl Task<'_> {
    fn run(&self, out: &mut Columns<'_>, epilogue: Epilogue<'_>, scratch: &mut [f32]) {
        let maps = self.maps;
        let (elements, sums) = scratch.split_at_mut(maps.lens()[0]);
        let rows = self.channels.len();
        for piece in maps.pieces() {
            self.copy(&piece, elements);
            let ends = piece.channels.end == maps.channels()[1];
            for row in (0..rows).step_by(ROWS) {
                let rows = row..rows.min(row + ROWS);
                let begin = if maps.to_tensor() || maps.pieces_len() == 1 { 0 } else { row * maps.columns };
                let product = self.product(&piece, rows.clone(), elements);
                match maps.to_tensor() {
                    true => product.run(&mut out.part(rows.clone(), 0..self.points.len())),
                    false => product.run_to(&mut sums[begin..], maps.columns),
                }
                if ends && !maps.to_tensor() {
                    for (row, sums) in rows.clone().zip(sums[begin..].chunks_exact(maps.columns)) {
                        out.row(row).copy_from_slice(&sums[..self.points.len()]);
                    }
                }
                for row in rows.filter(|_| ends) {
                    epilogue::apply(out.row(row), epilogue.0.map(|bias| bias[row]), epilogue.1);
                }
            }
        }
    }

    /// Some made channels at all points, of these summed channels.
    fn product<'a>(&'a self, piece: &Piece, rows: Range<usize>, elements: &'a [f32]) -> Product<'a> {
        let first = piece.first + (self.channels.start + rows.start) * piece.terms;
        let weights = &self.weights[first..][..rows.len().next_multiple_of(MOST_ROWS) * piece.terms];
        Product {
            kind: Kind::Real,
            sizes: [rows.len(), self.points.len().div_ceil(LANES), piece.terms],
            left: Scalars::Blocks(weights.as_chunks().0, piece.terms),
            right: Elements { values: elements, apart: piece.terms * LANES },
            add: piece.channels.start > 0,
            ahead: &[],
        }
    }

    /// Copies the maps of these channels to elements of points.
    fn copy(&self, piece: &Piece, elements: &mut [f32]) {
        let points = self.maps.points();
        let map =
            |channel: usize| &self.source[(piece.channels.start + channel) * points..][self.points.clone()];
        for channel in 0..piece.terms {
            if channel + AHEAD < piece.terms {
                prefetch(map(channel + AHEAD));
            }
            let (whole, rest) = map(channel).as_chunks::<LANES>();
            let mut lines = elements.as_chunks_mut().0[channel..].iter_mut().step_by(piece.terms);
            for (from, to) in whole.iter().zip(&mut lines) {
                *to = *from;
            }
            if let (false, Some(to)) = (rest.is_empty(), lines.next()) {
                to[..rest.len()].copy_from_slice(rest);
                to[rest.len()..].fill(0.0);
            }
        }
    }
}
