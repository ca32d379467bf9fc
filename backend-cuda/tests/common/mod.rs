//! What the tests of this crate share.
#![allow(dead_code)]

use backend_cuda::Cuda;

/// The GPU, or `None` with a word on stderr; a failure where `REQUIRE_GPU=1` asks for one.
pub(crate) fn gpu() -> Option<Cuda> {
    conv_core::cache::off();
    let required = std::env::var_os("REQUIRE_GPU").is_some_and(|value| value == "1");
    if cfg!(feature = "emulate") && !required {
        eprintln!("SKIPPED: the emulated device takes the place of a GPU");
        return None;
    }
    match Cuda::open(0) {
        Ok(cuda) => Some(cuda),
        Err(error) if required => panic!("REQUIRE_GPU=1, but {error}"),
        Err(error) => {
            eprintln!("SKIPPED: {error}");
            None
        }
    }
}
