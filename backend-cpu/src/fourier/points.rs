//! Between tensors and spectra: one map at a time, neighbouring points in the lanes.

use conv_core::Role;
use fft_core::{COMPLEX_POINT, PlaneFft};

use super::lanes::{Epilogue, FITS, Plane};
use super::plan::{Map, Plan};
use crate::raw::Columns;
use crate::{counted, epilogue};

/// The transform of one plan in both directions.
pub(crate) struct Points<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) fft: &'a PlaneFft,
}

impl Points<'_> {
    /// Transforms a map of a tensor to its slabs, the rows of `columns`.
    pub(crate) fn forward_to_slabs(
        &self,
        role: Role,
        map: Map,
        tensor: &[f32],
        columns: &mut Columns<'_>,
        scratch: &mut [f32],
    ) {
        let (spectrum, scratch) = scratch.split_at_mut(self.plan.uncut_len());
        let len = self.plan.blocks() * COMPLEX_POINT;
        if columns.width() >= len {
            return self.forward(role, map, tensor, &mut columns.row(0)[..len], scratch);
        }
        self.forward(role, map, tensor, spectrum, scratch);
        for (number, part) in spectrum.chunks(self.plan.slab() * COMPLEX_POINT).enumerate() {
            columns.row(number)[..part.len()].copy_from_slice(part);
        }
    }

    /// Inverts the slabs of map `number` of `count` into a plane of the tensor. `tensor` begins with plane `first`.
    pub(crate) fn inverse_from_slabs(
        &self,
        role: Role,
        map: Map,
        (spectra, number, count): (&[f32], usize, usize),
        tensor: (usize, &mut [f32]),
        epilogue: Epilogue<'_>,
        scratch: &mut [f32],
    ) {
        let (spectrum, scratch) = scratch.split_at_mut(self.plan.uncut_len());
        let [len, slab] = [self.plan.blocks(), self.plan.slab()].map(|blocks| blocks * COMPLEX_POINT);
        if count == 1 || slab == len {
            return self.inverse(role, map, &spectra[number * slab..][..len], tensor, epilogue, scratch);
        }
        for (part, maps) in spectrum.chunks_mut(slab).zip(spectra.chunks_exact(count * slab)) {
            part.copy_from_slice(&maps[number * slab..][..part.len()]);
        }
        self.inverse(role, map, spectrum, tensor, epilogue, scratch);
    }

    /// Transforms a map of a tensor to its spectrum.
    pub(crate) fn forward(
        &self,
        role: Role,
        map: Map,
        tensor: &[f32],
        spectrum: &mut [f32],
        scratch: &mut [f32],
    ) {
        let support = self.plan.tiling.span(role).map(|span| span.end);
        let (real, scratch) = scratch.split_at_mut(self.plan.map_len());
        let plane = Plane::new(self.plan, role, map);
        let values = match plane.without_gaps() {
            Some((elements, at)) => (&tensor[elements], at),
            None => {
                let rows = real.chunks_exact_mut(support[2]);
                let at = (0..support[0]).flat_map(|x0| (0..support[1]).map(move |x1| (x0, x1)));
                at.zip(rows).for_each(|((x0, x1), row)| plane.gather(x0, x1, tensor, row));
                (&real[..support.iter().product()], support.map(|end| 0..end))
            }
        };
        counted::transformed(|| PlaneFft::forward_flops(&self.plan.tiling.shape(), &support).unwrap_or(0));
        self.fft.forward(&support, (values.0, &values.1), spectrum, scratch).expect(FITS);
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
        let crop = self.plan.tiling.span(role);
        let (real, scratch) = scratch.split_at_mut(self.plan.map_len());
        counted::transformed(|| PlaneFft::inverse_flops(&self.plan.tiling.shape(), &crop).unwrap_or(0));
        let plane = Plane::new(self.plan, role, map.in_planes_from(first));
        let bias = epilogue.bias.map(|bias| bias[map.plane % bias.len()]);
        if let Some((elements, at)) = plane.without_gaps() {
            let values = &mut tensor[elements];
            self.fft.inverse(&crop, spectrum, (&mut *values, &at), scratch).expect(FITS);
            return epilogue::apply(values, bias, epilogue.relu);
        }
        let real = &mut real[..crop.iter().map(|crop| crop.len()).product()];
        self.fft.inverse(&crop, spectrum, (&mut *real, &crop), scratch).expect(FITS);
        let at = crop[0].clone().flat_map(|x0| crop[1].clone().map(move |x1| (x0, x1)));
        for ((x0, x1), row) in at.zip(real.chunks_exact_mut(crop[2].len())) {
            epilogue::apply(row, bias, epilogue.relu);
            plane.scatter(x0, x1, crop[2].start, row, tensor);
        }
    }
}
