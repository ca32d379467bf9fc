//! Every algorithm of this backend against the f64 reference, on the edge list and 500 random problems.

mod common;

use common::cpu;
use conv_core::ConvProblem;
use conv_core::fourier::meets;
use conv_core::testing::{conformance, edge_problems, random_problems};

#[test]
fn every_algorithm_passes_the_suite() {
    let mut problems: Vec<ConvProblem> = edge_problems().into_iter().map(|named| named.problem).collect();
    problems.extend(random_problems(500, 20));
    let outcome = conformance(&cpu(), &problems).unwrap();
    let failures: Vec<String> = outcome.failures.iter().map(ToString::to_string).collect();
    assert!(
        failures.is_empty(),
        "{} failures, first {:#?}",
        failures.len(),
        &failures[..failures.len().min(10)]
    );
    let all = problems.len() * 3;
    println!("{:?}, worst error {:.1e}", outcome.runs, outcome.worst);
    for algorithm in ["direct", "im2col"] {
        assert_eq!(outcome.runs_of(algorithm), all, "{algorithm} takes every problem");
    }
    let sums = problems.iter().filter(|problem| problem.volume().iter().all(meets)).count() * 3;
    assert_eq!(outcome.runs_of("fft"), sums, "fft takes every problem that has a sum");
    assert!(outcome.runs_of("fft-tiled") > all / 3, "{:?}", outcome.runs);
}
