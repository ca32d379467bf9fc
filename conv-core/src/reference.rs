//! The three passes in f64: the definition, a faster form of it for larger problems, and the error measure.

mod product;
mod unfold;

use crate::{ConvProblem, Pass, Role};

/// Calls `visit(input, weight, output)` with the indices of every product of the layer, padding left out.
fn for_each_product(problem: &ConvProblem, mut visit: impl FnMut(usize, usize, usize)) {
    let [input, weight, output] = [Role::Input, Role::Weight, Role::Output].map(|role| problem.points(role));
    let meetings = meetings(problem);
    let (cin, cout, group_in) = (problem.in_channels(), problem.out_channels(), problem.group_in());
    for n in 0..problem.batch() {
        for o in 0..cout {
            for c in 0..group_in {
                let channel = o / problem.group_out() * group_in + c;
                for &[x, w, y] in &meetings {
                    let x = (n * cin + channel) * input + x;
                    visit(x, (o * group_in + c) * weight + w, (n * cout + o) * output + y);
                }
            }
        }
    }
}

/// Points of input, kernel and output maps that meet.
fn meetings(problem: &ConvProblem) -> Vec<[usize; 3]> {
    let mut met = vec![[0, 0, 0]];
    for axis in problem.volume() {
        let mut next = Vec::new();
        for [x, w, y] in met {
            for o in 0..axis.output() {
                for j in 0..axis.kernel {
                    let padded = o * axis.stride + j * axis.dilation;
                    let point = padded.checked_sub(axis.padding.0).filter(|point| *point < axis.input);
                    if let Some(point) = point {
                        next.push([x * axis.input + point, w * axis.kernel + j, y * axis.output() + o]);
                    }
                }
            }
        }
        met = next;
    }
    met
}

/// The pass as it is defined, product by product.
///
/// `lhs` and `rhs` are the operands in the order of [`Pass::roles`], of the problem's lengths.
pub fn definition(problem: &ConvProblem, pass: Pass, lhs: &[f64], rhs: &[f64]) -> Vec<f64> {
    let mut out = vec![0.0; problem.len(pass.roles()[2])];
    for_each_product(problem, |x, w, y| match pass {
        Pass::Forward => out[y] += lhs[x] * rhs[w],
        Pass::BackwardInput => out[x] += lhs[y] * rhs[w],
        Pass::BackwardWeights => out[w] += lhs[x] * rhs[y],
    });
    out
}

/// What a pass should give, and how large its sums can be.
#[derive(Clone, Debug)]
pub struct Reference {
    /// The exact values, to f64 rounding.
    pub values: Vec<f64>,
    /// The largest sum of absolute products of any output, `max Σ|lhs||rhs|`.
    pub magnitude: f64,
}

impl Reference {
    /// Computes the pass in f64 through [`matrixmultiply::dgemm`], which no engine uses.
    ///
    /// # Errors
    /// [`crate::Error::Length`] where a slice does not fit the problem.
    pub fn new(problem: &ConvProblem, pass: Pass, lhs: &[f32], rhs: &[f32]) -> crate::Result<Self> {
        let [left, right, _] = pass.roles();
        let names = pass.operand_names();
        crate::algorithm::check_len(names[0], problem.len(left), lhs.len())?;
        crate::algorithm::check_len(names[1], problem.len(right), rhs.len())?;
        let widen =
            |values: &[f32], f: fn(f64) -> f64| values.iter().map(|v| f(f64::from(*v))).collect::<Vec<_>>();
        let values = unfold::convolve(problem, pass, &widen(lhs, |v| v), &widen(rhs, |v| v));
        let sums = unfold::convolve(problem, pass, &widen(lhs, f64::abs), &widen(rhs, f64::abs));
        Ok(Reference { values, magnitude: sums.into_iter().fold(0.0, f64::max) })
    }

    /// Normwise error: `max |found - value| / magnitude`; NaN where any found value is NaN or the lengths
    /// differ, which no bound must accept.
    pub fn error(&self, found: &[f32]) -> f64 {
        if found.len() != self.values.len() {
            return f64::NAN;
        }
        let differences = found.iter().zip(&self.values).map(|(f, v)| (f64::from(*f) - v).abs());
        // `f64::max` would drop a NaN; in the total order it is the largest.
        let worst = differences.max_by(f64::total_cmp).unwrap_or(0.0);
        if worst == 0.0 { 0.0 } else { worst / self.magnitude.max(f64::MIN_POSITIVE) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(len: usize, seed: usize) -> Vec<f64> {
        (0..len).map(|i| ((i * 31 + seed * 17) % 23) as f64 - 11.0).collect()
    }

    #[test]
    fn the_fast_form_is_the_definition() {
        for line in include_str!("../../shapes/edge.txt").lines() {
            let problem: ConvProblem = line.parse().unwrap();
            for pass in Pass::ALL {
                let [left, right, _] = pass.roles();
                let (a, b) = (values(problem.len(left), 1), values(problem.len(right), 2));
                // Small integers: both sums are exact in any order.
                assert_eq!(
                    unfold::convolve(&problem, pass, &a, &b),
                    definition(&problem, pass, &a, &b),
                    "{pass} {line}"
                );
            }
        }
    }

    #[test]
    fn a_convolution_worked_by_hand() {
        let problem: ConvProblem = "n1 c1 o1 i4 k2 p1:0 s2".parse().unwrap();
        let (x, w, dy) = ([1.0, 2.0, 3.0, 4.0], [10.0, 1.0], [1.0, 100.0]);
        assert_eq!(definition(&problem, Pass::Forward, &x, &w), [1.0, 23.0]);
        assert_eq!(definition(&problem, Pass::BackwardInput, &dy, &w), [1.0, 1000.0, 100.0, 0.0]);
        assert_eq!(definition(&problem, Pass::BackwardWeights, &x, &dy), [200.0, 301.0]);
    }

    #[test]
    fn a_missing_value_is_an_error_that_no_bound_accepts() {
        let reference = Reference { values: vec![1.0, 2.0], magnitude: 2.0 };
        assert!(reference.error(&[1.0, f32::NAN]).is_nan());
        assert!(reference.error(&[1.0]).is_nan());
        assert_eq!(reference.error(&[1.0, 1.0]), 0.5);
    }
}
