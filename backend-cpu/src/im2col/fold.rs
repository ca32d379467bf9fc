//! Backward-input where outputs are few: `U = dYᵀ W`, where row `output` and column `(channel, tap)` hold what the output
//! adds to the source that the tap meets; then the rows are folded, each added to the box of sources that its output meets.

use std::ops::Range;

use conv_core::{Axis, ConvProblem, Cost, Machine, Role};

use super::tensor_bytes;
use crate::blocking::{Blocking, CACHED, Epilogue};
use crate::buffer::whole_lines;
use crate::raw::{Block, Matrix, MatrixMut, for_each_block, for_each_part, product};
use crate::split::{balanced, blocks, groups_of};

/// Tasks a thread should find, so that threads end together.
const TASKS_PER_THREAD: usize = 4;

/// Rows of a product, images times outputs, that suffice to read weights without waiting for them.
const ENOUGH_ROWS: usize = 256;

/// Moves that a row of taps takes beside its values.
const ROW_MOVES: usize = 16;

/// The taps of an axis that meet the input from an output on, and the input of the first.
#[derive(Debug, PartialEq)]
struct Met {
    taps: Range<usize>,
    first: usize,
}

impl Met {
    fn new(axis: &Axis, output: usize) -> Met {
        let (at, padding) = (output * axis.stride, axis.padding.0);
        let begin = padding.saturating_sub(at).div_ceil(axis.dilation).min(axis.kernel);
        let end = (axis.input + padding).saturating_sub(at).div_ceil(axis.dilation).clamp(begin, axis.kernel);
        let first = if begin < end { at + begin * axis.dilation - padding } else { 0 };
        Met { taps: begin..end, first }
    }
}

/// The blocking of one problem.
pub(super) struct Fold {
    problem: ConvProblem,
    /// What the outputs of each axis meet.
    met: [Vec<Met>; 3],
    /// Images and input channels of a task.
    images: usize,
    channels: usize,
    threads: usize,
}

impl Fold {
    /// `None` where outputs are many, or an image of them adds more to one channel than the cache holds.
    pub(super) fn new(machine: &Machine, problem: &ConvProblem) -> Option<Fold> {
        let [outputs, kernel] = [Role::Output, Role::Weight].map(|role| problem.points(role));
        let (threads, cached) = (machine.threads.max(1), machine.caches[1] / 2 / size_of::<f32>());
        let most = cached / outputs.checked_mul(kernel)?;
        if outputs > ENOUGH_ROWS || most == 0 {
            return None;
        }
        let images = (ENOUGH_ROWS / outputs).min(most).min(problem.batch());
        let others = problem.batch().div_ceil(images) * problem.groups();
        let wanted = problem.group_in().div_ceil((threads * TASKS_PER_THREAD).div_ceil(others));
        let channels = (most / images).min(wanted);
        let of = |axis: &Axis| (0..axis.output()).map(|output| Met::new(axis, output)).collect();
        let met = problem.volume().each_ref().map(of);
        Some(Fold { problem: *problem, met, images, channels, threads })
    }

    /// Values of what a task's outputs add.
    fn added(&self) -> usize {
        let [outputs, kernel] = [Role::Output, Role::Weight].map(|role| self.problem.points(role));
        whole_lines(self.images * outputs * self.channels * kernel)
    }

    fn image_blocks(&self) -> Vec<Range<usize>> {
        blocks(self.problem.batch(), self.images).collect()
    }

    /// The input channels of tasks, of all groups.
    fn channel_blocks(&self) -> Vec<Range<usize>> {
        let of_group = self.problem.group_in();
        groups_of(&blocks(of_group, self.channels).collect::<Vec<_>>(), of_group, self.problem.groups())
    }

    /// Copies the gradient as `[group][image][output][output channel]`.
    fn transpose(&self, gradient: &[f32], to: &mut [f32]) {
        let (batch, groups, channels) =
            (self.problem.batch(), self.problem.groups(), self.problem.group_out());
        let outputs = self.problem.points(Role::Output);
        let len = channels * outputs;
        let range = |index: usize| index * len..(index + 1) * len;
        for_each_part(to, groups * batch, range, (&mut [], 0), |index, to, _| {
            let (group, image) = (index / batch, index % batch);
            let maps = gradient[(image * groups + group) * len..][..len].chunks_exact(outputs);
            for (channel, map) in maps.enumerate() {
                to[channel..].iter_mut().step_by(channels).zip(map).for_each(|(to, value)| *to = *value);
            }
        });
    }

