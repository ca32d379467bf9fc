//! The same layer with fewer or longer axes, on the same buffers: what a direct or matrix engine computes.

use conv_core::{Axis, ConvProblem, Role};

/// The problem with neighbouring axes merged where no kernel point tells them apart, so that loops over the
/// last axis are long; and where the kernel covers the whole input, with its points as channels, so that a
/// linear layer is recognised however it is written. All tensors stay value for value.
pub(crate) fn merged(problem: &ConvProblem) -> ConvProblem {
    if let Some(linear) = as_linear(problem) {
        return linear;
    }
    let mut axes: Vec<Axis> = Vec::new();
    for axis in problem.volume() {
        let slow = axes.pop();
        match slow.and_then(|slow| join(&slow, axis)) {
            Some(joined) => axes.push(joined),
            None => axes.extend(slow.into_iter().chain([*axis])),
        }
    }
    let (cin, cout) = (problem.in_channels(), problem.out_channels());
    ConvProblem::new(problem.batch(), cin, cout, problem.groups(), &axes).unwrap_or(*problem)
}

/// Whether the outputs of an axis are its inputs.
fn is_identity(axis: &Axis) -> bool {
    axis.kernel == 1 && axis.padding == (0, 0) && axis.output() == axis.input
}

/// One axis for two: a fast axis that is an identity of `n` points makes every step of the slow one `n` steps.
fn join(slow: &Axis, fast: &Axis) -> Option<Axis> {
    let points = fast.input;
    if !is_identity(fast) || (slow.stride != 1 && points != 1) {
        return (*slow == Axis::UNIT).then_some(*fast);
    }
    let longer = |count: usize| count.checked_mul(points);
    Some(Axis {
        input: longer(slow.input)?,
        padding: (longer(slow.padding.0)?, longer(slow.padding.1)?),
        dilation: if slow.kernel == 1 { 1 } else { longer(slow.dilation)? },
        ..*slow
    })
}

/// A layer whose kernel is as large as its input is a linear layer of channels times points.
fn as_linear(problem: &ConvProblem) -> Option<ConvProblem> {
    let covered = problem.volume().iter().all(|axis| axis.kernel == axis.input && axis.padding == (0, 0));
    let channels = problem.len(Role::Input) / problem.batch();
    let (batch, cout, groups) = (problem.batch(), problem.out_channels(), problem.groups());
    covered.then(|| ConvProblem::new(batch, channels, cout, groups, &[Axis::UNIT]).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged_line(line: &str) -> String {
        let problem: ConvProblem = line.parse().unwrap();
        let merged = merged(&problem);
        for role in [Role::Input, Role::Weight, Role::Output] {
            assert_eq!(merged.len(role), problem.len(role), "{line}");
        }
        merged.to_string()
    }

    #[test]
    fn axes_without_a_kernel_join_their_neighbours() {
        assert_eq!(merged_line("n2 c3 o4 i5x6x7 k1x1x1"), "n2 c3 o4 i210 k1");
        assert_eq!(merged_line("n2 c3 o4 i5x6 k3x1 p1x0 d2x1"), "n2 c3 o4 i30 k3 p6 d12");
        assert_eq!(merged_line("n2 c3 o4 i9x1 k3x1 s2x1"), "n2 c3 o4 i9 k3 s2");
        assert_eq!(merged_line("n2 c3 o4 i1x9 k1x3"), "n2 c3 o4 i9 k3");
    }

    #[test]
    fn axes_that_differ_stay() {
        for line in [
            "n2 c3 o4 i9x5 k3x1 s2x1",
            "n2 c3 o4 i5x6 k1x3",
            "n2 c3 o4 i5x6 k1x1 s2",
            "n1 c2 o2 i4x4 k1x1 p1",
        ] {
            assert_eq!(merged_line(line), line);
        }
    }

    #[test]
    fn a_kernel_as_large_as_the_input_is_linear() {
        assert_eq!(merged_line("n8 c16 o120 i5x5 k5x5"), "n8 c400 o120 i1 k1");
        assert_eq!(merged_line("n8 c4 o6 i5x3 k5x3 g2"), "n8 c60 o6 i1 k1 g2");
        assert_eq!(merged_line("n8 c4 o6 i5 k5 p2 d2"), "n8 c4 o6 i5 k5 p2 d2");
    }
}
