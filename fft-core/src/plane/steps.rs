//! The steps of a map's transform: strips of columns, tiles transposed, rows.

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::PlaneFft;
use super::nyquist::{join_columns, separate_columns};
use crate::arith::twisted;
use crate::pass::{load, store};
use crate::transpose::transpose_points;
use crate::{COMPLEX_POINT, LANES, Point};
use num_complex::Complex;

impl PlaneFft {
    /// Scratch as columns of a strip, the strip, and the scratch of lines.
    fn divide<'s>(&self, scratch: &'s mut [f32]) -> (&'s mut [Point], &'s mut [f32], &'s mut [f32]) {
        let (columns, rest) = scratch.split_at_mut(self.sizes().column_points() * COMPLEX_POINT);
        let (strip, rest) = rest.split_at_mut(self.points[1] * LANES);
        (columns.as_chunks_mut().0, strip, rest)
    }

    /// The lines of axis 0 of a strip; `swap` makes it the inverse.
    #[inline(always)]
    fn along_depth<S: Simd>(&self, simd: S, swap: bool, columns: &mut [Point], scratch: &mut [f32]) {
        let [n0, ..] = self.points;
        let stride = self.sizes().columns_apart();
        if n0 > 1 {
            for k1 in 0..self.sizes().in_blocks() {
                let line = &mut columns[k1..][..(n0 - 1) * stride + 1];
                self.depth.in_place(simd, swap, line, stride, scratch);
            }
        }
    }

    /// Calls `visit(columns of a block, row of the block)` for every block of 16 frequencies of axis 1, where a row
    /// begins at column `x`.
    fn tiles(
        &self,
        columns: &mut [Point],
        spectrum: &mut [Point],
        x: usize,
        mut visit: impl FnMut(&mut [Point], &mut [Point]),
    ) {
        let (apart, blocks, n2) = (self.sizes().columns_apart(), self.sizes().blocks(), self.points[2]);
        for (columns, lines) in columns.chunks_exact_mut(apart).zip(spectrum.chunks_exact_mut(blocks * n2)) {
            for (block, line) in columns.chunks_exact_mut(LANES).zip(lines.chunks_exact_mut(n2)) {
                let end = (x + LANES).min(n2);
                visit(block, &mut line[x..end]);
            }
        }
    }
}

/// Multiplies the points of a row by the factors, or by their conjugates.
#[inline(always)]
fn multiply<S: Simd>(simd: S, row: &mut [Point], factors: &[Point], conjugate: bool) {
    for (point, factor) in row.iter_mut().zip(factors) {
        for part in 0..LANES / S::F32_LANES {
            let (a, w) = (load::<S>(false, point, part), load::<S>(false, factor, part));
            let w = if conjugate { Complex { re: w.re, im: simd.neg_f32s(w.im) } } else { w };
            store::<S>(false, point, part, twisted(simd, a, w));
        }
    }
}

/// Transposes up to 16 points of a row to or from a full tile.
fn transposed(from: &[Point], to: &mut [Point]) {
    match (from.as_array(), to.as_mut_array()) {
        (Some(from), Some(to)) => transpose_points(from, to),
        _ => {
            let (mut tile, mut turned) = ([[0.0; COMPLEX_POINT]; LANES], [[0.0; COMPLEX_POINT]; LANES]);
            tile[..from.len()].copy_from_slice(from);
            transpose_points(&tile, &mut turned);
            to.copy_from_slice(&turned[..to.len()]);
        }
    }
}

/// Copies less than 16 values, without a call or a loop: the ends of 8, 4 or 2, which may overlap.
#[inline(always)]
fn copy(from: &[f32], to: &mut [f32]) {
    if ends::<8>(from, to) || ends::<4>(from, to) || ends::<2>(from, to) {
        return;
    }
    if let (Some(to), Some(from)) = (to.first_mut(), from.first()) {
        *to = *from;
    }
}

/// Copies the first and the last `N` values, if there are as many.
#[inline(always)]
fn ends<const N: usize>(from: &[f32], to: &mut [f32]) -> bool {
    let (Some(first), Some(last)) = (from.first_chunk::<N>(), from.last_chunk::<N>()) else { return false };
    if let Some(to) = to.first_chunk_mut() {
        *to = *first;
    }
    if let Some(to) = to.last_chunk_mut() {
        *to = *last;
    }
    true
}

/// Where values without gaps stand among the points.
#[derive(Clone)]
pub(super) struct Placed {
    pub(super) at: [Range<usize>; 3],
    /// Points of a row, where the last axis is folded into rows.
    pub(super) folded: Option<usize>,
}

