//! From the shapes of the files and the flags to the problem.

use conv_core::{Axis, ConvProblem, Pass, Role};

use super::{Convolve, Operands};
use crate::failure::expected;
use crate::tensor::Sizes;
use crate::{Failure, Tensor};

/// The problem that these operands are of; an error where they do not fit each other or the flags.
pub(super) fn problem(flags: &Convolve, operands: &Operands) -> Result<ConvProblem, Failure> {
    let (lhs, rhs) = (&operands.lhs.shape, &operands.rhs.shape);
    let names = flags.pass.operand_names();
    check_axes(names, lhs, rhs)?;
    let axes = axes(flags, &lhs[2..], &rhs[2..])?;
    let grouped = |channels: usize| channels.saturating_mul(flags.groups);
    let (input, output) = match flags.pass {
        Pass::Forward => (lhs[1], rhs[0]),
        Pass::BackwardInput => (grouped(rhs[1]), rhs[0]),
        Pass::BackwardWeights => (lhs[1], rhs[1]),
    };
    let groups = flags.groups;
    if groups == 0 {
        return Err(expected("--groups", "at least 1", 0));
    }
    let problem = ConvProblem::new(lhs[0], input, output, groups, &axes)?;
    let [left, right, _] = flags.pass.roles();
    check_shape(names[0], &problem, left, lhs)?;
    check_shape(names[1], &problem, right, rhs)?;
    check_bias(operands.bias.as_ref(), &problem)?;
    Ok(problem)
}

/// The sizes of one of the problem's tensors.
pub(super) fn shape_of(problem: &ConvProblem, role: Role) -> Vec<usize> {
    let sizes = |size: fn(&Axis) -> usize| problem.axes().iter().map(size);
    match role {
        Role::Input => {
            [problem.batch(), problem.in_channels()].into_iter().chain(sizes(|a| a.input)).collect()
        }
        Role::Weight => {
            [problem.out_channels(), problem.group_in()].into_iter().chain(sizes(|a| a.kernel)).collect()
        }
        Role::Output => {
            [problem.batch(), problem.out_channels()].into_iter().chain(sizes(Axis::output)).collect()
        }
    }
}

fn check_axes(names: [&str; 3], lhs: &[usize], rhs: &[usize]) -> Result<(), Failure> {
    if !(3..=5).contains(&rhs.len()) {
        return Err(expected(names[1], "3 to 5 axes, two and 1 to 3 spatial ones", Sizes(rhs)));
    }
    if lhs.len() != rhs.len() {
        let wanted = format!("{} axes as {} has", rhs.len(), names[1]);
        return Err(expected(names[0], wanted, Sizes(lhs)));
    }
    Ok(())
}

fn check_shape(name: &str, problem: &ConvProblem, role: Role, found: &[usize]) -> Result<(), Failure> {
    let shape = shape_of(problem, role);
    if shape == found {
        return Ok(());
    }
    Err(expected(name, format!("{} for {problem}", Sizes(&shape)), Sizes(found)))
}

fn check_bias(bias: Option<&Tensor>, problem: &ConvProblem) -> Result<(), Failure> {
    match bias {
        Some(bias) if bias.shape != [problem.out_channels()] => {
            Err(expected("bias", Sizes(&[problem.out_channels()]), Sizes(&bias.shape)))
        }
        _ => Ok(()),
    }
}

