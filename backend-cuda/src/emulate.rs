//! The kernels on the CPU: a stand-in for the driver library, so that all of this crate runs without a GPU.
//!
//! It proves function, indices, barriers and the calls of the driver: memory holds NaN before it is written and ends
//! at a page that no one may touch, threads run in the order that is asked for, and what a GPU leaves undefined ends
//! the process with a message. It does not prove the PTX, races between blocks, or speed.

use conv_core::Result;

use crate::{Cuda, raw};

/// The order in which the threads of a block take turns, each to its next barrier, and the blocks of a grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// By number.
    Ascending = 0,
    /// The last first.
    Descending = 1,
    /// Every 37th; blocks the last first.
    Stride = 2,
}

impl Order {
    /// All orders.
    pub const ALL: [Order; 3] = [Order::Ascending, Order::Descending, Order::Stride];
}

/// Makes the stand-in the driver of this process, which no call may have looked for before.
pub fn load() {
    raw::emulated::load();
}

/// The emulated device, whose launches from this thread are carried out in this order.
///
/// # Errors
/// As [`Cuda::open`].
pub fn open(order: Order) -> Result<Cuda> {
    load();
    raw::emulated::set_order(order as i32);
    Cuda::open(0)
}

/// Pretends to be a machine with a driver for this version of CUDA (1000 major + 10 minor) and so many devices of this
/// compute capability.
pub fn pretend(driver: i32, devices: i32, capability: (i32, i32)) {
    load();
    raw::emulated::set_machine(driver, devices, capability);
}

/// Bytes that this thread has copied from the device since it last asked.
pub fn downloaded() -> u64 {
    load();
    raw::emulated::count(b"emulate_downloaded\0")
}

/// Allocations of device memory by this thread since it last asked.
pub fn allocations() -> u64 {
    load();
    raw::emulated::count(b"emulate_allocations\0")
}

/// How often this thread has waited for the device since it last asked: for work that was not known to be done.
pub fn waits() -> u64 {
    load();
    raw::emulated::count(b"emulate_waits\0")
}

/// Launches, transfers and fillings that this thread has asked for since it last waited.
pub fn pending() -> u64 {
    load();
    raw::emulated::count(b"emulate_pending\0")
}

/// Operations on real numbers, a fused multiply-add being two, that this thread's launches did in products and
/// transforms since it last asked.
pub fn operations() -> u64 {
    load();
    raw::emulated::count(b"emulate_operations\0")
}
