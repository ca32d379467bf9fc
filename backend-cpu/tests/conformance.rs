//! Every algorithm of this backend against the f64 reference, on the edge list and 500 random problems.

mod common;

use backend_cpu::Cpu;
use common::cpu;
use conv_core::algorithm::find;
use conv_core::fourier::meets;
use conv_core::testing::{Outcome, conformance, edge_problems, random_problems};
use conv_core::{Backend, ConvProblem, Machine, Pass, Rates};

#[test]
fn every_algorithm_passes_the_suite() {
    let mut problems: Vec<ConvProblem> = edge_problems().into_iter().map(|named| named.problem).collect();
    problems.extend(random_problems(500, 20));
    let outcome = passing(&cpu(), &problems);
    let all = problems.len() * 3;
    println!("{:?}, worst error {:.1e}", outcome.runs, outcome.worst);
    for algorithm in ["direct", "im2col", "broadcast"] {
        assert_eq!(outcome.runs_of(algorithm), all, "{algorithm} takes every problem");
    }
    let sums = problems.iter().filter(|problem| problem.volume().iter().all(meets)).count() * 3;
    assert_eq!(outcome.runs_of("fft"), sums, "fft takes every problem that has a sum");
    assert!(outcome.runs_of("fft-tiled") > all / 3, "{:?}", outcome.runs);
    let single = |problem: &&ConvProblem| problem.group_in() == 1 && problem.group_out() == 1;
    let near = |problem: &&ConvProblem| problem.volume()[2].stride <= 2;
    let depthwise = problems.iter().filter(single).filter(near).count() * 3;
    assert_eq!(outcome.runs_of("depthwise"), depthwise, "depthwise takes every problem of that kind");
}

#[test]
fn depthwise_layers_of_all_kinds_pass() {
    let lines = [
        "n2 c17 o17 i9x11 k3x3 p1 g17",
        "n1 c32 o32 i70x90 k5x5 s2 p2 g32",
        "n3 c16 o16 i5000 k9 p4 g16",
        "n1 c16 o16 i9000 k40 p39:0 s2 g16",
        "n1 c5 o5 i6x40x40 k3x5x5 p1x2x2 g5",
        "n1 c20 o20 i130x120 k3x3 p1 g20",
        "n1 c16 o16 i23x17 k4x6 s3x2 p0:3x5:1 g16",
        "n1 c18 o18 i30x31 k3x3 p6 d2 g18",
        "n1 c4 o4 i20x24 k3x4 p3x5 s2 d3x2 g4",
        "n1 c33 o33 i7x7 k15x15 p7 g33",
        "n1 c2 o2 i12x40 k9x31 p20 g2",
        "n2 c3 o3 i40x6x6 k3x1x1 s5x1x1 g3",
    ];
    let outcome = passing(&cpu(), &problems(&lines));
    assert_eq!(outcome.runs_of("depthwise"), 3 * lines.len());
}

#[test]
fn channels_that_fill_two_blocks_and_few_images_of_many_values_pass() {
    let lines = [
        "n4 c3 o40 i20x20 k3x3 p1",
        "n2 c37 o48 i23x30 k3x3 s2 p1",
        "n5 c40 o33 i6x5 k4x3 p2",
        "n2 c66 o80 i13x14 k3x4 p1 g2",
        "n1 c20 o64 i9x20x16 k2x3x3 p1",
        "n4 c18 o34 i300 k7 d2",
        "n4 c70 o50 i5x5 k5x5",
        "n7 c1100 o9 i1 k1",
        "n5 c4200 o22 i1 k1 g2",
        "n16 c3000 o3 i1 k1",
    ];
    // With more threads there would be too few tasks of two blocks.
    let two = Cpu::with_machine(Machine { threads: 2, ..cpu().machine().clone() });
    let outcome = passing(&two, &problems(&lines));
    for algorithm in ["broadcast", "im2col"] {
        assert_eq!(outcome.runs_of(algorithm), 3 * lines.len(), "{algorithm}");
    }
}

