//! What `direct` and `im2col` promise beyond the suite: the same bits every run, no workspace, exact reach of
//! values that are not finite, errors for wrong lengths, and geometries of huge strides.

mod common;

use backend_cpu::{Buffer, Cpu};
use common::cpu;
use conv_core::algorithm::find;
use conv_core::reference::definition;
use conv_core::testing::{conformance, run_once, values};
use conv_core::{Backend, ConvAlgorithm, ConvProblem, Error, Operands, Pass, Role, Scratch, Spectra};

const SHAPES: [&str; 8] = [
    "n3 c5 o7 i23x19 k5x3 p1 s2x1",
    "n2 c6 o9 i14x15 k4x3 s2x3 p1x2 g3",
    "n2 c70 o33 i9x17 k3x3 p1",
    "n4 c8 o16 i12x40 k3x3 p1 g8",
    "n1 c2 o3 i700 k9 p4 d2",
    "n5 c40 o30 i1 k1",
    "n2 c3 o4 i5x6x7 k1x1x1",
    "n1 c2 o2 i6x7x20 k3x2x9 p1x0x4",
];

fn algorithms(cpu: &Cpu) -> [&'static dyn ConvAlgorithm<Cpu>; 2] {
    ["direct", "im2col"].map(|name| find(cpu.algorithms(), name).unwrap())
}

fn operands(problem: &ConvProblem, pass: Pass) -> [Vec<f32>; 2] {
    let [left, right, _] = pass.roles();
    [values(problem.len(left), 1), values(problem.len(right), 2)]
}

#[test]
fn the_same_input_gives_the_same_bits() {
    let cpu = cpu();
    for (line, pass) in SHAPES.iter().flat_map(|line| Pass::ALL.map(|pass| (line, pass))) {
        let problem: ConvProblem = line.parse().unwrap();
        let [lhs, rhs] = operands(&problem, pass);
        for algorithm in algorithms(&cpu) {
            let run = || run_once(&cpu, algorithm, &problem, pass, [&lhs, &rhs], None).unwrap();
            let bits = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect::<Vec<_>>();
            let first = bits(run());
            assert!((0..3).all(|_| bits(run()) == first), "{} {pass} {line}", algorithm.name());
        }
    }
}

/// Which outputs of the pass are NaN where the operands are marked: with all other values 1, those that a
/// marked value reaches.
fn reached(problem: &ConvProblem, pass: Pass, marks: [&[bool]; 2]) -> Vec<bool> {
    let [lhs, rhs] = marks.map(|marks| marks.iter().map(|m| f64::from(u8::from(*m))).collect::<Vec<_>>());
    let ones = |values: &[f64]| vec![1.0; values.len()];
    let by_lhs = definition(problem, pass, &lhs, &ones(&rhs));
    let by_rhs = definition(problem, pass, &ones(&lhs), &rhs);
    by_lhs.iter().zip(&by_rhs).map(|(a, b)| *a > 0.0 || *b > 0.0).collect()
}

#[test]
fn with_direct_a_nan_reaches_what_meets_it_and_nothing_else() {
    let cpu = cpu();
    let [direct, _] = algorithms(&cpu);
    for (line, pass) in SHAPES.iter().flat_map(|line| Pass::ALL.map(|pass| (line, pass))) {
        let problem: ConvProblem = line.parse().unwrap();
        for (side, place) in [(0, 0), (0, 37), (0, usize::MAX), (1, 0), (1, 5), (1, usize::MAX)] {
            let mut operands = operands(&problem, pass);
            let place = place.min(operands[side].len() - 1);
            operands[side][place] = f32::NAN;
            let [lhs, rhs] = &operands;
            let found = run_once(&cpu, direct, &problem, pass, [lhs, rhs], None).unwrap();
            let marks = operands.each_ref().map(|v| v.iter().map(|v| v.is_nan()).collect::<Vec<_>>());
            let expected = reached(&problem, pass, [&marks[0], &marks[1]]);
            let found: Vec<bool> = found.iter().map(|value| value.is_nan()).collect();
            assert_eq!(found, expected, "{pass} {line}, NaN at {place} of operand {side}");
        }
    }
}

