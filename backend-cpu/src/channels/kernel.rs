//! The register tiles: 16 made channels of a point in the lanes.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use super::value::{Element, Value};
use crate::counted;
use crate::product::LANES;
use crate::registers::registers;
use crate::split::blocks;

/// Greatest step between the values that neighbouring targets meet.
pub(crate) const MOST_STEP: usize = 2;

/// Columns of the widest tile of one row of one block.
const MOST_COLUMNS: usize = 14;

/// Columns of the widest tile of two vectors.
const MOST_SHARED: usize = 12;

/// Columns of the widest tile of so many rows and vectors: sums that leave registers for the weights of a run, or of a tap
/// where two vectors have 16 registers, and what they meet.
const fn widest(registers: usize, [rows, vectors]: [usize; 2]) -> usize {
    match (registers, vectors) {
        (32.., 1) => MOST_COLUMNS / rows,
        (32.., _) => MOST_SHARED,
        (16.., 1) => (MOST_COLUMNS - RUN + 1) / rows,
        (16.., _) => MOST_SHARED / 2,
        _ => 1,
    }
}

/// Targets of the longest rows that are made by twos: the sums of longer ones do not wait for each other.
pub(super) const LONGEST_PAIR: usize = MOST_COLUMNS / 2;

/// Taps whose sources are neighbours and are loaded once for all: each meets a neighbouring target at the next tap.
const RUN: usize = 3;

/// Taps of a row, and rows of taps, of the largest tile of [`Sum`]: 14 sums at most fit 16 registers.
const MOST_TAPS: usize = 7;
const MOST_ROWS: usize = 3;
const MOST_SUMS: usize = 14;

/// Neighbouring gradients that a tile of [`Sum`] takes at once.
const SHARED: usize = 4;

/// Taps of a row whose sums, and those of another row, leave none of 16 registers to what neighbouring gradients share.
const ALONE: usize = 6;

/// Sums that are added to at the same time without waiting for each other.
const BUSY: usize = 8;

/// Multiply-adds of a term that could be made while the tiles of a row of a block wait, where short rows are made by
/// pairs, or two blocks share what they meet.
pub(super) fn idle(targets: usize, pairs: bool, shared: bool) -> f64 {
    let (most, together) = match (shared, pairs && targets <= LONGEST_PAIR) {
        (true, _) => (MOST_SHARED, 2),
        (_, true) => (MOST_COLUMNS, 2),
        _ => (MOST_COLUMNS, 1),
    };
    let of = |range: Range<usize>| BUSY.saturating_sub(range.len() * together);
    blocks(targets, most).map(of).sum::<usize>() as f64 / together as f64
}

/// Tiles of a row of a block of channels that meet one value for all lanes, half of each that two blocks share.
pub(super) fn tiles(lanes: usize, targets: usize, shared: bool) -> f64 {
    let (columns, blocks) = match (lanes >= LANES, shared) {
        (true, true) => (widest(32, [1, 2]), 2.0),
        (true, false) => (widest(32, [1, 1]), 1.0),
        (false, _) => (widest(16, [1, 2]), 1.0),
    };
    targets.div_ceil(columns) as f64 / blocks
}

/// Where a tap or a row of taps is: elements from the first, and its number among the weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) source: usize,
    pub(crate) weight: usize,
}

/// Taps of a row, all one by one; or by [`RUN`]s of neighbouring sources and alone.
#[derive(Debug)]
pub(super) struct Columns {
    all: Vec<[Place; 1]>,
    runs: Vec<[Place; RUN]>,
    alone: Vec<[Place; 1]>,
}

impl Columns {
    pub(super) fn new(mut taps: Vec<Place>) -> Columns {
        taps.sort_by_key(|tap| tap.source);
        let all = taps.iter().map(|tap| [*tap]).collect();
        let mut columns = Columns { all, runs: Vec::new(), alone: Vec::new() };
        let mut rest = &taps[..];
        while let Some((first, others)) = rest.split_first() {
            let run = rest.first_chunk().filter(|run: &&[Place; RUN]| {
                run.iter().zip(first.source..).all(|(tap, source)| tap.source == source)
            });
            match run {
                Some(run) => {
                    columns.runs.push(*run);
                    rest = &rest[RUN..];
                }
                None => {
                    columns.alone.push([*first]);
                    rest = others;
                }
            }
        }
        columns
    }
}

