//! What the tests of this crate share.
#![allow(dead_code)]

use backend_cuda::{Buffer, Cuda};
use conv_core::Backend;

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

/// Values in device memory.
pub(crate) fn up(cuda: &Cuda, values: &[f32]) -> Buffer {
    let mut buffer = cuda.alloc(values.len()).unwrap();
    cuda.upload(values, &mut buffer).unwrap();
    buffer
}

/// Memory that holds NaN.
pub(crate) fn garbage(cuda: &Cuda, len: usize) -> Buffer {
    up(cuda, &vec![f32::NAN; len])
}

/// Values of device memory.
pub(crate) fn down(cuda: &Cuda, buffer: &Buffer) -> Vec<f32> {
    let mut values = vec![0.0; buffer.len()];
    cuda.download(buffer, &mut values).unwrap();
    values
}

/// Compares values to five digits.
pub(crate) fn close(found: &[f32], expected: &[f32], what: &str) {
    assert_eq!(found.len(), expected.len());
    for (index, (f, e)) in found.iter().zip(expected).enumerate() {
        let same = f == e || (f.is_nan() && e.is_nan()) || (f - e).abs() <= 1e-5 * (1.0 + e.abs());
        assert!(same, "{what} at {index}: {f}, expected {e}");
    }
}