/// Some of the 16 columns of a strip in neighbouring rows: the first's place among the values, and how far the next
/// row's is.
struct Part {
    rows: Range<usize>,
    lanes: Range<usize>,
    first: usize,
    apart: usize,
}

impl Part {
    const NONE: Part = Part { rows: 0..0, lanes: 0..0, first: 0, apart: 0 };
}

impl Placed {
    /// What of rows `rows` and of the 16 columns from `x` on of slice `z` has a value. Where an axis is folded: a row that
    /// values begin in, those that have a value in all columns, and a row that values end in.
    #[inline(always)]
    fn parts(&self, z: usize, rows: Range<usize>, x: usize) -> [Part; 3] {
        let [a, b, c] = &self.at;
        let columns = |x: usize| c.start.max(x)..c.end.min(x + LANES);
        let Some(width) = self.folded else {
            let (rows, columns) = (b.start.max(rows.start)..b.end.min(rows.end), columns(x));
            if columns.is_empty() || !a.contains(&z) {
                return [Part::NONE; 3];
            }
            let row = (z - a.start) * b.len() + rows.start.saturating_sub(b.start);
            let first = row * c.len() + columns.start - c.start;
            let lanes = columns.start - x..columns.end - x;
            return [Part { rows, lanes, first, apart: c.len() }, Part::NONE, Part::NONE];
        };
        let begin = c.start.saturating_sub(x).div_ceil(width).clamp(rows.start, rows.end);
        let end = c.end.checked_sub(x + LANES).map_or(0, |rest| rest / width + 1).clamp(begin, rows.end);
        let row = |row: usize| {
            let columns = columns(row * width + x);
            if columns.is_empty() || !rows.contains(&row) {
                return Part::NONE;
            }
            let lanes = columns.start - row * width - x..columns.end - row * width - x;
            Part { rows: row..row + 1, lanes, first: columns.start - c.start, apart: 0 }
        };
        let first = (begin * width + x).saturating_sub(c.start);
        let whole = Part { rows: begin..end, lanes: 0..LANES, first, apart: width };
        [begin.checked_sub(1).map_or(Part::NONE, row), whole, row(end)]
    }
}

/// [`PlaneFft::forward`] with checked arguments.
pub(super) struct Forward<'a> {
    pub(super) plan: &'a PlaneFft,
    pub(super) support: [Range<usize>; 3],
    pub(super) values: &'a [f32],
    pub(super) placed: Placed,
    pub(super) spectrum: &'a mut [Point],
    pub(super) scratch: &'a mut [f32],
}

impl Forward<'_> {
    /// Copies the strip that begins with column `x` of slice `z`.
    #[inline(always)]
    fn gather<S: Simd>(&self, simd: S, z: usize, x: usize, strip: &mut [f32]) {
        let strip = strip.as_chunks_mut::<LANES>().0;
        let mut done = 0;
        for Part { rows, lanes, mut first, apart } in self.placed.parts(z, self.support[1].clone(), x) {
            if rows.is_empty() {
                continue;
            }
            strip[done..rows.start].fill([0.0; LANES]);
            done = rows.end;
            let whole = lanes.len() == LANES;
            let mut inside = [0; LANES];
            inside[lanes.clone()].fill(u32::MAX);
            for to in &mut strip[rows] {
                let begin = first.checked_sub(lanes.start);
                match begin.and_then(|begin| self.values[begin..].first_chunk::<LANES>()) {
                    Some(from) if whole => *to = *from,
                    Some(from) => {
                        for part in 0..LANES / S::F32_LANES {
                            let from = simd.transmute_u32s_f32s(S::as_simd_f32s(from).0[part]);
                            let kept = simd.and_u32s(from, S::as_simd_u32s(&inside).0[part]);
                            S::as_mut_simd_f32s(to).0[part] = simd.transmute_f32s_u32s(kept);
                        }
                    }
                    None => {
                        *to = [0.0; LANES];
                        copy(&self.values[first..][..lanes.len()], &mut to[lanes.clone()]);
                    }
                }
                first += apart;
            }
        }
        strip[done..self.support[1].end].fill([0.0; LANES]);
    }
}

