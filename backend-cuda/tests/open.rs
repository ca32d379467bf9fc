//! What opening a device answers, with and without a GPU.

use backend_cuda::{Cuda, Device};

/// The device, or `None` with a word on stderr; a failure where `REQUIRE_GPU=1` asks for one.
fn device() -> Option<Device> {
    let required = std::env::var_os("REQUIRE_GPU").is_some_and(|value| value == "1");
    match Device::open(0) {
        Ok(device) => Some(device),
        Err(error) if required => panic!("REQUIRE_GPU=1, but {error}"),
        Err(error) => {
            eprintln!("SKIPPED: {error}");
            None
        }
    }
}

#[test]
fn the_reason_is_one_line_and_never_a_panic() {
    for ordinal in [0, 1, 1 << 40] {
        let reason = Cuda::open(ordinal).unwrap_err().to_string();
        assert!(reason.starts_with("backend cuda: ") && reason.lines().count() == 1, "{reason}");
    }
}

#[test]
fn without_a_driver_the_reason_names_its_library() {
    let reason = Cuda::open(0).unwrap_err().to_string();
    match device() {
        Some(device) => assert!(reason.contains(device.name()) && reason.contains("no CUDA engines")),
        None if reason.contains("libcuda") => {}
        None => eprintln!("a driver library is here: {reason}"),
    }
}

#[test]
fn a_device_knows_its_name_and_number() {
    if let Some(device) = device() {
        assert!(!device.name().is_empty());
        assert_eq!(device.ordinal(), 0);
        let reason = Device::open(usize::MAX).unwrap_err().to_string();
        assert!(reason.contains("expected a device number below"), "{reason}");
    }
}
