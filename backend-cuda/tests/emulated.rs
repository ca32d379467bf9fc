//! What opening an emulated device answers, whatever it pretends to be. One test, since the driver is the process's.
#![cfg(feature = "emulate")]

use backend_cuda::emulate::{Order, open, pretend};
use backend_cuda::{Cuda, Device};
use conv_core::Backend;

#[test]
fn a_device_opens_or_says_in_one_line_why_not() {
    let refusal = |ordinal: usize| Device::open(ordinal).unwrap_err().to_string();
    pretend(12_080, 1, (9, 0));
    assert_eq!(refusal(0), "backend cuda: expected a driver for CUDA 13.0 or later, found one for 12.8");
    pretend(13_000, 0, (9, 0));
    assert_eq!(refusal(0), "backend cuda: the driver finds no device");
    pretend(13_000, 1, (7, 5));
    assert_eq!(refusal(0), "backend cuda: expected compute capability 8.0 or later, emulated GPU has 7.5");
    pretend(13_010, 1, (9, 0));
    assert_eq!(refusal(1), "backend cuda: expected a device number below 1, found 1");
    let cuda = open(Order::Ascending).unwrap();
    assert_eq!((cuda.device().name(), cuda.device().ordinal()), ("emulated GPU", 0));
    assert_eq!((cuda.machine().threads, cuda.machine().name.as_str()), (4, "h200"));
    assert_eq!(Cuda::open(0).unwrap().name(), "cuda");
}
