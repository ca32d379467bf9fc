//! `winograd`: minimal correlation of 3 × 3 kernels by tiles of 6 to 8 points a side, all passes.

mod linear;
mod transform;

use conv_core::{ConvProblem, Cost, Machine, Pass, Unsupported};

use crate::blocking::{Blocked, Blocking, Planned};
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
    let seconds = |cost: &Cost| machine.model.seconds("winograd", pass, cost, machine.threads);
    let mut best: Option<(Box<dyn Blocking>, f64)> = None;
    for tile in TILES {
        let kernel = if pass == Pass::BackwardWeights { tile - 2 } else { 3 };
        let sizes = Correlation { tile: [1, tile, tile], kernel: [1, kernel, kernel] };
        let plan = tiles::plan(machine, problem, pass, (sizes, Sizes { tile, kernel }))?;
        let seconds = seconds(&plan.estimate());
        if best.as_ref().is_none_or(|(_, least)| seconds < *least) {
            best = Some((plan, seconds));
        }
    }
    Ok(best.expect("there are tiles").0)
}
