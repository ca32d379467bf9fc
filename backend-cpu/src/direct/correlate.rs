//! One register tile of backward-weights: `R` output channels times `J` weights, summed over some images.

use std::ops::Range;

use pulp::Simd;

use super::block::{All, Keep, Masked, Source, Sums, Vectors, each, lanes_inside, multiply_add};
use super::taps::{Frame, Tap, Taps};

/// Rows and registers of a row that a tile takes at a time: few enough to stay in first-level cache.
pub(super) const ROWS: usize = 16;
const COLUMNS: usize = 8;

/// Neighbouring outputs of a row, one a lane: the lanes in which each weight meets the input where the row does.
#[derive(Clone, Copy)]
struct Column<S: Simd, const J: usize> {
    masks: Masked<S, J>,
    /// Whether those are all lanes of all weights.
    inside: bool,
}

/// Where a run of steps begins, and which way it goes.
struct Run {
    image: usize,
    output: [usize; 3],
    steps: usize,
    /// Down the rows, or along the last axis by whole registers.
    down: bool,
    /// Whether every weight meets the input in these rows.
    rows_inside: bool,
}

/// The tile of some images: `R` output channels from the frame's first on.
pub(super) struct Tile<'t, 'a, const R: usize, const J: usize> {
    pub(super) frame: &'t Frame<'a>,
    pub(super) taps: &'t Taps<J>,
    pub(super) images: Range<usize>,
}

impl<const R: usize, const J: usize> Tile<'_, '_, R, J> {
    /// The sums of products over the images. Runs go down the rows where those are more than the registers of
    /// a row.
    #[inline(always)]
    pub(super) fn sums<S: Simd>(&self, simd: S) -> Sums<S, R, J> {
        let mut sums = [[simd.splat_f32s(0.0); J]; R];
        let [_, rows, columns] = self.frame.output;
        if rows >= columns.div_ceil(S::F32_LANES) {
            for first in (0..columns).step_by(COLUMNS * S::F32_LANES) {
                self.down(simd, &mut sums, first);
            }
        } else {
            self.along(simd, &mut sums);
        }
        sums
    }

    /// The columns from `first` on, as many as are taken at a time.
    #[inline(always)]
    fn down<S: Simd>(&self, simd: S, sums: &mut Sums<S, R, J>, first: usize) {
        let Taps { every, some, .. } = self.taps;
        let none = Column {
            masks: Masked(each!(lanes_inside(simd, 0, 1, 0, 0), |_| lanes_inside(simd, 0, 1, 0, 0))),
            inside: false,
        };
        let mut columns = [none; COLUMNS];
        for (column, w) in columns.iter_mut().zip((first..self.frame.output[2]).step_by(S::F32_LANES)) {
            *column = self.column(simd, w);
        }
        for image in self.images.clone() {
            for d in some[0].start..some[0].end {
                let mut h = some[1].start;
                while h < some[1].end {
                    let rows_inside = every[0].contains(d) && every[1].contains(h);
                    let steps = if rows_inside { (every[1].end - h).min(ROWS) } else { 1 };
                    let starts = (first..self.frame.output[2]).step_by(S::F32_LANES);
                    for (w, column) in starts.zip(&columns) {
                        let run = Run { image, output: [d, h, w], steps, down: true, rows_inside };
                        self.run(simd, sums, &run, column);
                    }
                    h += steps;
                }
            }
        }
    }

    #[inline(always)]
    fn along<S: Simd>(&self, simd: S, sums: &mut Sums<S, R, J>) {
        let Taps { every, some, .. } = self.taps;
        for image in self.images.clone() {
            for d in some[0].start..some[0].end {
                for h in some[1].start..some[1].end {
                    let rows_inside = every[0].contains(d) && every[1].contains(h);
                    let mut w = 0;
                    while w < self.frame.output[2] {
                        let column = self.column(simd, w);
                        let whole = every[2].end.saturating_sub(w) / S::F32_LANES;
                        let steps = if rows_inside && column.inside { whole } else { 1 };
                        let run = Run { image, output: [d, h, w], steps, down: false, rows_inside };
                        self.run(simd, sums, &run, &column);
                        w += steps * S::F32_LANES;
                    }
                }
            }
        }
    }