impl WithSimd for Forward<'_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let plan = self.plan;
        let (columns, strip, rest) = plan.divide(std::mem::take(&mut self.scratch));
        let (sizes, end) = (plan.sizes(), self.support[2].end);
        let (spectrum, nyquists) = std::mem::take(&mut self.spectrum).split_at_mut(sizes.block_points());
        let rows = sizes.columns_apart();
        columns.fill([0.0; COMPLEX_POINT]);
        for x in (0..end).step_by(LANES) {
            columns[self.support[0].end * rows..].fill([0.0; COMPLEX_POINT]);
            for z in self.support[0].clone() {
                self.gather(simd, z, x, strip);
                let column = &mut columns[z * rows..][..sizes.half()];
                plan.column.forward(simd, self.support[1].end, strip, column, rest);
                if sizes.nyquist_apart() {
                    join_columns(column);
                }
            }
            plan.along_depth(simd, false, columns, rest);
            plan.tiles(columns, spectrum, x, |columns, row| transposed(columns, row));
        }
        let (n2, filled) = (plan.points[2], end.next_multiple_of(LANES).min(plan.points[2]));
        for (number, row) in spectrum.chunks_exact_mut(n2).enumerate() {
            row[filled..].fill([0.0; COMPLEX_POINT]);
            if let Some(twist) = &plan.twist {
                multiply(simd, &mut row[..filled], &twist[number * n2..], false);
            }
            plan.row.in_place(simd, false, row, 1, rest);
        }
        if sizes.nyquist_apart() {
            sizes.separate(spectrum, nyquists);
        }
    }
}

/// [`PlaneFft::inverse`] with checked arguments.
pub(super) struct Inverse<'a> {
    pub(super) plan: &'a PlaneFft,
    pub(super) crop: [Range<usize>; 3],
    pub(super) spectrum: &'a [Point],
    pub(super) values: &'a mut [f32],
    pub(super) placed: Placed,
    pub(super) scratch: &'a mut [f32],
}

impl Inverse<'_> {
    /// Copies the strip, scaled, to where the columns from `x` on of slice `z` are kept.
    #[inline(always)]
    fn scatter<S: Simd>(&mut self, simd: S, z: usize, x: usize, strip: &[f32]) {
        let (strip, scale) = (strip.as_chunks::<LANES>().0, simd.splat_f32s(self.plan.scale()));
        for Part { rows, lanes, mut first, apart } in self.placed.parts(z, self.crop[1].clone(), x) {
            for from in &strip[rows] {
                let mut scaled = [0.0; LANES];
                let parts = S::as_mut_simd_f32s(&mut scaled).0.iter_mut();
                for (to, from) in parts.zip(S::as_simd_f32s(from).0) {
                    *to = simd.mul_f32s(*from, scale);
                }
                let to = &mut self.values[first..][..lanes.len()];
                match to.as_mut_array() {
                    Some(to) => *to = scaled,
                    None => copy(&scaled[lanes.clone()], to),
                }
                first += apart;
            }
        }
    }
}

impl WithSimd for Inverse<'_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let (plan, sizes) = (self.plan, self.plan.sizes());
        let (spectrum, nyquists) = self.spectrum.split_at(sizes.block_points());
        let scratch = std::mem::take(&mut self.scratch);
        let (lines, scratch) = scratch.split_at_mut(sizes.block_points() * COMPLEX_POINT);
        let lines: &mut [Point] = lines.as_chunks_mut().0;
        let (columns, strip, rest) = plan.divide(scratch);
        let (n2, rows) = (plan.points[2], sizes.columns_apart());
        let kept = &self.crop[2];
        let (begin, end) = (kept.start / LANES * LANES, kept.end.next_multiple_of(LANES).min(n2));
        for (number, (from, row)) in spectrum.chunks_exact(n2).zip(lines.chunks_exact_mut(n2)).enumerate() {
            if sizes.nyquist_apart() && number.is_multiple_of(sizes.blocks()) {
                row.copy_from_slice(from);
                sizes.join(number / sizes.blocks(), spectrum, nyquists, row);
                plan.row.in_place(simd, true, row, 1, rest);
            } else {
                plan.row.apart(simd, true, from, row, rest);
            }
            if let Some(twist) = &plan.twist {
                multiply(simd, &mut row[begin..end], &twist[number * n2 + begin..], true);
            }
        }
        for x in (begin..end).step_by(LANES) {
            plan.tiles(columns, lines, x, |columns, row| transposed(row, columns));
            plan.along_depth(simd, true, columns, rest);
            for z in self.crop[0].clone() {
                let column = &mut columns[z * rows..][..sizes.half()];
                if sizes.nyquist_apart() {
                    separate_columns(column);
                }
                plan.column.inverse(simd, column, strip, rest);
                self.scatter(simd, z, x, strip);
            }
        }
    }
}
