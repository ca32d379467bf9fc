//! What opening a device answers, with and without a GPU. No test here loads the emulator.

mod common;

use backend_cuda::{Cuda, Device};

#[test]
fn the_reason_is_one_line_and_never_a_panic() {
    for ordinal in [1 << 20, 1 << 40, usize::MAX] {
        let reason = Cuda::open(ordinal).unwrap_err().to_string();
        assert!(reason.starts_with("backend cuda: ") && reason.lines().count() == 1, "{reason}");
    }
}

#[test]
fn without_a_driver_the_reason_names_its_library() {
    match Cuda::open(0) {
        Ok(_) => eprintln!("a GPU is here"),
        Err(error) if error.to_string().contains("libcuda") => {}
        Err(error) => eprintln!("a driver library is here: {error}"),
    }
}

#[test]
fn a_device_knows_its_name_and_number() {
    if let Some(cuda) = common::gpu() {
        let device = cuda.device();
        assert!(!device.name().is_empty());
        assert_eq!(device.ordinal(), 0);
        let reason = Device::open(usize::MAX).unwrap_err().to_string();
        assert!(reason.contains("expected a device number below"), "{reason}");
    }
}
