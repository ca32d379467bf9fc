//! The transforms of a tile along one to three axes, 16 maps in the lanes.

use std::marker::PhantomData;

use conv_core::winograd::MAX_TILE;
use pulp::{Arch, Simd, WithSimd};

use super::linear::{Data, Evaluation, Kernel, Target, evaluate, interpolate};
use crate::tiles::{Kind, LANES, Transform};

/// The sizes of a correlation along some of the last axes: a tile, and a kernel in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sizes {
    pub(crate) axes: usize,
    pub(crate) tile: usize,
    pub(crate) kernel: usize,
}

/// f32 values of what is between the last two axes of a tile.
const LINES: usize = MAX_TILE * MAX_TILE * LANES;

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
        self.tile.pow(self.axes as u32)
    }

    fn scratch_len(&self) -> usize {
        LINES + if self.axes == 3 { self.points() * LANES } else { 0 }
    }

    fn flops(&self) -> [u64; 3] {
        of_sizes!(self, flops, (self.axes))
    }

    fn data(&self, from: &[f32], steps: [usize; 2], to: &mut [f32], apart: usize, scratch: &mut [f32]) {
        of_sizes!(self, data, (self.axes, (from, steps), (to, apart), scratch));
    }

    fn kernel(&self, from: &[f32], steps: [usize; 2], to: &mut [f32], apart: usize, scratch: &mut [f32]) {
        of_sizes!(self, kernel, (self.axes, (from, steps), (to, apart), scratch));
    }

    fn target(&self, from: &[f32], apart: usize, to: &mut [f32], steps: [usize; 2], scratch: &mut [f32]) {
        of_sizes!(self, target, (self.axes, (from, apart), (to, steps), scratch));
    }
}

/// Operations of the three transforms of one map.
fn flops<const T: usize, const K: usize>(axes: usize) -> [u64; 3] {
    let of = |flops: usize, rows: usize, columns: usize| {
        let lines = match axes {
            1 => 1,
            2 => rows + columns,
            _ => columns * (rows + columns) + rows * rows,
        };
        (flops * lines) as u64
    };
    [
        of(const { Data::<T>::MIXED.flops() }, T, T),
        of(const { Kernel::<T, K>::MIXED.flops() }, T, K),
        of(const { Target::<T, K>::MIXED.flops() }, T, T - K + 1),
    ]
}

/// Rows of values, and how far slices and rows are apart.
type Values<'a> = (&'a [f32], [usize; 2]);

/// Points, and how far they are apart.
type Points<'a> = (&'a mut [f32], usize);

fn data<const T: usize, const K: usize>(axes: usize, from: Values<'_>, to: Points<'_>, scratch: &mut [f32]) {
    Arch::new().dispatch(Evaluate { axes, from, to, scratch, matrix: PhantomData::<Data<T>> });
}

fn kernel<const T: usize, const K: usize>(
    axes: usize,
    from: Values<'_>,
    to: Points<'_>,
    scratch: &mut [f32],
) {
    Arch::new().dispatch(Evaluate { axes, from, to, scratch, matrix: PhantomData::<Kernel<T, K>> });
}

fn target<const T: usize, const K: usize>(
    axes: usize,
    from: (&[f32], usize),
    to: (&mut [f32], [usize; 2]),
    scratch: &mut [f32],
) {
    Arch::new().dispatch(Interpolate { axes, from, to, scratch, matrix: PhantomData::<Target<T, K>> });
}

/// `M x` along every axis: from rows of values to points.
struct Evaluate<'a, M> {
    axes: usize,
    from: Values<'a>,
    to: Points<'a>,
    scratch: &'a mut [f32],
    matrix: PhantomData<M>,
}

impl<M: Evaluation> WithSimd for Evaluate<'_, M> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Evaluate { axes, from: (from, [slice, row]), to: (to, apart), scratch, .. } = self;
        let (lines, planes) = scratch.split_at_mut(LINES);
        let (solid, points) = (axes == 3, M::ROWS * M::ROWS);
        if axes > 1 {
            for z in 0..if solid { M::COLUMNS } else { 1 } {
                let plane = if solid { &mut planes[z * points * LANES..] } else { &mut *to };
                let to = (plane, if solid { LANES } else { apart });
                evaluate_plane::<S, M>(simd, (&from[z * slice..], row), to, lines);
            }
        }
        if axes != 2 {
            let (from, step, lines) =
                if solid { (&*planes, points * LANES, points) } else { (from, LANES, 1) };
            evaluate_lines::<S, M>(simd, (from, step), (to, apart), lines);
        }
    }
}

