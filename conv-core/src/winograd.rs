//! Matrices of Winograd's minimal correlation (Lavin and Gray, *Fast Algorithms for Convolutional Neural Networks*,
//! 2015), made from Toom–Cook points (Blahut, *Fast Algorithms for Signal Processing*, chapter 5).
//!
//! A tile of `t` values and a kernel of `k` give `m = t - k + 1` values of their correlation with `t` multiplications:
//! `target · (kernel · w ⊙ data · x)`. With points `p₀ … p₍ₜ₋₂₎` and infinity, `kernel` evaluates the kernel's
//! polynomial at the points, divided by `Π (pᵢ - pⱼ)`; `target` is a transposed evaluation; row `i` of `data` holds the
//! coefficients of `Π (x - pⱼ)` without `j = i`, the last row those of the whole product.

/// Values of the longest tile.
pub const MAX_TILE: usize = 8;

/// A matrix in the upper left corner of 8 × 8.
pub type Matrix = [[f32; MAX_TILE]; MAX_TILE];

/// The points of a tile length, infinity left out: powers of two and three quarters of them, whose errors are least;
/// neighbours differ in sign alone, so that half of the multiplications serve two rows.
///
/// # Panics
/// For other lengths than 6, 7 and 8: a mistake of the program.
const fn points(tile: usize) -> [f64; MAX_TILE - 1] {
    match tile {
        6 => [0.75, -0.75, 1.5, -1.5, 0.0, 0.0, 0.0],
        7 => [1.0, -1.0, 0.5, -0.5, 0.0, 2.0, 0.0],
        8 => [1.0, -1.0, 2.0, -2.0, 0.5, -0.5, 0.0],
        _ => panic!("a tile has 6 to 8 values"),
    }
}

/// `t × t`: what is multiplied with a tile.
///
/// # Panics
/// For other tiles than 6 to 8: a mistake of the program.
pub const fn data(tile: usize) -> Matrix {
    let points = points(tile);
    let mut matrix = [[0.0; MAX_TILE]; MAX_TILE];
    let mut row = 0;
    while row < tile {
        let mut product = [0.0; MAX_TILE];
        product[0] = 1.0;
        let mut factor = 0;
        while factor < tile - 1 {
            if factor != row {
                product = times(product, points[factor]);
            }
            factor += 1;
        }
        let mut power = 0;
        while power < tile {
            matrix[row][power] = product[power] as f32;
            power += 1;
        }
        row += 1;
    }
    matrix
}

/// `product · (x - point)`, as coefficients.
const fn times(product: [f64; MAX_TILE], point: f64) -> [f64; MAX_TILE] {
    let mut longer = [0.0; MAX_TILE];
    let mut power = 0;
    while power < MAX_TILE {
        let below = if power == 0 { 0.0 } else { product[power - 1] };
        longer[power] = below - point * product[power];
        power += 1;
    }
    longer
}

/// `t × k`: what is multiplied with a kernel of `k` values.
///
/// # Panics
/// As [`data`].
pub const fn kernel(tile: usize, len: usize) -> Matrix {
    let points = points(tile);
    let mut matrix = evaluation(tile, len);
    let mut row = 0;
    while row < tile - 1 {
        let mut scale = 1.0;
        let mut other = 0;
        while other < tile - 1 {
            if other != row {
                scale *= points[row] - points[other];
            }
            other += 1;
        }
        let (mut power, mut value) = (0, 1.0);
        while power < len {
            matrix[row][power] = (value / scale) as f32;
            value *= points[row];
            power += 1;
        }
        row += 1;
    }
    matrix
}

/// `m × t`: what is multiplied with the products.
///
/// # Panics
/// As [`data`].
pub const fn target(tile: usize, len: usize) -> Matrix {
    let rows = evaluation(tile, len);
    let mut matrix = [[0.0; MAX_TILE]; MAX_TILE];
    let mut i = 0;
    while i < MAX_TILE {
        let mut j = 0;
        while j < MAX_TILE {
            matrix[j][i] = rows[i][j];
            j += 1;
        }
        i += 1;
    }
    matrix
}

/// `t × len`: the powers of every point, and the highest one at infinity.
const fn evaluation(tile: usize, len: usize) -> Matrix {
    let points = points(tile);
    let mut matrix = [[0.0; MAX_TILE]; MAX_TILE];
    let mut row = 0;
    while row < tile - 1 {
        let (mut power, mut value) = (0, 1.0);
        while power < len {
            matrix[row][power] = value as f32;
            value *= points[row];
            power += 1;
        }
        row += 1;
    }
    matrix[tile - 1][len - 1] = 1.0;
    matrix
}

#[cfg(test)]
mod tests {
    use super::*;

    fn product(matrix: &Matrix, x: [f32; MAX_TILE]) -> [f32; MAX_TILE] {
        matrix.map(|row| row.iter().zip(x).map(|(a, b)| a * b).sum())
    }

    #[test]
    fn matrices_make_correlations() {
        for (tile, len) in (6..=8).flat_map(|tile| (2..tile).map(move |len| (tile, len))) {
            let mut w = [0.0; MAX_TILE];
            (0..len).for_each(|i| w[i] = 1.0 + (i * i) as f32);
            let x: [f32; MAX_TILE] =
                std::array::from_fn(|i| if i < tile { (5 * i % 7) as f32 - 3.0 } else { 0.0 });
            let [a, b] = [product(&kernel(tile, len), w), product(&data(tile), x)];
            let found = product(&target(tile, tile - len + 1), std::array::from_fn(|i| a[i] * b[i]));
            for i in 0..=tile - len {
                let expected: f32 = (0..len).map(|k| w[k] * x[i + k]).sum();
                approx::assert_abs_diff_eq!(found[i], expected, epsilon = 2e-3);
            }
        }
    }
}
