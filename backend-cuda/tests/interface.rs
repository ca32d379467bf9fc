//! What this backend promises beyond the suite: exact workspaces, shared spectra, the same bits, agreement with the CPU,
//! refusals with a reason.

mod common;

use std::time::Instant;

use backend_cpu::Cpu;
use backend_cuda::Cuda;
use conv_core::algorithm::find;
use conv_core::reference::Reference;
use conv_core::testing::{conformance, problem_strategy, run_once, values};
use conv_core::{Backend, ConvProblem, Engine, Operands, Pass, Policy, Role};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

const LINES: [&str; 3] =
    ["n3 c5 o7 i23x19 k5x3 p1 s2x1", "n2 c4 o4 i30x30 k7x7 p3", "n2 c6 o6 i5x6x7 k3x3x3 g6 p2 d2"];

fn estimated_workspaces_are_those_of_the_kernels(cuda: &Cuda) {
    for (line, pass) in LINES.iter().flat_map(|line| Pass::ALL.map(|pass| (line, pass))) {
        let problem: ConvProblem = line.parse().unwrap();
        for algorithm in cuda.algorithms() {
            let Ok(cost) = algorithm.estimate(cuda.machine(), &problem, pass) else { continue };
            let kernel = algorithm.build(cuda, &problem, pass).unwrap();
            assert_eq!(cost.workspace, kernel.workspace_len() * 4, "{} {pass} {line}", algorithm.name());
        }
    }
}

fn the_same_input_gives_the_same_bits(cuda: &Cuda) {
    for pass in Pass::ALL {
        let problem: ConvProblem = LINES[0].parse().unwrap();
        let [left, right, _] = pass.roles();
        let (lhs, rhs) = (values(problem.len(left), 1), values(problem.len(right), 2));
        for algorithm in cuda.algorithms() {
            let run =
                || run_once(cuda, *algorithm, &problem, pass, [&lhs, &rhs], None).map_err(|e| e.to_string());
            let bits = |found: Result<Vec<f32>, String>| {
                found.map(|v| v.iter().map(|v| v.to_bits()).collect::<Vec<_>>())
            };
            assert!(bits(run()) == bits(run()), "{} {pass}", algorithm.name());
        }
    }
}

fn passes_of_a_step_share_spectra(cuda: Cuda) {
    let problem: ConvProblem = "n2 c3 o5 i20x20 k9x9".parse().unwrap();
    let mut engine = Engine::new(cuda).unwrap();
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
            let mut found = vec![0.0; out.len()];
            engine.backend().download(&out, &mut found).unwrap();
            let error = Reference::new(&problem, pass, lhs, rhs).unwrap().error(&found);
            assert!(error <= 2e-6, "round {round} {pass}: {error:.1e}");
        }
    }
}

/// Seconds are those of the work on the device, which the host has waited for.
fn a_stopwatch_times_what_is_asked_for(cuda: &Cuda) {
    let problem: ConvProblem = LINES[0].parse().unwrap();
    let (x, w) = (values(problem.len(Role::Input), 1), values(problem.len(Role::Weight), 2));
    let started = Instant::now();
    let stop = cuda.stopwatch().unwrap();
    run_once(cuda, find(cuda.algorithms(), "direct").unwrap(), &problem, Pass::Forward, [&x, &w], None)
        .unwrap();
    let seconds = stop().unwrap();
    assert!(seconds > 0.0 && seconds <= started.elapsed().as_secs_f64() + 1e-3, "{seconds} s");
}

fn refusals_say_why(cuda: &Cuda) {
    let reason = |name: &str, line: &str| {
        let algorithm = find(cuda.algorithms(), name).unwrap();
        algorithm.estimate(cuda.machine(), &line.parse().unwrap(), Pass::Forward).unwrap_err().to_string()
    };
    let large = reason("fft", "n1 c1 o1 i4000x4000x4000 k3x3x3");
    assert_eq!(large, "a transform of 4000x4000x4000 points has no room");
    assert!(reason("fft-tiled", "n1 c1 o1 i9x9 k9x9").starts_with("no tile is longer than the kernel"));
    assert!(reason("fft", "n1 c1 o1 i2 k2 p2:1 d4").contains("every sum is empty"));
    let enormous: ConvProblem = "n1 c1 o1 i1000000000000 k1".parse().unwrap();
    for algorithm in cuda.algorithms() {
        if let Ok(cost) = algorithm.estimate(cuda.machine(), &enormous, Pass::Forward) {
            assert!(cost.flops().is_finite() && cost.workspace == 0, "{}", algorithm.name());
        }
    }
}

/// Indices of 64 bits, which tensors of any size or strides of any length need.
fn wide_kernels_compute(cuda: &Cuda) {
    let lines = [
        "n2 c2 o3 i5 k1 s1073741824 p1073741824:0",
        "n1 c3 o2 i2x4 k2x3 d1x1073741824 p0x1073741824:1073741824",
    ];
    let problems: Vec<ConvProblem> = lines.iter().map(|line| line.parse().unwrap()).collect();
    let outcome = conformance(cuda, &problems).unwrap();
    let failures: Vec<String> = outcome.failures.iter().map(ToString::to_string).collect();
    assert!(failures.is_empty(), "{failures:#?}");
    assert_eq!((outcome.runs_of("direct"), outcome.runs_of("im2col")), (6, 6));
}

fn the_cpu_agrees(cuda: &Cuda, cases: u32) {
    let cpu = Cpu::new();
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let drawn = (problem_strategy(), prop::sample::select(&Pass::ALL[..]));
    let agree = |(problem, pass): (ConvProblem, Pass)| {
        let [left, right, _] = pass.roles();
        let (lhs, rhs) = (values(problem.len(left), 7), values(problem.len(right), 8));
        let direct = find(cpu.algorithms(), "direct").unwrap();
        let expected = run_once(&cpu, direct, &problem, pass, [&lhs, &rhs], None).unwrap();
        for algorithm in cuda.algorithms() {
            if algorithm.estimate(cuda.machine(), &problem, pass).is_err() {
                continue;
            }
            let found = run_once(cuda, *algorithm, &problem, pass, [&lhs, &rhs], None).unwrap();
            let apart =
                expected.iter().zip(&found).map(|(a, b)| f64::from((a - b).abs())).fold(0.0, f64::max);
            let bound = 1e-5 * (1.0 + problem.multiply_adds().sqrt());
            prop_assert!(apart <= bound, "{} {pass} of {problem}: {apart}", algorithm.name());
        }
        Ok(())
    };
    TestRunner::new(config).run(&drawn, agree).unwrap();
}

fn all(open: impl Fn() -> Cuda, cases: u32) {
    conv_core::cache::off();
    estimated_workspaces_are_those_of_the_kernels(&open());
    the_same_input_gives_the_same_bits(&open());
    passes_of_a_step_share_spectra(open());
    a_stopwatch_times_what_is_asked_for(&open());
    refusals_say_why(&open());
    wide_kernels_compute(&open());
    the_cpu_agrees(&open(), cases);
}

#[test]
fn a_gpu_keeps_what_is_promised() {
    if common::gpu().is_some() {
        all(|| common::gpu().expect("it was there"), 200);
    }
}

#[cfg(feature = "emulate")]
#[test]
fn the_emulated_device_keeps_what_is_promised() {
    use backend_cuda::emulate::{Order, open};
    all(|| open(Order::Stride).unwrap(), 8);
}
