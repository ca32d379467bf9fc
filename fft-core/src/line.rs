//! The complex transform of one line of a complex lane block, in place (strided) or to another line.

use crate::codelets::for_radix;
use crate::pass::{Columns, InPlace, OverColumns, OverRows};
use crate::recipe::Recipe;
use crate::{COMPLEX_POINT, LANES, Point};
use num_complex::Complex;
use pulp::{Simd, WithSimd};
use rustfft::{Fft, FftPlanner};
use std::fmt;
use std::sync::Arc;

/// The complex transform of `n` points of 16 lanes.
#[derive(Clone)]
pub(crate) struct LineFft {
    recipe: Recipe,
    kernel: Kernel,
}

/// How the line is computed.
#[derive(Clone)]
enum Kernel {
    /// One point.
    Identity,
    /// Columns of columns, and last rows of this radix.
    Radices(Vec<Columns>, usize),
    /// One lane after another.
    Library(Arc<dyn Fft<f32>>),
}

impl fmt::Debug for LineFft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LineFft").field("recipe", &self.recipe).finish_non_exhaustive()
    }
}

/// Values of the scratch of a transform of `n` points, in either direction.
pub(crate) fn scratch_len(n: usize) -> usize {
    match Recipe::new(n) {
        // A line of points for each level of columns.
        Recipe::Radices(radices) => {
            let lines =
                radices.iter().scan(n, |points, radix| Some(std::mem::replace(points, *points / radix)));
            lines.take(radices.len().saturating_sub(1)).sum::<usize>() * COMPLEX_POINT
        }
        Recipe::Library(n) => {
            let fft: Arc<dyn Fft<f32>> = FftPlanner::new().plan_fft_forward(n);
            2 * (n + fft.get_inplace_scratch_len())
        }
    }
}

impl LineFft {
    /// The transform of `n >= 1` points, with twiddles rounded from f64 by `round`.
    pub(crate) fn new(n: usize, round: fn(f64) -> f32) -> LineFft {
        let recipe = Recipe::new(n);
        let kernel = match &recipe {
            Recipe::Radices(radices) => match &radices[..] {
                [] => Kernel::Identity,
                [columns @ .., row] => Kernel::Radices(all_columns(n, columns, round), *row),
            },
            Recipe::Library(n) => Kernel::Library(FftPlanner::new().plan_fft_forward(*n)),
        };
        LineFft { recipe, kernel }
    }

    /// How the line is computed.
    pub(crate) fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// Transforms the line; `swap` makes it the unnormalised inverse.
    ///
    /// The point `i` of the line is `data[i * stride]`, and there may be nothing after the last.
    #[inline(always)]
    pub(crate) fn in_place<S: Simd>(
        &self,
        simd: S,
        swap: bool,
        data: &mut [Point],
        stride: usize,
        scratch: &mut [f32],
    ) {
        match &self.kernel {
            Kernel::Identity => {}
            Kernel::Radices(columns, row) => match &columns[..] {
                [] => in_place(simd, swap, *row, data, stride),
                [first, rest @ ..] => {
                    let (x, scratch) = line_of(scratch, self.recipe.length());
                    over_columns(simd, swap, first, (data, stride), x);
                    simd.vectorize(Rows {
                        swap,
                        levels: rest,
                        radix: *row,
                        src: x,
                        dst: data,
                        stride,
                        scratch,
                    });
                }
            },
            Kernel::Library(fft) => library(swap, &**fft, data, stride, scratch),
        }
    }

    /// Transforms the contiguous line `src` to `dst` of the same length.
    #[inline(always)]
    pub(crate) fn apart<S: Simd>(
        &self,
        simd: S,
        swap: bool,
        src: &[Point],
        dst: &mut [Point],
        scratch: &mut [f32],
    ) {
        match &self.kernel {
            Kernel::Identity => dst.copy_from_slice(src),
            Kernel::Radices(columns, row) => match &columns[..] {
                [] => rows(simd, swap, (*row, 1), src, (dst, 1)),
                [first, rest @ ..] => {
                    let (x, scratch) = line_of(scratch, self.recipe.length());
                    over_columns(simd, swap, first, (src, 1), x);
                    simd.vectorize(Rows { swap, levels: rest, radix: *row, src: x, dst, stride: 1, scratch });
                }
            },
            Kernel::Library(fft) => {
                dst.copy_from_slice(src);
                library(swap, &**fft, dst, 1, scratch);
            }
        }
    }
}

