//! Where values are in the padded copies of source maps.

use super::axis::{Class, Tap};

/// Values behind the last padded map, so that the last vector is whole.
pub(crate) const TAIL: usize = 16;

/// The layout of a padded map for `classes` of the three axes.
///
/// A padded map has `spans[0] × spans[1]` rows. The columns of a row stand in the order of their residues by the
/// stride of the last axis, so that those a tap meets are neighbours.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    pub(crate) classes: [Class; 3],
    /// Positions of a padded map.
    pub(crate) spans: [usize; 3],
    /// Columns of one residue, and of a row.
    residue: usize,
    pub(crate) row: usize,
    /// Values of a padded map.
    pub(crate) map: usize,
}

impl Layout {
    pub(crate) fn new(classes: [Class; 3]) -> Layout {
        let spans = classes.map(|class| class.span());
        let residue = spans[2].div_ceil(classes[2].stride);
        let row = residue * classes[2].stride;
        Layout { classes, spans, residue, row, map: spans[0] * spans[1] * row }
    }

    /// Values of the padded maps of so many channels, and [`TAIL`]; `None` where they are very many.
    pub(crate) fn values(classes: [Class; 3], channels: usize) -> Option<usize> {
        let residue = classes[2].span().checked_next_multiple_of(classes[2].stride)?;
        let map = classes[0].span().checked_mul(classes[1].span())?.checked_mul(residue)?;
        map.checked_mul(channels)?.checked_add(TAIL)
    }

    /// Where position `x` of a row is.
    #[inline(always)]
    pub(crate) fn place(&self, x: usize) -> usize {
        let stride = self.classes[2].stride;
        x % stride * self.residue + x / stride
    }

    /// Where targets of a row meet position 0.
    pub(crate) fn row_of(&self, [z, y]: [usize; 2]) -> usize {
        (z * self.classes[0].stride * self.spans[1] + y * self.classes[1].stride) * self.row
    }

    /// How far from a target on is what each combination of taps meets, the last axis fastest.
    pub(crate) fn offsets(&self, [slices, rows, columns]: [&[Tap]; 3]) -> Vec<usize> {
        let mut offsets = Vec::with_capacity(slices.len() * rows.len() * columns.len());
        for z in slices {
            for y in rows {
                let line = (z.offset * self.spans[1] + y.offset) * self.row;
                offsets.extend(columns.iter().map(|x| line + self.place(x.offset)));
            }
        }
        offsets
    }
}
