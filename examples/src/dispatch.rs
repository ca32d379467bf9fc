//! From the name of a backend to the backend.

use std::io::Write;

use backend_cpu::Cpu;
use backend_cuda::Cuda;

use crate::train::ranks::local;
use crate::{BackendName, Failure, Program};

/// Runs the program on the backend that its flags name; each process of a machine has a GPU of its own.
///
/// # Errors
/// As [`Program::run`], and where CUDA is asked for by name but not available.
pub(crate) fn dispatch(program: impl Program, out: &mut (dyn Write + Send)) -> Result<(), Failure> {
    let cuda = match program.common().backend {
        _ if !program.computes() => None,
        BackendName::Cpu => None,
        BackendName::Auto if Cuda::open(0).is_err() => None,
        BackendName::Auto | BackendName::Cuda => Some(Cuda::open(local())?),
    };
    match cuda {
        None => program.run(Cpu::new(), out),
        Some(cuda) => program.run(cuda, out),
    }
}
