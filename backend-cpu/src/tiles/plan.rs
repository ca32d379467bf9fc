//! How a pass is cut into tiles, groups of tiles and blocks of 16 channels, and what that takes.
//!
//! A *block* is 16 neighbouring channels of one tile in one phase: the lanes of a transform. The spectra of a tensor
//! in one group of tiles are elements `[frequency][row][phase][block]` of 16 channels, where rows are tiles, or for
//! weights the channels that are not in the lanes.
//!
//! A *group* of tiles is transformed, multiplied and inverted by one thread, so that its spectra stay in the
//! second-level cache while those of the weights pass by: some bands of tiles of one image, where an image has more
//! tiles than a group, else all tiles of some images. In backward-weights all threads share the work on a group,
//! whose products they add to the spectra of the weights.

use std::ops::Range;

use conv_core::fourier::{Tiling, meets};
use conv_core::{ConvProblem, Cost, Machine, Pass, Role, Unsupported};

use super::product::{Kind, LANES, MOST_ROWS};
use super::transform::Transform;

/// The spectra of a group take this part of the second-level cache.
const GROUP_CACHE: [usize; 2] = [3, 4];

/// Groups a thread should find, so that threads end together.
const GROUPS_PER_THREAD: usize = 4;
