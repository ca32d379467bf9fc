//! Problems with stride or dilation as problems in steps of one point, by copies of tensors as their *phases*.
//!
//! With stride `s` an output is `y[j] = Σ_u w[u] x[s j + u - p]`; by `u = s v + r` that is the sum over the phases `r` of
//! `x_r[m] = x[s m + r - p]` with `w_r[v] = w[s v + r]`: more channels, whose kernel has `⌈k / s⌉` points (or of
//! `u + z = s v + r`, where `z` zeros before the kernel do not make that longer, and leave phases shorter). With dilation
//! `d` every phase `q` of the output, `y_q[m] = y[d m + q] = Σ_u w[u] x_q[m + u]`, meets one phase of the input alone,
//! `x_q[m] = x[d m + q - p]`: more images.

use std::ops::Range;

use conv_core::{Axis, ConvProblem, Cost, Machine, Pass, Role, Unsupported};

use super::{LANES, too_large};
use crate::blocking::{Blocking, Epilogue, Planned};
use crate::raw::for_each_part;

/// Most phases of a map: where they are is kept in a list.
const MOST: usize = 1 << 12;

/// Values that a task copies, or a map where that has more.
const COPIED: usize = 1 << 13;

/// Plans a pass in steps of one point.
pub(crate) fn planned(
    machine: &Machine,
    problem: &ConvProblem,
    pass: Pass,
    plan: impl Fn(&ConvProblem) -> Planned,
) -> Planned {
    let cuts = (*problem.volume()).map(Cut::new);
    if cuts.iter().any(|cut| cut.axis.stride > 1 && cut.axis.dilation > 1) {
        return Err(Unsupported::Geometry("its kernel has both stride and dilation along an axis".into()));
    }
    if cuts.iter().all(|cut| cut.step() == 1) {
        return plan(problem);
    }
    let count = |of: usize| cuts.iter().fold(1, |count: usize, cut| count.saturating_mul(cut.phases()[of]));
    let [images, channels] = [count(0), count(1)];
    if images.saturating_mul(channels) > MOST {
        return Err(Unsupported::Geometry(format!("it has more than {MOST} phases").into()));
    }
    let plain = ConvProblem::new(
        problem.batch() * images,
        problem.in_channels() * channels,
        problem.out_channels(),
        problem.groups(),
        &cuts.map(|cut| cut.plain()),
    )
    .map_err(|_| too_large())?;
    let inner = plan(&plain)?;
    let split = |role: Role| Some(Split::new(problem, &plain, role)).filter(Split::differs);
    Ok(Box::new(Phases { splits: pass.roles().map(split), inner, threads: machine.threads.max(1) }))
}

/// An axis, and how many zeros are put before its kernel, so that phases begin with the input.
#[derive(Clone, Copy)]
struct Cut {
    axis: Axis,
    shift: usize,
}

impl Cut {
    fn new(axis: Axis) -> Cut {
        // Without a stride or dilation that nothing depends on.
        let stride = if axis.padded() == axis.extent() { 1 } else { axis.stride };
        let dilation = if axis.kernel == 1 { 1 } else { axis.dilation };
        let axis = axis.stride(stride).dilation(dilation);
        let aligned = axis.padding.0.next_multiple_of(stride) - axis.padding.0;
        let longer = (axis.kernel + aligned).div_ceil(stride) > axis.kernel.div_ceil(stride);
        Cut { axis, shift: if longer || axis.kernel < stride { 0 } else { aligned } }
    }

    /// Phases that have outputs, and phases that have kernel points.
    fn phases(&self) -> [usize; 2] {
        [self.axis.dilation.min(self.axis.output()), self.axis.stride.min(self.axis.kernel + self.shift)]
    }

    /// Input points from one point of a phase to the next.
    fn step(&self) -> usize {
        self.axis.stride * self.axis.dilation
    }

    /// What a phase of the axis is.
    fn plain(&self) -> Axis {
        let kernel = (self.axis.kernel + self.shift).div_ceil(self.axis.stride);
        let points = self.axis.output().div_ceil(self.axis.dilation) + kernel - 1;
        let begin = self.padding().min(points - 1);
        let end = (self.axis.input + self.axis.padding.0 + self.shift).div_ceil(self.step());
        let end = end.clamp(begin + 1, points);
        Axis::new(end - begin, kernel).padding(begin, points - end)
    }

    /// Points that are padding in all phases.
    fn padding(&self) -> usize {
        let phases: usize = self.phases().iter().product();
        (self.axis.padding.0 + self.shift + 1).saturating_sub(phases).div_ceil(self.step())
    }

    /// The input point that the first phase begins with.
    fn low(&self) -> isize {
        (self.plain().padding.0 * self.step()) as isize - (self.axis.padding.0 + self.shift) as isize
    }
}

/// A pass on phases.
struct Phases {
    /// How the tensors are split, in operand order: those that are.
    splits: [Option<Split>; 3],
    inner: Box<dyn Blocking>,
    threads: usize,
}