#[test]
fn strides_and_paddings_of_any_size_run() {
    let lines = [
        "n1 c1 o1 i5 k1 s1073741824 p1073741824:0",
        "n2 c2 o3 i3x4 k2x1 s1048576x3 p1048575:1048576x2",
        "n1 c2 o2 i4x3 k2x2 d1048576x1 p524288:524288x1",
        "n1 c1 o2 i9x1 k3x1 s5x7 p20:0x0",
    ];
    let problems: Vec<ConvProblem> = lines.iter().map(|line| line.parse().unwrap()).collect();
    let outcome = conformance(&cpu(), &problems).unwrap();
    let of_interest = |name: &str| name == "direct" || name == "im2col";
    let failures: Vec<_> = outcome.failures.iter().filter(|f| of_interest(f.algorithm)).collect();
    assert!(failures.is_empty(), "{}", failures[0]);
    assert_eq!(outcome.runs_of("direct"), problems.len() * 3);
}

#[test]
fn estimates_of_the_largest_tensors_are_finite_and_direct_needs_no_workspace() {
    let cpu = cpu();
    let long = 1usize << 40;
    let lines = [
        format!("n1 c1 o1 i{long} k1"),
        format!("n1 c1 o1 i{long} k{long}"),
        format!("n{long} c1 o1 i1 k1"),
        format!("n1 c{} o{} i1x1048576 k1x1", 1 << 20, 1 << 20),
        format!("n1 c1 o1 i{} k{} p{}", long / 4, long / 8, long / 8 - 1),
    ];
    for (line, pass) in lines.iter().flat_map(|line| Pass::ALL.map(|pass| (line, pass))) {
        let problem: ConvProblem = line.parse().unwrap();
        for algorithm in algorithms(&cpu) {
            let Ok(cost) = algorithm.estimate(cpu.machine(), &problem, pass) else {
                assert_eq!(algorithm.name(), "im2col");
                continue;
            };
            assert!(cost.flops().is_finite() && cost.bytes.is_finite(), "{} {pass} {line}", algorithm.name());
            assert!(algorithm.name() != "direct" || cost.workspace == 0);
            let kernel = algorithm.build(&cpu, &problem, pass).unwrap();
            assert_eq!(kernel.workspace_len() * 4, cost.workspace, "{} {pass} {line}", algorithm.name());
        }
    }
}

#[test]
fn wrong_lengths_are_errors() {
    let cpu = cpu();
    let problem: ConvProblem = "n3 c5 o7 i23x19 k5x3 p1 s2x1".parse().unwrap();
    for (algorithm, pass) in algorithms(&cpu).into_iter().flat_map(|a| Pass::ALL.map(|pass| (a, pass))) {
        let kernel = algorithm.build(&cpu, &problem, pass).unwrap();
        let lengths = pass.roles().map(|role| problem.len(role));
        let run = |lengths: [usize; 3], workspace: usize| {
            let buffer = |len: usize| -> Buffer { cpu.alloc(len).unwrap() };
            let [lhs, rhs, mut out] = lengths.map(buffer);
            let mut workspace = buffer(workspace);
            let scratch = Scratch { workspace: &mut workspace, spectra: &mut Spectra::default() };
            kernel.run(&cpu, Operands::new(&lhs, &rhs, &mut out), scratch)
        };
        let needed = kernel.workspace_len();
        assert_eq!(run(lengths, needed), Ok(()));
        for operand in 0..3 {
            let mut wrong = lengths;
            wrong[operand] -= 1;
            assert!(matches!(run(wrong, needed), Err(Error::Length { .. })), "{} {pass}", algorithm.name());
        }
        if needed > 0 {
            let short = run(lengths, needed - 1);
            assert!(matches!(short, Err(Error::Length { .. })), "{} {pass}", algorithm.name());
        }
        assert_eq!(problem.len(Role::Input), lengths[if pass == Pass::BackwardInput { 2 } else { 0 }]);
    }
}