/// Of more images than lanes: bands, strides, groups, kernels wider than a tile, and every number of channels of a tile.
#[test]
fn batches_of_small_maps_pass() {
    let mut lines: Vec<String> = [
        "n20 c3 o6 i32x32 k5x5",
        "n37 c6 o16 i14x14 k5x5",
        "n16 c4 o4 i28x28 k3x3 s2 p1",
        "n17 c3 o5 i19x23 k7x9 s3x2 p4:1x2:5",
        "n33 c4 o6 i12x13 k3x4 d3x1 p2 g2",
        "n18 c2 o3 i5x9x8 k3x2x3 s1x2x1 p1",
        "n40 c2 o7 i300 k11 s4 p5",
        "n16 c1 o1 i2x3 k5x5 p4",
        "n19 c20 o18 i6x7 k1x3 s1x4 p0x1",
        "n16 c1 o2 i90x70 k3x17 p1x8",
    ]
    .map(String::from)
    .into();
    lines.extend((1..=8).map(|made| format!("n18 c{made} o{} i9x10 k3x3 p1", 9 - made)));
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let outcome = passing(&cpu(), &problems(&lines));
    assert_eq!(outcome.runs_of("images"), 3 * lines.len());
    let images = find(cpu().algorithms(), "images").unwrap();
    let dilated = problems(&["n16 c2 o2 i20x20 k3x3 d1x2"])[0];
    let refused = images.estimate(cpu().machine(), &dilated, Pass::Forward).unwrap_err();
    assert_eq!(refused.to_string(), "the taps of its columns do not meet neighbours");
}

/// Whose kernels have one point: maps that end with a vector and others, channels of one chunk and of several.
#[test]
fn kernels_of_one_point_pass() {
    let lines = [
        "n2 c300 o70 i14x14 k1x1",
        "n1 c270 o50 i12x16 k1x1",
        "n3 c40 o30 i133 k1 g2",
        "n2 c3 o1100 i200 k1",
        "n1 c600 o7 i129 k1",
        "n3 c20 o20 i1000 k1 g5",
        "n1 c5 o9 i3x8x40 k1x1x1",
        "n9 c33 o18 i128 k1",
    ];
    let outcome = passing(&cpu(), &problems(&lines));
    assert_eq!(outcome.runs_of("im2col"), 3 * lines.len());
}

/// Whose outputs are so few that backward-input adds what each makes of the weights.
#[test]
fn few_outputs_pass() {
    let lines = [
        "n32 c20 o24 i8x8 k7x7",
        "n3 c40 o30 i11x9 k8x8 p1x0 g2",
        "n70 c3 o5 i20 k9 s2 d2",
        "n2 c8 o40 i6x7x5 k5x5x4",
    ];
    let outcome = passing(&cpu(), &problems(&lines));
    assert_eq!(outcome.runs_of("im2col"), 3 * lines.len());
}

