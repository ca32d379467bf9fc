//! Problems and values for tests.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::{Axis, ConvProblem, NamedProblem, parse_shapes};

/// The shapes that break things: `shapes/edge.txt`.
pub fn edge_problems() -> Vec<NamedProblem> {
    parse_shapes(include_str!("../../../shapes/edge.txt")).expect("a committed list reads")
}

/// `len` values in [-1, 1), the same for the same seed.
pub fn values(len: usize, seed: u64) -> Vec<f32> {
    let mut random = StdRng::seed_from_u64(seed);
    (0..len).map(|_| random.random_range(-1.0f32..1.0)).collect()
}

/// Small valid problems of every kind: 1 to 3 axes, stride, dilation, uneven padding, groups, depthwise.
pub fn problem_strategy() -> impl Strategy<Value = ConvProblem> {
    let channels = (1..=4usize, 1..=4usize, prop_oneof![3 => Just(1usize), 1 => 2..=4usize]);
    let axes = (1..=3usize).prop_flat_map(|rank| {
        let longest = [40, 20, 9][rank - 1];
        prop::collection::vec(axis_strategy(longest), rank)
    });
    (1..=3usize, channels, axes).prop_filter_map(
        "kernel larger than the padded input",
        |(batch, (cin, cout, groups), axes)| {
            ConvProblem::new(batch, cin * groups, cout * groups, groups, &axes).ok()
        },
    )
}

fn axis_strategy(longest: usize) -> impl Strategy<Value = Axis> {
    let usually_one = || prop_oneof![2 => Just(1usize), 1 => 1..=4usize];
    let padding = prop_oneof![Just((0, 0)), (0..=5usize, 0..=5usize)];
    (1..=longest, prop_oneof![1..=5usize, 1..=longest], usually_one(), padding, usually_one()).prop_map(
        |(input, kernel, stride, padding, dilation)| Axis { input, kernel, stride, padding, dilation },
    )
}

/// `count` problems of [`problem_strategy`], the same ones for the same seed.
pub fn random_problems(count: usize, seed: u64) -> Vec<ConvProblem> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let strategy = problem_strategy();
    let problem = |_| strategy.new_tree(&mut runner).expect("most drawn axes are valid").current();
    (0..count).map(problem).collect()
}