impl Phases {
    /// Values of the phases of every tensor that is split, in whole vectors.
    fn lens(&self) -> [usize; 3] {
        self.splits
            .each_ref()
            .map(|split| split.as_ref().map_or(0, |split| split.lens()[1].next_multiple_of(LANES)))
    }
}

impl Blocking for Phases {
    /// Phases, then what the pass on them needs.
    fn workspace_len(&self) -> usize {
        self.lens().iter().sum::<usize>() + self.inner.workspace_len()
    }

    /// Every value of a phase is copied once, and read or written once more than without.
    fn cost(&self) -> Cost {
        self.splits.iter().flatten().fold(self.inner.cost(), |cost, split| {
            let [whole, values] = split.lens().map(|len| len as f64);
            let copies =
                Cost { moves: values, bytes: 4.0 * (values + whole), launches: 1.0, ..Cost::default() };
            cost + copies.in_tasks(split.maps[0] * split.maps[1], self.threads)
        })
    }

    fn run(&self, factors: [&[f32]; 2], out: &mut [f32], epilogue: Epilogue<'_>, workspace: &mut [f32]) {
        let [a, b, c] = self.lens();
        let (left, rest) = workspace.split_at_mut(a);
        let (right, rest) = rest.split_at_mut(b);
        let (product, rest) = rest.split_at_mut(c);
        let [left_split, right_split, product_split] = &self.splits;
        let factors = [gathered(left_split, factors[0], left), gathered(right_split, factors[1], right)];
        match product_split {
            Some(split) => {
                let product = &mut product[..split.lens()[1]];
                self.inner.run(factors, product, epilogue, rest);
                split.scatter(product, out);
            }
            None => self.inner.run(factors, out, epilogue, rest),
        }
    }
}

/// The phases of a tensor that is split; else the tensor.
fn gathered<'a>(split: &Option<Split>, tensor: &'a [f32], phases: &'a mut [f32]) -> &'a [f32] {
    let Some(split) = split else { return tensor };
    let phases = &mut phases[..split.lens()[1]];
    split.gather(tensor, phases);
    phases
}

/// A tensor of maps `[outer][inner]` as phases `[outer][phase][inner][phase]`.
struct Split {
    maps: [usize; 2],
    /// Phases of an outer and of an inner map.
    counts: [usize; 2],
    /// Points of a map, and of a phase.
    shapes: [[usize; 3]; 2],
    /// Points of the map from one point of a phase to the next.
    steps: [usize; 3],
    /// Where phases are, those of an inner map after each other.
    phases: Vec<Phase>,
}

impl Split {
    /// The tensor of a problem as that of the plain one.
    fn new(problem: &ConvProblem, plain: &ConvProblem, role: Role) -> Split {
        let cuts = (*problem.volume()).map(Cut::new);
        let [images, channels] = [0, 1].map(|of| cuts.map(|cut| cut.phases()[of]));
        let [batch, cin, cout] = [problem.batch(), problem.in_channels(), problem.out_channels()];
        let (maps, [outer, inner], steps, low) = match role {
            Role::Input => {
                ([batch, cin], [images, channels], cuts.map(|cut| cut.step()), cuts.map(|cut| cut.low()))
            }
            Role::Weight => (
                [cout, problem.group_in()],
                [[1; 3], channels],
                cuts.map(|cut| cut.axis.stride),
                cuts.map(|cut| -(cut.shift as isize)),
            ),
            Role::Output => ([batch, cout], [images, [1; 3]], cuts.map(|cut| cut.axis.dilation), [0; 3]),
        };
        let shapes = [problem, plain].map(|problem| match role {
            Role::Input => problem.input_shape(),
            Role::Weight => problem.kernel_shape(),
            Role::Output => problem.output_shape(),
        });
        let both = places(outer).flat_map(|outer| places(inner).map(move |inner| (outer, inner)));
        let phase = |(outer, inner): ([usize; 3], [usize; 3])| {
            let first = std::array::from_fn(|axis| low[axis] + (outer[axis] + inner[axis]) as isize);
            Phase::new(shapes, steps, first)
        };
        let counts = [outer, inner].map(|counts| counts.iter().product());
        Split { maps, counts, shapes, steps, phases: both.map(phase).collect() }
    }

    /// Whether phases are anything but the tensor.
    fn differs(&self) -> bool {
        let [map, phase] = self.shapes;
        map != phase || self.phases.len() > 1 || self.phases[0].first != [0; 3]
    }

    /// Values of a map and of a phase.
    fn map_lens(&self) -> [usize; 2] {
        self.shapes.map(|shape| shape.iter().product())
    }

    /// Values of the tensor and of all phases.
    fn lens(&self) -> [usize; 2] {
        let ([whole, phase], maps) = (self.map_lens(), self.maps[0] * self.maps[1]);
        [maps * whole, maps * self.phases.len() * phase]
    }

    /// Copies a tensor to its phases, zeros around it.
    fn gather(&self, tensor: &[f32], phases: &mut [f32]) {
        let ([whole, len], [_, maps], [outer, inner]) = (self.map_lens(), self.maps, self.counts);
        for_each_unit(phases, inner * len, |index, phases| {
            let (q, map) = (index / maps % outer, index / maps / outer * maps + index % maps);
            let tensor = &tensor[map * whole..][..whole];
            for (phase, to) in self.phases[q * inner..].iter().zip(phases.chunks_exact_mut(len)) {
                self.for_each_row(phase, |at, from| take(&tensor[from..], self.steps[2], &mut to[at]));
            }
        });
    }

