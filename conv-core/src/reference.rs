//! The three passes in f64: the definition, a faster form of it for larger problems, a sample of its values for the
//! largest, and the error measure.

mod product;
mod sampled;
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
    /// The exact values, to f64 rounding: all, or those of a sample.
    pub values: Vec<f64>,
    /// The largest sum of absolute products of any of the values, `max Σ|lhs||rhs|`.
    pub magnitude: f64,
    /// Values of the product, and which of them are known where not all are.
    len: usize,
    sample: Option<Vec<usize>>,
}

impl Reference {
    /// Computes the pass in f64 through [`matrixmultiply::dgemm`], which no engine uses.
    ///
    /// # Errors
    /// [`crate::Error::Length`] where a slice does not fit the problem.
    pub fn new(problem: &ConvProblem, pass: Pass, lhs: &[f32], rhs: &[f32]) -> crate::Result<Self> {
        check_operands(problem, pass, lhs, rhs)?;
        let widen =
            |values: &[f32], f: fn(f64) -> f64| values.iter().map(|v| f(f64::from(*v))).collect::<Vec<_>>();
        let values = unfold::convolve(problem, pass, &widen(lhs, |v| v), &widen(rhs, |v| v));
        let sums = unfold::convolve(problem, pass, &widen(lhs, f64::abs), &widen(rhs, f64::abs));
        let (len, magnitude) = (values.len(), sums.into_iter().fold(0.0, f64::max));
        Ok(Reference { values, magnitude, len, sample: None })
    }

    /// Computes `count` values of the pass, each by its definition: for problems that take too long as a whole.
    /// Which values is decided by their number alone.
    ///
    /// # Errors
    /// As [`Reference::new`].
    pub fn of_sample(
        problem: &ConvProblem,
        pass: Pass,
        lhs: &[f32],
        rhs: &[f32],
        count: usize,
    ) -> crate::Result<Self> {
        check_operands(problem, pass, lhs, rhs)?;
        let len = problem.len(pass.roles()[2]);
        let sample = sampled::scattered(len, count);
        let sums = sample.iter().map(|index| {
            let mut sums = [0.0; 2];
            sampled::for_each_product_of(problem, pass, *index, |l, r| {
                let product = f64::from(lhs[l]) * f64::from(rhs[r]);
                sums = [sums[0] + product, sums[1] + product.abs()];
            });
            sums
        });
        let sums: Vec<[f64; 2]> = sums.collect();
        let magnitude = sums.iter().map(|sums| sums[1]).fold(0.0, f64::max);
        let values = sums.iter().map(|sums| sums[0]).collect();
        Ok(Reference { values, magnitude, len, sample: Some(sample) })
    }

    /// Values of the product that are known, and all of them.
    pub fn known(&self) -> (usize, usize) {
        (self.values.len(), self.len)
    }

    /// Normwise error: `max |found - value| / magnitude`, over the known values; NaN where any found value is NaN or
    /// the lengths differ, which no bound must accept.
    pub fn error(&self, found: &[f32]) -> f64 {
        if found.len() != self.len || found.iter().any(|value| value.is_nan()) {
            return f64::NAN;
        }
        let found_at =
            |number: usize| self.sample.as_ref().map_or(found[number], |sample| found[sample[number]]);
        let difference = |(number, value): (usize, &f64)| (f64::from(found_at(number)) - value).abs();
        let differences = self.values.iter().enumerate().map(difference);
        // `f64::max` would drop a NaN; in the total order it is the largest.
        let worst = differences.max_by(f64::total_cmp).unwrap_or(0.0);
        if worst == 0.0 { 0.0 } else { worst / self.magnitude.max(f64::MIN_POSITIVE) }
    }
}

fn check_operands(problem: &ConvProblem, pass: Pass, lhs: &[f32], rhs: &[f32]) -> crate::Result<()> {
    let ([left, right, _], names) = (pass.roles(), pass.operand_names());
    crate::algorithm::check_len(names[0], problem.len(left), lhs.len())?;
    crate::algorithm::check_len(names[1], problem.len(right), rhs.len())
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
    fn every_value_of_a_sample_is_that_of_the_whole() {
        for line in include_str!("../../shapes/edge.txt").lines() {
            let problem: ConvProblem = line.parse().unwrap();
            for pass in Pass::ALL {
                let operand = |role, seed| -> Vec<f32> {
                    values(problem.len(role), seed).into_iter().map(|value| value as f32).collect()
                };
                let (a, b) = (operand(pass.roles()[0], 1), operand(pass.roles()[1], 2));
                let whole = Reference::new(&problem, pass, &a, &b).unwrap();
                let all = Reference::of_sample(&problem, pass, &a, &b, usize::MAX).unwrap();
                assert_eq!(
                    (all.values, all.magnitude),
                    (whole.values.clone(), whole.magnitude),
                    "{pass} {line}"
                );
                let some = Reference::of_sample(&problem, pass, &a, &b, 3).unwrap();
                assert_eq!(some.known(), (whole.len.min(3), whole.len));
                let mut found: Vec<f32> = whole.values.iter().map(|value| *value as f32).collect();
                assert_eq!(some.error(&found), 0.0);
                let sample = some.sample.as_ref().unwrap();
                found[*sample.last().unwrap()] += 1.0;
                assert!(some.error(&found) > 0.0 || some.magnitude == 0.0, "{pass} {line}");
                *found.last_mut().unwrap() = f32::NAN;
                assert!(some.error(&found).is_nan());
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
        let reference = Reference { values: vec![1.0, 2.0], magnitude: 2.0, len: 2, sample: None };
        assert!(reference.error(&[1.0, f32::NAN]).is_nan());
        assert!(reference.error(&[1.0]).is_nan());
        assert_eq!(reference.error(&[1.0, 1.0]), 0.5);
    }
}