/// The columns of all levels of a line of `n` points.
fn all_columns(n: usize, radices: &[usize], round: fn(f64) -> f32) -> Vec<Columns> {
    let level = |points: &mut usize, &radix: &usize| {
        let columns = Columns::new(*points, radix, round);
        *points /= radix;
        Some(columns)
    };
    radices.iter().scan(n, level).collect()
}

/// A line of `n` points, and what is left of the scratch.
fn line_of(scratch: &mut [f32], n: usize) -> (&mut [Point], &mut [f32]) {
    let (line, rest) = scratch.split_at_mut(n * COMPLEX_POINT);
    (line.as_chunks_mut().0, rest)
}

/// A pass of this radix; it is not inlined, for its code is large.
macro_rules! pass {
    ($radix:literal ($simd:expr, $pass:ident { $($field:ident),* })) => {
        $simd.vectorize($pass::<$radix> { $($field),* })
    };
}

/// The columns of a line with a stride, to a line without gaps.
#[inline(always)]
fn over_columns<S: Simd>(
    simd: S,
    swap: bool,
    columns: &Columns,
    (src, stride): (&[Point], usize),
    dst: &mut [Point],
) {
    for_radix!(columns.radix, pass(simd, OverColumns { swap, columns, src, stride, dst }));
}

/// The rows of a level, each by the levels left and last by one butterfly of this radix.
struct Rows<'a> {
    swap: bool,
    levels: &'a [Columns],
    radix: usize,
    src: &'a [Point],
    dst: &'a mut [Point],
    stride: usize,
    scratch: &'a mut [f32],
}

impl WithSimd for Rows<'_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Rows { swap, levels, radix, src, dst, stride, scratch } = self;
        let Some((first, levels)) = levels.split_first() else {
            return rows(simd, swap, (radix, src.len() / radix), src, (dst, stride));
        };
        let n = first.radix * first.row;
        let (x, scratch) = line_of(scratch, n);
        let stride_of_row = src.len() / n * stride;
        for (j, row) in src.chunks_exact(n).enumerate() {
            over_columns(simd, swap, first, (row, 1), x);
            let dst = &mut dst[j * stride..];
            simd.vectorize(Rows { swap, levels, radix, src: x, dst, stride: stride_of_row, scratch });
        }
    }
}

/// Rows of this radix to a line with a stride.
#[inline(always)]
fn rows<S: Simd>(
    simd: S,
    swap: bool,
    (radix, rows): (usize, usize),
    src: &[Point],
    (dst, stride): (&mut [Point], usize),
) {
    for_radix!(radix, pass(simd, OverRows { swap, rows, src, dst, stride }));
}

/// The only pass, in place.
#[inline(always)]
fn in_place<S: Simd>(simd: S, swap: bool, radix: usize, data: &mut [Point], stride: usize) {
    for_radix!(radix, pass(simd, InPlace { swap, data, stride }));
}

/// All lanes by the library, each through a contiguous copy in the scratch.
fn library(swap: bool, fft: &dyn Fft<f32>, data: &mut [Point], stride: usize, scratch: &mut [f32]) {
    let values = 2 * (fft.len() + fft.get_inplace_scratch_len());
    let complex: &mut [Complex<f32>] = pulp::bytemuck::cast_slice_mut(&mut scratch[..values]);
    let (line, work) = complex.split_at_mut(fft.len());
    for lane in 0..LANES {
        let (re, im) = if swap { (LANES + lane, lane) } else { (lane, LANES + lane) };
        for (z, p) in line.iter_mut().zip(data.iter().step_by(stride)) {
            *z = Complex::new(p[re], p[im]);
        }
        fft.process_with_scratch(line, work);
        for (z, p) in line.iter().zip(data.iter_mut().step_by(stride)) {
            (p[re], p[im]) = (z.re, z.im);
        }
    }
}
