//! Every algorithm of this backend against the f64 reference: on a GPU where there is one, and emulated.

mod common;

use backend_cuda::Cuda;
use conv_core::ConvProblem;
use conv_core::testing::{conformance, edge_problems, random_problems};

fn problems(random: usize) -> Vec<ConvProblem> {
    let mut problems: Vec<ConvProblem> = edge_problems().into_iter().map(|named| named.problem).collect();
    problems.extend(random_problems(random, 20));
    problems
}

fn check(cuda: &Cuda, problems: &[ConvProblem]) {
    let outcome = conformance(cuda, problems).unwrap();
    let failures: Vec<String> = outcome.failures.iter().map(ToString::to_string).collect();
    let shown = &failures[..failures.len().min(10)];
    assert!(failures.is_empty(), "{} failures, first {shown:#?}", failures.len());
    println!("{:?}, worst error {:.1e}", outcome.runs, outcome.worst);
    for algorithm in ["direct", "im2col"] {
        assert_eq!(outcome.runs_of(algorithm), problems.len() * 3, "{algorithm} takes every problem");
    }
    for algorithm in ["fft", "fft-tiled"] {
        assert!(outcome.runs_of(algorithm) > problems.len(), "{algorithm}: {:?}", outcome.runs);
    }
}

#[test]
fn every_algorithm_passes_the_suite_on_a_gpu() {
    if let Some(cuda) = common::gpu() {
        check(&cuda, &problems(500));
    }
}

#[cfg(feature = "emulate")]
mod emulated {
    use super::{check, problems};
    use backend_cuda::emulate::{Order, open};

    #[test]
    fn every_algorithm_passes_the_suite() {
        check(&open(Order::Ascending).unwrap(), &problems(6));
    }

    #[test]
    fn the_order_of_threads_and_blocks_does_not_matter() {
        check(&open(Order::Stride).unwrap(), &problems(0));
    }

    #[test]
    #[ignore = "takes minutes"]
    fn every_algorithm_passes_the_suite_on_many_problems() {
        for order in Order::ALL {
            check(&open(order).unwrap(), &problems(300));
        }
    }
}
