//! Frequency `n1/2` of axis 1, where it alone would begin a block of 16.
//!
//! The lines of frequencies 0 and `n1/2` are real before they are transformed along the other axes. So they are
//! transformed as real and imaginary part of one line, `F = D + iN`, and `D(k) = (F(k) + F(-k)*) / 2`,
//! `N(k) = (F(k) - F(-k)*) / 2i`. Half the spectrum of `N`, frequencies 0 to `n2/2` of axis 2 for each of axis 0, stands
//! behind the blocks, 16 neighbouring frequencies in the lanes.

use num_complex::Complex;

use super::Sizes;
use crate::{COMPLEX_POINT, LANES, Point};

/// Additions and multiplications of a pair of points that are separated, and of a point that is made of two.
const SEPARATE_FLOPS: u64 = 8;
const JOIN_FLOPS: u64 = 6;

/// The first lane.
fn first(point: &Point) -> Complex<f32> {
    Complex::new(point[0], point[LANES])
}

fn set_lane(point: &mut Point, lane: usize, value: Complex<f32>) {
    (point[lane], point[LANES + lane]) = (value.re, value.im);
}

/// The line of frequency `n1/2` of a column becomes the imaginary part of that of frequency 0.
pub(super) fn join_columns(column: &mut [Point]) {
    let [zero, .., nyquist] = column else { return };
    zero[LANES..].copy_from_slice(&nyquist[..LANES]);
}

/// What [`join_columns`] undoes, after an inverse along the other axes.
pub(super) fn separate_columns(column: &mut [Point]) {
    let [zero, .., nyquist] = column else { return };
    nyquist[..LANES].copy_from_slice(&zero[LANES..]);
    nyquist[LANES..].fill(0.0);
}

impl Sizes {
    /// Whether frequency `n1/2` of axis 1 stands apart.
    pub(super) fn nyquist_apart(self) -> bool {
        !self.folded && self.points[1].is_multiple_of(2 * LANES)
    }

    /// Points of its half spectrum, for one frequency of axis 0.
    pub(super) fn nyquist_points(self) -> usize {
        if self.nyquist_apart() { (self.points[2] / 2 + 1).div_ceil(LANES) } else { 0 }
    }

    /// Operations of [`Sizes::separate`] and [`Sizes::join`].
    pub(super) fn nyquist_flops(self) -> [u64; 2] {
        let [n0, _, n2] = self.points;
        if !self.nyquist_apart() {
            return [0; 2];
        }
        let own = |n: usize| 1 + usize::from(n.is_multiple_of(2));
        let pairs = (n0 * n2 + own(n0) * own(n2)) / 2;
        [pairs as u64 * SEPARATE_FLOPS, (n0 * n2) as u64 * JOIN_FLOPS]
    }

    /// The frequency of the same amplitude in the spectrum of a real map.
    fn mirrored(self, [k0, k2]: [usize; 2]) -> [usize; 2] {
        let [n0, _, n2] = self.points;
        [(n0 - k0) % n0, (n2 - k2) % n2]
    }

    /// Where a frequency of axes 0 and 2 stands, of frequency 0 of axis 1 in its lane 0.
    fn place(self, [k0, k2]: [usize; 2]) -> usize {
        k0 * self.blocks() * self.points[2] + k2
    }

    /// The point and lane of frequency `n1/2`, if that is held.
    fn nyquist_place(self, [k0, k2]: [usize; 2]) -> Option<[usize; 2]> {
        let point = k0 * self.nyquist_points() + k2 / LANES;
        (k2 <= self.points[2] / 2).then_some([point, k2 % LANES])
    }

    /// Separates the lines in the first lanes of the rows of frequency 0.
    pub(super) fn separate(self, rows: &mut [Point], nyquists: &mut [Point]) {
        nyquists.fill([0.0; COMPLEX_POINT]);
        let [n0, _, n2] = self.points;
        for own in (0..n0).flat_map(|k0| (0..n2).map(move |k2| [k0, k2])) {
            let other = self.mirrored(own);
            if other < own {
                continue;
            }
            let [at, mirrored] = [own, other].map(|k| self.place(k));
            let (a, b) = (first(&rows[at]), first(&rows[mirrored]).conj());
            let (zero, twice) = ((a + b) * 0.5, a - b);
            let nyquist = Complex::new(twice.im * 0.5, twice.re * -0.5);
            for (k, at, zero, nyquist) in
                [(other, mirrored, zero.conj(), nyquist.conj()), (own, at, zero, nyquist)]
            {
                set_lane(&mut rows[at], 0, zero);
                if let Some([point, lane]) = self.nyquist_place(k) {
                    set_lane(&mut nyquists[point], lane, nyquist);
                }
            }
        }
    }

    /// Writes what [`Sizes::separate`] would separate to the first lanes of `row`, that of frequency `k0` of axis 0.
    /// What of both lines no real map has is left out.
    pub(super) fn join(self, k0: usize, rows: &[Point], nyquists: &[Point], row: &mut [Point]) {
        for (k2, point) in row.iter_mut().enumerate() {
            let (own, other) = ([k0, k2], self.mirrored([k0, k2]));
            let zero = (first(&rows[self.place(own)]) + first(&rows[self.place(other)]).conj()) * 0.5;
            let held = |k| {
                let [point, lane] = self.nyquist_place(k)?;
                Some(Complex::new(nyquists[point][lane], nyquists[point][LANES + lane]))
            };
            let nyquist = match (held(own), held(other).map(|value| value.conj())) {
                (Some(own), Some(other)) => (own + other) * 0.5,
                (Some(value), None) | (None, Some(value)) => value,
                (None, None) => Complex::ZERO,
            };
            set_lane(point, 0, Complex::new(zero.re - nyquist.im, zero.im + nyquist.re));
        }
    }
}
