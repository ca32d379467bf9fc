//! Transforms of contiguous maps, any number of them, through lane blocks.

use crate::error::{ShapeError, check_len};
use crate::transpose::{deinterleave, interleave};
use crate::{ComplexFft, LANES, LaneBuffer, RealFft};
use num_complex::Complex;
use pulp::bytemuck::{cast_slice, cast_slice_mut};
use std::ops::Range;

impl RealFft {
    /// Transforms contiguous maps of [`RealFft::real_len`] values each.
    ///
    /// `output` has [`RealFft::spectrum_len`] frequencies for each map.
    ///
    /// # Errors
    /// An input of no whole number of maps, or an output for another number of maps.
    pub fn forward_maps(&self, input: &[f32], output: &mut [Complex<f32>]) -> Result<(), ShapeError> {
        let (points, frequencies) = (self.real_len(), self.spectrum_len());
        check_maps([points, frequencies], [input.len(), output.len()])?;
        let mut scratch = LaneBuffer::zeros(self.scratch_len());
        blocks([points, 2 * frequencies], input, cast_slice_mut(output), |real, spectrum| {
            self.forward(self.shape(), real, spectrum, &mut scratch)
        })
    }

    /// Transforms contiguous maps of [`RealFft::spectrum_len`] frequencies each, unnormalised.
    ///
    /// `output` has [`RealFft::real_len`] values for each map.
    ///
    /// # Errors
    /// An input of no whole number of maps, or an output for another number of maps.
    pub fn inverse_maps(&self, input: &[Complex<f32>], output: &mut [f32]) -> Result<(), ShapeError> {
        let (points, frequencies) = (self.real_len(), self.spectrum_len());
        check_maps([frequencies, points], [input.len(), output.len()])?;
        let mut scratch = LaneBuffer::zeros(self.scratch_len());
        blocks([2 * frequencies, points], cast_slice(input), output, |spectrum, real| {
            self.inverse(&whole(self.shape()), spectrum, real, &mut scratch)
        })
    }
}

impl ComplexFft {
    /// Transforms contiguous maps of [`ComplexFft::points_len`] points each.
    ///
    /// # Errors
    /// An input of no whole number of maps, or an output of another length than the input.
    pub fn forward_maps(
        &self,
        input: &[Complex<f32>],
        output: &mut [Complex<f32>],
    ) -> Result<(), ShapeError> {
        self.maps(input, output, |data, scratch| self.forward(self.shape(), data, scratch))
    }

    /// Transforms contiguous maps of [`ComplexFft::points_len`] points each with the opposite sign,
    /// unnormalised.
    ///
    /// # Errors
    /// An input of no whole number of maps, or an output of another length than the input.
    pub fn inverse_maps(
        &self,
        input: &[Complex<f32>],
        output: &mut [Complex<f32>],
    ) -> Result<(), ShapeError> {
        self.maps(input, output, |data, scratch| self.inverse(&whole(self.shape()), data, scratch))
    }

    /// Both directions, with `transform(data, scratch)` in place.
    fn maps(
        &self,
        input: &[Complex<f32>],
        output: &mut [Complex<f32>],
        transform: impl Fn(&mut [f32], &mut [f32]) -> Result<(), ShapeError>,
    ) -> Result<(), ShapeError> {
        let points = self.points_len();
        check_maps([points, points], [input.len(), output.len()])?;
        let mut scratch = LaneBuffer::zeros(self.scratch_len());
        blocks([2 * points, 2 * points], cast_slice(input), cast_slice_mut(output), |data, out| {
            transform(data, &mut scratch)?;
            out.copy_from_slice(data);
            Ok(())
        })
    }
}

/// The crop that promises every point.
fn whole(shape: &[usize]) -> Vec<Range<usize>> {
    shape.iter().map(|&n| 0..n).collect()
}

/// Refuses slices that do not hold the same whole number of maps of `map` values.
fn check_maps(map: [usize; 2], found: [usize; 2]) -> Result<(), ShapeError> {
    if !found[0].is_multiple_of(map[0]) {
        return Err(ShapeError::Maps { what: "input", map: map[0], found: found[0] });
    }
    check_len("output", (found[0] / map[0]).saturating_mul(map[1]), found[1])
}

/// Transforms maps of `len[0]` to maps of `len[1]` values, 16 at a time.
///
/// Maps of complex values are maps of twice as many f32 here: a lane block of those is a complex one.
fn blocks(
    len: [usize; 2],
    input: &[f32],
    output: &mut [f32],
    mut transform: impl FnMut(&mut [f32], &mut [f32]) -> Result<(), ShapeError>,
) -> Result<(), ShapeError> {
    let mut blocks = len.map(|n| LaneBuffer::zeros(n * LANES));
    let [x, y] = &mut blocks;
    let inputs = input.chunks(len[0] * LANES);
    for (input, output) in inputs.zip(output.chunks_mut(len[1] * LANES)) {
        let rows: Vec<_> = input.chunks(len[0]).collect();
        interleave(&rows, x)?;
        transform(x, y)?;
        let mut rows: Vec<_> = output.chunks_mut(len[1]).collect();
        deinterleave(y, &mut rows)?;
    }
    Ok(())
}