    /// The outputs of a row from `w` on.
    #[inline(always)]
    fn column<S: Simd>(&self, simd: S, w: usize) -> Column<S, J> {
        let axis = &self.frame.problem.volume()[2];
        let limit = S::F32_LANES.min(self.frame.output[2].saturating_sub(w));
        let masks = each!(lanes_inside(simd, 0, 1, 0, 0), |j| {
            let at = self.taps.taps[j].last + (w * axis.stride) as isize;
            lanes_inside(simd, at, axis.stride, axis.input, limit)
        });
        let inside = self.taps.every[2].start <= w && w + S::F32_LANES <= self.taps.every[2].end;
        Column { masks: Masked(masks), inside }
    }

    #[inline(always)]
    fn run<S: Simd>(&self, simd: S, sums: &mut Sums<S, R, J>, run: &Run, column: &Column<S, J>) {
        let frame = self.frame;
        let [d, h, w] = run.output;
        let [_, rows, columns] = frame.output;
        let [row_step, vector_step] = match run.down {
            true => [columns, frame.input_steps[1]],
            false => [S::F32_LANES, S::F32_LANES.wrapping_mul(frame.input_steps[2])],
        };
        let first = frame.output_first + run.image * frame.output_image + (d * rows + h) * columns + w;
        let at = each!(0, |r| (first + r * frame.output_map) as isize);
        let rows: Vectors<'_, R> = Vectors { values: frame.grad_output, at, lanes_apart: 1 };
        let mut first = frame.input_first + run.image * frame.input_image;
        for (output, step) in run.output.into_iter().zip(frame.input_steps) {
            first = first.wrapping_add(output.wrapping_mul(step));
        }
        let at = each!(0, |j| self.taps.taps[j].at.wrapping_add(first as isize));
        let vectors: Vectors<'_, J> = Vectors { values: frame.input, at, lanes_apart: frame.input_steps[2] };
        let (last_row, last_vector) = ((run.steps - 1) * row_step, (run.steps - 1).wrapping_mul(vector_step));
        let masks = if run.rows_inside { column.masks } else { self.rows_of(simd, column.masks, d, h) };
        match (rows.whole::<S>(last_row), vectors.whole::<S>(last_vector)) {
            (Some(rows), Some(vectors)) if run.rows_inside && column.inside => {
                accumulate(simd, sums, run.steps, (&rows, row_step), (&vectors, vector_step), All);
            }
            (Some(rows), Some(vectors)) => {
                accumulate(simd, sums, run.steps, (&rows, row_step), (&vectors, vector_step), masks);
            }
            _ => accumulate(simd, sums, run.steps, (&rows, row_step), (&vectors, vector_step), masks),
        }
    }

    /// The masks of those weights that meet the input in the row.
    #[inline(always)]
    fn rows_of<S: Simd>(&self, simd: S, masks: Masked<S, J>, d: usize, h: usize) -> Masked<S, J> {
        let none = lanes_inside(simd, 0, 1, 0, 0);
        Masked(each!(none, |j| {
            let Tap { outputs, .. } = &self.taps.taps[j];
            if outputs[0].contains(d) && outputs[1].contains(h) { masks.0[j] } else { none }
        }))
    }
}

/// Adds `steps` steps, each `row_step` and `vector_step` values after the one before.
#[inline(always)]
fn accumulate<S: Simd, const R: usize, const J: usize>(
    simd: S,
    sums: &mut Sums<S, R, J>,
    steps: usize,
    (rows, row_step): (&impl Source<R>, usize),
    (vectors, vector_step): (&impl Source<J>, usize),
    keep: impl Keep<S>,
) {
    // A copy of its own is what the compiler keeps in registers.
    let (mut held, zero) = (*sums, simd.splat_f32s(0.0));
    for k in 0..steps {
        let rows = each!(zero, |r| rows.get(simd, k * row_step, r));
        let vectors = each!(zero, |j| vectors.get(simd, k * vector_step, j));
        multiply_add(simd, &mut held, rows, vectors, keep);
    }
    *sums = held;
}
