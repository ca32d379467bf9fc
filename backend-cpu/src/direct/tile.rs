//! One register tile of forward or backward-input: `R` made channels times `V` chunks of target points.

use pulp::{Simd, WithSimd};

use super::block::{MAX_LANES, Sums, Vectors, accumulate, each, lanes_inside};
use super::line::{Line, Span};
use super::terms::Terms;
use crate::raw::Columns;

/// Neighbouring targets along the last axis, one a lane.
#[derive(Clone, Copy, Default)]
pub(super) struct Chunk {
    /// Target of the last axis that the first lane is.
    pub(super) target: usize,
    /// Targets, at most a register of them.
    pub(super) lanes: usize,
    /// Point of the task's part of the map that the first lane is.
    pub(super) point: usize,
    /// Point of the source map that the first lane meets at tap 0 of every axis, in the map or not.
    pub(super) source: isize,
    /// Taps of the first two axes at which it meets the source.
    pub(super) taps: [Span; 2],
}

/// What the tiles of a pass have in common.
#[derive(Clone, Copy)]
pub(super) struct Frame<'a, const R: usize> {
    pub(super) lines: [Line; 3],
    pub(super) terms: Terms,
    /// The weights of every term, by its number.
    pub(super) weights: &'a [[f32; R]],
    pub(super) source: &'a [f32],
    /// Where the map of the group's first summed channel is.
    pub(super) source_first: isize,
    /// Source values from one tap of each axis to the next.
    pub(super) source_taps: [isize; 3],
    /// Source values from one summed channel to the next.
    pub(super) source_map: isize,
    /// The bias of each made channel.
    pub(super) bias: Option<&'a [f32]>,
    /// Whether a ReLU follows.
    pub(super) relu: bool,
}

/// Computes its first `count` chunks and writes them to `out`; the others fill the tile up.
pub(super) struct Tile<'t, 'a, 'c, const R: usize, const V: usize> {
    pub(super) frame: &'t Frame<'a, R>,
    pub(super) chunks: &'t [Chunk; V],
    pub(super) count: usize,
    pub(super) out: &'t mut Columns<'c>,
}

/// Taps of an axis that every lane of a tile meets, and those that some lane may meet.
#[derive(Clone, Copy)]
struct Reach {
    every: Span,
    some: Span,
}

impl Reach {
    /// With a chunk whose first and last lane meet these taps.
    #[inline(always)]
    fn with(self, first: Span, last: Span) -> Self {
        let every = Span { start: first.start, end: last.end };
        let some = Span { start: last.start, end: first.end };
        Reach { every: self.every.meet(every), some: self.some.join(some) }
    }
}

/// Steps from one term on.
struct Run {
    channel: usize,
    taps: [usize; 3],
    steps: usize,
    /// Whether every lane meets the source in all steps.
    inside: bool,
}

impl<const R: usize, const V: usize> WithSimd for Tile<'_, '_, '_, R, V> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let mut sums = [[simd.splat_f32s(0.0); V]; R];
        self.sum(simd, &mut sums);
        for (r, sums) in sums.iter().enumerate() {
            for (v, sum) in sums.iter().enumerate() {
                if v < self.count {
                    self.store(simd, r, v, *sum);
                }
            }
        }
    }
}

