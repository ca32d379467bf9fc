//! The register block of all direct kernels: `R × V` vectors of sums, each step adding `R` rows times `V`
//! vectors.

use pulp::Simd;

use super::line::ceil_div;

/// Lanes of the widest register.
pub(super) const MAX_LANES: usize = 16;

/// The number of each lane.
const LANES: [u32; MAX_LANES] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

/// The sums of a register block.
pub(super) type Sums<S, const R: usize, const V: usize> = [[<S as Simd>::f32s; V]; R];

/// `[of(0), of(1), …]`, inlined into the loops around it, which [`std::array::from_fn`] is not.
#[inline(always)]
pub(super) fn each<T: Copy, const N: usize>(fill: T, of: impl Fn(usize) -> T) -> [T; N] {
    let mut all = [fill; N];
    for (index, one) in all.iter_mut().enumerate() {
        *one = of(index);
    }
    all
}

/// Vectors of one tensor: vector `v` of step `k` begins at `at[v] + k step`, its lanes `lanes_apart` from each
/// other. Steps ascend.
#[derive(Clone, Copy)]
pub(super) struct Vectors<'a, const V: usize> {
    pub(super) values: &'a [f32],
    pub(super) at: [isize; V],
    pub(super) step: isize,
    pub(super) lanes_apart: usize,
}

impl<const V: usize> Vectors<'_, V> {
    /// Whether all vectors of `steps` steps are whole vectors of the slice.
    #[inline(always)]
    pub(super) fn are_whole<S: Simd>(&self, steps: usize) -> bool {
        let (mut lowest, mut highest) = (self.at[0], self.at[0]);
        for at in self.at {
            (lowest, highest) = (lowest.min(at), highest.max(at));
        }
        let run = (steps as isize - 1) * self.step + S::F32_LANES as isize;
        self.lanes_apart == 1 && lowest >= 0 && highest <= self.values.len() as isize - run
    }

    /// Vector `v` of step `k`, where it is whole.
    #[inline(always)]
    pub(super) fn whole<S: Simd>(&self, k: usize, v: usize) -> S::f32s {
        let at = (self.at[v] + k as isize * self.step) as usize;
        S::as_simd_f32s(&self.values[at..at + S::F32_LANES]).0[0]
    }

    /// Vector `v` of step `k`, with 0 outside the slice.
    #[inline(always)]
    pub(super) fn gathered<S: Simd>(&self, k: usize, v: usize) -> S::f32s {
        let at = self.at[v].wrapping_add((k as isize).wrapping_mul(self.step));
        let mut lanes = [0.0; MAX_LANES];
        for (lane, value) in lanes[..S::F32_LANES].iter_mut().enumerate() {
            let index = at.wrapping_add((lane * self.lanes_apart) as isize);
            *value = self.values.get(index as usize).copied().unwrap_or(0.0);
        }
        S::as_simd_f32s(&lanes[..S::F32_LANES]).0[0]
    }
}

/// Lanes below `limit` whose point `at + lane apart` is inside `0..len`.
#[inline(always)]
pub(super) fn lanes_inside<S: Simd>(simd: S, at: isize, apart: usize, len: usize, limit: usize) -> S::m32s {
    let begin = ceil_div(-at, apart).min(limit) as u32;
    let end = ceil_div(len as isize - at, apart).min(limit) as u32;
    let lanes = S::as_simd_u32s(&LANES[..S::F32_LANES]).0[0];
    let from_begin = simd.sub_u32s(lanes, simd.splat_u32s(begin));
    simd.less_than_u32s(from_begin, simd.splat_u32s(end.saturating_sub(begin)))
}

/// `sums[r][v] += row(k, r) vector(k, v)` over the steps `k`, where `keep(v, new, old)` picks the lanes that
/// count.
#[inline(always)]
pub(super) fn accumulate<S: Simd, const R: usize, const V: usize>(
    simd: S,
    sums: &mut Sums<S, R, V>,
    steps: usize,
    row: impl Fn(usize, usize) -> S::f32s,
    vector: impl Fn(usize, usize) -> S::f32s,
    keep: impl Fn(usize, S::f32s, S::f32s) -> S::f32s,
) {
    for k in 0..steps {
        let vectors: [S::f32s; V] = each(simd.splat_f32s(0.0), |v| vector(k, v));
        for (r, sums) in sums.iter_mut().enumerate() {
            let row = row(k, r);
            for (v, sum) in sums.iter_mut().enumerate() {
                *sum = keep(v, simd.mul_add_e_f32s(row, vectors[v], *sum), *sum);
            }
        }
    }
}