/// A row of targets of each block of made channels:
/// `to[apart t] = bias + Σ weights[channel points + row + column] source[channel map + row + column + step t]`.
pub(super) struct Row<'a, T> {
    pub(super) source: &'a [T],
    /// Of all blocks, one after the other.
    pub(super) weights: &'a [Element],
    /// Summed channels; values of the source, and weights, of one.
    pub(super) channels: usize,
    pub(super) map: usize,
    pub(super) points: usize,
    pub(super) rows: &'a [Place],
    pub(super) columns: &'a Columns,
    /// Values from what a target meets to what the next one meets.
    pub(super) step: usize,
    /// One a block.
    pub(super) biases: &'a [Element],
    pub(super) relu: bool,
    pub(super) to: &'a mut [Element],
    /// Targets from one block to the next, and from one target to the next.
    pub(super) block: usize,
    pub(super) apart: usize,
    pub(super) targets: usize,
    /// The row below that meets the same taps and is made with it: values of the source, and targets, to it. None where
    /// there are two blocks.
    pub(super) below: Option<[usize; 2]>,
}

impl<T: Value> Row<'_, T> {
    /// Computes it with the widest vectors there are.
    pub(super) fn run(self) {
        Arch::new().dispatch(self);
    }
}

impl<T: Value> WithSimd for Row<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        // Vectors that meet the same values share them. What a constant excludes is not compiled.
        if const { T::CHANNELS > 1 } {
            match self.step {
                1 => self.tiles::<S, 1, 1, 1>(simd),
                _ => self.tiles::<S, MOST_STEP, 1, 1>(simd),
            }
        } else if self.below.is_some() {
            self.tiles::<S, 1, 2, 1>(simd);
        } else if const { registers::<S>() > 0 && parts::<S>() > 1 }
            || const { registers::<S>() > 0 } && self.biases.len() > 1
        {
            self.tiles::<S, 1, 1, 2>(simd);
        } else {
            self.tiles::<S, 1, 1, 1>(simd);
        }
    }
}

/// Calls `$self.tile` for as many columns as the range has.
macro_rules! of_len {
    ($self:ident, $simd:ident, $vector:ident, $range:expr, $($len:literal),*) => {
        match $range.len() {
            $($len => $self.tile::<S, STEP, ROWS, VECTORS, $len>($simd, $vector, $range.start),)*
            _ => unreachable!("a tile of 1 to {MOST_COLUMNS} columns"),
        }
    };
}

