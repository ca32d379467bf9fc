//! Transforms kept between the passes of one training step, so that none is computed twice.

use crate::fourier::Tiling;
use crate::{Backend, Cost, Result, Role};

/// What a kept transform is of: equal keys hold equal values within one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SpectrumKey {
    /// The tensor.
    pub role: Role,
    /// How it is cut.
    pub tiling: Tiling,
    /// How its values lie: the backend's own name.
    pub layout: &'static str,
}

/// A transform that a kernel can keep or take, with what it costs to make.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shared {
    /// Which transform.
    pub key: SpectrumKey,
    /// Values it takes.
    pub len: usize,
    /// What is saved where another pass of the step made it.
    pub saved: Cost,
}

struct Slot<B: Backend> {
    key: SpectrumKey,
    buffer: B::Buffer,
    filled: bool,
}

/// Spectra of one layer for one step, booked beforehand.
pub struct Spectra<B: Backend> {
    slots: Vec<Slot<B>>,
}

impl<B: Backend> Default for Spectra<B> {
    fn default() -> Self {
        Spectra { slots: Vec::new() }
    }
}

impl<B: Backend> Spectra<B> {
    /// Books memory for these transforms.
    ///
    /// # Errors
    /// As [`Backend::alloc`].
    pub fn book(backend: &B, wanted: &[Shared]) -> Result<Self> {
        let slot =
            |shared: &Shared| Ok(Slot { key: shared.key, buffer: backend.alloc(shared.len)?, filled: false });
        Ok(Spectra { slots: wanted.iter().map(slot).collect::<Result<_>>()? })
    }

    /// The buffer of a booked transform that no pass of this step has made yet; the caller makes it now.
    pub fn claim(&mut self, key: &SpectrumKey) -> Option<&mut B::Buffer> {
        let slot = self.slots.iter_mut().find(|slot| slot.key == *key && !slot.filled)?;
        slot.filled = true;
        Some(&mut slot.buffer)
    }

    /// A transform made in this step.
    pub fn get(&self, key: &SpectrumKey) -> Option<&B::Buffer> {
        self.slots.iter().find(|slot| slot.key == *key && slot.filled).map(|slot| &slot.buffer)
    }

    /// Forgets every value, not the memory: for the next step.
    pub fn clear(&mut self) {
        self.slots.iter_mut().for_each(|slot| slot.filled = false);
    }

    /// Transforms booked.
    pub fn booked(&self) -> usize {
        self.slots.len()
    }
}