/// Whose points are heavier than the cache: channels meet chunk by chunk and weights are made panel by panel where bytes
/// take long, and else where transforms do.
#[test]
fn many_channels_of_few_tiles_pass_however_they_are_blocked() {
    let problems = problems(&[
        "n8 c160 o144 i9x9 k3x3 p1",
        "n2 c300 o200 i7x7 k3x3 p1 g2",
        "n1 c130 o500 i20x13 k3x3 p0:2",
        "n3 c100 o70 i12x12 k5x5 p2",
        "n2 c90 o110 i5x6x7 k3x3x3 p1",
    ]);
    let [few_bytes, few_transforms] = [[1.0, 1.0, 1.0, 1e6, 1.0], [1e6, 1.0, 1.0, 0.0, 1.0]].map(|rates| {
        let mut machine = cpu().machine().clone();
        machine.caches = [32 << 10, 1 << 20, 32 << 20];
        for rates_of in machine.model.rates.values_mut().flat_map(|passes| passes.values_mut()) {
            *rates_of = Rates::from_values(rates);
        }
        Cpu::with_machine(machine)
    });
    for cpu in [&few_bytes, &few_transforms] {
        let outcome = passing(cpu, &problems);
        assert_eq!(outcome.runs_of("winograd"), 3 * problems.len());
        assert_eq!(outcome.runs_of("fft-fused"), 3 * problems.len());
    }
    for pass in Pass::ALL {
        let [a, b] = [&few_bytes, &few_transforms].map(|cpu| {
            let winograd = find(cpu.algorithms(), "winograd").unwrap();
            winograd.estimate(cpu.machine(), &problems[0], pass).unwrap().bytes
        });
        assert!(a < b, "{pass}: the same bytes, {a} and {b}");
    }
}

/// Whose weights and tiles are both many: where bytes take time and a small third-level cache would give the weights to
/// every group of tiles anew, the points of both are kept, and their products.
#[test]
fn points_of_both_factors_are_kept_where_either_is_read_too_often() {
    let problems = problems(&["n4 c160 o176 i24x25 k3x3 p1", "n3 c260 o280 i30x31 k3x3 p1 g2"]);
    let [slow, fast] = [1.0, 0.0].map(|bytes| {
        let mut machine = cpu().machine().clone();
        machine.caches = [32 << 10, 64 << 10, 1 << 20];
        machine.threads = 1;
        for rates_of in machine.model.rates.values_mut().flat_map(|passes| passes.values_mut()) {
            *rates_of = Rates::from_values([1e6, 1.0, 1.0, bytes, 1.0]);
        }
        Cpu::with_machine(machine)
    });
    let outcome = passing(&slow, &problems);
    for algorithm in ["winograd", "fft-fused"] {
        assert_eq!(outcome.runs_of(algorithm), 3 * problems.len(), "{algorithm}");
        let found = find(slow.algorithms(), algorithm).unwrap();
        for (problem, pass) in problems.iter().flat_map(|p| [(p, Pass::Forward), (p, Pass::BackwardInput)]) {
            let [more, less] =
                [&slow, &fast].map(|cpu| found.estimate(cpu.machine(), problem, pass).unwrap().workspace);
            assert!(more > less, "{algorithm} {problem} {pass}: workspaces of {more} and {less} bytes");
        }
    }
}

/// Whose phases are more channels, or more images, of a problem in steps of one point.
#[test]
fn strides_and_dilations_of_fused_tiles_pass() {
    let both = [
        "n2 c3 o20 i23x30 k7x7 s2 p3",
        "n1 c3 o17 i40x37 k11x11 s4 p2:1",
        "n2 c18 o33 i17x14 k3x3 s2 p1",
        "n2 c20 o18 i21x19 k3x3 d4 p4",
        "n1 c5 o4 i30x9 k3x3 d7x3 p1:9x3",
        "n1 c6 o4 i25x22 k5x5 d2x3 p3x6 g2",
        "n3 c4 o4 i12x13 k6x6 s4 p1",
        "n1 c2 o3 i9x11 k4x4 s5x3",
        "n2 c6 o5 i200 k9 s3 p4",
        "n1 c17 o3 i300 k4 d9 p5",
        "n1 c5 o20 i11x9x13 k3x3x3 s2 p1",
    ];
    let uneven = [
        "n1 c8 o6 i19x20 k5x5 s2x3 p0:2x4 g2",
        "n1 c4 o5 i18x16 k4x4 s2x1 d1x2 p2x0",
        "n1 c3 o4 i9x8x10 k2x3x3 d2x1x3 p1x1x3",
        "n1 c4 o6 i17x30 k1x9 s2x1 p0x4",
    ];
    let outcome = passing(&cpu(), &problems(&[&both[..], &uneven].concat()));
    assert_eq!(outcome.runs_of("winograd"), 3 * both.len());
    assert_eq!(outcome.runs_of("fft-fused"), 3 * (both.len() + uneven.len()));
}

