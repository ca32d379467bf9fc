//! Transposes between rows of one map each and lane blocks.

use crate::error::{ShapeError, check_len, check_min};
use crate::tile::{TILE, Tile, TileOp, dispatch};
use crate::{COMPLEX_POINT, LANES};

/// Transposes 16 rows of 16 values: `output[c * output_stride + r] = input[r * input_stride + c]`.
///
/// The strides count values between the starts of neighbouring rows.
///
/// # Errors
/// A stride below 16 or a slice shorter than `15 * stride + 16`.
pub fn transpose16(
    input: &[f32],
    input_stride: usize,
    output: &mut [f32],
    output_stride: usize,
) -> Result<(), ShapeError> {
    check_rows(["input stride", "input length"], input_stride, input.len())?;
    check_rows(["output stride", "output length"], output_stride, output.len())?;
    dispatch(Square { input, input_stride, output, output_stride });
    Ok(())
}

/// Transposes 16 complex points of 16 lanes: lane `l` of point `p` becomes lane `p` of point `l`.
pub fn transpose_points(from: &[[f32; COMPLEX_POINT]; LANES], to: &mut [[f32; COMPLEX_POINT]; LANES]) {
    dispatch(Points { from, to });
}

/// Writes up to 16 rows of `n` values each to a lane block `[n][16]`; missing rows are zero.
///
/// Rows of `n` complex values, as `2n` f32, give a complex lane block of `n` points.
///
/// # Errors
/// More than 16 rows, rows of unequal length, or another length of `block` than `n * 16`.
pub fn interleave(rows: &[&[f32]], block: &mut [f32]) -> Result<(), ShapeError> {
    check_block(rows.iter().map(|row| row.len()), block.len())?;
    dispatch(Interleave { rows, block });
    Ok(())
}

/// Writes the first lanes of a lane block `[n][16]` to as many rows of `n` values each.
///
/// A complex lane block of `n` points gives rows of `n` complex values, as `2n` f32.
///
/// # Errors
/// More than 16 rows, rows of unequal length, or another length of `block` than `n * 16`.
pub fn deinterleave(block: &[f32], rows: &mut [&mut [f32]]) -> Result<(), ShapeError> {
    check_block(rows.iter().map(|row| row.len()), block.len())?;
    dispatch(Deinterleave { block, rows });
    Ok(())
}

/// Refuses 16 rows that overlap or reach beyond their slice.
fn check_rows(what: [&'static str; 2], stride: usize, len: usize) -> Result<(), ShapeError> {
    check_min(what[0], LANES, stride)?;
    check_min(what[1], stride.saturating_mul(LANES - 1).saturating_add(LANES), len)
}

/// Refuses rows that do not belong to a block of `block` values; without rows the block is empty.
fn check_block(rows: impl ExactSizeIterator<Item = usize> + Clone, block: usize) -> Result<(), ShapeError> {
    if rows.len() > LANES {
        return Err(ShapeError::Rows { found: rows.len() });
    }
    let n = rows.clone().next().unwrap_or(0);
    for found in rows {
        check_len("row", n, found)?;
    }
    check_len("block", n * LANES, block)
}

/// What is read of rows that are missing.
const ZERO: &[f32; TILE] = &[0.0; TILE];

/// [`transpose16`] with checked arguments.
struct Square<'a> {
    input: &'a [f32],
    input_stride: usize,
    output: &'a mut [f32],
    output_stride: usize,
}

impl TileOp for Square<'_> {
    #[inline(always)]
    fn run<T: Tile>(self, tile: T) {
        let zeros = [*ZERO; 2];
        let mut rows = [&zeros; LANES];
        for (row, input) in rows.iter_mut().zip(self.input.chunks(self.input_stride)) {
            *row = input.as_chunks().0.first_chunk().unwrap_or(*row);
        }
        let mut outputs = self.output.chunks_mut(self.output_stride);
        for half in 0..2 {
            let low = tile.transposed(tile_of(&rows, 0, half));
            let high = tile.transposed(tile_of(&rows, TILE, half));
            for i in 0..TILE {
                if let Some([a, b, ..]) = outputs.next().map(|row| row.as_chunks_mut().0) {
                    (*a, *b) = (low[i], high[i]);
                }
            }
        }
    }
}

/// Columns `8 half ..` of rows `from ..` of 16 rows of 16 values.
#[inline(always)]
fn tile_of<'a>(rows: &[&'a [[f32; TILE]; 2]; LANES], from: usize, half: usize) -> [&'a [f32; TILE]; TILE] {
    let mut tile = [ZERO; TILE];
    for i in 0..TILE {
        tile[i] = &rows[from + i][half];
    }
    tile
}

/// [`transpose_points`].
struct Points<'a> {
    from: &'a [[f32; COMPLEX_POINT]; LANES],
    to: &'a mut [[f32; COMPLEX_POINT]; LANES],
}

impl TileOp for Points<'_> {
    #[inline(always)]
    fn run<T: Tile>(self, tile: T) {
        let (from, _) = self.from.as_chunks::<TILE>();
        let (to, _) = self.to.as_chunks_mut::<TILE>();
        for (r, from) in from.iter().enumerate() {
            for (c, to) in to.iter_mut().enumerate() {
                for part in [0, LANES / TILE] {
                    let mut rows = [ZERO; TILE];
                    for i in 0..TILE {
                        rows[i] = &from[i].as_chunks().0[part + c];
                    }
                    let columns = tile.transposed(rows);
                    for i in 0..TILE {
                        to[i].as_chunks_mut().0[part + r] = columns[i];
                    }
                }
            }
        }
    }
}

