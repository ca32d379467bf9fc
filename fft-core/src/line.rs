//! The complex transform of one line of a complex lane block, in place (strided) or to another line.

use crate::pass::{Apart, InPlace, Stage};
use crate::recipe::Recipe;
use crate::{COMPLEX_POINT, LANES, Point};
use num_complex::Complex;
use pulp::Simd;
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
    /// Stockham passes; none copies.
    Stages(Vec<Stage>),
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
        Recipe::Radices(radices) => radices.len().saturating_sub(1).min(2) * n * COMPLEX_POINT,
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
            Recipe::Radices(radices) => Kernel::Stages(stages(n, radices, round)),
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
            Kernel::Stages(stages) => match &stages[..] {
                [] => {}
                [only] => in_place(simd, swap, only, data, stride),
                [begin, rest @ ..] => {
                    let (points, _) = scratch.as_chunks_mut();
                    let (x, y) = points.split_at_mut(self.recipe.length());
                    apart(simd, swap, begin, (data, stride), (x, 1));
                    later(simd, swap, rest, [x, y], data, stride);
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
            Kernel::Stages(stages) => match &stages[..] {
                [] => dst.copy_from_slice(src),
                [only] => apart(simd, swap, only, (src, 1), (dst, 1)),
                [begin, rest @ ..] => {
                    let (points, _) = scratch.as_chunks_mut();
                    let (x, y) = points.split_at_mut(self.recipe.length());
                    apart(simd, swap, begin, (src, 1), (x, 1));
                    later(simd, swap, rest, [x, y], dst, 1);
                }
            },
            Kernel::Library(fft) => {
                dst.copy_from_slice(src);
                library(swap, &**fft, dst, 1, scratch);
            }
        }
    }
}

/// The passes of a recipe.
fn stages(n: usize, radices: &[usize], round: fn(f64) -> f32) -> Vec<Stage> {
    let next = |before: &mut usize, &radix: &usize| {
        let stage = Stage::new(n, radix, *before, round);
        *before *= radix;
        Some(stage)
    };
    radices.iter().scan(1, next).collect()
}

/// Calls `$pass` of the radix of `$stage`; the passes are not inlined, for their code is large.
macro_rules! of_radix {
    ($simd:expr, $pass:ident, $stage:expr, $fields:tt) => {
        match $stage.radix {
            2 => $simd.vectorize(of_radix!(@ $pass<2> $fields)),
            3 => $simd.vectorize(of_radix!(@ $pass<3> $fields)),
            4 => $simd.vectorize(of_radix!(@ $pass<4> $fields)),
            5 => $simd.vectorize(of_radix!(@ $pass<5> $fields)),
            7 => $simd.vectorize(of_radix!(@ $pass<7> $fields)),
            _ => $simd.vectorize(of_radix!(@ $pass<8> $fields)),
        }
    };
    (@ $pass:ident<$radix:literal> { $($field:ident),* }) => {
        $pass::<$radix> { $($field),* }
    };
}

/// A pass from one line to another, each with its stride.
#[inline(always)]
fn apart<S: Simd>(
    simd: S,
    swap: bool,
    stage: &Stage,
    (src, src_stride): (&[Point], usize),
    (dst, dst_stride): (&mut [Point], usize),
) {
    of_radix!(simd, Apart, stage, { swap, stage, src, src_stride, dst, dst_stride });
}

/// The only pass, in place.
#[inline(always)]
fn in_place<S: Simd>(simd: S, swap: bool, stage: &Stage, data: &mut [Point], stride: usize) {
    of_radix!(simd, InPlace, stage, { swap, data, stride });
}

/// All passes but the first, between the halves of the scratch and last to the destination.
#[inline(always)]
fn later<S: Simd>(
    simd: S,
    swap: bool,
    stages: &[Stage],
    [mut x, mut y]: [&mut [Point]; 2],
    data: &mut [Point],
    out_stride: usize,
) {
    let last = stages.len() - 1;
    for (i, stage) in stages.iter().enumerate() {
        let (dst, stride) = if i == last { (&mut *data, out_stride) } else { (&mut *y, 1) };
        apart(simd, swap, stage, (x, 1), (dst, stride));
        std::mem::swap(&mut x, &mut y);
    }
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
