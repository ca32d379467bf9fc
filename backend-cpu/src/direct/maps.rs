//! Forward and backward-input: every made map is a sum of source maps, computed tile by tile in registers.

use std::ops::Range;

use conv_core::{ConvProblem, Machine, Pass};
use pulp::Arch;

use super::line::Line;
use super::part::{Part, Task};
use crate::raw::for_each_rectangle;
use crate::split::{balanced, groups_of};

/// Made channels of the widest register tile.
pub(super) const MOST_ROWS: usize = 8;

/// Chunks of a tile of 1 to [`MOST_ROWS`] made channels: at least 8 sums, so that fused multiply-adds of four
/// cycles on two units never wait, and at most 24 of 32 registers.
pub(super) const CHUNKS: [usize; MOST_ROWS] = [8, 4, 4, 4, 4, 4, 2, 2];

/// Packed weights of a block of terms: half of a first-level cache of 32 KiB.
pub(super) const PACKED: usize = 4096;

/// Points of the smallest piece a map is cut into for the sake of more tasks.
const SMALLEST_PIECE: usize = 128;

/// Tasks a thread gets where there is enough work: late ones even out the early.
const TASKS_A_THREAD: usize = 4;

/// The blocking of one problem and pass.
pub(super) struct Maps {
    pub(super) problem: ConvProblem,
    pub(super) pass: Pass,
    /// Made and summed channels of a group.
    pub(super) made: usize,
    pub(super) summed: usize,
    /// Points of a made and of a source map.
    pub(super) shapes: [[usize; 3]; 2],
    /// The axis along which maps are cut into pieces, and targets of a class in a piece.
    pub(super) split: usize,
    piece: usize,
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
        let most = (shapes[0].iter().product::<usize>() / SMALLEST_PIECE).clamp(1, targets);
        let pieces = machine.threads.saturating_mul(TASKS_A_THREAD).div_ceil(tasks).min(most);
        let unit = if split == 2 { machine.lanes.max(1) } else { 1 };
        let piece = targets.div_ceil(pieces).next_multiple_of(unit);
        Maps { problem: *problem, pass, made, summed, shapes, split, piece }
    }

    /// Pieces of a map.
    pub(super) fn pieces_len(&self) -> usize {
        let step = Line::new(&self.problem.volume()[self.split], self.pass, 0).step;
        self.shapes[0][self.split].div_ceil(self.piece.saturating_mul(step))
    }

    /// Tasks.
    pub(super) fn tasks_len(&self) -> usize {
        self.problem.batch() * self.problem.groups() * self.made.div_ceil(MOST_ROWS) * self.pieces_len()
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
        let rows = groups_of(&channels, self.made, self.problem.batch() * self.problem.groups());
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
