//! Processes that compute one thing together.

use crate::{Backend, Result};

/// The processes of a job as one of them sees them: sums over all of them, of values in the backend's memory.
///
/// Every rank begins sums of the same lengths in the same order, and ends them in that order. All fail with
/// [`crate::Error::Ranks`] where the others cannot be reached, and as the backend's memory operations do.
pub trait Ranks<B: Backend> {
    /// Its own number, from 0.
    fn rank(&self) -> usize;

    /// How many there are.
    fn size(&self) -> usize;

    /// Begins the sum `Σ weight · values` over all ranks, point by point, and need not wait for it. With weight 0 the
    /// values are not read, only their length.
    ///
    /// # Errors
    /// See [`Ranks`].
    fn begin_sum(&mut self, backend: &B, values: &B::Buffer, weight: f32) -> Result<()>;

    /// Writes `scale` times the first sum begun and not yet ended: the same on every rank.
    ///
    /// # Errors
    /// See [`Ranks`].
    fn end_sum(&mut self, backend: &B, scale: f32, sum: &mut B::Buffer) -> Result<()>;

    /// Gives every rank the values that rank 0 has, while no sum is under way.
    ///
    /// # Errors
    /// See [`Ranks`].
    fn broadcast(&mut self, backend: &B, values: &mut B::Buffer) -> Result<()>;

    /// Ends all ranks at once, with this exit code: for a rank that fails, as the others would wait for it.
    fn abort(&mut self, code: u8);
}
