//! Memory of the CPU backend: f32 values that start on a cache line.

use std::ops::{Deref, DerefMut};

use memmap2::{MmapMut, MmapOptions};

/// Bytes of a cache line, and of the widest register.
pub(crate) const LINE: usize = 64;

/// Bytes of a huge page.
const HUGE_PAGE: usize = 2 << 20;

/// So many values in whole cache lines, lest what stands behind them begin within one.
pub(crate) fn whole_lines(len: usize) -> usize {
    len.next_multiple_of(LINE / size_of::<f32>())
}

/// f32 values in host memory, the first on a 64-byte boundary; large ones in huge pages where the system lends them, for
/// spectra and unfolded matrices are read and written in more places at a time than the processor remembers small ones of.
pub struct Buffer {
    memory: Memory,
    len: usize,
}

enum Memory {
    /// Values, and the number of the first on a boundary.
    Heap(Vec<f32>, usize),
    Pages(MmapMut),
}

impl Buffer {
    /// Zeros, or `None` where the memory cannot be had.
    pub(crate) fn zeroed(len: usize) -> Option<Self> {
        let bytes = len.checked_mul(size_of::<f32>())?;
        let pages = if bytes < HUGE_PAGE { None } else { pages(bytes) };
        let memory = match pages {
            Some(pages) => Memory::Pages(pages),
            None => heap(len)?,
        };
        Some(Buffer { memory, len })
    }
}

/// So many bytes of pages of zeros, where the system has such.
fn pages(bytes: usize) -> Option<MmapMut> {
    let pages = MmapOptions::new().len(bytes).map_anon().ok()?;
    // Refused, they are small pages.
    #[cfg(target_os = "linux")]
    pages.advise(memmap2::Advice::HugePage).ok();
    Some(pages)
}

fn heap(len: usize) -> Option<Memory> {
    let with_room = len.checked_add(LINE / size_of::<f32>())?;
    let mut values = Vec::new();
    values.try_reserve_exact(with_room).ok()?;
    values.resize(with_room, 0.0);
    let first = values.as_ptr().align_offset(LINE).min(LINE / size_of::<f32>());
    Some(Memory::Heap(values, first))
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match &self.memory {
            Memory::Heap(values, first) => &values[*first..*first + self.len],
            Memory::Pages(pages) => bytemuck::cast_slice(pages),
        }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        match &mut self.memory {
            Memory::Heap(values, first) => &mut values[*first..*first + self.len],
            Memory::Pages(pages) => bytemuck::cast_slice_mut(pages),
        }
    }
}
