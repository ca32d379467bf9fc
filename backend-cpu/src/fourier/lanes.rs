//! Between tensors and spectra: 16 maps at a time through one lane block.

use std::array::from_fn;
use std::ops::Range;

use conv_core::Role;
use conv_core::fourier::{Placement, Tiling};
use fft_core::{COMPLEX_POINT, LANES, RealFft, deinterleave, interleave, transpose16};

use super::plan::{Map, Plan};
use crate::raw::Columns;
use crate::{counted, epilogue};

/// One worker's memory for a lane block.
pub(crate) struct LaneScratch<'a> {
    real: &'a mut [f32],
    spectrum: &'a mut [f32],
    fft: &'a mut [f32],
    rows: &'a mut [f32],
    block: &'a mut [f32],
}

impl<'a> LaneScratch<'a> {
    /// Divides a worker's scratch of [`Plan::scratch_lens`].
    pub(crate) fn new(scratch: &'a mut [f32], lens: [usize; 5]) -> Self {
        let (real, rest) = scratch.split_at_mut(lens[0]);
        let (spectrum, rest) = rest.split_at_mut(lens[1]);
        let (fft, rest) = rest.split_at_mut(lens[2]);
        let (rows, block) = rest.split_at_mut(lens[3]);
        LaneScratch { real, spectrum, fft, rows, block: &mut block[..lens[4]] }
    }
}

/// What a store does to each value after scaling.
#[derive(Clone, Copy, Default)]
pub(crate) struct Epilogue<'a> {
    pub(crate) bias: Option<&'a [f32]>,
    pub(crate) relu: bool,
}

/// The transform of one plan in both directions.
pub(crate) struct Lanes<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) fft: &'a RealFft,
}

pub(super) const FITS: &str = "lengths that the plan made fit each other";

impl Lanes<'_> {
    /// Transforms up to 16 maps of a tensor into their columns of the spectra.
    pub(crate) fn forward(
        &self,
        role: Role,
        maps: &[Map],
        tensor: &[f32],
        columns: &mut Columns<'_>,
        scratch: &mut [f32],
    ) {
        let mut scratch = LaneScratch::new(scratch, self.plan.scratch_lens());
        self.load(role, maps, tensor, &mut scratch);
        let used = self.fft.spectrum_len() * COMPLEX_POINT;
        let support = self.plan.tiling.span(role).map(|span| span.end);
        let LaneScratch { real, spectrum, fft, block, .. } = scratch;
        counted::transformed(|| {
            RealFft::forward_flops(&self.plan.tiling.shape(), &support).unwrap_or(0) * LANES as u64
        });
        self.fft.forward(&support, real, &mut spectrum[..used], fft).expect(FITS);
        spectrum[used..].fill(0.0);
        for (index, points) in spectrum.chunks_exact(LANES * COMPLEX_POINT).enumerate() {
            transpose_complex(points, block);
            let row = columns.row(index);
            row.copy_from_slice(&block[..row.len()]);
        }
    }

    /// Fills the support of the real lane block, row by row.
    fn load(&self, role: Role, maps: &[Map], tensor: &[f32], scratch: &mut LaneScratch<'_>) {
        let tiling = &self.plan.tiling;
        let [_, n1, n2] = tiling.shape();
        let [s0, s1, s2] = tiling.span(role).map(|span| span.end);
        let planes: Vec<Plane> = maps.iter().map(|map| Plane::new(self.plan, role, *map)).collect();
        for (x0, x1) in (0..s0).flat_map(|x0| (0..s1).map(move |x1| (x0, x1))) {
            for (plane, row) in planes.iter().zip(scratch.rows.chunks_exact_mut(n2)) {
                plane.gather(x0, x1, tensor, &mut row[..s2]);
            }
            let rows: [_; LANES] = from_fn(|lane| &scratch.rows[lane * n2..][..s2]);
            let begin = (x0 * n1 + x1) * n2 * LANES;
            interleave(&rows[..planes.len()], &mut scratch.real[begin..begin + s2 * LANES]).expect(FITS);
        }
    }

    /// Inverts up to 16 maps, given with their numbers in the spectra, into planes of the tensor. `first` is
    /// the plane that `tensor` begins with.
    pub(crate) fn inverse(
        &self,
        role: Role,
        maps: &[(usize, Map)],
        spectra: &[f32],
        (first, tensor): (usize, &mut [f32]),
        epilogue: Epilogue<'_>,
        scratch: &mut [f32],
    ) {
        let scratch = LaneScratch::new(scratch, self.plan.scratch_lens());
        let LaneScratch { real, spectrum, fft, rows, block } = scratch;
        let row_len = spectra.len() / self.plan.blocks();
        let targets = spectrum.chunks_exact_mut(LANES * COMPLEX_POINT);
        for (points, row) in targets.zip(spectra.chunks_exact(row_len)) {
            for ((number, _), lane) in maps.iter().zip(block.chunks_exact_mut(COMPLEX_POINT)) {
                lane.copy_from_slice(&row[number * COMPLEX_POINT..][..COMPLEX_POINT]);
            }
            block[maps.len() * COMPLEX_POINT..].fill(0.0);
            transpose_complex(block, points);
        }
        let crop = self.plan.tiling.span(role);
        let used = self.fft.spectrum_len() * COMPLEX_POINT;
        counted::transformed(|| {
            RealFft::inverse_flops(&self.plan.tiling.shape(), &crop).unwrap_or(0) * LANES as u64
        });
        self.fft.inverse(&crop, &mut spectrum[..used], real, fft).expect(FITS);
        self.store(role, maps, &crop, real, rows, (first, tensor), epilogue);
    }

    #[allow(clippy::too_many_arguments)]
    fn store(
        &self,
        role: Role,
        maps: &[(usize, Map)],
        crop: &[Range<usize>; 3],
        real: &[f32],
        rows: &mut [f32],
        (first, tensor): (usize, &mut [f32]),
        epilogue: Epilogue<'_>,
    ) {
        let [_, n1, n2] = self.plan.tiling.shape();
        let (len, scale) = (crop[2].len(), self.fft.scale());
        let planes: Vec<Plane> =
            maps.iter().map(|(_, map)| Plane::new(self.plan, role, map.in_planes_from(first))).collect();
        let bias = |map: &Map| epilogue.bias.map(|bias| bias[map.plane % bias.len()]);
        for (x0, x1) in crop[0].clone().flat_map(|x0| crop[1].clone().map(move |x1| (x0, x1))) {
            let begin = ((x0 * n1 + x1) * n2 + crop[2].start) * LANES;
            let mut chunks = rows.chunks_exact_mut(n2);
            let mut parts: [_; LANES] = from_fn(|_| &mut chunks.next().expect(FITS)[..len]);
            deinterleave(&real[begin..begin + len * LANES], &mut parts[..planes.len()]).expect(FITS);
            for ((row, plane), (_, map)) in parts.iter_mut().zip(&planes).zip(maps) {
                row.iter_mut().for_each(|value| *value *= scale);
                epilogue::apply(row, bias(map), epilogue.relu);
                plane.scatter(x0, x1, crop[2].start, row, tensor);
            }
        }
    }
}

