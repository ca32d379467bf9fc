//! Single values of a pass, each by its definition.

use crate::{Axis, ConvProblem, Pass, Role};

/// Numbers of `count` of `len` values, or all: scattered evenly, by multiples of the golden ratio.
pub(super) fn scattered(len: usize, count: usize) -> Vec<usize> {
    if count >= len {
        return (0..len).collect();
    }
    let share = |i: usize| (i as f64 * 0.618_033_988_749_894_9).fract();
    (0..count).map(|i| ((share(i) * len as f64) as usize).min(len - 1)).collect()
}

/// Calls `visit(lhs, rhs)` with the indices of every product that value number `index` of the pass's product sums,
/// padding left out.
pub(super) fn for_each_product_of(
    problem: &ConvProblem,
    pass: Pass,
    index: usize,
    mut visit: impl FnMut(usize, usize),
) {
    let shape = |role: Role| match role {
        Role::Input => problem.input_shape(),
        Role::Weight => problem.kernel_shape(),
        Role::Output => problem.output_shape(),
    };
    let [left, right, product] = pass.roles();
    let (points, maps) = (problem.points(product), index / problem.points(product));
    let at = crate::fourier::split(index % points, shape(product));
    let met = [0, 1, 2].map(|d: usize| meetings(&problem.volume()[d], pass, at[d]));
    let flat = |[a, b, c]: [usize; 3], [_, rows, columns]: [usize; 3]| (a * rows + b) * columns + c;
    for [l, r] in map_pairs(problem, pass, maps) {
        let (l, r) = (l * problem.points(left), r * problem.points(right));
        for a in &met[0] {
            for b in &met[1] {
                for c in &met[2] {
                    let [lhs, rhs] = [0, 1].map(|i: usize| [a[i], b[i], c[i]]);
                    visit(l + flat(lhs, shape(left)), r + flat(rhs, shape(right)));
                }
            }
        }
    }
}

/// The points of both operands along an axis whose products point `at` of the product sums.
fn meetings(axis: &Axis, pass: Pass, at: usize) -> Vec<[usize; 2]> {
    let input = |output: usize, kernel: usize| {
        let padded = output * axis.stride + kernel * axis.dilation;
        padded.checked_sub(axis.padding.0).filter(|input| *input < axis.input)
    };
    let output = |kernel: usize| {
        let strided = (at + axis.padding.0).checked_sub(kernel * axis.dilation)?;
        (strided % axis.stride == 0 && strided / axis.stride < axis.output()).then(|| strided / axis.stride)
    };
    let (kernels, outputs) = (0..axis.kernel, 0..axis.output());
    match pass {
        Pass::Forward => kernels.filter_map(|k| Some([input(at, k)?, k])).collect(),
        Pass::BackwardInput => kernels.filter_map(|k| Some([output(k)?, k])).collect(),
        Pass::BackwardWeights => outputs.filter_map(|o| Some([input(o, at)?, o])).collect(),
    }
}

/// The maps of both operands whose products map number `map` of the product sums.
fn map_pairs(problem: &ConvProblem, pass: Pass, map: usize) -> Vec<[usize; 2]> {
    let (cin, cout) = (problem.in_channels(), problem.out_channels());
    let (group_in, group_out) = (problem.group_in(), problem.group_out());
    match pass {
        Pass::Forward => {
            let (image, o) = (map / cout, map % cout);
            let first = image * cin + o / group_out * group_in;
            (0..group_in).map(|c| [first + c, o * group_in + c]).collect()
        }
        Pass::BackwardInput => {
            let (image, group, c) = (map / cin, map % cin / group_in, map % group_in);
            let outputs = group * group_out..(group + 1) * group_out;
            outputs.map(|o| [image * cout + o, o * group_in + c]).collect()
        }
        Pass::BackwardWeights => {
            let (o, c) = (map / group_in, map % group_in);
            let channel = o / group_out * group_in + c;
            (0..problem.batch()).map(|image| [image * cin + channel, image * cout + o]).collect()
        }
    }
}
