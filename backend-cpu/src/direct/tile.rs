//! One register tile of forward or backward-input: `R` made channels times `V` chunks of target points.

use pulp::Simd;

use super::block::{All, MAX_LANES, Source, Sums, Vectors, each, multiply_add};
use super::line::Line;
use super::steps::Steps;
use super::terms::Terms;
use super::walk::{Chunk, Walk};
use crate::raw::Columns;

/// What the tiles of a pass over the targets of one class have in common.
#[derive(Clone, Copy)]
pub(super) struct Frame<'a, const R: usize> {
    pub(super) lines: [Line; 3],
    pub(super) terms: Terms,
    /// The weights of every term, by its number.
    pub(super) weights: &'a [[f32; R]],
    pub(super) source: &'a [f32],
    /// Where the map of the first summed channel is.
    pub(super) source_first: isize,
    /// Source values from one tap of each axis to the next.
    pub(super) source_taps: [usize; 3],
    /// Source values from one summed channel to the next.
    pub(super) source_map: usize,
    /// The bias of each made channel.
    pub(super) bias: Option<&'a [f32]>,
    /// Whether a ReLU follows.
    pub(super) relu: bool,
}

impl<const R: usize> Frame<'_, R> {
    /// Computes all chunks of the walk and writes them to `out`; the last tile is filled up.
    #[inline(always)]
    pub(super) fn tiles<S: Simd, const V: usize>(&self, simd: S, mut walk: Walk<'_>, out: &mut Columns<'_>) {
        let mut steps = Steps::<S, V>::new(simd);
        while walk.left() > 0 {
            let count = walk.left().min(V);
            let mut chunks = [Chunk::default(); V];
            for chunk in &mut chunks {
                *chunk = walk.next();
            }
            steps.set(simd, &self.lines, &self.terms, &chunks, self.source_taps);
            let sums = self.sums(simd, &chunks, &steps);
            for (v, chunk) in chunks[..count].iter().enumerate() {
                for (r, sums) in sums.iter().enumerate() {
                    self.store(simd, out, r, chunk, sums[v]);
                }
            }
        }
    }

    #[inline(always)]
    fn sums<S: Simd, const V: usize>(
        &self,
        simd: S,
        chunks: &[Chunk; V],
        steps: &Steps<S, V>,
    ) -> Sums<S, R, V> {
        let first = self.source_first.wrapping_add(steps.first);
        let at = each!(0, |v| chunks[v].source.wrapping_add(first));
        let vectors = Vectors { values: self.source, at, lanes_apart: self.lines[2].per_target };
        let last_map = self.terms.channels.len().saturating_sub(1) * self.source_map;
        match vectors.whole::<S>(last_map + steps.reach) {
            Some(whole) => self.sum(simd, steps, &whole),
            None => self.sum(simd, steps, &vectors),
        }
    }

    /// Channel by channel, tap by tap.
    #[inline(always)]
    fn sum<S: Simd, const V: usize>(
        &self,
        simd: S,
        steps: &Steps<S, V>,
        source: &impl Source<V>,
    ) -> Sums<S, R, V> {
        let zero = simd.splat_f32s(0.0);
        let mut sums = [[zero; V]; R];
        let taps = self.terms.taps_len();
        for channel in 0..self.terms.channels.len() {
            let map = channel * self.source_map;
            let weights = &self.weights[channel * taps..][..taps];
            for step in steps.all() {
                let rows = each!(zero, |r| simd.splat_f32s(weights[step.tap][r]));
                let vectors = each!(zero, |v| source.get(simd, map + step.source, v));
                multiply_add(simd, &mut sums, rows, vectors, All);
            }
            for (step, masks) in steps.masked() {
                let rows = each!(zero, |r| simd.splat_f32s(weights[step.tap][r]));
                let vectors = each!(zero, |v| source.get(simd, map + step.source, v));
                multiply_add(simd, &mut sums, rows, vectors, *masks);
            }
        }
        sums
    }

    /// Writes a vector of sums, after what the target holds, the bias and the ReLU.
    #[inline(always)]
    fn store<S: Simd>(&self, simd: S, out: &mut Columns<'_>, r: usize, chunk: &Chunk, sum: S::f32s) {
        let Chunk { lanes, point, .. } = *chunk;
        let step = self.lines[2].step;
        let row = &mut out.row(r)[point..];
        if step == 1 && lanes == S::F32_LANES {
            let target = &mut S::as_mut_simd_f32s(&mut row[..lanes]).0[0];
            *target = self.finish(simd, r, *target, sum);
            return;
        }
        if step == 1 {
            let target = &mut row[..lanes];
            let held = if self.terms.first { sum } else { simd.partial_load_f32s(target) };
            return simd.partial_store_f32s(target, self.finish(simd, r, held, sum));
        }
        let mut values = [0.0; MAX_LANES];
        let targets = row.iter_mut().step_by(step).take(lanes);
        if !self.terms.first {
            values.iter_mut().zip(targets).for_each(|(value, target)| *value = *target);
        }
        let held = S::as_simd_f32s(&values[..S::F32_LANES]).0[0];
        S::as_mut_simd_f32s(&mut values[..S::F32_LANES]).0[0] = self.finish(simd, r, held, sum);
        let targets = row.iter_mut().step_by(step).take(lanes);
        targets.zip(values).for_each(|(target, value)| *target = value);
    }

    /// The sum of made channel `r` with what its target holds, the bias and the ReLU.
    #[inline(always)]
    fn finish<S: Simd>(&self, simd: S, r: usize, held: S::f32s, sum: S::f32s) -> S::f32s {
        let mut value = if self.terms.first { sum } else { simd.add_f32s(held, sum) };
        if let Some(bias) = self.bias {
            value = simd.add_f32s(value, simd.splat_f32s(bias[r]));
        }
        if self.relu {
            let zero = simd.splat_f32s(0.0);
            value = simd.select_f32s(simd.less_than_f32s(value, zero), zero, value);
        }
        value
    }
}