/// Transposes 16 complex rows of `[re 16 | im 16]`.
fn transpose_complex(input: &[f32], output: &mut [f32]) {
    transpose16(input, COMPLEX_POINT, output, COMPLEX_POINT).expect(FITS);
    transpose16(&input[LANES..], COMPLEX_POINT, &mut output[LANES..], COMPLEX_POINT).expect(FITS);
}

impl Map {
    /// The same map of a tensor that begins with plane `first`.
    pub(super) fn in_planes_from(self, first: usize) -> Map {
        Map { plane: self.plane - first, ..self }
    }
}

/// Where the points of one map are in its tensor.
pub(super) struct Plane {
    first: usize,
    shape: [usize; 3],
    placements: [Placement; 3],
}

impl Plane {
    pub(super) fn new(plan: &Plan, role: Role, map: Map) -> Self {
        let problem = &plan.problem;
        let shape = match role {
            Role::Input => problem.input_shape(),
            Role::Weight => problem.kernel_shape(),
            Role::Output => problem.output_shape(),
        };
        let tiling: &Tiling = &plan.tiling;
        let placements = tiling.placements(role, map.tile, map.phase);
        Plane { first: map.plane * shape.iter().product::<usize>(), shape, placements }
    }

    /// The elements of a map whose points are neighbours in the tensor as in the transform, and where they stand there.
    pub(super) fn without_gaps(&self) -> Option<(Range<usize>, [Range<usize>; 3])> {
        let whole = |(placement, len): (&Placement, &usize)| {
            placement.len == *len && (*len == 1 || (placement.step == 1 && placement.apart == 1))
        };
        let len: usize = self.shape.iter().product();
        self.placements.iter().zip(&self.shape).all(whole).then(|| {
            let at = self.placements.map(|placement| placement.at..placement.at + placement.len);
            (self.first..self.first + len, at)
        })
    }

    /// The tensor element that row `(x0, x1)` of the transform begins with, if any of the tensor is there.
    fn row(&self, x0: usize, x1: usize) -> Option<usize> {
        let [p0, p1, p2] = &self.placements;
        let (i0, i1) = (element(p0, x0)?, element(p1, x1)?);
        let begin = self.first + (i0 * self.shape[1] + i1) * self.shape[2] + p2.first;
        (p2.len > 0).then_some(begin)
    }

    /// Row `(x0, x1)` of the transform, zeros where nothing is placed.
    pub(super) fn gather(&self, x0: usize, x1: usize, tensor: &[f32], row: &mut [f32]) {
        let Placement { step, at, apart, len, .. } = self.placements[2];
        let Some(begin) = self.row(x0, x1) else { return row.fill(0.0) };
        if step == 1 && apart == 1 {
            row[..at].fill(0.0);
            row[at..at + len].copy_from_slice(&tensor[begin..begin + len]);
            row[at + len..].fill(0.0);
        } else {
            row.fill(0.0);
            let placed = row[at..].iter_mut().step_by(apart).zip(tensor[begin..].iter().step_by(step));
            placed.take(len).for_each(|(point, value)| *point = *value);
        }
    }

    /// Writes what belongs to the tensor of a row whose first value is point `from`.
    pub(super) fn scatter(&self, x0: usize, x1: usize, from: usize, row: &[f32], tensor: &mut [f32]) {
        let Placement { step, at, apart, len, .. } = self.placements[2];
        let Some(begin) = self.row(x0, x1) else { return };
        let row = &row[at - from..];
        if step == 1 && apart == 1 {
            tensor[begin..begin + len].copy_from_slice(&row[..len]);
        } else {
            let places = tensor[begin..].iter_mut().step_by(step).zip(row.iter().step_by(apart));
            places.take(len).for_each(|(value, point)| *value = *point);
        }
    }
}

/// The tensor element at a point of the transform.
fn element(placement: &Placement, point: usize) -> Option<usize> {
    let Placement { first, step, at, apart, len } = *placement;
    let offset = point.checked_sub(at)?;
    // Most points are neighbours, and a division takes as long as copying a short row.
    let (number, between) = if apart == 1 { (offset, 0) } else { (offset / apart, offset % apart) };
    (between == 0 && number < len).then(|| first + number * step)
}
