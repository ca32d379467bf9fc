//! The passes as matrix products over unfolded inputs, in f64.

use super::product::{Strides, add_product};
use crate::{ConvProblem, Pass, Role};

/// Output points unfolded at a time.
const PANEL: usize = 2048;

/// As [`super::definition`].
pub(super) fn convolve(problem: &ConvProblem, pass: Pass, lhs: &[f64], rhs: &[f64]) -> Vec<f64> {
    let mut out = vec![0.0; problem.len(pass.roles()[2])];
    let (points, kernel) = (problem.points(Role::Output), problem.points(Role::Weight));
    let depth = problem.group_in() * kernel;
    let mut unfolded = vec![0.0; depth * PANEL.min(points)];
    for image in 0..problem.batch() * problem.groups() {
        let block = Block::new(problem, image);
        for begin in (0..points).step_by(PANEL) {
            let width = PANEL.min(points - begin);
            let panel = &mut unfolded[..depth * width];
            let source = if pass == Pass::BackwardInput { None } else { Some(&lhs[block.input.clone()]) };
            let indices = Indices { problem, begin, width };
            match source {
                Some(input) => indices.unfold(input, panel),
                None => panel.fill(0.0),
            }
            let rows = problem.group_out();
            let (w, y) = (block.weight.clone(), block.output.start + begin..block.output.end);
            let (by_depth, by_width, by_point) =
                (Strides::rows(depth), Strides::rows(width), Strides::rows(points));
            match pass {
                Pass::Forward => {
                    let sizes = [rows, depth, width];
                    add_product(sizes, (&rhs[w], by_depth), (panel, by_width), (&mut out[y], by_point));
                }
                Pass::BackwardInput => {
                    let transposed = Strides::columns(depth);
                    let sizes = [depth, rows, width];
                    add_product(sizes, (&rhs[w], transposed), (&lhs[y], by_point), (panel, by_width));
                    indices.fold(panel, &mut out[block.input.clone()]);
                }
                Pass::BackwardWeights => {
                    let sizes = [rows, width, depth];
                    let transposed = Strides::columns(width);
                    add_product(sizes, (&rhs[y], by_point), (panel, transposed), (&mut out[w], by_depth));
                }
            }
        }
    }
    out
}

/// The slices of one image and group.
struct Block {
    input: std::ops::Range<usize>,
    weight: std::ops::Range<usize>,
    output: std::ops::Range<usize>,
}

impl Block {
    /// Of image and group number `index`, groups fastest.
    fn new(problem: &ConvProblem, index: usize) -> Self {
        let group = index % problem.groups();
        let range = |block: usize, maps: usize, role| {
            let len = maps * problem.points(role);
            block * len..(block + 1) * len
        };
        Block {
            input: range(index, problem.group_in(), Role::Input),
            weight: range(group, problem.group_out() * problem.group_in(), Role::Weight),
            output: range(index, problem.group_out(), Role::Output),
        }
    }
}

/// Which input point each element of a panel stands for.
struct Indices<'a> {
    problem: &'a ConvProblem,
    begin: usize,
    width: usize,
}

impl Indices<'_> {
    /// Calls `visit(panel element, input element)` for every element that is not padding.
    fn for_each(&self, mut visit: impl FnMut(usize, usize)) {
        let axes = self.problem.volume();
        let (kernel, output) = (self.problem.kernel_shape(), self.problem.output_shape());
        for row in 0..self.problem.group_in() * kernel.iter().product::<usize>() {
            let [c, tap] = [row / kernel.iter().product::<usize>(), row % kernel.iter().product::<usize>()];
            let tap = crate::fourier::split(tap, kernel);
            for column in 0..self.width {
                let out = crate::fourier::split(self.begin + column, output);
                let point = (0..3).try_fold(c, |index, d| {
                    let padded = out[d] * axes[d].stride + tap[d] * axes[d].dilation;
                    let point =
                        padded.checked_sub(axes[d].padding.0).filter(|point| *point < axes[d].input)?;
                    Some(index * axes[d].input + point)
                });
                if let Some(point) = point {
                    visit(row * self.width + column, point);
                }
            }
        }
    }

    fn unfold(&self, input: &[f64], panel: &mut [f64]) {
        panel.fill(0.0);
        self.for_each(|element, point| panel[element] = input[point]);
    }

    fn fold(&self, panel: &[f64], input: &mut [f64]) {
        self.for_each(|element, point| input[point] += panel[element]);
    }
}
