//! Properties every algorithm has on problems drawn at random: linearity, adjointness of the passes, agreement,
//! shift.

mod common;

use backend_cpu::Cpu;
use conv_core::testing::{problem_strategy, run_once, values};
use conv_core::{Axis, Backend, ConvAlgorithm, ConvProblem, Pass, Role};
use proptest::prelude::*;

fn cpu() -> &'static Cpu {
    static CPU: std::sync::OnceLock<Cpu> = std::sync::OnceLock::new();
    CPU.get_or_init(common::cpu)
}

fn willing(problem: &ConvProblem, pass: Pass) -> impl Iterator<Item = &'static dyn ConvAlgorithm<Cpu>> {
    let takes = move |a: &&dyn ConvAlgorithm<Cpu>| a.estimate(cpu().machine(), problem, pass).is_ok();
    cpu().algorithms().iter().copied().filter(takes)
}

fn run(
    algorithm: &dyn ConvAlgorithm<Cpu>,
    problem: &ConvProblem,
    pass: Pass,
    lhs: &[f32],
    rhs: &[f32],
) -> Vec<f32> {
    run_once(cpu(), algorithm, problem, pass, [lhs, rhs], None).expect("it takes the problem")
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

/// Every product of the layer is at most 1 in size, so this bounds any sum of them.
fn scale(problem: &ConvProblem) -> f64 {
    1.0 + problem.multiply_adds()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_passes_are_adjoint(problem in problem_strategy()) {
        let [x, w, g] = [(Role::Input, 1), (Role::Weight, 2), (Role::Output, 3)]
            .map(|(role, seed)| values(problem.len(role), seed));
        for algorithm in willing(&problem, Pass::Forward) {
            let y_g = dot(&run(algorithm, &problem, Pass::Forward, &x, &w), &g);
            for (pass, lhs, rhs, other) in
                [(Pass::BackwardInput, &g, &w, &x), (Pass::BackwardWeights, &x, &g, &w)]
            {
                if algorithm.estimate(cpu().machine(), &problem, pass).is_ok() {
                    let product = dot(&run(algorithm, &problem, pass, lhs, rhs), other);
                    let error = (product - y_g).abs() / scale(&problem);
                    prop_assert!(error <= 1e-6, "{} {pass}: {product} and {y_g}", algorithm.name());
                }
            }
        }
    }

    #[test]
    fn every_pass_is_linear(problem in problem_strategy(), pass in prop::sample::select(&Pass::ALL[..])) {
        let [left, right, _] = pass.roles();
        let (a, b) = (values(problem.len(left), 4), values(problem.len(left), 5));
        let rhs = values(problem.len(right), 6);
        let sum: Vec<f32> = a.iter().zip(&b).map(|(a, b)| 2.0 * a - b).collect();
        for algorithm in willing(&problem, pass) {
            let [a, b, sum] = [&a, &b, &sum].map(|lhs| run(algorithm, &problem, pass, lhs, &rhs));
            for ((a, b), sum) in a.iter().zip(&b).zip(&sum) {
                let error = f64::from((2.0 * a - b - sum).abs());
                prop_assert!(error <= 1e-5 * (1.0 + problem.multiply_adds().sqrt()), "{}", algorithm.name());
            }
        }
    }

    #[test]
    fn algorithms_agree(problem in problem_strategy(), pass in prop::sample::select(&Pass::ALL[..])) {
        let [left, right, _] = pass.roles();
        let (lhs, rhs) = (values(problem.len(left), 7), values(problem.len(right), 8));
        let mut results = willing(&problem, pass).map(|a| (a.name(), run(a, &problem, pass, &lhs, &rhs)));
        let (_, first) = results.next().expect("direct takes everything");
        for (name, result) in results {
            let worst = first.iter().zip(&result).map(|(a, b)| f64::from((a - b).abs())).max_by(f64::total_cmp);
            prop_assert!(worst.unwrap_or(0.0) <= 1e-5 * (1.0 + problem.multiply_adds().sqrt()), "{name}");
        }
    }

    #[test]
    fn a_shifted_input_shifts_the_output(width in 20..60usize, kernel in 1..9usize, shift in 1..6usize) {
        let axes = [Axis::new(7, 3), Axis::new(width, kernel).padding(kernel - 1, kernel - 1)];
        let problem = ConvProblem::new(1, 2, 3, 1, &axes).unwrap();
        let mut x = values(problem.len(Role::Input), 9);
        x.chunks_exact_mut(width).for_each(|row| row[width - shift..].fill(0.0));
        let mut shifted = x.clone();
        shifted.chunks_exact_mut(width).for_each(|row| row.rotate_right(shift));
        let w = values(problem.len(Role::Weight), 10);
        for algorithm in willing(&problem, Pass::Forward) {
            let [y, moved] = [&x, &shifted].map(|x| run(algorithm, &problem, Pass::Forward, x, &w));
            let rows = y.chunks_exact(axes[1].output()).zip(moved.chunks_exact(axes[1].output()));
            for (row, moved) in rows {
                for (a, b) in row.iter().zip(&moved[shift..]) {
                    prop_assert!((a - b).abs() <= 1e-4, "{}", algorithm.name());
                }
            }
        }
    }
}

#[test]
fn the_same_input_gives_the_same_bits() {
    for line in ["n3 c5 o7 i23x19 k5x3 p1 s2x1", "n2 c16 o16 i40x40 k7x7 p3", "n1 c1 o2 i3000 k100"] {
        let problem: ConvProblem = line.parse().unwrap();
        for pass in Pass::ALL {
            let [left, right, _] = pass.roles();
            let (lhs, rhs) = (values(problem.len(left), 11), values(problem.len(right), 12));
            for algorithm in willing(&problem, pass) {
                let bits =
                    || run(algorithm, &problem, pass, &lhs, &rhs).iter().map(|v| v.to_bits()).collect();
                let (first, second): (Vec<u32>, Vec<u32>) = (bits(), bits());
                assert!(first == second, "{} {pass} {line}", algorithm.name());
            }
        }
    }
}

#[test]
fn estimates_of_enormous_problems_do_not_overflow() {
    for line in [
        "n1 c1 o1 i1000000000000 k1",
        "n1 c1 o1 i1 k1 p500000000000",
        "n1000000 c1000000 o1 i1 k1",
        "n1 c1 o1 i1048576x1048576 k1000000x1000000 s3 d1",
        "n1 c1048576 o1048576 i9x9 k1x1",
        "n1 c1 o1 i10000x10000x10000 k10000x10000x10000",
        "n2 c1 o1 i100000000000 k90000000000 s7 d1",
    ] {
        let problem: ConvProblem = line.parse().unwrap();
        for pass in Pass::ALL {
            assert!(willing(&problem, pass).count() >= 1, "{line}");
        }
    }
}