impl<T: Value> Row<'_, T> {
    #[inline(always)]
    fn tiles<S: Simd, const STEP: usize, const ROWS: usize, const VECTORS: usize>(&mut self, simd: S) {
        for range in blocks(self.targets, widest(registers::<S>(), [ROWS, VECTORS])) {
            for vector in (0..self.biases.len() * parts::<S>()).step_by(VECTORS) {
                of_len!(self, simd, vector, range, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14);
            }
        }
    }

    /// `X` targets of each row and vector, from number `first` and from this vector of the blocks on.
    #[inline(always)]
    fn tile<S: Simd, const STEP: usize, const ROWS: usize, const VECTORS: usize, const X: usize>(
        &mut self,
        simd: S,
        vector: usize,
        first: usize,
    ) {
        // Nothing more of a tile that is wider than its registers is compiled.
        assert!(
            const { X <= widest(registers::<S>(), [ROWS, VECTORS]) },
            "a tile of {VECTORS} x {ROWS} x {X}"
        );
        let terms = self.channels * self.rows.len() * self.columns.all.len();
        counted::multiplied(2 * S::F32_LANES * ROWS * VECTORS * X * terms);
        let ([below, to_below], len) = (self.below.unwrap_or_default(), self.channels * self.points);
        let of = |number: usize| [(vector + number) / parts::<S>(), (vector + number) % parts::<S>()];
        // With 16 registers two vectors have none left for the weights of a run.
        let Columns { all, runs, alone } = self.columns;
        let by_runs = VECTORS == 1 || registers::<S>() >= 32;
        let (runs, alone) = if by_runs { (&runs[..], alone) } else { (&[][..], all) };
        // Loops over the sums are of constant length, lest these be kept in memory.
        let mut sums = [[[simd.splat_f32s(0.0); X]; VECTORS]; ROWS];
        for channel in 0..self.channels {
            let source = &self.source[channel * self.map + first * STEP..];
            let mut weights = [(&[][..], 0); VECTORS];
            for (number, weights) in weights.iter_mut().enumerate() {
                let [block, part] = of(number);
                *weights = (&self.weights[block * len + channel * self.points..][..self.points], part);
            }
            for row in self.rows {
                for taps in runs {
                    add::<S, T, STEP, ROWS, VECTORS, X, RUN>(
                        simd,
                        (source, weights),
                        row,
                        taps,
                        below,
                        &mut sums,
                    );
                }
                for tap in alone {
                    add::<S, T, STEP, ROWS, VECTORS, X, 1>(
                        simd,
                        (source, weights),
                        row,
                        tap,
                        below,
                        &mut sums,
                    );
                }
            }
        }
        for (row, sums) in sums.iter().enumerate() {
            for (number, sums) in sums.iter().enumerate() {
                let [block, part] = of(number);
                let begin = block * self.block + row * to_below + first * self.apart;
                let (zero, bias) = (simd.splat_f32s(0.0), self.biases[block].vector(simd, part));
                for (sum, to) in sums.iter().zip(self.to[begin..].iter_mut().step_by(self.apart)) {
                    let sum = simd.add_f32s(*sum, bias);
                    let kept = simd.select_f32s(simd.less_than_f32s(sum, zero), zero, sum);
                    S::as_mut_simd_f32s(to).0[part] = if self.relu { kept } else { sum };
                }
            }
        }
    }
}

/// Vectors of a block.
const fn parts<S: Simd>() -> usize {
    LANES / S::F32_LANES
}

/// Adds what `X` targets of each row and vector meet at `J` neighbouring taps; the rows' sources are `below` values apart.
/// Weights are those of a block, and the vector among them.
#[inline(always)]
fn add<
    S: Simd,
    T: Value,
    const STEP: usize,
    const ROWS: usize,
    const VECTORS: usize,
    const X: usize,
    const J: usize,
>(
    simd: S,
    (source, weights): (&[T], [(&[Element], usize); VECTORS]),
    row: &Place,
    taps: &[Place; J],
    below: usize,
    sums: &mut [[[S::f32s; X]; VECTORS]; ROWS],
) {
    let mut factors = [[simd.splat_f32s(0.0); J]; VECTORS];
    for (factors, (weights, part)) in factors.iter_mut().zip(weights) {
        for (factor, tap) in factors.iter_mut().zip(taps) {
            *factor = weights[row.weight + tap.weight].vector(simd, part);
        }
    }
    for (number, sums) in sums.iter_mut().enumerate() {
        let met = &source[row.source + taps[0].source + number * below..][..(X - 1) * STEP + J];
        for x in 0..X {
            for (j, met) in met[x * STEP..][..J].iter().enumerate() {
                let met = met.vector(simd, weights[0].1);
                for (sums, factors) in sums.iter_mut().zip(&factors) {
                    sums[x] = simd.mul_add_e_f32s(factors[j], met, sums[x]);
                }
            }
        }
    }
}

/// Rows of a source and of gradients that meet: `sums[tap] += Σ source[row + tap + step t] gradient[row + t]`.
pub(super) struct Sum<'a, T> {
    pub(super) source: &'a [T],
    pub(super) gradient: &'a [Element],
    /// The first values of rows of the source and of the gradient.
    pub(super) rows: &'a [[usize; 2]],
    /// Gradients of a row.
    pub(super) targets: usize,
    /// Values from what a gradient meets to what the next one meets.
    pub(super) step: usize,
    /// Rows of taps, and the neighbouring taps of each.
    pub(super) taps: [usize; 2],
    /// Values from one row of taps to the next.
    pub(super) apart: usize,
    /// `[row][tap]`, rows so many taps apart.
    pub(super) sums: (&'a mut [Element], usize),
}

