//! Transposes of 8x8 tiles in registers, and the choice of the instruction set for them.

/// Rows and columns of a tile.
pub(crate) const TILE: usize = 8;

/// An instruction set that transposes tiles.
pub(crate) trait Tile: Copy {
    /// `y[c][r] = rows[r][c]`.
    fn transposed(self, rows: [&[f32; TILE]; TILE]) -> [[f32; TILE]; TILE];
}

/// A computation that is compiled for each instruction set.
pub(crate) trait TileOp {
    /// Does it; implementations are `#[inline(always)]`.
    fn run<T: Tile>(self, tile: T);
}

/// Any processor.
#[derive(Clone, Copy)]
struct Plain;

impl Tile for Plain {
    #[inline(always)]
    fn transposed(self, rows: [&[f32; TILE]; TILE]) -> [[f32; TILE]; TILE] {
        std::array::from_fn(|c| rows.map(|row| row[c]))
    }
}

/// Runs `op` with the best instruction set of this processor.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn dispatch(op: impl TileOp) {
    op.run(Plain);
}

/// Runs `op` with the best instruction set of this processor.
#[cfg(target_arch = "x86_64")]
pub(crate) fn dispatch(op: impl TileOp) {
    match pulp::Arch::new() {
        #[cfg(feature = "avx512")]
        pulp::Arch::V4(v4) => avx::run(*v4, op),
        pulp::Arch::V3(v3) => avx::run(v3, op),
        _ => op.run(Plain),
    }
}

#[cfg(target_arch = "x86_64")]
mod avx {
    //! AVX, which needs no more shuffles for four tiles than AVX-512 for one of 16x16.

    use super::{TILE, Tile, TileOp};
    use core::arch::x86_64::__m256;
    use pulp::cast;
    use pulp::x86::V3;

    struct Bound<O>(V3, O);

    impl<O: TileOp> pulp::NullaryFnOnce for Bound<O> {
        type Output = ();
        #[inline(always)]
        fn call(self) {
            self.1.run(self.0);
        }
    }

    pub(super) fn run(v3: V3, op: impl TileOp) {
        v3.vectorize(Bound(v3, op));
    }

    impl Tile for V3 {
        #[inline(always)]
        fn transposed(self, rows: [&[f32; TILE]; TILE]) -> [[f32; TILE]; TILE] {
            let [a, b, c, d] = columns(self, rows, 0);
            let [e, f, g, h] = columns(self, rows, 1);
            [a, b, c, d, e, f, g, h]
        }
    }

    /// Values `4 half .. 4 half + 4` of two rows.
    #[inline(always)]
    fn joined(low: &[f32; TILE], high: &[f32; TILE], half: usize) -> __m256 {
        cast([low.as_chunks::<4>().0[half], high.as_chunks::<4>().0[half]])
    }

    /// Columns `4 half .. 4 half + 4` of a tile, from 4x4 transposes in both halves of registers.
    #[inline(always)]
    fn columns(v3: V3, rows: [&[f32; TILE]; TILE], half: usize) -> [[f32; TILE]; 4] {
        let mut x: [__m256; 4] = [joined(rows[0], rows[4], half); 4];
        for i in 1..4 {
            x[i] = joined(rows[i], rows[i + 4], half);
        }
        let (avx, [a, b, c, d]) = (v3.avx, x);
        let (ab, cd) = (avx._mm256_unpacklo_ps(a, b), avx._mm256_unpacklo_ps(c, d));
        let (ab_high, cd_high) = (avx._mm256_unpackhi_ps(a, b), avx._mm256_unpackhi_ps(c, d));
        [
            cast(avx._mm256_shuffle_ps::<0x44>(ab, cd)),
            cast(avx._mm256_shuffle_ps::<0xEE>(ab, cd)),
            cast(avx._mm256_shuffle_ps::<0x44>(ab_high, cd_high)),
            cast(avx._mm256_shuffle_ps::<0xEE>(ab_high, cd_high)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Check;

    impl TileOp for Check {
        fn run<T: Tile>(self, tile: T) {
            let rows: [[f32; 8]; 8] = std::array::from_fn(|r| std::array::from_fn(|c| (8 * r + c) as f32));
            let y = tile.transposed(rows.each_ref());
            assert_eq!(y, std::array::from_fn(|c| std::array::from_fn(|r| (8 * r + c) as f32)));
        }
    }

    #[test]
    fn tiles_are_transposed() {
        Check.run(Plain);
        dispatch(Check);
    }
}
