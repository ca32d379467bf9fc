//! Winograd's minimal filtering: the matrices of short correlations, from points (Toom 1963, Cook 1966, Winograd 1980;
//! for convolutional layers Lavin, Gray 2016).

/// Points for tiles of six, with infinity: of the choices with small fractions, the one of least rounding error.
pub const POINTS: [f64; 5] = [0.0, 0.75, -0.75, 1.5, -1.5];

/// The filter `F(m, r)`: `m` neighbouring outputs of a correlation with `r` kernel points from `n = m + r - 1` inputs
/// by `n` multiplications, `y = result ((kernel g) ⊙ (data d))`. Along two axes, each matrix from both sides.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    /// `n × n`, by rows.
    pub data: Vec<Vec<f64>>,
    /// `n × r`.
    pub kernel: Vec<Vec<f64>>,
    /// `m × n`.
    pub result: Vec<Vec<f64>>,
}

impl Filter {
    /// The filter of `kernel` points over these different points and infinity, so that `n` is one more than there are.
    ///
    /// Multiplying polynomials of `m` and `r` coefficients takes their values at `n` points, multiplies these, and
    /// interpolates; the filter is the transpose. Row `i` of `data` has the coefficients of `Πⱼ (x - pⱼ)`, `j ≠ i`,
    /// that of infinity those of the whole product; row `i` of `kernel` is divided by `Πⱼ (pᵢ - pⱼ)` instead.
    pub fn new(points: &[f64], kernel: usize) -> Self {
        let n = points.len() + 1;
        let outputs = (n + 1).saturating_sub(kernel);
        let others = |i: usize| points.iter().enumerate().filter(move |(j, _)| *j != i).map(|(_, p)| *p);
        let powers = |p: f64, count: usize| (0..count).map(|k| p.powi(k as i32)).collect::<Vec<_>>();
        let last = |count: usize| (0..count).map(|k| f64::from(u8::from(k + 1 == count))).collect::<Vec<_>>();
        let data = (0..n).map(|i| product(others(i), n)).collect();
        let values = points.iter().enumerate().map(|(i, p)| {
            let scale: f64 = others(i).map(|other| p - other).product();
            powers(*p, kernel).into_iter().map(|power| power / scale).collect()
        });
        let columns: Vec<_> = points.iter().map(|p| powers(*p, outputs)).chain([last(outputs)]).collect();
        let result = (0..outputs).map(|row| columns.iter().map(|column| column[row]).collect()).collect();
        Filter { data, kernel: values.chain([last(kernel)]).collect(), result }
    }
}

/// Coefficients of `Π (x - root)`, lowest first, `len` of them.
fn product(roots: impl Iterator<Item = f64>, len: usize) -> Vec<f64> {
    let mut coefficients = vec![0.0; len];
    coefficients[0] = 1.0;
    for root in roots {
        for k in (0..len).rev() {
            let lower = if k > 0 { coefficients[k - 1] } else { 0.0 };
            coefficients[k] = lower - root * coefficients[k];
        }
    }
    coefficients
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn apply(matrix: &[Vec<f64>], values: &[f64]) -> Vec<f64> {
        matrix.iter().map(|row| row.iter().zip(values).map(|(a, b)| a * b).sum()).collect()
    }

    #[test]
    fn the_smallest_filter_by_hand() {
        let filter = Filter::new(&[0.0, 1.0, -1.0], 3);
        let data =
            [[-1.0, 0.0, 1.0, 0.0], [0.0, 1.0, 1.0, 0.0], [0.0, -1.0, 1.0, 0.0], [0.0, -1.0, 0.0, 1.0]];
        assert_eq!(filter.data, data);
        assert_eq!(filter.kernel, [[-1.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.0, 0.0, 1.0]]);
        assert_eq!(filter.result, [[1.0, 1.0, 1.0, 0.0], [0.0, 1.0, -1.0, 1.0]]);
    }

    proptest! {
        #[test]
        fn filters_are_correlations(
            kernel in 1usize..7,
            values in prop::collection::vec(-1.0f64..1.0, 12),
        ) {
            let filter = Filter::new(&POINTS, kernel);
            let (data, taps) = (&values[..6], &values[6..6 + kernel]);
            let (d, g) = (apply(&filter.data, data), apply(&filter.kernel, taps));
            let products: Vec<f64> = d.iter().zip(&g).map(|(d, g)| d * g).collect();
            let found = apply(&filter.result, &products);
            prop_assert_eq!(found.len(), 7 - kernel);
            for (output, found) in found.iter().enumerate() {
                let expected: f64 = taps.iter().zip(&data[output..]).map(|(a, b)| a * b).sum();
                prop_assert!((found - expected).abs() < 1e-12, "{output}: {found}, expected {expected}");
            }
        }
    }
}