    /// Copies phases to the tensor, zeros where there are none.
    fn scatter(&self, phases: &[f32], tensor: &mut [f32]) {
        let ([whole, len], [_, maps], [outer, inner]) = (self.map_lens(), self.maps, self.counts);
        for_each_unit(tensor, whole, |index, tensor| {
            for q in 0..outer {
                let first = ((index / maps * outer + q) * maps + index % maps) * inner * len;
                let from = phases[first..].chunks_exact(len);
                for (phase, from) in self.phases[q * inner..][..inner].iter().zip(from) {
                    self.for_each_row(phase, |at, to| put(&from[at], &mut tensor[to..], self.steps[2]));
                }
            }
        });
    }

    /// Calls `copy` for the rows that a phase has of a map: with the range in the phase, and the first place in the map.
    #[inline(always)]
    fn for_each_row(&self, phase: &Phase, mut copy: impl FnMut(Range<usize>, usize)) {
        let [[_, whole_rows, whole_columns], [_, rows, columns]] = self.shapes;
        let [slices, lines, inside] = &phase.inside;
        let from = |axis: usize, at: usize| (phase.first[axis] + (at * self.steps[axis]) as isize) as usize;
        if inside.is_empty() {
            return;
        }
        for z in slices.clone() {
            for y in lines.clone() {
                let at = (z * rows + y) * columns;
                let first = (from(0, z) * whole_rows + from(1, y)) * whole_columns + from(2, inside.start);
                copy(at + inside.start..at + inside.end, first);
            }
        }
    }
}

/// Clears units of so many values and calls `copy` for each, many small ones a task.
fn for_each_unit(values: &mut [f32], unit: usize, copy: impl Fn(usize, &mut [f32]) + Sync) {
    let (of_task, len) = ((COPIED / unit).max(1), values.len());
    let range = |task: usize| task * of_task * unit..((task + 1) * of_task * unit).min(len);
    for_each_part(values, len.div_ceil(of_task * unit), range, (&mut [], 0), |task, units, _| {
        units.fill(0.0);
        for (number, unit) in units.chunks_exact_mut(unit).enumerate() {
            copy(task * of_task + number, unit);
        }
    });
}

/// The places of a box, the last axis fastest.
fn places([a, b, c]: [usize; 3]) -> impl Iterator<Item = [usize; 3]> {
    (0..a).flat_map(move |x| (0..b).flat_map(move |y| (0..c).map(move |z| [x, y, z])))
}

/// Where a phase is.
struct Phase {
    /// The point of the map that it begins with; before the map where it begins with padding.
    first: [isize; 3],
    /// Its points that are points of the map.
    inside: [Range<usize>; 3],
}

impl Phase {
    fn new([whole, shape]: [[usize; 3]; 2], steps: [usize; 3], first: [isize; 3]) -> Phase {
        let inside = std::array::from_fn(|axis| {
            let ends = [-first[axis], whole[axis] as isize - first[axis]];
            let [begin, end] = ends.map(|at| (at.max(0) as usize).div_ceil(steps[axis]));
            begin..end.min(shape[axis])
        });
        Phase { first, inside }
    }
}

/// Every `step`-th value.
#[inline(always)]
fn take(from: &[f32], step: usize, to: &mut [f32]) {
    match step {
        1 => to.copy_from_slice(&from[..to.len()]),
        2 => take_each::<2>(from, to),
        4 => take_each::<4>(from, to),
        _ => to.iter_mut().zip(from.iter().step_by(step)).for_each(|(to, value)| *to = *value),
    }
}

/// The same for a step that the compiler knows.
#[inline(always)]
fn take_each<const STEP: usize>(from: &[f32], to: &mut [f32]) {
    let (whole, rest) = from.as_chunks::<STEP>();
    let (many, last) = to.split_at_mut(to.len().min(whole.len()));
    many.iter_mut().zip(whole).for_each(|(to, values)| *to = values[0]);
    last.iter_mut().zip(rest).for_each(|(to, value)| *to = *value);
}

/// To every `step`-th value.
#[inline(always)]
fn put(from: &[f32], to: &mut [f32], step: usize) {
    match step {
        1 => to[..from.len()].copy_from_slice(from),
        2 => put_each::<2>(from, to),
        4 => put_each::<4>(from, to),
        _ => to.iter_mut().step_by(step).zip(from).for_each(|(to, value)| *to = *value),
    }
}

/// The same for a step that the compiler knows.
#[inline(always)]
fn put_each<const STEP: usize>(from: &[f32], to: &mut [f32]) {
    let (whole, rest) = to.as_chunks_mut::<STEP>();
    let (many, last) = from.split_at(from.len().min(whole.len()));
    whole.iter_mut().zip(many).for_each(|(to, value)| to[0] = *value);
    rest.iter_mut().zip(last).for_each(|(to, value)| *to = *value);
}
