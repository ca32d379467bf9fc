//! `convolve` on bad input: each message and exit code, and that no output file is left.

use std::fs;

use crate::common::{Folder, failure};
use conv_core::choose::{Limits, rank};
use conv_core::{Backend, ConvProblem, Pass};
use examples::convolve::Convolve;

/// A folder with good operands and some bad ones.
fn folder() -> Folder {
    let folder = Folder::new();
    let file = |name: &str, shape: &[usize]| {
        folder.npy(name, shape, &vec![0.5; shape.iter().product()]);
    };
    file("x.npy", &[1, 2, 6, 6]);
    file("w.npy", &[4, 2, 3, 3]);
    file("dy.npy", &[1, 4, 4, 4]);
    file("b.npy", &[4]);
    file("b2.npy", &[4, 1]);
    file("flat.npy", &[6, 6]);
    file("line.npy", &[1, 2, 6]);
    file("w5.npy", &[4, 5, 3, 3]);
    file("huge_kernel.npy", &[4, 2, 9, 3]);
    ndarray_npy::write_npy(folder.file("f64.npy"), &ndarray::arr1(&[1.0f64])).unwrap();
    fs::write(folder.file("garbage.npy"), "garbage, and more of it").unwrap();
    fs::write(folder.file("garbage.png"), "garbage").unwrap();
    fs::write(folder.file("x.txt"), "").unwrap();
    let whole = fs::read(folder.file("x.npy")).unwrap();
    fs::write(folder.file("short.npy"), &whole[..whole.len() - 4]).unwrap();
    fs::write(folder.file("long.npy"), [&whole[..], &[0]].concat()).unwrap();
    fs::create_dir(folder.file("folder.npy")).unwrap();
    folder
}

/// Words where `@name` stands for a file of the folder.
fn words(folder: &Folder, line: &str) -> Vec<String> {
    let word = |word: &str| word.strip_prefix('@').map_or_else(|| word.into(), |name| folder.file(name));
    line.split_whitespace().map(word).collect()
}

const FORWARD: &str = "--input @x.npy --weight @w.npy --output @y.npy";
const INPUT: &str = "--pass backward-input --grad-output @dy.npy --weight @w.npy --output @y.npy";
const WEIGHTS: &str = "--pass backward-weights --input @x.npy --grad-output @dy.npy --output @y.npy";

