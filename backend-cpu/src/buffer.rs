//! Memory of the CPU backend: f32 values that start on a cache line.

use std::ops::{Deref, DerefMut};

/// Bytes of a cache line, and of the widest register.
const LINE: usize = 64;

/// f32 values in host memory, the first on a 64-byte boundary.
pub struct Buffer {
    values: Vec<f32>,
    first: usize,
    len: usize,
}

impl Buffer {
    /// Zeros, or `None` where the memory cannot be had.
    pub(crate) fn zeroed(len: usize) -> Option<Self> {
        let with_room = len.checked_add(LINE / size_of::<f32>())?;
        let mut values = Vec::new();
        values.try_reserve_exact(with_room).ok()?;
        values.resize(with_room, 0.0);
        let first = values.as_ptr().align_offset(LINE).min(LINE / size_of::<f32>());
        Some(Buffer { values, first, len })
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.values[self.first..self.first + self.len]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.values[self.first..self.first + self.len]
    }
}
