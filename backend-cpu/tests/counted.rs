//! Every cost estimate counts what the kernels do: the operations, and the workspace exactly.

use backend_cpu::Cpu;
use backend_cpu::counted::operations;
use conv_core::testing::{random_problems, run_once, values};
use conv_core::{Backend, ConvProblem, Machine, Pass};

/// Transform and product operations of one run, and those estimated.
fn counts(cpu: &Cpu, algorithm: &str, problem: &ConvProblem, pass: Pass) -> Option<[[f64; 2]; 2]> {
    let algorithm = conv_core::algorithm::find(cpu.algorithms(), algorithm).unwrap();
    let cost = algorithm.estimate(cpu.machine(), problem, pass).ok()?;
    let kernel = algorithm.build(cpu, problem, pass).unwrap();
    assert_eq!(kernel.workspace_len() * size_of::<f32>(), cost.workspace, "{pass} of {problem}");
    let [left, right, _] = pass.roles().map(|role| values(problem.len(role), 1));
    operations();
    run_once(cpu, algorithm, problem, pass, [&left, &right], None).unwrap();
    let done = operations().map(|count| count as f64);
    Some([done, [cost.transform_flops, cost.product_flops]])
}

/// The counters are one for all threads, so this is one test.
#[test]
fn estimates_count_what_is_done() {
    let cpu = Cpu::new();
    let problems = random_problems(60, 7);
    for (problem, pass) in problems.iter().flat_map(|p| Pass::ALL.map(|pass| (p, pass))) {
        for algorithm in [
            "fft",
            "fft-single",
            "fft-tiled",
            "fft-fused",
            "winograd",
            "padded",
            "depthwise",
            "broadcast",
            "images",
        ] {
            if let Some([done, estimated]) = counts(&cpu, algorithm, problem, pass) {
                assert_eq!(done, estimated, "{algorithm} {pass} of {problem}");
            }
        }
        // gemm rounds sides up to register tiles, which is not seen from outside.
        let linear = problem.axes().iter().all(|axis| axis.kernel == axis.input && axis.padding == (0, 0));
        let [done, estimated] = counts(&cpu, "im2col", problem, pass).unwrap();
        match linear {
            true => {
                assert!(done[1] <= estimated[1], "im2col {pass} of {problem}: {done:?} {estimated:?}")
            }
            false => assert_eq!(done, estimated, "im2col {pass} of {problem}"),
        }
    }
    for pass in Pass::ALL {
        let line = "n16 c3 o8 i7x7 k7x7";
        let [done, estimated] = counts(&cpu, "im2col", &line.parse().unwrap(), pass).unwrap();
        assert_eq!(done, estimated, "im2col {pass} of {line}");
        // Two blocks of channels a task, where two threads find enough tasks.
        let two = Cpu::with_machine(Machine { threads: 2, ..cpu.machine().clone() });
        for line in ["n4 c3 o40 i20x20 k3x3 p1", "n2 c37 o48 i23x30 k3x3 s2 p1"] {
            let [done, estimated] = counts(&two, "broadcast", &line.parse().unwrap(), pass).unwrap();
            assert_eq!(done, estimated, "broadcast {pass} of {line}");
        }
        // Few outputs.
        let few = "n9 c20 o30 i8x8 k7x7";
        let [done, estimated] = counts(&cpu, "im2col", &few.parse().unwrap(), pass).unwrap();
        assert_eq!(done, estimated, "im2col {pass} of {few}");
        // Kernels of one point.
        for line in ["n2 c300 o70 i14x14 k1x1", "n3 c40 o30 i133 k1 g2", "n1 c9 o20 i12x16 k1x1"] {
            let [done, estimated] = counts(&cpu, "im2col", &line.parse().unwrap(), pass).unwrap();
            assert_eq!(done, estimated, "im2col {pass} of {line}");
        }
        // Chunks of channels, and panels of weights.
        for algorithm in ["winograd", "fft-fused"] {
            let line = "n8 c160 o144 i9x9 k3x3 p1";
            let [done, estimated] = counts(&cpu, algorithm, &line.parse().unwrap(), pass).unwrap();
            assert_eq!(done, estimated, "{algorithm} {pass} of {line}");
        }
    }
    let dots = "n3 c70 o50 i5x5 k5x5";
    let [done, estimated] = counts(&cpu, "im2col", &dots.parse().unwrap(), Pass::Forward).unwrap();
    assert_eq!(done, estimated, "im2col forward of {dots}");
    for (problem, pass) in problems.iter().flat_map(|p| Pass::ALL.map(|pass| (p, pass))) {
        let [done, estimated] = counts(&cpu, "direct", problem, pass).unwrap();
        // Taps in the padding are counted, and passed over where a whole tile has none but those.
        let inside = problem.axes().iter().all(|axis| axis.padding == (0, 0));
        match inside && pass != Pass::BackwardInput {
            true => assert_eq!(done, estimated, "direct {pass} of {problem}"),
            false => {
                assert!(done[1] <= estimated[1], "direct {pass} of {problem}: {done:?} {estimated:?}")
            }
        }
    }
}