#[test]
fn bad_input_is_exit_2_with_a_reason_and_no_output() {
    let cases = [
        // Flags.
        (format!("{FORWARD} --algorithm nonsense"), "unknown algorithm \"nonsense\", expected one of "),
        (format!("--list --algorithm {}", "x".repeat(5000)), "unknown algorithm \"xxxx"),
        (format!("{FORWARD} --backend cuda"), "backend cuda: "),
        (format!("{FORWARD} --threads 0"), "'--threads <N>'"),
        (format!("{FORWARD} --pass sideways"), "expected one of forward, backward-input, backward-weights"),
        (format!("{FORWARD} --groups 0"), "--groups: expected at least 1, found 0"),
        (format!("{FORWARD} --groups 3"), "groups 3 must divide in channels, found 2"),
        (format!("{FORWARD} --stride 0"), "stride of axis 0 must be at least 1, found 0"),
        (format!("{FORWARD} --stride 1,1,1"), "--stride: expected 1 or 2 entries, found 3"),
        (format!("{FORWARD} --stride=-1"), "expected whole numbers of at most 1099511627776, found \"-1\""),
        (format!("{FORWARD} --padding 1:2:3"), "found \"2:3\""),
        (format!("{FORWARD} --dilation 3"), "kernel of axis 0 does not fit: it spans 7 points"),
        (
            format!("{FORWARD} --grad-output @dy.npy"),
            "forward takes --input and --weight, found --grad-output",
        ),
        (format!("{FORWARD} --kernel-size 3"), "found --kernel-size as well"),
        (format!("{INPUT} --bias @b.npy"), "backward-input takes --grad-output and --weight, found --bias"),
        ("--input @x.npy --output @y.npy".into(), "forward needs --weight FILE, found none"),
        ("--input @x.npy --weight @w.npy".into(), "forward needs --output FILE, found none"),
        // Paths.
        ("--input @none.npy --weight @w.npy --output @y.npy".into(), "none.npy: No such file"),
        ("--input @folder.npy --weight @w.npy --output @y.npy".into(), "expected a file, found a folder"),
        ("--input @x.txt --weight @w.npy --output @y.npy".into(), "expected a name in .npy, .png or .jpg"),
        ("--input @x.npy --weight @w.png --output @y.npy".into(), "--weight: expected a name in .npy, found"),
        (
            "--input @x.npy --weight @w.npy --output @y.txt".into(),
            "--output: expected a name in .npy, .png or",
        ),
        ("--input @x.npy --weight @w.npy --output @none/y.npy".into(), "expected an existing folder"),
        (
            "--input @x.npy --weight @w.npy --output @folder.npy".into(),
            "expected a file name, found a folder",
        ),
        ("--input @x.npy --weight @w.npy --output @y.png".into(), "expected an image (1, 1 or 3, H, W)"),
        // Contents.
        (
            "--input @f64.npy --weight @w.npy --output @y.npy".into(),
            "expected dtype '<f4' (little-endian f32), found '<f8'",
        ),
        ("--input @garbage.npy --weight @w.npy --output @y.npy".into(), "not an .npy file"),
        ("--input @garbage.png --weight @w.npy --output @y.npy".into(), "expected a PNG image"),
        (
            "--input @short.npy --weight @w.npy --output @y.npy".into(),
            "expected 288 bytes of data for (1, 2, 6, 6), found 284",
        ),
        ("--input @long.npy --weight @w.npy --output @y.npy".into(), "found 289"),
        // Shapes.
        (
            "--input @line.npy --weight @w.npy --output @y.npy".into(),
            "input: expected 4 axes as weight has, found (1, 2, 6)",
        ),
        ("--input @x.npy --weight @flat.npy --output @y.npy".into(), "weight: expected 3 to 5 axes"),
        (
            "--input @x.npy --weight @w5.npy --output @y.npy".into(),
            "weight: expected (4, 2, 3, 3) for n1 c2 o4 i6x6 k3x3, found (4, 5, 3, 3)",
        ),
        ("--input @x.npy --weight @huge_kernel.npy --output @y.npy".into(), "kernel of axis 0 does not fit"),
        (format!("{FORWARD} --bias @b2.npy"), "bias: expected (4), found (4, 1)"),
        (
            format!("{INPUT} --input-size 7"),
            "grad_output: expected (1, 4, 5, 5) for n1 c2 o4 i7x7 k3x3, found (1, 4, 4, 4)",
        ),
        (format!("{INPUT} --input-size 1000000000000"), "too large"),
        (format!("{INPUT} --padding 9"), "axis 0: no input gives a grad_output of 4 points"),
        (format!("{WEIGHTS} --kernel-size 2"), "grad_output: expected (1, 4, 5, 5)"),
        (format!("{WEIGHTS} --dilation 4"), "axis 0: no kernel gives a grad_output of 4 points"),
        (format!("{WEIGHTS} --padding 1 --stride 2"), "--kernel-size: expected a size of 1 to 2 for axis 0"),
    ];
    let folder = folder();
    let before = folder.names();
    for (line, expected) in cases {
        let words = words(&folder, &line);
        let (code, message) = failure::<Convolve>(&words.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(
            code == 2 && message.contains(expected),
            "{line}\nexpected {expected}\nfound {code}: {message}"
        );
        assert!(message.len() < 2500, "{line}: {message}");
        assert_eq!(folder.names(), before, "{line}");
    }
}

#[test]
fn nan_is_no_colour_and_leaves_no_picture() {
    let folder = Folder::new();
    folder.npy("x.npy", &[1, 1, 2, 2], &[0.0, f32::NAN, 0.0, 0.0]);
    folder.npy("w.npy", &[1, 1, 1, 1], &[1.0]);
    let words = words(&folder, "--input @x.npy --weight @w.npy --output @y.png");
    let (code, message) = failure::<Convolve>(&words.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(code == 2 && message.contains("NaN values; .npy can keep them"), "{message}");
    assert_eq!(folder.names().len(), 2);
}

#[test]
fn a_workspace_limit_below_a_named_algorithm_says_how_much_it_needs() {
    let cpu = crate::common::cpu();
    let problem: ConvProblem = "n1 c2 o4 i6x6 k3x3".parse().unwrap();
    let folder = folder();
    for entry in rank(cpu.algorithms(), cpu.machine(), &problem, Pass::Forward, Limits::default()).entries {
        if let Ok((cost, _)) = entry.answer {
            let line = format!("{FORWARD} --workspace-limit-mib 0 --algorithm {}", entry.algorithm);
            let words = words(&folder, &line);
            let words: Vec<_> = words.iter().map(String::as_str).collect();
            if cost.workspace == 0 {
                crate::common::run::<Convolve>(&words).unwrap();
                continue;
            }
            let (code, message) = failure::<Convolve>(&words);
            let expected = format!("{} needs {} bytes of workspace", entry.algorithm, cost.workspace);
            assert!(code == 2 && message.contains(&expected), "{message}");
        }
    }
    crate::common::run::<Convolve>(
        &words(&folder, &format!("{FORWARD} --workspace-limit-mib 0"))
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>(),
    )
    .unwrap();
}