impl<const R: usize, const V: usize> Tile<'_, '_, '_, R, V> {
    #[inline(always)]
    fn sum<S: Simd>(&self, simd: S, sums: &mut Sums<S, R, V>) {
        let (last, terms) = (&self.frame.lines[2], &self.frame.terms);
        let [mut d, mut h, mut w] = terms.taps.map(|taps| Reach { every: taps, some: Span::NONE });
        for Chunk { target, lanes, taps, .. } in self.chunks {
            d = d.with(taps[0], taps[0]);
            h = h.with(taps[1], taps[1]);
            w = w.with(last.taps_of(*target), last.taps_of(target + lanes - 1));
        }
        let [d_some, h_some, w_some] = [d.some.meet(terms.taps[0]), h.some.meet(terms.taps[1]), w.some.meet(terms.taps[2])];
        let by_channels = terms.by_channels();
        let channel_steps = if by_channels { terms.channels.len() } else { 1 };
        for channel in (terms.channels.start..terms.channels.end).step_by(channel_steps) {
            for td in d_some.start..d_some.end {
                for th in h_some.start..h_some.end {
                    let row_inside = d.every.contains(td) && h.every.contains(th);
                    let mut tw = w_some.start;
                    while tw < w_some.end {
                        let inside = row_inside && w.every.contains(tw);
                        let tap_steps = if inside && !by_channels { w.every.end - tw } else { 1 };
                        let steps = channel_steps * tap_steps;
                        self.run(simd, sums, &Run { channel, taps: [td, th, tw], steps, inside });
                        tw += tap_steps;
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn run<S: Simd>(&self, simd: S, sums: &mut Sums<S, R, V>, run: &Run) {
        let frame = self.frame;
        let mut first = frame.source_first + run.channel as isize * frame.source_map;
        for (tap, step) in run.taps.into_iter().zip(frame.source_taps) {
            first = first.wrapping_add((tap as isize).wrapping_mul(step));
        }
        let vectors: Vectors<'_, V> = Vectors {
            values: frame.source,
            at: each(0, |v| self.chunks[v].source.wrapping_add(first)),
            step: if frame.terms.by_channels() { frame.source_map } else { frame.source_taps[2] },
            lanes_apart: frame.lines[2].per_target,
        };
        let weights = &frame.weights[frame.terms.number(run.channel, run.taps)..][..run.steps];
        let row = |k: usize, r: usize| simd.splat_f32s(weights[k][r]);
        let whole = |k: usize, v: usize| vectors.whole::<S>(k, v);
        let is_whole = vectors.are_whole::<S>(run.steps);
        if run.inside && is_whole {
            return accumulate::<S, R, V>(simd, sums, run.steps, row, whole, |_, new, _| new);
        }
        let masks = self.masks(simd, run);
        let keep = |v: usize, new: S::f32s, old: S::f32s| simd.select_f32s(masks[v], new, old);
        if is_whole {
            return accumulate::<S, R, V>(simd, sums, run.steps, row, whole, keep);
        }
        accumulate::<S, R, V>(simd, sums, run.steps, row, |k, v| vectors.gathered::<S>(k, v), keep);
    }

    /// The lanes of each chunk that meet the source in the run's first step. A run of several taps has all.
    #[inline(always)]
    fn masks<S: Simd>(&self, simd: S, run: &Run) -> [S::m32s; V] {
        let line = &self.frame.lines[2];
        each(lanes_inside(simd, 0, 1, 0, 0), |v| {
            let Chunk { target, taps, .. } = &self.chunks[v];
            let row_inside = taps[0].contains(run.taps[0]) && taps[1].contains(run.taps[1]);
            let at = line.source_of(*target) + (run.taps[2] * line.per_tap) as isize;
            lanes_inside(simd, at, line.per_target, line.len, if row_inside { S::F32_LANES } else { 0 })
        })
    }

    /// Writes a vector of sums, after what the target holds, the bias and the ReLU.
    #[inline(always)]
    fn store<S: Simd>(&mut self, simd: S, r: usize, v: usize, sum: S::f32s) {
        let Chunk { lanes, point, .. } = self.chunks[v];
        let (frame, step) = (self.frame, self.frame.lines[2].step);
        let row = &mut self.out.row(r)[point..];
        if step == 1 && lanes == S::F32_LANES {
            let target = &mut S::as_mut_simd_f32s(&mut row[..lanes]).0[0];
            *target = finish(simd, frame, r, *target, sum);
            return;
        }
        let mut values = [0.0; MAX_LANES];
        let targets = row.iter_mut().step_by(step).take(lanes);
        if !frame.terms.first {
            values.iter_mut().zip(targets).for_each(|(value, target)| *value = *target);
        }
        let finished = finish(simd, frame, r, S::as_simd_f32s(&values[..S::F32_LANES]).0[0], sum);
        S::as_mut_simd_f32s(&mut values[..S::F32_LANES]).0[0] = finished;
        let targets = row.iter_mut().step_by(step).take(lanes);
        targets.zip(values).for_each(|(target, value)| *target = value);
    }
}

/// The sum of made channel `r` with what its target holds, the bias and the ReLU.
#[inline(always)]
fn finish<S: Simd, const R: usize>(simd: S, frame: &Frame<'_, R>, r: usize, held: S::f32s, sum: S::f32s) -> S::f32s {
    let mut value = if frame.terms.first { sum } else { simd.add_f32s(held, sum) };
    if let Some(bias) = frame.bias {
        value = simd.add_f32s(value, simd.splat_f32s(bias[r]));
    }
    if frame.relu {
        let zero = simd.splat_f32s(0.0);
        value = simd.select_f32s(simd.less_than_f32s(value, zero), zero, value);
    }
    value
}
