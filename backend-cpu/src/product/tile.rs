//! Register tiles: some rows and vectors, whose sums stay in registers while their terms pass by.

use std::ops::Range;
use std::slice::Iter;

use pulp::Simd;

use super::{COMPLEX, Corner, Elements, Kind, LANES, MOST_ROWS, Product, REAL, Scalars};
use crate::counted;
use crate::raw::{Columns, prefetch};
use crate::registers::registers;

/// Terms of real numbers whose instructions stand one behind the other with 16 registers, lest the loop's own take the
/// place of multiplications. With 32 a term has enough of these; the sums of complex numbers leave no registers for that.
const UNROLLED: usize = 4;

impl<'a> Elements<'a> {
    /// Some terms of an element, in chunks of `U`.
    #[inline(always)]
    fn lines<const K: usize, const U: usize>(
        self,
        element: usize,
        terms: &Range<usize>,
    ) -> &'a [[[f32; K]; U]] {
        let lines: &[[f32; K]] = self.values[element * self.apart..].as_chunks().0;
        lines[terms.clone()].as_chunks().0
    }
}

impl Product<'_> {
    #[inline(always)]
    pub(super) fn tile<S: Simd, const K: usize>(
        &self,
        simd: S,
        corner: Corner,
        size: [usize; 2],
        out: &mut Columns<'_>,
    ) {
        macro_rules! of_rows {
            ($width:literal) => {
                match size[0] {
                    1 => self.registers::<S, K, 1, $width>(simd, corner, out),
                    2 => self.registers::<S, K, 2, $width>(simd, corner, out),
                    3 => self.registers::<S, K, 3, $width>(simd, corner, out),
                    4 => self.registers::<S, K, 4, $width>(simd, corner, out),
                    5 => self.registers::<S, K, 5, $width>(simd, corner, out),
                    _ => self.registers::<S, K, MOST_ROWS, $width>(simd, corner, out),
                }
            };
        }
        match size[1] {
            1 => of_rows!(1),
            3 if K == REAL => of_rows!(3),
            4 if K == REAL => of_rows!(4),
            _ => of_rows!(2),
        }
    }

    /// `M` rows and `N` vectors.
    #[inline(always)]
    fn registers<S: Simd, const K: usize, const M: usize, const N: usize>(
        &self,
        simd: S,
        corner: Corner,
        out: &mut Columns<'_>,
    ) {
        // Nothing more of other tiles is compiled.
        assert!(const { fits::<S>(K, [M, N]) }, "a tile of {M} x {N}");
        counted::multiplied(if K == REAL { 2 } else { 8 } * M * N * S::F32_LANES * corner.terms.len());
        let mut sums = [[[simd.splat_f32s(0.0); 2]; N]; M];
        let mut rest = corner.terms.clone();
        if const { K == REAL && registers::<S>() == 16 } {
            let whole = rest.end - rest.len() % UNROLLED;
            self.sum::<S, K, M, N, UNROLLED>(simd, &corner, rest.start..whole, &mut sums);
            rest.start = whole;
        }
        self.sum::<S, K, M, N, 1>(simd, &corner, rest, &mut sums);
        let add = self.add || corner.terms.start > 0;
        let (first, span) = (place::<S, K>(corner.vector), span::<S, K>(N));
        for (sums, row) in sums.iter().zip(out.neighbours::<M>(corner.row)) {
            let out = &mut row[first..][..span];
            for (n, sum) in sums.iter().enumerate() {
                let (at, mut sum) = (place::<S, K>(n), *sum);
                if add {
                    let held = load::<S, K>(out, at);
                    sum = [simd.add_f32s(sum[0], held[0]), simd.add_f32s(sum[1], held[1])];
                }
                store::<S, K>(out, at, sum);
            }
        }
    }

    /// The elements that a tile asks for, one at each of its terms: asked for at once they would keep the processor waiting,
    /// which has room for a dozen lines that are under way. With 16 registers there are none for this.
    #[inline(always)]
    fn ahead<S: Simd, const K: usize>(&self, corner: &Corner, first: usize) -> Iter<'_, [f32; K]> {
        let first = corner.row.div_ceil(MOST_ROWS) * self.sizes[2] + first;
        let wanted = if registers::<S>() == 16 || corner.vector > 0 { &[] } else { self.ahead };
        wanted.as_chunks().0.get(first..).unwrap_or_default().iter()
    }

    /// Adds whole chunks of `U` terms.
    #[inline(always)]
    fn sum<S: Simd, const K: usize, const M: usize, const N: usize, const U: usize>(
        &self,
        simd: S,
        corner: &Corner,
        terms: Range<usize>,
        sums: &mut [[[S::f32s; 2]; N]; M],
    ) {
        let ahead = self.ahead::<S, K>(corner, terms.start);
        let (row, right) = (corner.row, Right::<N, U, K>::new::<S>(self.right, corner.vector, &terms));
        match self.left {
            Scalars::Rows(left, apart) if K == REAL => {
                let left = &left[row * apart + terms.start..];
                by_values::<S, K, M, N, U>(simd, (left, apart), right, ahead, sums);
            }
            Scalars::Rows(left, apart) => {
                let left = &left[row * apart + terms.start / LANES * K..];
                by_elements::<S, K, M, N, U>(simd, (left, apart), right, ahead, sums);
            }
            Scalars::Terms(left) => {
                let left = left.lines::<K, U>(row / LANES, &terms);
                by_lines::<S, K, M, N, U, K>(simd, (left, row % LANES), right, ahead, sums);
            }
            Scalars::Blocks(left, apart) => {
                let left = left[row / MOST_ROWS * apart..][terms].as_chunks().0;
                by_lines::<S, K, M, N, U, MOST_ROWS>(simd, (left, 0), right, ahead, sums);
            }
        }
    }
}

