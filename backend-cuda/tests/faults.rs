//! Faults planted in kernels are caught by the emulator: each file of kernels is compiled with a line changed, and a
//! process of its own runs it.
#![cfg(feature = "emulate")]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use backend_cuda::Cuda;
use backend_cuda::emulate::{Order, open};
use common::{close, down, garbage, up};
use conv_core::algorithm::find;
use conv_core::reference::Reference;
use conv_core::testing::{run_once, values};
use conv_core::{Backend, ConvProblem, Ops, Pass, host};

/// What a child runs, and the driver it takes.
const JOB: &str = "FAULTS_JOB";
const DRIVER: &str = "EMULATED_DRIVER";

/// An algorithm and a problem with a tail of every kind. By passes goes what no block holds.
const DIRECT: &str = "direct: n2 c9 o11 i9x11 k3x3 p1";
const IM2COL: &str = "im2col: n2 c9 o11 i9x11 k3x3 p1";
const WINOGRAD: &str = "winograd: n2 c9 o11 i9x11 k3x3 p1";
const FFT: &str = "fft: n2 c9 o11 i9x11 k3x3 p1";
const PASSES: &str = "fft: n1 c1 o1 i29500 k9 p9:1";
const FUSED: &str = "fft-fused: n3 c5 o5 i40x33 k5x7 p3:1x0:4 g5";

/// A job that is no problem: the kernels of a network's other operations.
const OPERATIONS: &str = "operations";

/// A line of a file of kernels that is changed, and what uses it.
struct Fault {
    file: &'static str,
    job: &'static str,
    from: &'static str,
    to: &'static str,
}

#[test]
#[ignore = "run by the others, in a process of its own"]
fn child() {
    if let Ok(job) = env::var(JOB) {
        Order::ALL.into_iter().for_each(|order| work(order, &job));
    }
}

/// Does a job and compares the results with what they should be.
fn work(order: Order, job: &str) {
    let cuda = open(order).unwrap();
    let Some((algorithm, line)) = job.split_once(": ") else { return operations(&cuda) };
    Pass::ALL.into_iter().for_each(|pass| convolve(&cuda, algorithm, &line.parse().unwrap(), pass));
}

fn convolve(cuda: &Cuda, algorithm: &str, problem: &ConvProblem, pass: Pass) {
    let [left, right, _] = pass.roles();
    let (lhs, rhs) = (values(problem.len(left), 1), values(problem.len(right), 2));
    let algorithm = find(cuda.algorithms(), algorithm).unwrap();
    let found = run_once(cuda, algorithm, problem, pass, [&lhs, &rhs], None).unwrap();
    let error = Reference::new(problem, pass, &lhs, &rhs).unwrap().error(&found);
    assert!(error <= algorithm.max_error(), "wrong result: {error:.1e} in {pass}");
}

/// Sums over blocks in `ops.cu` and `training.cu`.
fn operations(cuda: &Cuda) {
    let (channels, points) = (3, 300);
    let x = values(2 * channels * points, 1);
    let there = up(cuda, &x);
    let [mut sums, mut mean, mut variance] = [(); 3].map(|()| garbage(cuda, channels));
    cuda.bias_gradient(&there, points, &mut sums).unwrap();
    cuda.moments(&there, points, &mut mean, &mut variance).unwrap();
    for c in 0..channels {
        let [m, v] = host::channel_moments(&x, channels, points, c);
        let sum = host::channel_sum(&x, channels, points, c);
        let found = [&sums, &mean, &variance].map(|buffer| down(cuda, buffer)[c]);
        close(&found, &[sum, m, v], "wrong result");
    }
}

/// The emulated driver with the kernels of one file changed.
fn driver(folder: &Path, fault: &Fault) -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let built = Path::new(env!("EMULATED_DRIVER")).parent().unwrap();
    let source = fs::read_to_string(own.join("kernels").join(fault.file).with_extension("cu")).unwrap();
    assert!(source.contains(fault.from), "{} has no {:?}", fault.file, fault.from);
    fs::write(folder.join(fault.file).with_extension("cu"), source.replacen(fault.from, fault.to, 1))
        .unwrap();
    let others = fs::read_dir(built).unwrap().map(|entry| entry.unwrap().path());
    let same = format!("-{}.o", fault.file);
    let others = others
        .filter(|path| path.to_string_lossy().ends_with(".o") && !path.to_string_lossy().ends_with(&same));
    let library = folder.join("libcuda.so.1");
    let mut compiler = Command::new("c++");
    compiler
        .args(["-std=c++20", "-O1", "-fPIC", "-shared", "-w", "-Wl,-soname,libcuda.so", "-I"])
        .arg(folder);
    compiler.arg("-I").arg(own.join("kernels")).arg("-I").arg(own.join("emulate"));
    compiler.arg(built.join(fault.file).with_extension("cpp")).args(others).arg("-o").arg(&library);
    assert!(compiler.status().expect("a C++ compiler").success());
    library
}

