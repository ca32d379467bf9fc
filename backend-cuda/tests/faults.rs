//! Faults planted in kernels are caught by the emulator: each kernel is compiled with a line changed, and a process of
//! its own runs it.
#![cfg(feature = "emulate")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use backend_cuda::emulate::{Order, open};
use conv_core::algorithm::find;
use conv_core::reference::Reference;
use conv_core::testing::{run_once, values};
use conv_core::{Backend, ConvProblem, Pass};

/// The algorithm that a child runs, and the driver it takes.
const ALGORITHM: &str = "FAULTS_ALGORITHM";
const DRIVER: &str = "EMULATED_DRIVER";

/// What the children run: an algorithm on a problem with a tail of every kind.
#[test]
#[ignore = "run by the others, in a process of its own"]
fn child() {
    let Ok(name) = env::var(ALGORITHM) else { return };
    let problem: ConvProblem = "n2 c9 o11 i9x11 k3x3 p1".parse().unwrap();
    for (order, pass) in Order::ALL.into_iter().flat_map(|order| Pass::ALL.map(|pass| (order, pass))) {
        let cuda = open(order).unwrap();
        let [left, right, _] = pass.roles();
        let (lhs, rhs) = (values(problem.len(left), 1), values(problem.len(right), 2));
        let algorithm = find(cuda.algorithms(), &name).unwrap();
        let found = run_once(&cuda, algorithm, &problem, pass, [&lhs, &rhs], None).unwrap();
        let error = Reference::new(&problem, pass, &lhs, &rhs).unwrap().error(&found);
        assert!(error <= algorithm.max_error(), "wrong result: {error:.1e} in {pass}, {order:?}");
    }
}

/// The emulated driver with the kernels of one file, in which `from` is replaced.
fn driver(folder: &Path, file: &str, from: &str, to: &str) -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let source = fs::read_to_string(own.join("kernels").join(file).with_extension("cu")).unwrap();
    assert!(source.contains(from), "{file} has no {from:?}");
    fs::write(folder.join(file).with_extension("cu"), source.replacen(from, to, 1)).unwrap();
    let library = folder.join("libcuda.so.1");
    let unit = Path::new(env!("EMULATED_DRIVER")).with_file_name(file).with_extension("cpp");
    let mut compiler = Command::new("c++");
    compiler
        .args(["-std=c++20", "-O1", "-fPIC", "-shared", "-w", "-Wl,-soname,libcuda.so", "-I"])
        .arg(folder);
    compiler.arg("-I").arg(own.join("kernels")).arg("-I").arg(own.join("emulate"));
    compiler.arg(unit).arg(own.join("emulate/driver.cpp")).arg("-o").arg(&library);
    assert!(compiler.status().expect("a C++ compiler").success());
    library
}

/// What the child says of a driver whose kernels were changed so; `None` where it is content.
fn verdict(algorithm: &str, from: &str, to: &str) -> Option<String> {
    let folder = env::temp_dir().join(format!("faults-{}-{algorithm}-{}", std::process::id(), from.len()));
    fs::create_dir_all(&folder).unwrap();
    let mut child = Command::new(env::current_exe().unwrap());
    child.args(["--ignored", "--exact", "child"]).env(ALGORITHM, algorithm);
    let output = child.env(DRIVER, driver(&folder, algorithm, from, to)).output().unwrap();
    fs::remove_dir_all(&folder).unwrap();
    let text =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    (!output.status.success()).then_some(text)
}

#[test]
fn without_a_fault_nothing_is_found() {
    assert_eq!(verdict("direct", "stage", "stage"), None);
}

#[test]
fn a_removed_barrier_is_found() {
    let barrier = "if (more) keep(turn ^ 1);\n        __syncthreads();";
    assert!(verdict("im2col", barrier, "if (more) keep(turn ^ 1);").is_some());
}

#[test]
fn a_wrong_index_is_found() {
    let index = "sum[p][r] = fmaf(value, stage.weight[i][r], sum[p][r])";
    let text = verdict("direct", index, "sum[p][r] = fmaf(value, stage.weight[i + 1][r], sum[p][r])");
    assert!(text.is_some_and(|text| text.contains("wrong result")));
}

#[test]
fn a_write_beyond_shared_memory_is_found() {
    let text = verdict("direct", "of_warp[SUMMERS / 32][COUNT]", "of_warp[SUMMERS / 32 - 1][COUNT]");
    assert!(text.is_some_and(|text| text.contains("past the end of shared memory")));
}

#[test]
fn a_write_beyond_a_tensor_is_found() {
    assert!(verdict("direct", "if (wanted >= positions) break;", "").is_some());
}