    /// Makes some channels of some images, of what their outputs add: `[image][output][channel][tap]`.
    fn fold(&self, added: &[f32], block: &mut Block<'_>) {
        let [images, channels, ..] = block.ranges().clone();
        let [outputs, kernel] = [Role::Output, Role::Weight].map(|role| self.problem.points(role));
        let row = channels.len() * kernel;
        for (image, added) in images.zip(added.chunks_exact(outputs * row)) {
            for (number, channel) in channels.clone().enumerate() {
                let map = block.plane(image, channel);
                map.fill(0.0);
                let [a, b, c] = &self.met;
                let met = a.iter().flat_map(|z| b.iter().flat_map(move |y| c.iter().map(move |x| [z, y, x])));
                for (met, added) in met.zip(added.chunks_exact(row)) {
                    self.add(met, &added[number * kernel..][..kernel], map);
                }
            }
        }
    }

    /// Adds the taps of an output where they meet the map.
    #[inline]
    fn add(&self, [z, y, x]: [&Met; 3], taps: &[f32], map: &mut [f32]) {
        let [a, b, c] = self.problem.volume();
        let input = |axis: &Axis, met: &Met, tap: usize| met.first + (tap - met.taps.start) * axis.dilation;
        for i in z.taps.clone() {
            for j in y.taps.clone() {
                let row = input(a, z, i) * b.input + input(b, y, j);
                let map = &mut map[row * c.input..][x.first..c.input];
                let taps = &taps[(i * b.kernel + j) * c.kernel..][x.taps.clone()];
                match c.dilation {
                    1 => map.iter_mut().zip(taps).for_each(|(to, value)| *to += value),
                    apart => map.iter_mut().step_by(apart).zip(taps).for_each(|(to, value)| *to += value),
                }
            }
        }
    }
}

impl Blocking for Fold {
    /// Values of the gradient, then of what the outputs of every thread's task add.
    fn workspace_len(&self) -> usize {
        whole_lines(self.problem.len(Role::Output)) + self.threads * self.added()
    }

    /// What the pass takes: the products; every value of the gradient copied once, every value of the input cleared, every
    /// tap of every output added, and [`ROW_MOVES`] a row of them; the operands once, and the weights for every block of
    /// images.
    fn cost(&self) -> Cost {
        let [outputs, kernel] = [Role::Output, Role::Weight].map(|role| self.problem.points(role) as f64);
        let [input, weights, gradient] =
            [Role::Input, Role::Weight, Role::Output].map(|role| self.problem.len(role) as f64);
        let columns = self.problem.kernel_shape()[2] as f64;
        let maps = self.problem.batch() as f64 * self.problem.in_channels() as f64;
        let rows = maps * outputs * kernel / columns;
        let (images, tasks) = (self.image_blocks().len(), self.channel_blocks().len());
        let cost = Cost {
            product_flops: 2.0 * gradient * self.problem.group_in() as f64 * kernel,
            moves: gradient + input + rows * (columns + ROW_MOVES as f64),
            bytes: tensor_bytes(&self.problem) + 4.0 * (images - 1) as f64 * weights * CACHED,
            launches: 2.0,
            ..Cost::default()
        };
        cost.in_tasks(images.saturating_mul(tasks), self.threads)
    }

