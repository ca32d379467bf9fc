//! `winograd`: minimal correlation of 3 × 3 kernels by tiles of 6 to 8 points a side, all passes.

mod linear;
mod transform;

use conv_core::{ConvProblem, Machine, Pass, Unsupported};

use crate::blocking::{Blocked, Planned};
use crate::tiles::{self, Correlation};
use transform::Sizes;

/// Points of a tile along both axes.
const TILES: [usize; 3] = [6, 7, 8];

/// Winograd's convolution.
pub(crate) const WINOGRAD: Blocked = Blocked { max_error: 2e-5, ..Blocked::new("winograd", plan) };

/// The tile of least predicted time.
fn plan(machine: &Machine, problem: &ConvProblem, pass: Pass) -> Planned {
    let [first, rest @ ..] = problem.volume();
    let square = rest.iter().all(|axis| axis.kernel == 3 && axis.stride == 1 && axis.dilation == 1);
    if !(square && first.input == 1 && first.kernel == 1 && first.padding == (0, 0)) {
        return Err(Unsupported::Geometry("its kernel is not 3 x 3 in steps of one point".into()));
    }
    let sizes = TILES.map(|tile| {
        let kernel = if pass == Pass::BackwardWeights { tile - 2 } else { 3 };
        (Correlation { tile: [1, tile, tile], kernel: [1, kernel, kernel] }, Sizes { tile, kernel })
    });
    tiles::fastest(machine, ("winograd", problem, pass), sizes.into_iter()).ok_or_else(tiles::too_large)
}
