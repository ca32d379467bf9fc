//! Between tensors and spectra: one map at a time, neighbouring points in the lanes.

use conv_core::Role;
use fft_core::PlaneFft;

use super::lanes::{Epilogue, FITS, Plane};
use super::plan::{Map, Plan};
use crate::{counted, epilogue};

/// The transform of one plan in both directions.
pub(crate) struct Points<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) fft: &'a PlaneFft,
}

impl Points<'_> {
    /// Transforms a map of a tensor to its spectrum.
    pub(crate) fn forward(
        &self,
        role: Role,
        map: Map,
        tensor: &[f32],
        spectrum: &mut [f32],
        scratch: &mut [f32],
    ) {
        let [_, n1, n2] = self.plan.tiling.shape();
        let support = self.plan.tiling.span(role).map(|span| span.end);
        let (real, scratch) = scratch.split_at_mut(self.fft.real_len());
        let plane = Plane::new(self.plan, role, map);
        for (x0, x1) in (0..support[0]).flat_map(|x0| (0..support[1]).map(move |x1| (x0, x1))) {
            plane.gather(x0, x1, tensor, &mut real[(x0 * n1 + x1) * n2..][..support[2]]);
        }
        counted::transformed(|| PlaneFft::forward_flops(&self.plan.tiling.shape(), &support).unwrap_or(0));
        self.fft.forward(&support, real, spectrum, scratch).expect(FITS);
    }

    /// Inverts a spectrum into a plane of the tensor. `first` is the plane that `tensor` begins with.
    pub(crate) fn inverse(
        &self,
        role: Role,
        map: Map,
        spectrum: &[f32],
        (first, tensor): (usize, &mut [f32]),
        epilogue: Epilogue<'_>,
        scratch: &mut [f32],
    ) {
        let [_, n1, n2] = self.plan.tiling.shape();
        let crop = self.plan.tiling.span(role);
        let (real, scratch) = scratch.split_at_mut(self.fft.real_len());
        counted::transformed(|| PlaneFft::inverse_flops(&self.plan.tiling.shape(), &crop).unwrap_or(0));
        self.fft.inverse(&crop, spectrum, real, scratch).expect(FITS);
        let (plane, scale) = (Plane::new(self.plan, role, map.in_planes_from(first)), self.fft.scale());
        let bias = epilogue.bias.map(|bias| bias[map.plane % bias.len()]);
        for (x0, x1) in crop[0].clone().flat_map(|x0| crop[1].clone().map(move |x1| (x0, x1))) {
            let row = &mut real[(x0 * n1 + x1) * n2..][crop[2].clone()];
            row.iter_mut().for_each(|value| *value *= scale);
            epilogue::apply(row, bias, epilogue.relu);
            plane.scatter(x0, x1, crop[2].start, row, tensor);
        }
    }
}
