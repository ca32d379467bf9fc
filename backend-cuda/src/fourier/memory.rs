//! Transforms that no block can hold: volumes of complex points in device memory, gathered from the maps, taken through
//! all passes, and separated into spectra; the inverse in reverse. Launches the kernels of `kernels/passes.cu`.

use conv_core::Result;

use super::passes::{AxisPass, Passes};
use super::transform::{Maps, Transform};
use super::{Lookup, THREADS};
use crate::device::{Device, Module};
use crate::raw::{Function, Launch, Span};

/// Points that a block gathers or scatters.
const MOVED_POINTS: usize = 4096;

/// The kernels of passes.
pub(super) struct InMemory {
    passes: Passes,
    gather: Function,
    scatter: Function,
    forward: Function,
    inverse: Function,
    separate: Function,
    join: Function,
}

impl InMemory {
    pub(super) fn new(device: &Device, passes: Passes) -> Result<Self> {
        let function = |name| device.function(Module::Passes, name);
        Ok(InMemory {
            passes,
            gather: function("passes_gather")?,
            scatter: function("passes_scatter")?,
            forward: function("passes_forward")?,
            inverse: function("passes_inverse")?,
            separate: function("passes_separate")?,
            join: function("passes_join")?,
        })
    }

    /// The spectra of a tensor's maps.
    pub(super) fn transform(
        &self,
        device: &Device,
        [tensor, spectra]: [Span; 2],
        lookup: Lookup,
        transform: &Transform,
        maps: &Maps,
    ) -> Result<()> {
        let Lookup { integers, volumes, .. } = lookup;
        for (first, pairs) in self.passes.turns(maps) {
            let (number, (launch, blocks)) = (first as i64, self.by_pairs(pairs));
            device.launch(
                &self.gather,
                launch,
                &[&tensor, &volumes, &integers, transform, maps, &number, &blocks],
            )?;
            for pass in &self.passes.all {
                self.pass(device, &self.forward, lookup, transform, pass, pairs)?;
            }
            let launch = self.by_points(pairs);
            device.launch(
                &self.separate,
                launch,
                &[&volumes, &spectra, &integers, transform, maps, &number, &(pairs as i32)],
            )?;
        }
        Ok(())
    }

    /// A tensor's elements from its maps' spectra.
    pub(super) fn invert(
        &self,
        device: &Device,
        [spectra, tensor, bias]: [Span; 3],
        relu: i32,
        lookup: Lookup,
        transform: &Transform,
        maps: &Maps,
    ) -> Result<()> {
        let Lookup { integers, volumes, .. } = lookup;
        for (first, pairs) in self.passes.turns(maps) {
            let (number, launch) = (first as i64, self.by_points(pairs));
            device.launch(
                &self.join,
                launch,
                &[&volumes, &spectra, &integers, transform, maps, &number, &(pairs as i32)],
            )?;
            for pass in self.passes.all.iter().rev() {
                self.pass(device, &self.inverse, lookup, transform, pass, pairs)?;
            }
            let (launch, blocks) = self.by_pairs(pairs);
            device.launch(
                &self.scatter,
                launch,
                &[&volumes, &tensor, &integers, &bias, &relu, transform, maps, &number, &blocks],
            )?;
        }
        Ok(())
    }

    fn pass(
        &self,
        device: &Device,
        function: &Function,
        lookup: Lookup,
        transform: &Transform,
        pass: &AxisPass,
        pairs: usize,
    ) -> Result<()> {
        let (launch, count) = pass.lines.launch(pairs * self.passes.volume);
        let first = 2 * transform.factors(pass.axis);
        let factors = lookup.factors.part(first..lookup.factors.len());
        device.launch(function, launch, &[&lookup.volumes, &factors, &pass.lines, &count])
    }

    /// Some blocks for every pair.
    fn by_pairs(&self, pairs: usize) -> (Launch, i32) {
        let blocks = self.passes.volume.div_ceil(MOVED_POINTS);
        (Launch { blocks: (pairs * blocks) as u64, threads: THREADS, shared: 0 }, blocks as i32)
    }

    /// Blocks that divide the points of all pairs among them.
    fn by_points(&self, pairs: usize) -> Launch {
        let blocks = (pairs * self.passes.volume).div_ceil(MOVED_POINTS) as u64;
        Launch { blocks, threads: THREADS, shared: 0 }
    }
}
