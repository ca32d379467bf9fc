//! The definition of the discrete Fourier transform of 1 to 3 axes, in f64 and O(n²), for tests.

use crate::error::{ShapeError, check_len};
use crate::grid::points_of;
use num_complex::Complex;
use std::f64::consts::TAU;

/// The sign of the exponent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// `exp(-2πi jk/n)`.
    Forward,
    /// `exp(+2πi jk/n)`, unnormalised.
    Inverse,
}

/// `X[k] = Σ_j x[j] exp(∓2πi Σ_d j_d k_d / n_d)` over all points of `shape`, row-major, unnormalised.
///
/// # Errors
/// A shape that [`crate::RealFft::new`] refuses, or a number of points other than the shape's product.
pub fn dft(
    shape: &[usize],
    x: &[Complex<f64>],
    direction: Direction,
) -> Result<Vec<Complex<f64>>, ShapeError> {
    let points = points_of(shape)?;
    check_len("input", points.iter().product(), x.len())?;
    let roots = points.map(|n| roots(n, direction));
    let at: Vec<_> = (0..x.len()).map(|i| coordinates(points, i)).collect();
    Ok(at.iter().map(|k| frequency(points, &roots, x, &at, k)).collect())
}

/// The row-major coordinates of point `i`.
fn coordinates([_, n1, n2]: [usize; 3], i: usize) -> [usize; 3] {
    [i / (n1 * n2), i / n2 % n1, i % n2]
}

/// One output value, from the values `x` of the points `at`.
fn frequency(
    points: [usize; 3],
    roots: &[Vec<Complex<f64>>; 3],
    x: &[Complex<f64>],
    at: &[[usize; 3]],
    k: &[usize; 3],
) -> Complex<f64> {
    let axes: Vec<usize> = (0..3).filter(|&d| points[d] > 1).collect();
    let term = |(x, j): (&Complex<f64>, &[usize; 3])| {
        axes.iter().fold(*x, |x, &d| x * roots[d][j[d] * k[d] % points[d]])
    };
    x.iter().zip(at).map(term).sum()
}

/// `exp(∓2πi j/n)` for all `j < n`.
fn roots(n: usize, direction: Direction) -> Vec<Complex<f64>> {
    let sign = if direction == Direction::Forward { -1.0 } else { 1.0 };
    (0..n).map(|j| Complex::cis(sign * TAU * j as f64 / n as f64)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shifted_impulse_is_a_product_of_phases() {
        let mut x = vec![Complex::new(0.0, 0.0); 24];
        x[12 + 4 + 1] = Complex::new(1.0, 0.0);
        let y = dft(&[2, 3, 4], &x, Direction::Forward).unwrap();
        let expected = Complex::cis(-TAU * (1.0 / 2.0 + 2.0 / 3.0 + 3.0 / 4.0));
        assert!((y[12 + 8 + 3] - expected).norm() < 1e-12);
    }

    #[test]
    fn inverse_after_forward_multiplies_by_the_points() {
        let x: Vec<_> = (0..12).map(|i| Complex::new(f64::from(i), f64::from(i * i))).collect();
        let y = dft(&[3, 4], &x, Direction::Forward).unwrap();
        let z = dft(&[3, 4], &y, Direction::Inverse).unwrap();
        assert!(x.iter().zip(&z).all(|(x, z)| (x * 12.0 - z).norm() < 1e-9));
    }

    #[test]
    fn a_wrong_length_is_an_error() {
        let e = dft(&[2, 2], &[], Direction::Forward).unwrap_err();
        assert_eq!(e.to_string(), "input has length 0, expected 4");
    }
}
