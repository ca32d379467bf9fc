//! One suite for every algorithm of every backend: each pass against the f64 reference.

use std::fmt;

use super::values;
use crate::reference::Reference;
use crate::{Backend, ConvAlgorithm, ConvProblem, Operands, Pass, Result, Scratch, Spectra};

/// What the suite did.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Runs of an algorithm on a problem and pass, by algorithm in the backend's order.
    pub runs: Vec<(&'static str, usize)>,
    /// Runs that missed.
    pub failures: Vec<Failure>,
    /// The largest error of a run that passed.
    pub worst: f64,
}

impl Outcome {
    /// All runs.
    pub fn total(&self) -> usize {
        self.runs.iter().map(|(_, runs)| runs).sum()
    }

    /// Runs of one algorithm.
    pub fn runs_of(&self, algorithm: &str) -> usize {
        self.runs.iter().filter(|(name, _)| *name == algorithm).map(|(_, runs)| runs).sum()
    }
}

/// A run that missed.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The algorithm.
    pub algorithm: &'static str,
    /// The problem.
    pub problem: ConvProblem,
    /// The pass.
    pub pass: Pass,
    /// The error found, or what else went wrong.
    pub what: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} of {}: {}", self.algorithm, self.pass, self.problem, self.what)
    }
}

/// Runs every algorithm of the backend on every problem in three passes, forward with bias and ReLU too.
///
/// Output and workspace are filled with NaN first, so that neither may be assumed to hold anything. A problem
/// that no algorithm takes is a failure.
///
/// # Errors
/// As the backend's memory operations.
pub fn conformance<B: Backend>(backend: &B, problems: &[ConvProblem]) -> Result<Outcome> {
    let names = backend.algorithms().iter().map(|algorithm| (algorithm.name(), 0)).collect();
    let mut outcome = Outcome { runs: names, ..Outcome::default() };
    for (problem, pass) in problems.iter().flat_map(|p| Pass::ALL.map(|pass| (p, pass))) {
        let [left, right, _] = pass.roles();
        let (lhs, rhs) = (values(problem.len(left), 1), values(problem.len(right), 2));
        let reference = Reference::new(problem, pass, &lhs, &rhs)?;
        let before = outcome.total();
        for (index, algorithm) in backend.algorithms().iter().enumerate() {
            if algorithm.estimate(backend.machine(), problem, pass).is_ok() {
                outcome.runs[index].1 += 1;
                outcome.check(backend, *algorithm, problem, pass, [&lhs, &rhs], &reference);
            }
        }
        if outcome.total() == before {
            outcome.fail("(none)", problem, pass, "no algorithm takes it".into());
        }
    }
    Ok(outcome)
}

impl Outcome {
    fn fail(&mut self, algorithm: &'static str, problem: &ConvProblem, pass: Pass, what: String) {
        self.failures.push(Failure { algorithm, problem: *problem, pass, what });
    }

    fn check<B: Backend>(
        &mut self,
        backend: &B,
        algorithm: &dyn ConvAlgorithm<B>,
        problem: &ConvProblem,
        pass: Pass,
        operands: [&[f32]; 2],
        reference: &Reference,
    ) {
        let name = algorithm.name();
        let found = match run_once(backend, algorithm, problem, pass, operands, None) {
            Ok(found) => found,
            Err(error) => return self.fail(name, problem, pass, error.to_string()),
        };
        let error = reference.error(&found);
        let bound = algorithm.max_error();
        if error.is_nan() || error > bound {
            return self.fail(name, problem, pass, format!("error {error:.2e}, bound {bound:.0e}"));
        }
        self.worst = self.worst.max(error);
        if pass == Pass::Forward {
            self.check_epilogue(backend, algorithm, problem, operands, &found);
        }
    }

    /// Forward with bias and ReLU is forward without, plus bias, clamped.
    fn check_epilogue<B: Backend>(
        &mut self,
        backend: &B,
        algorithm: &dyn ConvAlgorithm<B>,
        problem: &ConvProblem,
        operands: [&[f32]; 2],
        plain: &[f32],
    ) {
        let (name, pass) = (algorithm.name(), Pass::Forward);
        let bias = values(problem.out_channels(), 3);
        let found = match run_once(backend, algorithm, problem, pass, operands, Some(&bias)) {
            Ok(found) => found,
            Err(error) => return self.fail(name, problem, pass, error.to_string()),
        };
        let points = problem.points(crate::Role::Output);
        let expected = plain.iter().enumerate().map(|(i, y)| (y + bias[i / points % bias.len()]).max(0.0));
        let close = |(e, f): (f32, &f32)| (e - f).abs() <= 1e-5 * (1.0 + e.abs());
        if !expected.zip(&found).all(close) {
            self.fail(name, problem, pass, "bias and ReLU are not those of the plain output".into());
        }
    }
}

/// One run on host values, with NaN in output and workspace beforehand; a bias brings a ReLU.
///
/// # Errors
/// What building or running reports.
pub fn run_once<B: Backend>(
    backend: &B,
    algorithm: &dyn ConvAlgorithm<B>,
    problem: &ConvProblem,
    pass: Pass,
    [lhs, rhs]: [&[f32]; 2],
    bias: Option<&[f32]>,
) -> Result<Vec<f32>> {
    let kernel = algorithm.build(backend, problem, pass)?;
    let uploaded = |values: &[f32]| -> Result<B::Buffer> {
        let mut buffer = backend.alloc(values.len())?;
        backend.upload(values, &mut buffer)?;
        Ok(buffer)
    };
    let len = problem.len(pass.roles()[2]);
    let (lhs, rhs, mut out) = (uploaded(lhs)?, uploaded(rhs)?, uploaded(&vec![f32::NAN; len])?);
    let bias = bias.map(uploaded).transpose()?;
    let mut workspace = uploaded(&vec![f32::NAN; kernel.workspace_len()])?;
    let operands = Operands::new(&lhs, &rhs, &mut out).bias(bias.as_ref()).relu(bias.is_some());
    let scratch = Scratch { workspace: &mut workspace, spectra: &mut Spectra::default() };
    kernel.run(backend, operands, scratch)?;
    let mut found = vec![0.0; len];
    backend.download(&out, &mut found)?;
    Ok(found)
}