    /// Computes the pass.
    fn run(&self, [gradient, weight]: [&[f32]; 2], out: &mut [f32], _: Epilogue<'_>, workspace: &mut [f32]) {
        let (group_in, group_out) = (self.problem.group_in(), self.problem.group_out());
        let [outputs, kernel] = [Role::Output, Role::Weight].map(|role| self.problem.points(role));
        let len = self.problem.len(Role::Output);
        let (transposed, scratch) = workspace.split_at_mut(whole_lines(len));
        self.transpose(gradient, &mut transposed[..len]);
        let [z, y, x] = self.problem.input_shape();
        let shape = [self.problem.batch(), self.problem.in_channels(), z, y, x];
        let whole = |len: usize| balanced(len, 1).collect();
        let parts = [self.image_blocks(), self.channel_blocks(), whole(z), whole(y), whole(x)];
        for_each_block(out, shape, &parts, (scratch, self.added()), |_, mut block, added| {
            let [images, channels, ..] = block.ranges().clone();
            let (group, channel) = (channels.start / group_in, channels.start % group_in);
            let (rows, columns) = (images.len() * outputs, channels.len() * kernel);
            let first = (group * self.problem.batch() + images.start) * outputs * group_out;
            let gradient = Matrix::new(&transposed[first..], rows, group_out, group_out);
            let weight = &weight[(group * group_out * group_in + channel) * kernel..];
            let weight = Matrix::new(weight, group_out, columns, group_in * kernel);
            let added = &mut added[..rows * columns];
            product(MatrixMut::new(added, rows, columns, columns), false, gradient, weight);
            self.fold(added, &mut block);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use conv_core::reference::Reference;
    use conv_core::testing::values;
    use conv_core::{Backend, Pass};

    #[test]
    fn folded_products_are_the_gradient_by_the_input() {
        let cpu = crate::Cpu::new();
        for line in [
            "n5 c7 o3 i8x8 k7x7",
            "n3 c6 o4 i9x7 k4x3 s3x2 p1x2 d2x1 g2",
            "n2 c3 o5 i4x6x5 k3x5x4 p1x0x2",
            "n300 c2 o2 i6 k5 d1",
        ] {
            let problem: ConvProblem = line.parse().unwrap();
            let [gradient, weight] = [Role::Output, Role::Weight].map(|role| values(problem.len(role), 3));
            let fold = Fold::new(cpu.machine(), &problem).unwrap();
            let mut workspace = vec![f32::NAN; fold.workspace_len()];
            let mut out = vec![f32::NAN; problem.len(Role::Input)];
            fold.run([&gradient, &weight], &mut out, (None, false), &mut workspace);
            let reference = Reference::new(&problem, Pass::BackwardInput, &gradient, &weight).unwrap();
            let error = reference.error(&out);
            assert!(error < 2e-6, "{line}: {error}");
        }
    }

    /// By every table, those of the problems by which other tests mean this.
    #[test]
    fn few_outputs_are_folded() {
        for name in crate::machine_names() {
            let machine = crate::machine_of(name).unwrap();
            for line in ["n32 c96 o256 i8x8 k7x7", "n32 c20 o24 i8x8 k7x7", "n9 c20 o30 i8x8 k7x7"] {
                let problem = line.parse().unwrap();
                let [fold, plan] = [
                    Fold::new(&machine, &problem).unwrap().estimate(),
                    crate::im2col::plan(&machine, &problem, Pass::BackwardInput).unwrap().estimate(),
                ];
                assert_eq!(fold, plan, "{name}: {line}");
            }
        }
    }

    #[test]
    fn many_outputs_are_not_folded() {
        let cpu = crate::Cpu::new();
        for line in ["n1 c2 o2 i40x40 k3x3", "n1 c1 o1 i100064 k100000"] {
            assert!(Fold::new(cpu.machine(), &line.parse().unwrap()).is_none(), "{line}");
        }
    }

    #[test]
    fn outputs_meet_the_input_at_taps_that_are_in_it() {
        let axis = Axis::new(5, 3).stride(2).padding(3, 1).dilation(2);
        let met: Vec<Met> = (0..axis.output()).map(|output| Met::new(&axis, output)).collect();
        let expected = [(2..3, 1), (1..3, 1), (0..2, 1)];
        assert_eq!(met, expected.map(|(taps, first)| Met { taps, first }));
        let outside = Axis::new(2, 1).padding(2, 2);
        assert_eq!(Met::new(&outside, 0), Met { taps: 1..1, first: 0 });
        assert_eq!(Met::new(&outside, 5).taps.len(), 0);
    }
}
