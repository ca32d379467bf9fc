//! `convolve` on good files: against the reference, for arrays and images.

use crate::common::{Folder, cpu, failure, run};
use conv_core::choose::{Limits, rank};
use conv_core::reference::Reference;
use conv_core::testing::{edge_problems, values};
use conv_core::{Backend, ConvProblem, Pass, Role, Unsupported};
use examples::convolve::Convolve;
use ndarray::{ArrayD, ShapeBuilder};

/// Largest normwise error of any algorithm that may be picked.
const TOLERANCE: f64 = 2e-5;

fn shape_of(problem: &ConvProblem, role: Role) -> Vec<usize> {
    let (maps, rank) = (problem.maps(role), problem.axes().len());
    let first = if role == Role::Weight { problem.out_channels() } else { problem.batch() };
    let points = match role {
        Role::Input => problem.input_shape(),
        Role::Weight => problem.kernel_shape(),
        Role::Output => problem.output_shape(),
    };
    [&[first, maps / first], &points[3 - rank..]].concat()
}

fn listed(text: impl Iterator<Item = String>) -> String {
    text.collect::<Vec<_>>().join(",")
}

/// The flags that say what the shapes do not.
fn geometry(problem: &ConvProblem, pass: Pass) -> Vec<String> {
    let axes = problem.axes();
    let mut words = vec![
        "--pass".into(),
        pass.to_string(),
        "--stride".into(),
        listed(axes.iter().map(|a| a.stride.to_string())),
        "--padding".into(),
        listed(axes.iter().map(|a| format!("{}:{}", a.padding.0, a.padding.1))),
        "--dilation".into(),
        listed(axes.iter().map(|a| a.dilation.to_string())),
        "--groups".into(),
        problem.groups().to_string(),
    ];
    let size = match pass {
        Pass::Forward => None,
        Pass::BackwardInput => Some(("--input-size", listed(axes.iter().map(|a| a.input.to_string())))),
        Pass::BackwardWeights => Some(("--kernel-size", listed(axes.iter().map(|a| a.kernel.to_string())))),
    };
    words.extend(size.into_iter().flat_map(|(flag, size)| [flag.into(), size]));
    words
}

/// Runs one pass through files and compares it with the reference.
fn check(problem: &ConvProblem, pass: Pass, more: &[&str]) {
    let folder = Folder::new();
    let [left, right, product] = pass.roles();
    let (lhs, rhs) = (values(problem.len(left), 1), values(problem.len(right), 2));
    let flags = pass.operand_names().map(|name| format!("--{}", name.replace('_', "-")));
    let lhs_file = folder.npy("lhs.npy", &shape_of(problem, left), &lhs);
    let rhs_file = folder.npy("rhs.npy", &shape_of(problem, right), &rhs);
    let (output, geometry) = (folder.file("out.npy"), geometry(problem, pass));
    let mut words = vec![flags[0].as_str(), &lhs_file, &flags[1], &rhs_file, "--output", &output];
    words.extend(geometry.iter().map(String::as_str));
    words.extend(more);
    let line = run::<Convolve>(&words).unwrap_or_else(|failure| panic!("{pass} of {problem}: {failure}"));
    assert!(line.contains(pass.name()) && line.contains(&problem.to_string()), "{line}");
    let found = folder.read("out.npy");
    assert_eq!(found.shape, shape_of(problem, product));
    let error = Reference::new(problem, pass, &lhs, &rhs).unwrap().error(&found.values);
    assert!(error < TOLERANCE, "{pass} of {problem}: {error}");
}

#[test]
fn every_pass_of_the_edge_problems_agrees_with_the_reference() {
    for named in edge_problems() {
        Pass::ALL.into_iter().for_each(|pass| check(&named.problem, pass, &[]));
    }
}

#[test]
fn sizes_may_be_left_out_where_only_one_fits() {
    let folder = Folder::new();
    let input = folder.npy("x.npy", &[1, 1, 5, 6], &values(30, 1));
    let weight = folder.npy("w.npy", &[1, 1, 3, 2], &values(6, 2));
    let grad = folder.npy("dy.npy", &[1, 1, 3, 5], &values(15, 3));
    let output = folder.file("out.npy");
    let backward = |pass: &str, flag: &str, file: &str, stride: &str| {
        let words = ["--pass", pass, flag, file, "--grad-output", &grad, "--output", &output];
        run::<Convolve>(&[&words, ["--stride", stride].as_slice()].concat())
    };
    backward("backward-input", "--weight", &weight, "1").unwrap();
    assert_eq!(folder.read("out.npy").shape, [1, 1, 5, 6]);
    backward("backward-weights", "--input", &input, "1").unwrap();
    assert_eq!(folder.read("out.npy").shape, [1, 1, 3, 2]);
    let message = backward("backward-input", "--weight", &weight, "2").unwrap_err().to_string();
    assert_eq!(message, "--input-size: expected a size of 7 to 8 for axis 0, all of which fit, found none");
}

