//! What users of this crate alone call: one-call convolution, engines with limits, errors by message, spectra
//! shared by the passes of a step.

mod common;

use approx::assert_abs_diff_eq;
use backend_cpu::{Cpu, conv, machine_names, machine_of};
use common::cpu;
use conv_core::reference::Reference;
use conv_core::testing::{run_once, values};
use conv_core::{Backend, ConvAlgorithm, ConvProblem, Engine, Operands, Pass, Policy, Role};

fn problem(line: &str) -> ConvProblem {
    line.parse().unwrap()
}

#[test]
fn one_call_convolves_slices() {
    conv_core::cache::off();
    let problem = problem("n2 c3 o4 i15x17 k3x5 p1");
    let (x, w) = (values(problem.len(Role::Input), 1), values(problem.len(Role::Weight), 2));
    let plain = conv(&problem, &x, &w, None).unwrap();
    let reference = Reference::new(&problem, Pass::Forward, &x, &w).unwrap();
    assert!(reference.error(&plain) <= 2e-6);
    let biased = conv(&problem, &x, &w, Some(&[1.0, 2.0, 3.0, 4.0])).unwrap();
    let points = problem.points(Role::Output);
    assert_abs_diff_eq!(biased[points], plain[points] + 2.0, epsilon = 1e-5);
    let short = conv(&problem, &x[1..], &w, None).unwrap_err().to_string();
    assert_eq!(short, "input has 1529 values, expected 1530");
    let bias = conv(&problem, &x, &w, Some(&[1.0])).unwrap_err().to_string();
    assert_eq!(bias, "bias has 1 values, expected 4");
}

#[test]
fn measured_choices_compute_and_are_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let problem = problem("n2 c3 o5 i20x20 k5x5 p2");
    let engine = || Engine::new(cpu()).unwrap().with_cache(Some(folder.path().into()));
    let mut engines = [engine(), engine()].map(|e| e.with_policy(Policy::Measured).unwrap());
    for pass in Pass::ALL {
        let [lhs, rhs, _] = pass.roles().map(|role| values(problem.len(role), role as u64));
        let found = engines[0].convolve(&problem, pass, &lhs, &rhs, None).unwrap();
        assert!(Reference::new(&problem, pass, &lhs, &rhs).unwrap().error(&found) <= 2e-6);
    }
    for pass in Pass::ALL {
        let [first, second] = &mut engines;
        let times = first.measure(&problem, pass).unwrap();
        assert!(times.iter().all(|(_, seconds)| *seconds > 0.0));
        assert_eq!(second.measure(&problem, pass).unwrap(), times, "{pass}");
    }
}

#[test]
fn a_limit_of_zero_leaves_an_algorithm_without_workspace() {
    let problem = problem("n2 c8 o8 i32x32 k9x9 s2 p4 g2");
    for pass in Pass::ALL {
        let mut engine = Engine::new(cpu()).unwrap().with_workspace_limit(Some(0));
        let planned = engine.plan(&problem, pass).unwrap();
        assert_eq!(
            (planned.algorithm(), planned.workspace_len(), engine.workspace_bytes()),
            ("direct", 0, 0)
        );
    }
}

#[test]
fn estimated_workspaces_are_those_of_the_kernels() {
    let cpu = cpu();
    for line in ["n3 c5 o7 i23x19 k5x3 p1 s2x1", "n2 c16 o16 i40x40 k7x7 p3", "n2 c6 o6 i9x8x7 k3x3x3 g6 d2"]
    {
        for (algorithm, pass) in cpu.algorithms().iter().flat_map(|a| Pass::ALL.map(|pass| (a, pass))) {
            let Ok(cost) = algorithm.estimate(cpu.machine(), &problem(line), pass) else { continue };
            let kernel = algorithm.build(&cpu, &problem(line), pass).unwrap();
            assert_eq!(cost.workspace, kernel.workspace_len() * 4, "{} {pass} {line}", algorithm.name());
        }
    }
}

#[test]
fn passes_of_a_step_share_spectra_and_agree_with_passes_alone() {
    let problem = problem("n4 c3 o5 i40x40 k21x21");
    let mut engine = Engine::new(cpu()).unwrap();
    let mut step = engine.plan_step(&problem, &Pass::ALL, &Policy::Named("fft".into())).unwrap();
    assert_eq!(step.shared(), 3, "input, weight and output gradient are each used by two passes");
    for round in 0..2 {
        let [x, w, dy] = [Role::Input, Role::Weight, Role::Output]
            .map(|role| values(problem.len(role), 10 * round + role as u64));
        for pass in Pass::ALL {
            let [lhs, rhs] = match pass {
                Pass::Forward => [&x, &w],
                Pass::BackwardInput => [&dy, &w],
                Pass::BackwardWeights => [&x, &dy],
            };
            let (a, b) = (engine.uploaded(lhs).unwrap(), engine.uploaded(rhs).unwrap());
            let mut out = engine.backend().alloc(problem.len(pass.roles()[2])).unwrap();
            engine.run_step(&mut step, pass, Operands::new(&a, &b, &mut out)).unwrap();
            let error = Reference::new(&problem, pass, lhs, rhs).unwrap().error(&out);
            assert!(error <= 2e-6, "round {round} {pass}: {error:.1e}");
        }
    }
}

#[test]
fn a_nan_pixel_stays_in_its_image_and_reaches_what_covers_it() {
    let problem = problem("n2 c3 o4 i40x41 k3x3 p1");
    let (mut x, w) = (values(problem.len(Role::Input), 1), values(problem.len(Role::Weight), 2));
    x[20 * 41 + 20] = f32::NAN;
    let takes = |algorithm: &&&dyn ConvAlgorithm<Cpu>| {
        algorithm.estimate(cpu().machine(), &problem, Pass::Forward).is_ok()
    };
    for algorithm in cpu().algorithms().iter().filter(takes) {
        let found = run_once(&cpu(), *algorithm, &problem, Pass::Forward, [&x, &w], None).unwrap();
        let (first, second) = found.split_at(found.len() / 2);
        assert!(second.iter().all(|y| y.is_finite()), "{}", algorithm.name());
        for (index, y) in first.iter().enumerate() {
            let (row, column) = (index / 41 % 40, index % 41);
            let covered = row.abs_diff(20) <= 1 && column.abs_diff(20) <= 1;
            let local = matches!(algorithm.name(), "direct" | "im2col");
            assert!(!covered || y.is_nan(), "{} at {index}: {y}", algorithm.name());
            assert!(covered || !local || y.is_finite(), "{} at {index}: {y}", algorithm.name());
        }
    }
}

#[test]
fn the_pool_that_calls_does_the_work() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
    let problem = problem("n2 c3 o4 i15x17 k3x5 p1");
    let (x, w) = (values(problem.len(Role::Input), 1), values(problem.len(Role::Weight), 2));
    assert_eq!(pool.install(|| cpu().machine().threads), 3);
    let found = pool.install(|| conv(&problem, &x, &w, None).unwrap());
    assert!(Reference::new(&problem, Pass::Forward, &x, &w).unwrap().error(&found) <= 2e-6);
}

#[test]
fn machines_are_found_by_name() {
    for name in machine_names() {
        assert_eq!(machine_of(name).unwrap().name, name);
    }
    let unknown = machine_of("abacus").unwrap_err().to_string();
    assert!(unknown.starts_with("machine: expected one of x86-"), "{unknown}");
    assert!(unknown.ends_with("found abacus"), "{unknown}");
}
