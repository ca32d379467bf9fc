//! The two-dimensional transforms of a tile, 16 maps in the lanes.

use std::marker::PhantomData;

use conv_core::winograd::MAX_TILE;
use pulp::{Arch, Simd, WithSimd};

use super::linear::{Data, Evaluation, Kernel, Target, evaluate, interpolate};
use crate::tiles::{Kind, LANES, Transform};

/// The sizes of a correlation along both axes: a tile, and a kernel in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sizes {
    pub(crate) tile: usize,
    pub(crate) kernel: usize,
}

/// Calls `$f::<T, K>` for every pair of sizes there is.
macro_rules! of_sizes {
    ($sizes:expr, $f:ident, $arguments:tt) => {
        match ($sizes.tile, $sizes.kernel) {
            (6, 2) => $f::<6, 2> $arguments,
            (6, 3) => $f::<6, 3> $arguments,
            (6, 4) => $f::<6, 4> $arguments,
            (6, 5) => $f::<6, 5> $arguments,
            (7, 2) => $f::<7, 2> $arguments,
            (7, 3) => $f::<7, 3> $arguments,
            (7, 4) => $f::<7, 4> $arguments,
            (7, 5) => $f::<7, 5> $arguments,
            (7, 6) => $f::<7, 6> $arguments,
            (8, 2) => $f::<8, 2> $arguments,
            (8, 3) => $f::<8, 3> $arguments,
            (8, 4) => $f::<8, 4> $arguments,
            (8, 5) => $f::<8, 5> $arguments,
            (8, 6) => $f::<8, 6> $arguments,
            _ => $f::<8, 7> $arguments,
        }
    };
}

impl Transform for Sizes {
    fn kind(&self) -> Kind {
        Kind::Real
    }

    fn points(&self) -> usize {
        self.tile * self.tile
    }

    fn scratch_len(&self) -> usize {
        MAX_TILE * MAX_TILE * LANES
    }

    fn flops(&self) -> [u64; 3] {
        of_sizes!(self, flops, ())
    }

    fn data(&self, from: &[f32], steps: [usize; 2], to: &mut [f32], apart: usize, lines: &mut [f32]) {
        of_sizes!(self, data, (from, steps[1], to, apart, lines));
    }

    fn kernel(&self, from: &[f32], steps: [usize; 2], to: &mut [f32], apart: usize, lines: &mut [f32]) {
        of_sizes!(self, kernel, (from, steps[1], to, apart, lines));
    }

    fn target(&self, from: &[f32], apart: usize, to: &mut [f32], steps: [usize; 2], lines: &mut [f32]) {
        of_sizes!(self, target, (from, apart, to, steps[1], lines));
    }
}

/// Operations of the three transforms of one map.
fn flops<const T: usize, const K: usize>() -> [u64; 3] {
    let of = |flops: usize, lines: usize| (flops * lines) as u64;
    [
        of(Data::<T>::MIXED.flops(), 2 * T),
        of(Kernel::<T, K>::MIXED.flops(), T + K),
        of(Target::<T, K>::MIXED.flops(), 2 * T - K + 1),
    ]
}

fn data<const T: usize, const K: usize>(
    from: &[f32],
    row: usize,
    to: &mut [f32],
    apart: usize,
    lines: &mut [f32],
) {
    Arch::new().dispatch(Evaluate { from, row, to, apart, lines, matrix: PhantomData::<Data<T>> });
}

fn kernel<const T: usize, const K: usize>(
    from: &[f32],
    row: usize,
    to: &mut [f32],
    apart: usize,
    lines: &mut [f32],
) {
    Arch::new().dispatch(Evaluate { from, row, to, apart, lines, matrix: PhantomData::<Kernel<T, K>> });
}

fn target<const T: usize, const K: usize>(
    from: &[f32],
    apart: usize,
    to: &mut [f32],
    row: usize,
    lines: &mut [f32],
) {
    Arch::new().dispatch(Interpolate { from, apart, to, row, lines, matrix: PhantomData::<Target<T, K>> });
}

/// `M x Mᵀ`: from rows of values to points `apart` values apart.
struct Evaluate<'a, M> {
    from: &'a [f32],
    row: usize,
    to: &'a mut [f32],
    apart: usize,
    /// What is between the two axes.
    lines: &'a mut [f32],
    matrix: PhantomData<M>,
}

impl<M: Evaluation> WithSimd for Evaluate<'_, M> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (rows, columns) = (M::ROWS, M::COLUMNS);
        let step = MAX_TILE * S::F32_LANES;
        let lines = &mut self.lines[..MAX_TILE * step];
        for lane in (0..LANES).step_by(S::F32_LANES) {
            for (y, line) in lines.chunks_exact_mut(step).enumerate().take(columns) {
                let x = load(simd, &self.from[y * self.row + lane..], (LANES, columns));
                store(simd, evaluate::<S, M>(simd, x), line, (S::F32_LANES, rows));
            }
            for j in 0..rows {
                let x = load(simd, &lines[j * S::F32_LANES..], (step, columns));
                let points = evaluate::<S, M>(simd, x);
                store(simd, points, &mut self.to[j * self.apart + lane..], (rows * self.apart, rows));
            }
        }
    }
}

/// `Mᵀ x M`: from points `apart` values apart to rows of values.
struct Interpolate<'a, M> {
    from: &'a [f32],
    apart: usize,
    to: &'a mut [f32],
    row: usize,
    /// What is between the two axes.
    lines: &'a mut [f32],
    matrix: PhantomData<M>,
}

impl<M: Evaluation> WithSimd for Interpolate<'_, M> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (rows, columns) = (M::ROWS, M::COLUMNS);
        let step = MAX_TILE * S::F32_LANES;
        let lines = &mut self.lines[..MAX_TILE * step];
        for lane in (0..LANES).step_by(S::F32_LANES) {
            for (j, line) in lines.chunks_exact_mut(step).enumerate().take(rows) {
                let x = load(simd, &self.from[j * self.apart + lane..], (rows * self.apart, rows));
                store(simd, interpolate::<S, M>(simd, x), line, (S::F32_LANES, columns));
            }
            for y in 0..columns {
                let x = load(simd, &lines[y * S::F32_LANES..], (step, rows));
                let values = interpolate::<S, M>(simd, x);
                store(simd, values, &mut self.to[y * self.row + lane..], (LANES, columns));
            }
        }
    }
}

/// `count` vectors `step` values apart, and zeros.
#[inline(always)]
fn load<S: Simd>(simd: S, from: &[f32], (step, count): (usize, usize)) -> [S::f32s; MAX_TILE] {
    let from = &from[..(count - 1) * step + S::F32_LANES];
    let mut x = [simd.splat_f32s(0.0); MAX_TILE];
    for (i, x) in x.iter_mut().enumerate().take(count) {
        *x = S::as_simd_f32s(&from[i * step..i * step + S::F32_LANES]).0[0];
    }
    x
}

/// The first `count` vectors to places `step` values apart.
#[inline(always)]
fn store<S: Simd>(_: S, x: [S::f32s; MAX_TILE], to: &mut [f32], (step, count): (usize, usize)) {
    let to = &mut to[..(count - 1) * step + S::F32_LANES];
    for (i, x) in x.iter().enumerate().take(count) {
        S::as_mut_simd_f32s(&mut to[i * step..i * step + S::F32_LANES]).0[0] = *x;
    }
}
