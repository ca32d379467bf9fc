//! `winograd`: minimal correlation of square kernels of 2 to 7 points a side by tiles of 6 to 8, all passes.

mod linear;
mod transform;

use conv_core::{ConvProblem, Machine, Pass, Unsupported};

use crate::blocking::{Blocked, Planned};
use crate::tiles::{self, Correlation, phases};
use transform::Sizes;

/// Points of a tile along both axes.
const TILES: [usize; 3] = [6, 7, 8];

/// Winograd's convolution.
pub(crate) const WINOGRAD: Blocked = Blocked { max_error: 2e-5, ..Blocked::new("winograd", plan) };

fn plan(machine: &Machine, problem: &ConvProblem, pass: Pass) -> Planned {
    phases::planned(machine, problem, pass, |problem| plan_plain(machine, problem, pass))
}

/// The tile of least predicted time, in steps of one point.
fn plan_plain(machine: &Machine, problem: &ConvProblem, pass: Pass) -> Planned {
    let [first, rows, columns] = problem.volume();
    let len = columns.kernel;
    let flat = first.input == 1 && first.kernel == 1 && first.padding == (0, 0);
    if !flat || rows.kernel != len || !(2..TILES[2]).contains(&len) {
        return Err(Unsupported::Geometry("its kernel is not a square of 2 to 7 points a side".into()));
    }
    let sizes = TILES.into_iter().filter(|tile| len < *tile).map(|tile| {
        let kernel = if pass == Pass::BackwardWeights { tile - len + 1 } else { len };
        (Correlation { tile: [1, tile, tile], kernel: [1, kernel, kernel] }, Sizes { tile, kernel })
    });
    tiles::fastest(machine, ("winograd", problem, pass), sizes).ok_or_else(tiles::too_large)
}
