//! Four windows in a row at once, with AVX2. Both lanes of a pair of points hold what the pair has in common.

use core::arch::x86_64::{__m128, __m256, _CMP_NLE_UQ, _CMP_ORD_Q};

use pulp::x86::V3;
use pulp::{NullaryFnOnce, cast};

/// Windows that go together.
const FOUR: usize = 4;

/// Four values, and a row of the points of four windows.
type Values = [f32; FOUR];
type Points = [f32; 2 * FOUR];

/// The vectors, where the processor has them and a row of so many windows fills them.
pub(super) fn vectors(windows: usize) -> Option<V3> {
    V3::try_new().filter(|_| windows >= FOUR)
}

/// The first windows of all fours of a row. The last four are the row's last, some of them for the second time.
#[inline(always)]
fn firsts(windows: usize) -> impl Iterator<Item = usize> {
    (0..windows).step_by(FOUR).map(move |first| first.min(windows - FOUR))
}

#[inline(always)]
fn points(row: &[f32], first: usize) -> __m256 {
    let points: &Points = row[2 * first..].first_chunk().unwrap_or(&[0.0; 2 * FOUR]);
    cast(*points)
}

#[inline(always)]
fn set<const N: usize>(row: &mut [f32], first: usize, values: [f32; N]) {
    if let Some(to) = row[first..].first_chunk_mut() {
        *to = values;
    }
}

/// [`super::larger`] of eight values.
#[inline(always)]
fn larger(v3: V3, found: __m256, kept: __m256) -> __m256 {
    let number = v3.avx._mm256_cmp_ps::<_CMP_ORD_Q>(kept, kept);
    v3.avx._mm256_and_ps(number, v3.avx._mm256_cmp_ps::<_CMP_NLE_UQ>(found, kept))
}

/// Whether the second point of each pair is the larger one, and the larger one.
#[inline(always)]
fn of_pairs(v3: V3, row: __m256) -> [__m256; 2] {
    let [left, right] = [v3.avx._mm256_moveldup_ps(row), v3.avx._mm256_movehdup_ps(row)];
    let mask = larger(v3, right, left);
    [mask, v3.avx._mm256_blendv_ps(left, right, mask)]
}

/// [`super::largest`] of rows of four windows or more.
pub(super) struct Largest<'a> {
    pub(super) v3: V3,
    pub(super) windows: usize,
    pub(super) maps: &'a [f32],
    pub(super) out: &'a mut [f32],
}

impl NullaryFnOnce for Largest<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Largest { v3, windows, maps, out } = self;
        for (rows, out) in maps.chunks_exact(4 * windows).zip(out.chunks_exact_mut(windows)) {
            let (upper, lower) = rows.split_at(2 * windows);
            for first in firsts(windows) {
                let [_, upper] = of_pairs(v3, points(upper, first));
                let [_, lower] = of_pairs(v3, points(lower, first));
                let largest = v3.avx._mm256_blendv_ps(upper, lower, larger(v3, lower, upper));
                let [low, high]: [__m128; 2] = cast(largest);
                let values: Values = cast(v3.sse._mm_shuffle_ps::<0b10_00_10_00>(low, high));
                set(out, first, values);
            }
        }
    }
}

/// [`super::spread`] over rows of four windows or more.
pub(super) struct Spread<'a> {
    pub(super) v3: V3,
    pub(super) windows: usize,
    pub(super) maps: &'a [f32],
    pub(super) dy: &'a [f32],
    pub(super) dx: &'a mut [f32],
}

impl NullaryFnOnce for Spread<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Spread { v3, windows, maps, dy, dx } = self;
        let avx = v3.avx;
        let left: __m256 = cast([[!0u32, 0]; FOUR]);
        // Where the mask is set it is a pair's right point that has the gradient, else the left one.
        let placed = |gradient, mask| cast(avx._mm256_and_ps(gradient, avx._mm256_xor_ps(mask, left)));
        let rows = maps.chunks_exact(4 * windows).zip(dy.chunks_exact(windows));
        for ((rows, dy), dx) in rows.zip(dx.chunks_exact_mut(4 * windows)) {
            let (upper, lower) = rows.split_at(2 * windows);
            let (dx_upper, dx_lower) = dx.split_at_mut(2 * windows);
            for first in firsts(windows) {
                let [right_above, upper] = of_pairs(v3, points(upper, first));
                let [right_below, lower] = of_pairs(v3, points(lower, first));
                let below = larger(v3, lower, upper);
                let values: &Values = dy[first..].first_chunk().unwrap_or(&[0.0; FOUR]);
                let values: __m128 = cast(*values);
                let twice: __m256 =
                    cast([v3.sse._mm_unpacklo_ps(values, values), v3.sse._mm_unpackhi_ps(values, values)]);
                let above: Points = placed(avx._mm256_andnot_ps(below, twice), right_above);
                let under: Points = placed(avx._mm256_and_ps(below, twice), right_below);
                set(dx_upper, 2 * first, above);
                set(dx_lower, 2 * first, under);
            }
        }
    }
}
