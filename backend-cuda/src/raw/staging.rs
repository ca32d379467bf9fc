//! Transfers through page-locked memory, two halves in turn: one is filled while the other travels.

use std::sync::Arc;

use cudarc::driver::{CudaEvent, CudaSlice, CudaStream, DevicePtr, DriverError, PinnedHostSlice, result};

/// Values of one half.
const HALF: usize = 1 << 20;

/// Page-locked memory that values pass through on their way.
#[derive(Debug)]
pub(crate) struct Staging {
    stream: Arc<CudaStream>,
    halves: [Half; 2],
    /// The half whose turn it is: a short upload need not wait for the one before.
    turn: usize,
}

#[derive(Debug)]
struct Half {
    values: PinnedHostSlice<f32>,
    /// When the last transfer from or to this half is over.
    done: CudaEvent,
}

impl Staging {
    /// Allocates both halves.
    pub(crate) fn new(stream: &Arc<CudaStream>) -> Result<Self, DriverError> {
        let half = || -> Result<Half, DriverError> {
            // SAFETY: the values are written before they are read; any bits are an f32.
            let values = unsafe { stream.context().alloc_pinned_with_flags(HALF, 0) }?;
            Ok(Half { values, done: stream.context().new_event(None)? })
        };
        Ok(Staging { stream: stream.clone(), halves: [half()?, half()?], turn: 0 })
    }

    /// Enqueues the copy of all values to the device; `from` has been read when this returns.
    pub(crate) fn upload(&mut self, from: &[f32], to: &mut CudaSlice<f32>) -> Result<(), DriverError> {
        assert!(from.len() <= to.len());
        let begin = to.device_ptr(&self.stream).0;
        self.stream.context().bind_to_thread()?;
        for (index, part) in from.chunks(HALF).enumerate() {
            let half = &mut self.halves[self.turn];
            self.turn ^= 1;
            half.done.synchronize()?;
            let values = &mut half.values.as_mut_slice()?[..part.len()];
            values.copy_from_slice(part);
            let at = begin + (4 * index * HALF) as u64;
            // SAFETY: the device memory holds `from.len()` values; nobody writes the half before `done`.
            unsafe { result::memcpy_htod_async(at, values, self.stream.cu_stream()) }?;
            half.done.record(&self.stream)?;
        }
        Ok(())
    }

    /// Copies all values from the device, after all work enqueued before.
    pub(crate) fn download(&mut self, from: &CudaSlice<f32>, to: &mut [f32]) -> Result<(), DriverError> {
        assert!(to.len() <= from.len());
        let begin = from.device_ptr(&self.stream).0;
        self.stream.context().bind_to_thread()?;
        let lens: Vec<usize> = to.chunks(HALF).map(<[f32]>::len).collect();
        let mut parts = to.chunks_mut(HALF).enumerate();
        for (index, &len) in lens.iter().enumerate() {
            let half = &mut self.halves[index % 2];
            let values = &mut half.values.as_mut_slice()?[..len];
            let at = begin + (4 * index * HALF) as u64;
            // SAFETY: the device memory holds `to.len()` values; nobody touches the half before `done`, and an upload
            // from it is before on the stream.
            unsafe { result::memcpy_dtoh_async(values, at, self.stream.cu_stream()) }?;
            half.done.record(&self.stream)?;
            if index > 0 {
                self.take(parts.next())?;
            }
        }
        self.take(parts.next())
    }

    /// Waits for the half of this part and copies it out.
    fn take(&mut self, part: Option<(usize, &mut [f32])>) -> Result<(), DriverError> {
        let Some((index, part)) = part else { return Ok(()) };
        let half = &mut self.halves[index % 2];
        half.done.synchronize()?;
        part.copy_from_slice(&half.values.as_slice()?[..part.len()]);
        Ok(())
    }
}
