//! Feature `emulate`: compiles the kernels for the CPU into a stand-in for the driver library. Else does nothing.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    #[cfg(feature = "emulate")]
    emulator::build();
}

#[cfg(feature = "emulate")]
mod emulator {
    use std::path::{Path, PathBuf};
    use std::{env, fs, thread};

    /// One library of the driver and every kernel that has PTX; the environment variable `EMULATED_DRIVER` tells the
    /// crate where it is.
    pub(crate) fn build() {
        let out = PathBuf::from(env::var("OUT_DIR").expect("cargo sets OUT_DIR"));
        println!("cargo::rerun-if-changed=kernels");
        println!("cargo::rerun-if-changed=emulate");
        let mut compiler = cc::Build::new();
        compiler.cpp(true).std("c++20").opt_level(2).pic(true).debug(false).cargo_metadata(false);
        compiler
            .flag("-march=native")
            .flag("-ftls-model=initial-exec")
            .flag("-Wno-unknown-pragmas")
            .flag("-Wno-unused")
            .include("kernels")
            .include("emulate");
        let mut units = vec![PathBuf::from("emulate/driver.cpp")];
        units.extend(files("kernels/ptx", "ptx").iter().map(|ptx| unit(ptx, &out)));
        // By threads of our own: with cc's feature for them all that others build by cc would be built again.
        let compiler = &compiler;
        let compile = |unit| move || compiler.clone().file(unit).compile_intermediates();
        let objects: Vec<PathBuf> = thread::scope(|scope| {
            let threads: Vec<_> = units.iter().map(|unit| scope.spawn(compile(unit))).collect();
            threads.into_iter().flat_map(|thread| thread.join().expect("the compiler compiles")).collect()
        });
        let library = out.join("libcuda.so.1");
        let mut link = compiler.get_compiler().to_command();
        link.args(["-shared", "-Wl,-soname,libcuda.so", "-o"]).arg(&library).args(objects);
        assert!(link.status().expect("the compiler starts").success(), "linking the emulated driver");
        println!("cargo::rustc-env=EMULATED_DRIVER={}", library.display());
    }

    fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).expect("the folder is part of the crate");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        let mut files: Vec<_> =
            paths.filter(|path| path.extension().is_some_and(|e| e == extension)).collect();
        files.sort();
        files
    }

    /// A C++ file that includes the kernels of this PTX and registers each.
    fn unit(ptx: &Path, out: &Path) -> PathBuf {
        let name = ptx.file_stem().and_then(|stem| stem.to_str()).expect("a name in ASCII");
        let text = fs::read_to_string(ptx).expect("PTX is text");
        let entries =
            text.lines().filter_map(|line| line.strip_prefix(".visible .entry ")?.strip_suffix('('));
        let kernels: String = entries.map(|kernel| format!("EMULATE_KERNEL({kernel})\n")).collect();
        let file = out.join(format!("{name}.cpp"));
        let unit = format!("#include \"cuda.h\"\n#include \"{name}.cu\"\n{kernels}");
        fs::write(&file, unit).expect("OUT_DIR is writable");
        file
    }
}
