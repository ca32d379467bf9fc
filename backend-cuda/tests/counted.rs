//! Every cost estimate counts what the kernels do: the operations, and the workspace exactly.
#![cfg(feature = "emulate")]

use backend_cuda::Cuda;
use backend_cuda::emulate::{Order, open, operations};
use conv_core::testing::{edge_problems, random_problems, run_once, values};
use conv_core::{Backend, ConvProblem, Pass};

/// Problems of every kind of tail: groups of units, parts of a depth, tiles, and transforms in memory.
const LINES: [&str; 6] = [
    "n2 c3 o5 i9x14 k3x3 p1",
    "n9 c60 o70 i15x16 k3x3 p1",
    "n3 c5 o5 i40x33 k5x7 p3:1x0:4 g5",
    "n1 c3 o3 i300 k64 p63:0 g3",
    "n70 c2 o3 i33x20 k5x3",
    "n1 c1 o1 i29500 k9",
];

/// Compares what one run does with what was estimated, and returns whether it was estimated at all.
fn compare(cuda: &Cuda, index: usize, problem: &ConvProblem, pass: Pass) -> bool {
    let algorithm = cuda.algorithms()[index];
    let Ok(cost) = algorithm.estimate(cuda.machine(), problem, pass) else { return false };
    let kernel = algorithm.build(cuda, problem, pass).unwrap();
    let what = format!("{} {pass} of {problem}", algorithm.name());
    assert_eq!(cost.workspace, kernel.workspace_len() * size_of::<f32>(), "{what}");
    let [left, right, _] = pass.roles().map(|role| values(problem.len(role), 1));
    operations();
    run_once(cuda, algorithm, problem, pass, [&left, &right], None).unwrap();
    let done = operations() as f64;
    assert_eq!(done, cost.flops(), "operations of {what}: {cost:?}");
    true
}

#[test]
fn estimates_count_what_is_done() {
    let cuda = open(Order::Ascending).unwrap();
    let mut problems: Vec<ConvProblem> = LINES.iter().map(|line| line.parse().unwrap()).collect();
    problems.extend(edge_problems().into_iter().map(|named| named.problem));
    problems.extend(random_problems(6, 31));
    for (index, algorithm) in cuda.algorithms().iter().enumerate() {
        let pairs = problems.iter().flat_map(|p| Pass::ALL.map(|pass| (p, pass)));
        let compared = pairs.filter(|(problem, pass)| compare(&cuda, index, problem, *pass)).count();
        assert!(compared >= 9, "{}: {compared} runs", algorithm.name());
    }
}