/// Taps of a row, so far apart, in blocks of neighbours, and the rows that go with a block.
pub(super) fn tap_blocks(taps: usize, dilation: usize) -> impl Iterator<Item = (Range<usize>, usize)> {
    let most = if dilation == 1 { MOST_TAPS } else { 1 };
    blocks(taps, most).map(|range| (range.clone(), (MOST_SUMS / range.len()).clamp(1, MOST_ROWS)))
}

impl<T: Value> Sum<'_, T> {
    /// Computes it with the widest vectors there are.
    pub(super) fn run(self) {
        Arch::new().dispatch(self);
    }
}

impl<T: Value> WithSimd for Sum<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        match self.step {
            1 => self.tiles::<S, true>(simd),
            _ => self.tiles::<S, false>(simd),
        }
    }
}

/// Calls `$self.tile` for so many rows of taps and taps.
macro_rules! of_size {
    ($self:ident, $simd:ident, $sizes:expr, $($rows:literal $taps:literal),*) => {
        match $sizes {
            $([$rows, $taps] => $self.tile::<S, UNIT, $rows, $taps>($simd),)*
            _ => unreachable!("a tile of at most {MOST_SUMS} sums"),
        }
    };
}

impl<T: Value> Sum<'_, T> {
    #[inline(always)]
    fn tiles<S: Simd, const UNIT: bool>(&mut self, simd: S) {
        of_size!(
            self, simd, self.taps, 1 1, 1 2, 1 3, 1 4, 1 5, 1 6, 1 7, 2 1, 2 2, 2 3, 2 4, 2 5, 2 6, 2 7, 3 1, 3 2, 3 3, 3 4
        )
    }

    /// `K` rows of `J` taps, where the step is 1 or any other.
    #[inline(always)]
    fn tile<S: Simd, const UNIT: bool, const K: usize, const J: usize>(&mut self, simd: S) {
        if const { UNIT && K > 1 && registers::<S>() == 16 && J >= ALONE } {
            for k in 0..K {
                let (source, sums) = (&self.source[k * self.apart..], &mut self.sums.0[k * self.sums.1..]);
                let row = Sum { source, taps: [1, J], sums: (sums, self.sums.1), ..*self };
                { row }.tile::<S, UNIT, 1, J>(simd);
            }
            return;
        }
        let (len, step) = (self.targets, if UNIT { 1 } else { self.step });
        counted::multiplied(2 * LANES * K * J * self.rows.len() * len);
        for part in 0..LANES / S::F32_LANES {
            let mut sums = [[simd.splat_f32s(0.0); J]; K];
            for [source, gradient] in self.rows {
                let gradient = &self.gradient[*gradient..][..len];
                let mut met = [&[][..]; K];
                for (k, met) in met.iter_mut().enumerate() {
                    *met = &self.source[source + k * self.apart..][..(len - 1) * step + J];
                }
                // Neighbouring gradients share what they meet.
                let (mut fours, mut rest) = (&[][..], gradient);
                if const { UNIT && registers::<S>() > 0 } {
                    (fours, rest) = gradient.as_chunks::<SHARED>();
                    for (number, four) in fours.iter().enumerate() {
                        for (sums, met) in sums.iter_mut().zip(met) {
                            let met = &met[number * SHARED..][..SHARED + J - 1];
                            for (t, gradient) in four.iter().enumerate() {
                                let gradient = gradient.vector(simd, part);
                                for (sum, met) in sums.iter_mut().zip(&met[t..]) {
                                    *sum = simd.mul_add_e_f32s(gradient, met.vector(simd, part), *sum);
                                }
                            }
                        }
                    }
                }
                for (t, gradient) in rest.iter().enumerate() {
                    let (at, gradient) = ((fours.len() * SHARED + t) * step, gradient.vector(simd, part));
                    for (sums, met) in sums.iter_mut().zip(met) {
                        let met = met[at..].first_chunk::<J>().expect("taps of the row");
                        for (sum, met) in sums.iter_mut().zip(met) {
                            *sum = simd.mul_add_e_f32s(gradient, met.vector(simd, part), *sum);
                        }
                    }
                }
            }
            for (sums, to) in sums.iter().zip(self.sums.0.chunks_mut(self.sums.1)) {
                for (sum, to) in sums.iter().zip(to) {
                    let to = &mut S::as_mut_simd_f32s(to).0[part];
                    *to = simd.add_f32s(*to, *sum);
                }
            }
        }
    }
}
