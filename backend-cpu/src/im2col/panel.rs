//! Panels of the unfolded matrix: copied from an input, or added back to its gradient.

use std::ops::Range;

use conv_core::{Axis, ConvProblem};

/// The columns `points` of the unfolded matrix of a problem.
pub(super) struct Panel<'a> {
    pub(super) problem: &'a ConvProblem,
    pub(super) points: Range<usize>,
}

/// A stretch of one row of the panel: columns that meet neighbouring inputs `stride` apart.
struct Stretch {
    columns: Range<usize>,
    input: usize,
}

impl Panel<'_> {
    /// Fills the rows of `channels` of an input whose first channel is 0.
    pub(super) fn unfold(&self, channels: usize, input: &[f32], panel: &mut [f32]) {
        let stride = self.problem.volume()[2].stride;
        self.for_each_row(channels, panel.chunks_exact_mut(self.points.len()), |row, stretches| {
            let mut end = 0;
            for Stretch { columns, input: first } in stretches {
                row[end..columns.start].fill(0.0);
                end = columns.end;
                let target = &mut row[columns];
                match stride {
                    1 => target.copy_from_slice(&input[first..first + target.len()]),
                    _ => target
                        .iter_mut()
                        .zip(input[first..].iter().step_by(stride))
                        .for_each(|(t, x)| *t = *x),
                }
            }
            row[end..].fill(0.0);
        });
    }

    /// Adds the rows of `channels` to a gradient whose first channel is 0.
    pub(super) fn fold(&self, channels: usize, panel: &[f32], gradient: &mut [f32]) {
        let stride = self.problem.volume()[2].stride;
        self.for_each_row(channels, panel.chunks_exact(self.points.len()), |row, stretches| {
            for Stretch { columns, input: first } in stretches {
                let source = &row[columns];
                let targets = gradient[first..].iter_mut();
                match stride {
                    1 => targets.zip(source).for_each(|(t, x)| *t += x),
                    _ => targets.step_by(stride).zip(source).for_each(|(t, x)| *t += x),
                }
            }
        });
    }

    /// Calls `visit(row, stretches)` for the rows of `channels` in order.
    fn for_each_row<R>(
        &self,
        channels: usize,
        mut rows: impl Iterator<Item = R>,
        mut visit: impl FnMut(R, &mut dyn Iterator<Item = Stretch>),
    ) {
        let [a, b, c] = self.problem.volume();
        for channel in 0..channels {
            for (i, j) in (0..a.kernel).flat_map(|i| (0..b.kernel).map(move |j| (i, j))) {
                for k in 0..c.kernel {
                    let Some(row) = rows.next() else { return };
                    visit(row, &mut self.stretches(channel, [i, j, k]));
                }
            }
        }
    }

    /// The stretches of one row, one an output row that meets the input.
    fn stretches(&self, channel: usize, [i, j, k]: [usize; 3]) -> impl Iterator<Item = Stretch> + '_ {
        let [a, b, c] = self.problem.volume();
        let met = outputs_that_meet(c, k);
        let width = c.output();
        let lines = self.points.start / width..self.points.end.div_ceil(width);
        lines.filter_map(move |line| {
            let begin = (line * width + met.start).max(self.points.start);
            let end = (line * width + met.end).min(self.points.end);
            let x = input_at(a, line / b.output(), i)?;
            let y = input_at(b, line % b.output(), j)?;
            let columns = begin - self.points.start..end.checked_sub(self.points.start)?;
            if columns.is_empty() {
                return None;
            }
            let z = (begin - line * width) * c.stride + k * c.dilation - c.padding.0;
            Some(Stretch { columns, input: ((channel * a.input + x) * b.input + y) * c.input + z })
        })
    }
}

/// The input that an output and a kernel point meet, unless it is padding.
fn input_at(axis: &Axis, output: usize, kernel: usize) -> Option<usize> {
    let padded = output * axis.stride + kernel * axis.dilation;
    padded.checked_sub(axis.padding.0).filter(|input| *input < axis.input)
}

/// The outputs that meet an input, not padding, at a kernel point.
fn outputs_that_meet(axis: &Axis, kernel: usize) -> Range<usize> {
    let (lo, offset) = (axis.padding.0, kernel * axis.dilation);
    let begin = lo.saturating_sub(offset).div_ceil(axis.stride);
    let end = (lo + axis.input).saturating_sub(offset).div_ceil(axis.stride).min(axis.output());
    begin.min(end)..end
}
