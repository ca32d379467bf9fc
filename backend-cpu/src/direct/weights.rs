//! Backward-weights: sums of products of shifted input rows and output rows, lanes along the last axis.

use std::ops::Range;

use conv_core::{ConvProblem, Machine, Role};
use pulp::{Arch, Simd, WithSimd};

use super::correlate::Tile;
use super::count::vectors;
use super::taps::{Frame, Taps};
use crate::raw::{Columns, for_each_rectangle};
use crate::split::{balanced, groups_of};

/// Output channels of the tallest register tile.
pub(super) const MOST_ROWS: usize = 4;

/// Weights of an output channel in a tile of 1 to [`MOST_ROWS`] channels: at least 9 sums, so that fused
/// multiply-adds of four cycles on two units never wait, and at most 16 of 32 registers.
pub(super) const WEIGHTS: [usize; MOST_ROWS] = [9, 6, 5, 4];

/// Most tiles a task sums at a time: they read the rows of an image while those are in cache.
pub(super) const MOST_TILES: usize = 8;

/// Values of input and output gradient a tile takes at a time: half of a first-level cache of 32 KiB; and the
/// most images.
const CACHED: usize = 4096;
const MOST_IMAGES: usize = 16;

/// Tasks a thread gets where there is enough work: late ones even out the early.
const TASKS_A_THREAD: usize = 4;

/// The blocking of one problem: weights form a matrix of output channels times (channel, kernel point), cut into
/// rectangles; every one is a task, which sums over the whole batch.
pub(super) struct Weights {
    problem: ConvProblem,
    /// Ranges of rows that the output channels of a group fall into.
    blocks: usize,
    /// Columns of the matrix, and of a rectangle.
    row_len: usize,
    width: usize,
}

impl Weights {
    pub(super) fn new(machine: &Machine, problem: &ConvProblem) -> Self {
        let made = problem.group_out();
        let blocks = made.div_ceil(MOST_ROWS);
        let tile = vectors(machine, &WEIGHTS, made.div_ceil(blocks));
        let row_len = problem.group_in() * problem.points(Role::Weight);
        let (tiles, rows) = (row_len.div_ceil(tile), problem.groups() * blocks);
        let wanted = machine.threads.saturating_mul(TASKS_A_THREAD).div_ceil(rows).max(1);
        let width = tile * tiles.div_ceil(wanted).clamp(1, MOST_TILES);
        Weights { problem: *problem, blocks, row_len, width }
    }

    /// Tasks.
    pub(super) fn tasks_len(&self) -> usize {
        self.problem.groups() * self.blocks * self.row_len.div_ceil(self.width)
    }

    /// Computes the weight gradient.
    pub(super) fn run(&self, input: &[f32], grad_output: &[f32], out: &mut [f32]) {
        let Weights { problem, blocks, row_len, width } = *self;
        let channels: Vec<Range<usize>> = balanced(problem.group_out(), blocks).collect();
        let rows = groups_of(&channels, problem.group_out(), problem.groups());
        let columns: Vec<Range<usize>> =
            (0..row_len).step_by(width).map(|at| at..(at + width).min(row_len)).collect();
        for_each_rectangle(out, row_len, [&rows, &columns], (&mut [], 0), |[i, j], out, _| {
            let (rows, columns) = (rows[i].clone(), columns[j].clone());
            let frame = Frame::new(&problem, input, grad_output, rows.start);
            Arch::new().dispatch(Task { frame, rows: rows.len(), columns, out });
        });
    }
}

/// One rectangle of the weight gradient.
struct Task<'a, 'c> {
    frame: Frame<'a>,
    rows: usize,
    columns: Range<usize>,
    out: Columns<'c>,
}

impl WithSimd for Task<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match self.rows {
            1 => self.blocks::<S, 1, { WEIGHTS[0] }, { WEIGHTS[0] / 2 }>(simd),
            2 => self.blocks::<S, 2, { WEIGHTS[1] }, { WEIGHTS[1] / 2 }>(simd),
            3 => self.blocks::<S, 3, { WEIGHTS[2] }, { WEIGHTS[2] / 2 }>(simd),
            _ => self.blocks::<S, 4, { WEIGHTS[3] }, { WEIGHTS[3] / 2 }>(simd),
        }
    }
}

impl Task<'_, '_> {
    /// With tiles of `J` weights, or of `NARROW` where there are only 16 registers.
    #[inline(always)]
    fn blocks<S: Simd, const R: usize, const J: usize, const NARROW: usize>(self, simd: S) {
        if const { S::REGISTER_COUNT >= 32 } {
            self.tiles::<S, R, J>(simd)
        } else {
            self.tiles::<S, R, NARROW>(simd)
        }
    }

    /// Sums [`MOST_TILES`] tiles at a time over a few images whose rows stay in first-level cache; then the sums
    /// join the totals, so that no sum gets long and rounding errors stay small.
    #[inline(always)]
    fn tiles<S: Simd, const R: usize, const J: usize>(mut self, simd: S) {
        let Range { start, end } = self.columns;
        let images = (CACHED / self.frame.image_len(R)).clamp(1, MOST_IMAGES);
        for first in (start..end).step_by(MOST_TILES * J) {
            let columns = (first..end).step_by(J).take(MOST_TILES);
            let mut totals = [[[simd.splat_f32s(0.0); J]; R]; MOST_TILES];
            let taps: [Taps<J>; MOST_TILES] =
                std::array::from_fn(|tile| self.frame.taps(first + tile * J, end));
            for image in (0..self.frame.batch()).step_by(images) {
                let images = image..(image + images).min(self.frame.batch());
                for (taps, total) in taps.iter().zip(&mut totals).take(columns.len()) {
                    let sums = Tile::<R, J> { frame: &self.frame, taps, images: images.clone() }.sums(simd);
                    for (total, sums) in total.iter_mut().zip(&sums) {
                        for (total, sum) in total.iter_mut().zip(sums) {
                            *total = simd.add_f32s(*total, *sum);
                        }
                    }
                }
            }
            for (column, total) in columns.zip(&totals) {
                self.store(simd, column - start, total);
            }
        }
    }

    #[inline(always)]
    fn store<S: Simd, const R: usize, const J: usize>(
        &mut self,
        simd: S,
        at: usize,
        total: &[[S::f32s; J]; R],
    ) {
        for (r, total) in total.iter().enumerate() {
            let row = &mut self.out.row(r)[at..];
            row.iter_mut().zip(total).for_each(|(weight, total)| *weight = simd.reduce_sum_f32s(*total));
        }
    }
}
