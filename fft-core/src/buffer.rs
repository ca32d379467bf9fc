//! Zero-initialised f32 storage that starts on a cache line, as vector loads want it.

use std::ops::{Deref, DerefMut};

/// Bytes of the alignment: one cache line, one AVX-512 register.
const ALIGNMENT: usize = 64;

/// A slice of f32 that starts at a multiple of 64 bytes.
///
/// Lane blocks and scratch may start anywhere, but a row of 16 lanes that straddles two cache lines
/// costs two accesses.
#[derive(Debug)]
pub struct LaneBuffer {
    data: Vec<f32>,
    start: usize,
    len: usize,
}

impl LaneBuffer {
    /// `len` zeros; like [`vec!`], panics or aborts where memory does not suffice.
    pub fn zeros(len: usize) -> LaneBuffer {
        let slack = ALIGNMENT / size_of::<f32>();
        let data = vec![0.0f32; len + slack];
        let start = data.as_ptr().align_offset(ALIGNMENT).min(slack);
        LaneBuffer { data, start, len }
    }
}

impl Deref for LaneBuffer {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        &self.data[self.start..self.start + self.len]
    }
}

impl DerefMut for LaneBuffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.data[self.start..self.start + self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_aligned_and_zero() {
        for len in [0, 1, 16, 1000] {
            let mut buffer = LaneBuffer::zeros(len);
            assert_eq!(buffer.as_ptr().addr() % ALIGNMENT, 0);
            assert!(buffer.iter().all(|&x| x == 0.0));
            buffer.fill(1.0);
            assert_eq!(buffer.len(), len);
        }
    }
}
