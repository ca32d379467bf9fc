//! `winograd`: minimal correlation of kernels of 2 to 7 points a side by tiles of 6 to 8, all passes.

mod linear;
mod transform;

use conv_core::{ConvProblem, Machine, Pass, Unsupported};

use crate::blocking::{Blocked, Planned};
use crate::tiles::{self, Correlation, phases};
use transform::Sizes;

/// Points of a tile along every axis that has a kernel.
const TILES: [usize; 3] = [6, 7, 8];

/// Points a side from which kernels of three axes take tiles of any length: with the longer two, largest errors of forward
/// and backward-input were 5.4e-5 with 2 points, 3.3e-5 with 3 and 1.5e-5 with 4.
const ANY_TILE: usize = 4;

/// Winograd's convolution.
pub(crate) const WINOGRAD: Blocked = Blocked { max_error: 2e-5, ..Blocked::new("winograd", plan) };

fn plan(machine: &Machine, problem: &ConvProblem, pass: Pass) -> Planned {
    phases::planned(machine, problem, pass, |problem| plan_plain(machine, problem, pass))
}

/// The tile of least predicted time, in steps of one point.
fn plan_plain(machine: &Machine, problem: &ConvProblem, pass: Pass) -> Planned {
    let [slices, rows, len] = problem.kernel_shape();
    let axes = match [slices, rows] {
        [1, 1] => 1,
        [1, _] => 2,
        _ => 3,
    };
    let along = |axis: usize| axis >= 3 - axes;
    let cube = (0..3).all(|axis| problem.kernel_shape()[axis] == len || !along(axis));
    if !cube || !(2..TILES[2]).contains(&len) {
        let reason = "its kernel is not a line, square or cube of 2 to 7 points a side";
        return Err(Unsupported::Geometry(reason.into()));
    }
    let exact = axes == 3 && len < ANY_TILE && pass != Pass::BackwardWeights;
    let tiles = if exact { &TILES[..1] } else { &TILES };
    let sizes = tiles.iter().copied().filter(|tile| len < *tile).map(|tile| {
        let kernel = if pass == Pass::BackwardWeights { tile - len + 1 } else { len };
        let [of_tile, of_kernel] =
            [tile, kernel].map(|side| [0, 1, 2].map(|axis| if along(axis) { side } else { 1 }));
        (Correlation { tile: of_tile, kernel: of_kernel }, Sizes { axes, tile, kernel })
    });
    tiles::fastest(machine, ("winograd", problem, pass), sizes).ok_or_else(tiles::too_large)
}