/// The vectors of a tile: of each the lines of its element, in chunks of `U`.
#[derive(Clone, Copy)]
struct Right<'a, const N: usize, const U: usize, const K: usize> {
    lines: [&'a [[[f32; K]; U]]; N],
    /// Where the first vector begins in its element.
    lane: usize,
}

impl<'a, const N: usize, const U: usize, const K: usize> Right<'a, N, U, K> {
    #[inline(always)]
    fn new<S: Simd>(elements: Elements<'a>, vector: usize, terms: &Range<usize>) -> Self {
        let lane = place::<S, K>(vector) % K;
        let mut lines = [&[][..]; N];
        for (n, lines) in lines.iter_mut().enumerate() {
            *lines = elements.lines(place::<S, K>(vector + n) / K, terms);
        }
        Right { lines, lane }
    }

    /// Chunks.
    #[inline(always)]
    fn len(&self) -> usize {
        self.lines[0].len()
    }

    /// Some chunks.
    #[inline(always)]
    fn part(mut self, chunks: Range<usize>) -> Self {
        for lines in &mut self.lines {
            *lines = &lines[chunks.clone()];
        }
        self
    }

    /// The vectors of a term of a chunk.
    #[inline(always)]
    fn vectors<S: Simd>(&self, simd: S, chunk: usize, term: usize) -> [[S::f32s; 2]; N] {
        let mut vectors = [[simd.splat_f32s(0.0); 2]; N];
        for (n, vector) in vectors.iter_mut().enumerate() {
            let lane = place::<S, K>(n) % K;
            // Tiles of whole elements begin with one, and those of less have one alone.
            let (first, begin) =
                if N * S::F32_LANES < LANES { (0, self.lane) } else { (n - lane / S::F32_LANES, 0) };
            *vector = load::<S, K>(&self.lines[first][chunk][term], begin + lane);
        }
        vectors
    }
}

/// Real numbers, whose terms are neighbours: `left` begins with the first term of the first row.
#[inline(always)]
fn by_values<S: Simd, const K: usize, const M: usize, const N: usize, const U: usize>(
    simd: S,
    (left, apart): (&[f32], usize),
    right: Right<'_, N, U, K>,
    mut ahead: Iter<'_, [f32; K]>,
    sums: &mut [[[S::f32s; 2]; N]; M],
) {
    let (count, right) = (right.len(), right.part(0..right.len()));
    let mut rows = [left.as_chunks::<U>().0; M];
    for (i, row) in rows.iter_mut().enumerate() {
        *row = &left[i * apart..].as_chunks().0[..count];
    }
    for chunk in 0..count {
        for t in 0..U {
            ask(&mut ahead);
            let factors = right.vectors(simd, chunk, t);
            for (sums, row) in sums.iter_mut().zip(rows) {
                add::<S, K, N>(simd, [&row[chunk][t]; 2], factors, sums);
            }
        }
    }
}

/// Complex numbers, whose terms stand in elements and in chunks of one: `left` begins with the first one of the first row.
#[inline(always)]
fn by_elements<S: Simd, const K: usize, const M: usize, const N: usize, const U: usize>(
    simd: S,
    (left, apart): (&[f32], usize),
    right: Right<'_, N, U, K>,
    mut ahead: Iter<'_, [f32; K]>,
    sums: &mut [[[S::f32s; 2]; N]; M],
) {
    for (element, first) in (0..right.len()).step_by(LANES).enumerate() {
        let count = LANES.min(right.len() - first);
        let right = right.part(first..first + count);
        let mut rows = [[&[0.0; LANES]; 2]; M];
        for (i, [re, im]) in rows.iter_mut().enumerate() {
            let row = &left[i * apart + element * K..];
            *re = row.first_chunk().unwrap_or(re);
            *im = row[K - LANES..].first_chunk().unwrap_or(im);
        }
        for t in 0..count {
            ask(&mut ahead);
            let factors = right.vectors(simd, t, 0);
            for (sums, [re, im]) in sums.iter_mut().zip(&rows) {
                add::<S, K, N>(simd, [&re[t], &im[t]], factors, sums);
            }
        }
    }
}

