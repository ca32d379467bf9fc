//! The register block of all direct kernels: `R × V` vectors of sums, each step adding `R` rows times `V`
//! vectors.

use pulp::Simd;

use super::count::slots;
use super::line::ceil_div;
use crate::counted;

/// Lanes of the widest register.
pub(super) const MAX_LANES: usize = 16;

/// The number of each lane.
const LANES: [u32; MAX_LANES] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

/// The sums of a register block.
pub(super) type Sums<S, const R: usize, const V: usize> = [[<S as Simd>::f32s; V]; R];

/// `each!(fill, |n| of(n))` is `[of(0), of(1), …]`. The closures of [`std::array::from_fn`] need not be inlined;
/// one that uses vectors would then be compiled for any processor and called for each of them.
macro_rules! each {
    ($fill:expr, |$n:pat_param| $of:expr) => {{
        let mut all = [$fill; _];
        for (n, one) in all.iter_mut().enumerate() {
            let $n = n;
            *one = $of;
        }
        all
    }};
}
pub(super) use each;

/// `N` vectors that move through a tensor together.
pub(super) trait Source<const N: usize> {
    /// Vector `n`, `offset` values on.
    fn get<S: Simd>(&self, simd: S, offset: usize, n: usize) -> S::f32s;
}

/// Vector `n` begins at `at[n]`, inside the tensor or not, its lanes `lanes_apart` from each other.
#[derive(Clone, Copy)]
pub(super) struct Vectors<'a, const N: usize> {
    pub(super) values: &'a [f32],
    pub(super) at: [isize; N],
    pub(super) lanes_apart: usize,
}

impl<'a, const N: usize> Vectors<'a, N> {
    /// The same, where all vectors up to `reach` values on are neighbouring values of the tensor.
    #[inline(always)]
    pub(super) fn whole<S: Simd>(&self, reach: usize) -> Option<Whole<'a, N>> {
        let (mut lowest, mut highest) = (self.at[0], self.at[0]);
        for at in self.at {
            (lowest, highest) = (lowest.min(at), highest.max(at));
        }
        let span = reach.saturating_add(S::F32_LANES);
        let room = self.values.len().checked_sub(span)?;
        if self.lanes_apart > 1 || lowest < 0 || highest as usize > room {
            return None;
        }
        Some(Whole(each!(&[][..], |n| &self.values[self.at[n] as usize..][..span])))
    }
}

/// Vectors of neighbouring values, found to be inside the tensor.
pub(super) struct Whole<'a, const N: usize>([&'a [f32]; N]);

impl<const N: usize> Source<N> for Whole<'_, N> {
    #[inline(always)]
    fn get<S: Simd>(&self, _: S, offset: usize, n: usize) -> S::f32s {
        S::as_simd_f32s(&self.0[n][offset..offset + S::F32_LANES]).0[0]
    }
}

/// Value by value where they are not all neighbours in the tensor, 0 outside.
impl<const N: usize> Source<N> for Vectors<'_, N> {
    #[inline(always)]
    fn get<S: Simd>(&self, _: S, offset: usize, n: usize) -> S::f32s {
        let first = self.at[n].wrapping_add(offset as isize) as usize;
        if self.lanes_apart == 1
            && let Some(found) = self.values.get(first..first.wrapping_add(S::F32_LANES))
        {
            return S::as_simd_f32s(found).0[0];
        }
        let mut lanes = [0.0; MAX_LANES];
        for (lane, value) in lanes[..S::F32_LANES].iter_mut().enumerate() {
            let index = self.at[n].wrapping_add(offset.wrapping_add(lane * self.lanes_apart) as isize);
            if let Some(found) = self.values.get(index as usize) {
                *value = *found;
            }
        }
        S::as_simd_f32s(&lanes[..S::F32_LANES]).0[0]
    }
}

/// Which lanes of `N` vectors count.
pub(super) trait Keep<S: Simd>: Copy {
    /// `new` in the lanes of vector `n` that count, `old` in the others.
    fn keep(self, simd: S, n: usize, new: S::f32s, old: S::f32s) -> S::f32s;
}

/// All lanes.
#[derive(Clone, Copy)]
pub(super) struct All;

impl<S: Simd> Keep<S> for All {
    #[inline(always)]
    fn keep(self, _: S, _: usize, new: S::f32s, _: S::f32s) -> S::f32s {
        new
    }
}

/// The lanes of one mask a vector.
#[derive(Clone, Copy)]
pub(super) struct Masked<S: Simd, const N: usize>(pub(super) [S::m32s; N]);

impl<S: Simd, const N: usize> Keep<S> for Masked<S, N> {
    #[inline(always)]
    fn keep(self, simd: S, n: usize, new: S::f32s, old: S::f32s) -> S::f32s {
        simd.select_f32s(self.0[n], new, old)
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

/// One step: `sums[r][v] += rows[r] vectors[v]` in the lanes that count.
#[inline(always)]
pub(super) fn multiply_add<S: Simd, const R: usize, const V: usize>(
    simd: S,
    sums: &mut Sums<S, R, V>,
    rows: [S::f32s; R],
    vectors: [S::f32s; V],
    keep: impl Keep<S>,
) {
    counted::multiplied(2 * S::F32_LANES * slots(R, V));
    for r in 0..R {
        for v in 0..V {
            let sum = simd.mul_add_e_f32s(rows[r], vectors[v], sums[r][v]);
            sums[r][v] = keep.keep(simd, v, sum, sums[r][v]);
        }
    }
}
