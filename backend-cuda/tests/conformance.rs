//! Every algorithm of this backend against the f64 reference: on a GPU where there is one, and emulated.

mod common;

use backend_cuda::Cuda;
use conv_core::ConvProblem;
use conv_core::testing::{conformance, edge_problems, random_problems};

fn problems(random: usize) -> Vec<ConvProblem> {
    let mut problems: Vec<ConvProblem> = edge_problems().into_iter().map(|named| named.problem).collect();
    problems.extend(own_problems());
    problems.extend(random_problems(random, 20));
    problems
}

/// What the lists of the suite lack: plain 3x3 kernels and depthwise layers, and what lies around their borders.
fn own_problems() -> impl Iterator<Item = ConvProblem> {
    let lines = [
        "n2 c3 o5 i9x14 k3x3 p1",
        "n1 c4 o6 i7x3 k3x3 p0:4x5:1 g2",
        "n3 c1 o1 i3x3 k3x3",
        "n3 c5 o5 i40x33 k5x7 p3:1x0:4 g5",
        "n1 c3 o3 i300 k64 p63:0 g3",
        "n2 c2 o2 i5x6x7 k2x3x2 d2x1x2 p1 g2",
    ];
    lines.into_iter().map(|line| line.parse().expect("a valid line"))
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
    for algorithm in ["winograd", "fft-fused"] {
        assert!(outcome.runs_of(algorithm) >= 9, "{algorithm}: {:?}", outcome.runs);
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
    use backend_cuda::Cuda;
    use backend_cuda::emulate::{Order, open};
    use conv_core::algorithm::find;
    use conv_core::reference::Reference;
    use conv_core::testing::{run_once, values};
    use conv_core::{Backend, ConvProblem, Pass};

    use super::{check, problems};

    /// One algorithm on a problem too long for all.
    fn check_one(cuda: &Cuda, name: &str, line: &str) {
        let problem: ConvProblem = line.parse().unwrap();
        let algorithm = find(cuda.algorithms(), name).unwrap();
        for pass in Pass::ALL {
            let [left, right, _] = pass.roles();
            let (lhs, rhs) = (values(problem.len(left), 1), values(problem.len(right), 2));
            let found = run_once(cuda, algorithm, &problem, pass, [&lhs, &rhs], None).unwrap();
            let error = Reference::new(&problem, pass, &lhs, &rhs).unwrap().error(&found);
            assert!(error <= algorithm.max_error(), "{name} {pass} of {line}: {error:.1e}");
        }
    }

    #[test]
    fn every_algorithm_passes_the_suite() {
        check(&open(Order::Ascending).unwrap(), &problems(6));
    }

    /// More units than the emulated device's cache holds the values of.
    #[test]
    fn winograd_takes_units_group_after_group() {
        check_one(&open(Order::Descending).unwrap(), "winograd", "n9 c60 o70 i15x16 k3x3 p1");
    }

    /// Axes and volumes beyond what shared memory holds, lengths of many factors.
    #[test]
    fn fft_takes_what_no_block_holds() {
        for line in ["n1 c1 o1 i29500 k9 p9:1", "n1 c1 o1 i23x30x50 k20x2x9 p1"] {
            check_one(&open(Order::Stride).unwrap(), "fft", line);
        }
    }

    #[test]
    #[ignore = "takes a minute"]
    fn fft_takes_long_lines_and_large_planes() {
        for line in ["n1 c2 o1 i131000 k40 p9:1", "n1 c3 o1 i250x300 k3x20 s2x3"] {
            check_one(&open(Order::Ascending).unwrap(), "fft", line);
        }
    }

    #[test]
    #[ignore = "takes minutes"]
    fn every_algorithm_passes_the_suite_on_many_problems() {
        for order in Order::ALL {
            check(&open(order).unwrap(), &problems(300));
        }
    }
}
