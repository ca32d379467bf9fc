//! Strips: rows of maps with 16 channels in the lanes, copied from and to tensors.

use fft_core::{deinterleave, interleave};

use crate::product::LANES;

/// Why copies between strips and maps cannot fail.
pub(crate) const FITS: &str = "strips are as long as their blocking says";

/// Columns rounded up to what is transposed at once.
pub(crate) fn width(columns: usize) -> usize {
    columns.next_multiple_of(LANES / 2)
}

/// Rows of a box of up to 16 maps, `apart` values apart, the first from value `first` on.
pub(crate) struct Source<'a> {
    pub(crate) tensor: &'a [f32],
    pub(crate) first: usize,
    pub(crate) apart: usize,
    pub(crate) maps: usize,
    pub(crate) shape: [usize; 3],
}

impl<'a> Source<'a> {
    /// Neighbouring maps of a tensor, from number `map` on.
    pub(crate) fn new(tensor: &'a [f32], map: usize, maps: usize, shape: [usize; 3]) -> Source<'a> {
        let apart = shape.iter().product();
        Source { tensor, first: map * apart, apart, maps, shape }
    }

    /// Copies a box of the maps from `origin` on to the strip `[slice][row][column][lane]`, zeros outside the maps. The
    /// columns beyond the box, up to [`width`], hold anything.
    pub(crate) fn load(&self, origin: [isize; 3], lens: [usize; 3], strip: &mut [f32]) {
        let places = (0..lens[0]).flat_map(|z| (0..lens[1]).map(move |y| [z, y]));
        for (row, place) in strip.chunks_exact_mut(width(lens[2]) * LANES).zip(places) {
            let inside = |axis: usize| {
                let at = origin[axis] + place[axis] as isize;
                (0..self.shape[axis] as isize).contains(&at).then_some(at as usize)
            };
            match (inside(0), inside(1)) {
                (Some(z), Some(y)) => self.load_row([z, y], (origin[2], lens[2]), row),
                _ => row.fill(0.0),
            }
        }
    }

    /// Copies `len` columns of a row.
    fn load_row(&self, [z, y]: [usize; 2], (origin, len): (isize, usize), strip: &mut [f32]) {
        let [_, height, columns] = self.shape;
        let begin = origin.min(0).unsigned_abs().min(len);
        let skipped = (origin.max(0) as usize).min(columns);
        let count = (columns - skipped).min(len - begin);
        let first = self.first + (z * height + y) * columns + skipped;
        // Whole transposes are faster than single values: what follows the row is read and cleared again.
        let rounded = count.next_multiple_of(LANES / 2);
        let last = first + (self.maps - 1) * self.apart;
        let fits = last + rounded <= self.tensor.len() && (begin + rounded) * LANES <= strip.len();
        let read = if fits { rounded } else { count };
        let mut rows = [&self.tensor[..0]; LANES];
        for (map, row) in rows.iter_mut().enumerate().take(self.maps) {
            *row = &self.tensor[first + map * self.apart..][..read];
        }
        strip[..begin * LANES].fill(0.0);
        interleave(&rows[..self.maps], &mut strip[begin * LANES..][..read * LANES]).expect(FITS);
        strip[(begin + count) * LANES..].fill(0.0);
    }
}

/// Writes one row of a strip, `[column][lane]`, to as many rows of maps.
pub(crate) fn store(strip: &[f32], rows: &mut [&mut [f32]]) {
    let columns = rows[0].len();
    deinterleave(&strip[..columns * LANES], rows).expect(FITS);
}