/// [`interleave`] with checked arguments.
struct Interleave<'a> {
    rows: &'a [&'a [f32]],
    block: &'a mut [f32],
}

impl TileOp for Interleave<'_> {
    #[inline(always)]
    fn run<T: Tile>(self, tile: T) {
        let (points, _) = self.block.as_chunks_mut::<LANES>();
        let (tiles, rest) = points.as_chunks_mut::<TILE>();
        let tail = tiles.len() * TILE;
        let mut chunks: [&[[f32; TILE]]; LANES] = [&[]; LANES];
        for (chunks, row) in chunks.iter_mut().zip(self.rows) {
            *chunks = row.as_chunks().0;
        }
        for (t, points) in tiles.iter_mut().enumerate() {
            for half in 0..2 {
                let mut rows = [ZERO; TILE];
                for i in 0..TILE {
                    rows[i] = chunks[half * TILE + i].get(t).unwrap_or(ZERO);
                }
                let columns = tile.transposed(rows);
                for i in 0..TILE {
                    points[i].as_chunks_mut().0[half] = columns[i];
                }
            }
        }
        for (i, point) in rest.iter_mut().enumerate() {
            *point = [0.0; LANES];
            for (x, row) in point.iter_mut().zip(self.rows) {
                *x = row[tail + i];
            }
        }
    }
}

/// [`deinterleave`] with checked arguments.
struct Deinterleave<'a, 'b> {
    block: &'a [f32],
    rows: &'a mut [&'b mut [f32]],
}

impl TileOp for Deinterleave<'_, '_> {
    #[inline(always)]
    fn run<T: Tile>(self, tile: T) {
        let (points, _) = self.block.as_chunks::<LANES>();
        let (tiles, rest) = points.as_chunks::<TILE>();
        let tail = tiles.len() * TILE;
        let mut chunks: [&mut [[f32; TILE]]; LANES] = Default::default();
        for (chunks, row) in chunks.iter_mut().zip(self.rows.iter_mut()) {
            *chunks = row.as_chunks_mut().0;
        }
        for (t, points) in tiles.iter().enumerate() {
            for half in 0..2 {
                let mut rows = [ZERO; TILE];
                for i in 0..TILE {
                    rows[i] = &points[i].as_chunks().0[half];
                }
                let columns = tile.transposed(rows);
                for i in 0..TILE {
                    if let Some(place) = chunks[half * TILE + i].get_mut(t) {
                        *place = columns[i];
                    }
                }
            }
        }
        for (i, point) in rest.iter().enumerate() {
            for (row, x) in self.rows.iter_mut().zip(point) {
                row[tail + i] = *x;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(n: usize) -> Vec<f32> {
        (0..n).map(|i| i as f32).collect()
    }

    #[test]
    fn transpose16_obeys_both_strides() {
        let (input, mut output) = (values(15 * 32 + 16), vec![-1.0; 15 * 20 + 16]);
        transpose16(&input, 32, &mut output, 20).unwrap();
        for (i, x) in output.iter().enumerate() {
            let (c, r) = (i / 20, i % 20);
            assert_eq!(*x, if r < 16 { (r * 32 + c) as f32 } else { -1.0 });
        }
    }

    #[test]
    fn transpose_points_exchanges_points_and_lanes() {
        let from: [[f32; COMPLEX_POINT]; LANES] =
            std::array::from_fn(|p| std::array::from_fn(|l| (p * 100 + l) as f32));
        let mut to = [[f32::NAN; COMPLEX_POINT]; LANES];
        transpose_points(&from, &mut to);
        for (p, l) in (0..LANES).flat_map(|p| (0..LANES).map(move |l| (p, l))) {
            assert_eq!([to[l][p], to[l][LANES + p]], [from[p][l], from[p][LANES + l]]);
        }
    }

    #[test]
    fn interleave_and_deinterleave_are_inverse_for_any_rows() {
        for (maps, n) in [(16, 8), (16, 37), (1, 5), (3, 16), (9, 9), (0, 0)] {
            let data = values(maps * n);
            let rows: Vec<&[f32]> = data.chunks(n.max(1)).collect();
            let mut block = vec![f32::NAN; n * LANES];
            interleave(&rows, &mut block).unwrap();
            for (i, x) in block.iter().enumerate() {
                let (point, lane) = (i / LANES, i % LANES);
                assert_eq!(*x, if lane < maps { (lane * n + point) as f32 } else { 0.0 });
            }
            let mut back = vec![0.0; maps * n];
            let mut rows: Vec<&mut [f32]> = back.chunks_mut(n.max(1)).collect();
            deinterleave(&block, &mut rows).unwrap();
            assert_eq!(back, data);
        }
    }

    #[test]
    fn wrong_sizes_are_errors() {
        let text = |e: Result<(), ShapeError>| e.unwrap_err().to_string();
        let (x, mut y) = (values(256), values(256));
        assert_eq!(text(transpose16(&x, 15, &mut y, 16)), "input stride is 15, expected at least 16");
        assert_eq!(text(transpose16(&x, 16, &mut y, 17)), "output length is 256, expected at least 271");
        assert_eq!(text(interleave(&[&x[..2]; 17], &mut y)), "17 rows, expected at most 16");
        assert_eq!(text(interleave(&[&x[..2], &x[..3]], &mut y)), "row has length 3, expected 2");
        assert_eq!(text(interleave(&[&x[..2]], &mut y)), "block has length 256, expected 32");
        assert_eq!(text(deinterleave(&x, &mut [])), "block has length 256, expected 0");
    }
}