#[test]
fn what_fused_tiles_refuse_is_named() {
    let cpu = cpu();
    for (algorithm, line, expected) in [
        ("winograd", "n1 c4 o4 i20x20 k3x3 s2 d2", "its kernel has both stride and dilation along an axis"),
        (
            "fft-fused",
            "n1 c4 o4 i20x20 k3x3 s1x3 d1x2",
            "its kernel has both stride and dilation along an axis",
        ),
        ("winograd", "n1 c1 o1 i20000 k3 d5000", "it has more than 4096 phases"),
        (
            "winograd",
            "n1 c4 o4 i20x20 k3x4",
            "its kernel is not a line, square or cube of 2 to 7 points a side",
        ),
        (
            "winograd",
            "n1 c4 o4 i20x20 k15x15 s2",
            "its kernel is not a line, square or cube of 2 to 7 points a side",
        ),
    ] {
        let problem = line.parse().unwrap();
        let found =
            find(cpu.algorithms(), algorithm).unwrap().estimate(cpu.machine(), &problem, Pass::Forward);
        let found = found.unwrap_err().to_string();
        assert!(found.contains(expected), "{line}: {found}");
    }
}

#[test]
fn winograd_passes_along_one_to_three_axes() {
    let lines = [
        "n1 c8 o6 i19 k5 p2 g2",
        "n1 c33 o20 i400 k3 p2 d2",
        "n2 c16 o5 i130 k6 p4:0 s2",
        "n1 c18 o4 i5x30 k1x7 p2x3",
        "n2 c3 o17 i6x14x15 k1x6x6",
        "n3 c17 o18 i17x23 k4x4 p3:0x1",
        "n3 c4 o4 i12x13x9 k2x2x2",
        "n2 c20 o33 i9x20x13 k3x3x3 p1",
        "n1 c5 o4 i14x15x16 k4x4x4 s2 p1",
        "n1 c4 o5 i18x16x11 k5x5x5",
        "n1 c6 o4 i9x8x10 k3x3x3 d2 p2 g2",
    ];
    let outcome = passing(&cpu(), &problems(&lines));
    assert_eq!(outcome.runs_of("winograd"), 3 * lines.len());
}

/// Single channels have the largest errors. Every table prefers tiles of its own.
#[test]
fn winograd_passes_with_the_tiles_of_every_machine() {
    let lines = [
        "n1 c1 o1 i20x21x19 k2x2x2",
        "n3 c2 o3 i17x18x16 k2x2x2",
        "n1 c1 o1 i20x21x19 k3x3x3",
        "n2 c1 o2 i24x13x25 k3x3x3 p1",
        "n3 c1 o2 i17x18x16 k4x4x4",
        "n2 c1 o1 i60x61 k2x2",
        "n2 c1 o1 i60x61 k3x3",
    ];
    for name in backend_cpu::machine_names() {
        let outcome = passing(&Cpu::with_machine(backend_cpu::machine_of(name).unwrap()), &problems(&lines));
        assert_eq!(outcome.runs_of("winograd"), 3 * lines.len(), "{name}");
    }
}

fn problems(lines: &[&str]) -> Vec<ConvProblem> {
    lines.iter().map(|line| line.parse().unwrap()).collect()
}

/// What the suite says of problems that all pass.
fn passing(cpu: &Cpu, problems: &[ConvProblem]) -> Outcome {
    let outcome = conformance(cpu, problems).unwrap();
    let failures: Vec<String> = outcome.failures.iter().map(ToString::to_string).collect();
    assert!(failures.is_empty(), "{} failures: {:#?}", failures.len(), &failures[..failures.len().min(10)]);
    outcome
}