/// What the child says of a driver whose kernels were changed so; `None` where it is content.
fn verdict(fault: &Fault) -> Option<String> {
    let name = format!("faults-{}-{}-{}", std::process::id(), fault.file, fault.from.len());
    let folder = env::temp_dir().join(name);
    fs::create_dir_all(&folder).unwrap();
    let mut child = Command::new(env::current_exe().unwrap());
    child.args(["--ignored", "--exact", "child"]).env(JOB, fault.job);
    let output = child.env(DRIVER, driver(&folder, fault)).output().unwrap();
    fs::remove_dir_all(&folder).unwrap();
    let text =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    (!output.status.success()).then_some(text)
}

/// A fault is found, and the child says so in these words.
fn found(fault: &Fault, words: &str) {
    let text = verdict(fault).unwrap_or_else(|| panic!("{} with {:?} passes", fault.file, fault.to));
    assert!(text.contains(words), "{}: {text}", fault.file);
}

#[test]
fn without_a_fault_nothing_is_found() {
    let fault = Fault { file: "direct", job: DIRECT, from: "stage", to: "stage" };
    assert_eq!(verdict(&fault), None);
    for job in [IM2COL, WINOGRAD, FFT, PASSES, FUSED, OPERATIONS] {
        work(Order::Ascending, job);
    }
}

#[test]
fn removed_barriers_are_found() {
    let faults = [
        Fault {
            file: "im2col",
            job: IM2COL,
            from: "if (more) keep(turn ^ 1);\n        __syncthreads();",
            to: "if (more) keep(turn ^ 1);",
        },
        Fault {
            file: "fourier",
            job: FFT,
            from: "tables, of_block());\n    __syncthreads();",
            to: "tables, of_block());",
        },
        Fault {
            file: "passes",
            job: PASSES,
            from: "data[to] = volumes[from]; });\n    __syncthreads();",
            to: "data[to] = volumes[from]; });",
        },
        Fault {
            file: "training",
            job: OPERATIONS,
            from: "found.value = all / count;\n    __syncthreads();",
            to: "found.value = all / count;",
        },
    ];
    faults.iter().for_each(|fault| found(fault, ""));
}

#[test]
fn wrong_indices_are_found() {
    let faults = [
        Fault {
            file: "direct",
            job: DIRECT,
            from: "sum[p][r] = fmaf(value, stage.weight[i][r], sum[p][r])",
            to: "sum[p][r] = fmaf(value, stage.weight[i + 1][r], sum[p][r])",
        },
        Fault {
            file: "winograd",
            job: WINOGRAD,
            from: "values[(p * POINTS + q) * all + place.value] = dot",
            to: "values[(q * POINTS + p) * all + place.value] = dot",
        },
        Fault {
            file: "fused",
            job: FUSED,
            from: "own * maps.planes_per_unit + channel",
            to: "own * maps.planes_per_unit",
        },
        Fault {
            file: "ops",
            job: OPERATIONS,
            from: "const float* map = grad_output + (n * channels + blockIdx.x) * points;",
            to: "const float* map = grad_output + (n * channels + blockIdx.x / 2) * points;",
        },
    ];
    faults.iter().for_each(|fault| found(fault, "wrong result"));
}

#[test]
fn writes_beyond_shared_memory_are_found() {
    let faults = [
        Fault {
            file: "direct",
            job: DIRECT,
            from: "of_warp[SUMMERS / 32][COUNT]",
            to: "of_warp[SUMMERS / 32 - 1][COUNT]",
        },
        Fault {
            file: "product",
            job: WINOGRAD,
            from: "Value right[2][DEPTH][COLUMNS + MORE];",
            to: "Value right[1][DEPTH][COLUMNS + MORE];",
        },
    ];
    faults.iter().for_each(|fault| found(fault, "past the end of shared memory"));
}

#[test]
fn writes_beyond_a_tensor_are_found() {
    let faults = [
        Fault { file: "direct", job: DIRECT, from: "if (wanted >= positions) break;", to: "" },
        Fault {
            file: "winograd",
            job: WINOGRAD,
            from: "if (y >= t.shape[0] || x >= t.shape[1]) continue;",
            to: "",
        },
    ];
    faults.iter().for_each(|fault| found(fault, ""));
}