/// The spatial axes; `lhs` and `rhs` are the operands' sizes along them.
fn axes(flags: &Convolve, lhs: &[usize], rhs: &[usize]) -> Result<Vec<Axis>, Failure> {
    let rank = rhs.len();
    let stride = flags.stride.per_axis("--stride", rank)?;
    let padding = flags.padding.per_axis("--padding", rank)?;
    let dilation = flags.dilation.per_axis("--dilation", rank)?;
    let input_size =
        flags.input_size.as_ref().map(|sizes| sizes.per_axis("--input-size", rank)).transpose()?;
    let kernel_size =
        flags.kernel_size.as_ref().map(|sizes| sizes.per_axis("--kernel-size", rank)).transpose()?;
    let axis = |a: usize| {
        let given =
            Axis { input: 1, kernel: 1, stride: stride[a], padding: padding[a], dilation: dilation[a] };
        let place =
            Place { axis: a, output: if flags.pass == Pass::BackwardInput { lhs[a] } else { rhs[a] } };
        match flags.pass {
            Pass::Forward => Ok(Axis { input: lhs[a], kernel: rhs[a], ..given }),
            Pass::BackwardInput => {
                let axis = Axis { kernel: rhs[a], ..given };
                let input = input_size.as_ref().map_or_else(|| place.input(&axis), |sizes| Ok(sizes[a]))?;
                Ok(Axis { input, ..axis })
            }
            Pass::BackwardWeights => {
                let axis = Axis { input: lhs[a], ..given };
                let kernel =
                    kernel_size.as_ref().map_or_else(|| place.kernel(&axis), |sizes| Ok(sizes[a]))?;
                Ok(Axis { kernel, ..axis })
            }
        }
    };
    (0..rank).map(axis).collect()
}

/// An axis whose output is known while another size is not.
struct Place {
    axis: usize,
    output: usize,
}

impl Place {
    /// The input size that gives this output, where there is only one.
    fn input(&self, axis: &Axis) -> Result<usize, Failure> {
        let [stride, extent, output] = [axis.stride, axis.extent(), self.output].map(|v| v as i128);
        let least = (output - 1) * stride + extent - axis.padding.0 as i128 - axis.padding.1 as i128;
        self.only("--input-size", "input", least, least + stride - 1)
    }

    /// The kernel size that gives this output, where there is only one.
    fn kernel(&self, axis: &Axis) -> Result<usize, Failure> {
        let [stride, padded, output] = [axis.stride, axis.padded(), self.output].map(|v| v as i128);
        let dilation = axis.dilation.max(1) as i128;
        let largest = padded - (output - 1) * stride;
        let size = |extent: i128| (extent - 1).div_euclid(dilation) + 1;
        self.only("--kernel-size", "kernel", size(largest - stride) + 1, size(largest))
    }

    fn only(&self, flag: &str, what: &str, least: i128, largest: i128) -> Result<usize, Failure> {
        let (axis, output, least) = (self.axis, self.output, least.max(1));
        if least > largest {
            let message = format!("axis {axis}: no {what} gives a grad_output of {output} points");
            return Err(Failure::Bad(message));
        }
        if least < largest {
            let wanted = format!("a size of {least} to {largest} for axis {axis}, all of which fit");
            return Err(expected(flag, wanted, "none"));
        }
        usize::try_from(least).map_err(|_| expected(flag, "a size", least))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derived_sizes_are_those_that_give_the_output() {
        for (stride, dilation, padding, kernel, input) in
            (0..2000).map(|i| (i % 3 + 1, i / 3 % 3 + 1, i / 9 % 3, i / 27 % 4 + 1, i / 108 + 1))
        {
            let axis = Axis::new(input, kernel).stride(stride).padding(padding, 0).dilation(dilation);
            if axis.extent() > axis.padded() {
                continue;
            }
            let place = Place { axis: 0, output: axis.output() };
            let fits = |axes: &mut dyn Iterator<Item = Axis>| {
                axes.filter(|axis| axis.extent() <= axis.padded() && axis.output() == place.output).count()
            };
            let inputs = fits(&mut (1..100).map(|input| Axis { input, ..axis }));
            let kernels = fits(&mut (1..100).map(|kernel| Axis { kernel, ..axis }));
            assert_eq!(place.input(&axis).ok(), (inputs == 1).then_some(input), "{axis:?}");
            assert_eq!(place.kernel(&axis).ok(), (kernels == 1).then_some(kernel), "{axis:?}");
        }
    }
}