/// Numbers of neighbouring rows, which are neighbours from a place of every line on; imaginary parts stand an element's
/// lanes further on.
#[inline(always)]
fn by_lines<S: Simd, const K: usize, const M: usize, const N: usize, const U: usize, const LINE: usize>(
    simd: S,
    (left, at): (&[[[f32; LINE]; U]], usize),
    right: Right<'_, N, U, K>,
    mut ahead: Iter<'_, [f32; K]>,
    sums: &mut [[[S::f32s; 2]; N]; M],
) {
    let right = right.part(0..left.len());
    for (chunk, left) in left.iter().enumerate() {
        for (t, left) in left.iter().enumerate() {
            ask(&mut ahead);
            let factors = right.vectors(simd, chunk, t);
            let (re, im) = (&left[at..][..M], &left[at + K - LANES..][..M]);
            for (sums, (re, im)) in sums.iter_mut().zip(re.iter().zip(im)) {
                add::<S, K, N>(simd, [re, im], factors, sums);
            }
        }
    }
}

/// Asks for the next element, if there is one.
#[inline(always)]
fn ask<const K: usize>(ahead: &mut Iter<'_, [f32; K]>) {
    if let Some(element) = ahead.next() {
        prefetch(element);
    }
}

/// Adds the products of a scalar. It is read where it is used: a broadcast from memory is for free, one from a register
/// takes the place of a multiplication.
#[inline(always)]
fn add<S: Simd, const K: usize, const N: usize>(
    simd: S,
    [re, im]: [&f32; 2],
    factors: [[S::f32s; 2]; N],
    sums: &mut [[S::f32s; 2]; N],
) {
    let re = simd.splat_f32s(*re);
    let im = if K == REAL { re } else { simd.splat_f32s(*im) };
    for (sum, factor) in sums.iter_mut().zip(factors) {
        *sum = multiply_add::<S, K>(simd, [re, im], factor, *sum);
    }
}

/// Whether there are such tiles: they fit the registers, and the narrower ones end with an element.
const fn fits<S: Simd>(element: usize, [rows, vectors]: [usize; 2]) -> bool {
    let kind = if element == REAL { Kind::Real } else { Kind::Complex };
    let most = kind.widest(registers::<S>());
    let ends = vectors == most[1] || vectors.is_multiple_of(LANES / S::F32_LANES);
    rows <= most[0] && vectors <= most[1] && ends
}

/// The first value of a vector among the elements of a row.
#[inline(always)]
fn place<S: Simd, const K: usize>(vector: usize) -> usize {
    let per_element = LANES / S::F32_LANES;
    vector / per_element * K + vector % per_element * S::F32_LANES
}

/// Values from the first to the last of so many vectors that begin with an element, or lie within one.
#[inline(always)]
fn span<S: Simd, const K: usize>(vectors: usize) -> usize {
    place::<S, K>(vectors - 1) + K - LANES + S::F32_LANES
}

#[inline(always)]
fn load<S: Simd, const K: usize>(values: &[f32], at: usize) -> [S::f32s; 2] {
    let im = at + K - LANES;
    let re = S::as_simd_f32s(&values[at..at + S::F32_LANES]).0[0];
    [re, if K == REAL { re } else { S::as_simd_f32s(&values[im..im + S::F32_LANES]).0[0] }]
}

#[inline(always)]
fn store<S: Simd, const K: usize>(values: &mut [f32], at: usize, sum: [S::f32s; 2]) {
    if K == COMPLEX {
        S::as_mut_simd_f32s(&mut values[at + LANES..at + LANES + S::F32_LANES]).0[0] = sum[1];
    }
    S::as_mut_simd_f32s(&mut values[at..at + S::F32_LANES]).0[0] = sum[0];
}

/// `a b + sum`, or `a b* + sum` of complex numbers.
#[inline(always)]
fn multiply_add<S: Simd, const K: usize>(
    simd: S,
    a: [S::f32s; 2],
    b: [S::f32s; 2],
    sum: [S::f32s; 2],
) -> [S::f32s; 2] {
    let re = simd.mul_add_e_f32s(a[0], b[0], sum[0]);
    if K == REAL {
        return [re, sum[1]];
    }
    let im = simd.negate_mul_add_e_f32s(a[0], b[1], sum[1]);
    [simd.mul_add_e_f32s(a[1], b[1], re), simd.mul_add_e_f32s(a[1], b[0], im)]
}