#[test]
fn bias_and_fortran_order() {
    let folder = Folder::new();
    let array = ArrayD::from_shape_vec(vec![1, 2, 3].f(), vec![1.0f32, 4.0, 2.0, 5.0, 3.0, 6.0]).unwrap();
    let input = folder.file("x.npy");
    ndarray_npy::write_npy(&input, &array).unwrap();
    let weight = folder.npy("w.npy", &[2, 2, 1], &[1.0, 10.0, 0.0, 1.0]);
    let bias = folder.npy("b.npy", &[2], &[0.5, -1.0]);
    let output = folder.file("y.npy");
    let words = ["--input", &input, "--weight", &weight, "--bias", &bias, "--output", &output];
    run::<Convolve>(&words).unwrap();
    let close = |a: &f32, b: &f32| (a - b).abs() < 1e-4;
    let expected = [41.5, 52.5, 63.5, 3.0, 4.0, 5.0];
    assert!(folder.read("y.npy").values.iter().zip(&expected).all(|(a, b)| close(a, b)));
}

#[test]
fn a_picture_is_blurred_by_a_large_kernel() {
    let folder = Folder::new();
    let picture =
        image::RgbImage::from_fn(90, 70, |x, y| image::Rgb([200, if x < 45 { 0 } else { 255 }, y as u8]));
    let (input, output) = (folder.file("in.png"), folder.file("out.png"));
    picture.save(&input).unwrap();
    let weight = folder.npy("w.npy", &[3, 1, 63, 63], &vec![1.0 / 3969.0; 3 * 3969]);
    let words = ["--input", &input, "--weight", &weight, "--output", &output, "--padding", "31"];
    run::<Convolve>(&[&words, ["--groups", "3"].as_slice()].concat()).unwrap();
    let blurred = image::open(&output).unwrap().into_rgb8();
    assert_eq!(blurred.dimensions(), (90, 70));
    // At the centre the window of 63 rows and columns meets no border.
    let [red, green, blue] = blurred.get_pixel(44, 35).0;
    assert!(red == 200 && blue.abs_diff(35) <= 1, "{red} {blue}");
    assert!(green.abs_diff((31.0 / 63.0 * 255.0) as u8) <= 1, "{green}");
}

#[test]
fn the_list_has_one_name_a_line() {
    let names: Vec<_> = cpu().algorithms().iter().map(|a| a.name()).collect();
    assert_eq!(run::<Convolve>(&["--list"]).unwrap().lines().collect::<Vec<_>>(), names);
    assert_eq!(
        run::<Convolve>(&["--list", "--backend", "cpu", "--threads", "1"]).unwrap().lines().count(),
        names.len()
    );
}

#[test]
fn every_name_computes_or_refuses_with_three() {
    let cpu = cpu();
    let lines = ["n2 c2 o4 i9x8 k3x3 s2 p1:0", "n1 c1 o1 i40 k3 d7", "n1 c2 o2 i5x6x7 k2x3x1 g2"];
    for problem in lines.map(|line| line.parse::<ConvProblem>().unwrap()) {
        for entry in rank(cpu.algorithms(), cpu.machine(), &problem, Pass::Forward, Limits::default()).entries
        {
            match entry.answer {
                Ok(_) => check(&problem, Pass::Forward, &["--algorithm", entry.algorithm]),
                Err(reason) => refused(&problem, entry.algorithm, &reason),
            }
        }
    }
}

fn refused(problem: &ConvProblem, algorithm: &str, reason: &Unsupported) {
    let folder = Folder::new();
    let input = folder.npy("x.npy", &shape_of(problem, Role::Input), &values(problem.len(Role::Input), 1));
    let weight = folder.npy("w.npy", &shape_of(problem, Role::Weight), &values(problem.len(Role::Weight), 1));
    let (output, geometry) = (folder.file("y.npy"), geometry(problem, Pass::Forward));
    let mut words = vec!["--input", &input, "--weight", &weight, "--output", &output];
    words.extend(geometry.iter().map(String::as_str));
    words.extend(["--algorithm", algorithm]);
    let (code, message) = failure::<Convolve>(&words);
    assert!(code == 3 && message.contains(&reason.to_string()), "{code} {message}");
    assert_eq!(folder.names().len(), 2);
}