/// `M x` for lines of neighbouring vectors whose values are `step` apart: point `i` of line `j` is number `i lines + j`.
#[inline(always)]
fn evaluate_lines<S: Simd, M: Evaluation>(
    simd: S,
    (from, step): (&[f32], usize),
    (to, apart): (&mut [f32], usize),
    lines: usize,
) {
    for line in 0..lines {
        for lane in (0..LANES).step_by(S::F32_LANES) {
            let x = load(simd, &from[line * LANES + lane..], (step, M::COLUMNS));
            let to = &mut to[line * apart + lane..];
            store(simd, evaluate::<S, M>(simd, x), to, (lines * apart, M::ROWS));
        }
    }
}

/// `M x Mᵀ`, from rows `row` values apart.
#[inline(always)]
fn evaluate_plane<S: Simd, M: Evaluation>(
    simd: S,
    (from, row): (&[f32], usize),
    (to, apart): (&mut [f32], usize),
    lines: &mut [f32],
) {
    let (rows, columns) = (M::ROWS, M::COLUMNS);
    let step = MAX_TILE * S::F32_LANES;
    let lines = &mut lines[..MAX_TILE * step];
    for lane in (0..LANES).step_by(S::F32_LANES) {
        for (y, line) in lines.chunks_exact_mut(step).enumerate().take(columns) {
            let x = load(simd, &from[y * row + lane..], (LANES, columns));
            store(simd, evaluate::<S, M>(simd, x), line, (S::F32_LANES, rows));
        }
        for j in 0..rows {
            let x = load(simd, &lines[j * S::F32_LANES..], (step, columns));
            let points = evaluate::<S, M>(simd, x);
            store(simd, points, &mut to[j * apart + lane..], (rows * apart, rows));
        }
    }
}

/// `Mᵀ x` along every axis: from points to rows of values.
struct Interpolate<'a, M> {
    axes: usize,
    from: (&'a [f32], usize),
    to: (&'a mut [f32], [usize; 2]),
    scratch: &'a mut [f32],
    matrix: PhantomData<M>,
}

impl<M: Evaluation> WithSimd for Interpolate<'_, M> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Interpolate { axes, from: (from, apart), to: (to, [slice, row]), scratch, .. } = self;
        let (lines, planes) = scratch.split_at_mut(LINES);
        let (solid, points) = (axes == 3, M::ROWS * M::ROWS);
        if axes != 2 {
            let (to, step, lines) =
                if solid { (&mut *planes, points * LANES, points) } else { (&mut *to, LANES, 1) };
            interpolate_lines::<S, M>(simd, (from, apart), (to, step), lines);
        }
        if axes > 1 {
            for z in 0..if solid { M::COLUMNS } else { 1 } {
                let from = if solid { (&planes[z * points * LANES..], LANES) } else { (from, apart) };
                interpolate_plane::<S, M>(simd, from, (&mut to[z * slice..], row), lines);
            }
        }
    }
}

/// `Mᵀ x` for lines of points, numbered as [`evaluate_lines`] does, to neighbouring vectors whose values are `step` apart.
#[inline(always)]
fn interpolate_lines<S: Simd, M: Evaluation>(
    simd: S,
    (from, apart): (&[f32], usize),
    (to, step): (&mut [f32], usize),
    lines: usize,
) {
    for line in 0..lines {
        for lane in (0..LANES).step_by(S::F32_LANES) {
            let x = load(simd, &from[line * apart + lane..], (lines * apart, M::ROWS));
            let to = &mut to[line * LANES + lane..];
            store(simd, interpolate::<S, M>(simd, x), to, (step, M::COLUMNS));
        }
    }
}

/// `Mᵀ x M`, to rows `row` values apart.
#[inline(always)]
fn interpolate_plane<S: Simd, M: Evaluation>(
    simd: S,
    (from, apart): (&[f32], usize),
    (to, row): (&mut [f32], usize),
    lines: &mut [f32],
) {
    let (rows, columns) = (M::ROWS, M::COLUMNS);
    let step = MAX_TILE * S::F32_LANES;
    let lines = &mut lines[..MAX_TILE * step];
    for lane in (0..LANES).step_by(S::F32_LANES) {
        for (j, line) in lines.chunks_exact_mut(step).enumerate().take(rows) {
            let x = load(simd, &from[j * apart + lane..], (rows * apart, rows));
            store(simd, interpolate::<S, M>(simd, x), line, (S::F32_LANES, columns));
        }
        for y in 0..columns {
            let x = load(simd, &lines[y * S::F32_LANES..], (step, rows));
            let values = interpolate::<S, M>(simd, x);
            store(simd, values, &mut to[y * row + lane..], (LANES, columns));
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
