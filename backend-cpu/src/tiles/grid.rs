//! Where tiles are, and which of them make a group.

use std::ops::{Range, RangeInclusive};

use conv_core::{ConvProblem, Pass};

/// Most tiles of a group.
const MOST: usize = 64;

/// Groups a thread should find, so that threads end together.
pub(super) const GROUPS_PER_THREAD: usize = 4;

/// A correlation of a tile with a kernel along the axes: `tile - kernel + 1` targets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Correlation {
    pub(crate) tile: [usize; 3],
    pub(crate) kernel: [usize; 3],
}

impl Correlation {
    /// Targets of a tile.
    pub(crate) fn targets(&self) -> [usize; 3] {
        std::array::from_fn(|axis| self.tile[axis] - self.kernel[axis] + 1)
    }
}

/// The tiles of a pass: along an axis number `i` begins at point `i * step` of the *domain*, the map that is cut (the
/// product's, or the gradient's in backward-weights), and at point `i * step - low` of the data.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grid {
    pub(super) images: usize,
    /// Points of a map of the domain.
    pub(super) domain: [usize; 3],
    /// Points of a map of the data.
    pub(super) data: [usize; 3],
    pub(super) step: [usize; 3],
    pub(super) low: [isize; 3],
    /// Values of a tile of the data.
    pub(super) tile: [usize; 3],
    /// Images and tiles along the axes of a group.
    group: [usize; 4],
}

impl Grid {
    /// The tiles of a pass, each with `step` points of the domain and a group of its own.
    pub(super) fn new(problem: &ConvProblem, pass: Pass, (tile, step): ([usize; 3], [usize; 3])) -> Grid {
        let (input, output) = (problem.input_shape(), problem.output_shape());
        let axes = problem.volume();
        let lows = axes.map(|axis| axis.padding.0 as isize);
        let turned = axes.map(|axis| axis.kernel as isize - 1 - axis.padding.0 as isize);
        let (domain, data, low) = match pass {
            Pass::BackwardInput => (input, output, turned),
            _ => (output, input, lows),
        };
        Grid { images: problem.batch(), domain, data, step, low, tile, group: [1; 4] }
    }

    /// The same in groups of about so many tiles; of fewer where that leaves fewer groups than are wanted.
    pub(super) fn in_groups(self, tiles: RangeInclusive<usize>, wanted: usize) -> Grid {
        let (fewest, most) = (*tiles.start(), (*tiles.end()).min(MOST));
        Grid { group: self.grouped(fewest..=most.max(fewest), wanted), ..self }
    }

    /// Images and tiles along the axes.
    pub(super) fn tile_counts(&self) -> [usize; 4] {
        let [a, b, c] = std::array::from_fn(|axis| self.domain[axis].div_ceil(self.step[axis]));
        [self.images, a, b, c]
    }

    /// Tiles in all.
    pub(super) fn tiles(&self) -> usize {
        self.tile_counts().iter().product()
    }

    /// Neighbours first, from the last axis on; fewer where that leaves fewer groups than are wanted.
    fn grouped(&self, tiles: RangeInclusive<usize>, wanted: usize) -> [usize; 4] {
        let most = (self.tiles() / wanted.max(1)).clamp(*tiles.start(), *tiles.end());
        let (mut group, mut room) = ([1; 4], most);
        for (length, count) in group.iter_mut().zip(self.tile_counts()).rev() {
            let parts = count.div_ceil(room.min(count));
            *length = count.div_ceil(parts);
            room = (room / *length).max(1);
        }
        group
    }

    /// Tiles of the greatest group.
    pub(super) fn group_len(&self) -> usize {
        self.group.iter().product()
    }

    /// Images and tiles along the axes, in parts of which a group has one each.
    pub(super) fn parts(&self) -> [Vec<Range<usize>>; 4] {
        let counts = self.tile_counts();
        std::array::from_fn(|axis| {
            let (count, length) = (counts[axis], self.group[axis]);
            (0..count).step_by(length).map(|first| first..(first + length).min(count)).collect()
        })
    }

    /// How many groups there are.
    pub(super) fn group_count(&self) -> usize {
        let counts = self.tile_counts();
        (0..4).map(|axis| counts[axis].div_ceil(self.group[axis])).product()
    }

    /// All groups, the last axis fastest.
    pub(super) fn groups(&self) -> Vec<Group> {
        let [images, slices, rows, columns] = &self.parts();
        let mut groups = Vec::new();
        for image in images {
            for slice in slices {
                for row in rows {
                    for column in columns {
                        groups.push(Group([image.clone(), slice.clone(), row.clone(), column.clone()]));
                    }
                }
            }
        }
        groups
    }

    /// The points of the domain that tiles of an axis begin with.
    pub(super) fn points(&self, axis: usize, tiles: &Range<usize>) -> Range<usize> {
        tiles.start * self.step[axis]..(tiles.end * self.step[axis]).min(self.domain[axis])
    }

    /// Where the data of a run begins.
    pub(super) fn origin(&self, run: &Run) -> [isize; 3] {
        let tiles = [run.at[0], run.at[1], run.columns.start];
        std::array::from_fn(|axis| (tiles[axis] * self.step[axis]) as isize - self.low[axis])
    }

    /// Columns of data that a run of the longest group needs.
    pub(super) fn columns(&self) -> usize {
        (self.group[3] - 1) * self.step[2] + self.tile[2]
    }

    /// Columns of the domain in the longest group.
    pub(super) fn domain_columns(&self) -> usize {
        self.group[3] * self.step[2]
    }
}

/// A group: ranges of images and of tiles along the axes.
#[derive(Clone, Debug)]
pub(super) struct Group([Range<usize>; 4]);

impl Group {
    /// Tiles of the group.
    pub(super) fn len(&self) -> usize {
        self.0.iter().map(|range| range.len()).product()
    }

    /// The runs of neighbouring tiles along the last axis, in order: the first tile's number in the group, the image
    /// and the tile along the first two axes, and the tiles along the last.
    pub(super) fn runs(&self) -> impl Iterator<Item = Run> + '_ {
        let [images, slices, rows, columns] = &self.0;
        let places = images
            .clone()
            .flat_map(|image| slices.clone().map(move |slice| [image, slice]))
            .flat_map(|[image, slice]| rows.clone().map(move |row| [image, slice, row]));
        places.enumerate().map(|(number, [image, slice, row])| Run {
            first: number * columns.len(),
            image,
            at: [slice, row],
            columns: columns.clone(),
        })
    }
}

/// Neighbouring tiles along the last axis.
#[derive(Clone, Debug)]
pub(super) struct Run {
    /// The number of the first in the group.
    pub(super) first: usize,
    pub(super) image: usize,
    /// The tile along the first two axes.
    pub(super) at: [usize; 2],
    pub(super) columns: Range<usize>,
}
