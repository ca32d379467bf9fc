//! What is done, counted where it is done: `tests/counted.rs` holds the estimates against it. Nothing without the feature
//! `counted`.

#[cfg(feature = "counted")]
use std::sync::atomic::{AtomicU64, Ordering};

#[cfg(feature = "counted")]
static OPERATIONS: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];

/// Operations of transforms and of products that all threads have done since the last call.
#[cfg(feature = "counted")]
pub fn operations() -> [u64; 2] {
    OPERATIONS.each_ref().map(|count| count.swap(0, Ordering::Relaxed))
}

/// Operations of a Fourier transform of a lane block.
#[inline(always)]
pub(crate) fn transformed(_flops: impl FnOnce() -> u64) {
    #[cfg(feature = "counted")]
    OPERATIONS[0].fetch_add(_flops(), Ordering::Relaxed);
}

/// Operations of products.
#[inline(always)]
pub(crate) fn multiplied(_flops: usize) {
    #[cfg(feature = "counted")]
    OPERATIONS[1].fetch_add(_flops as u64, Ordering::Relaxed);
}
