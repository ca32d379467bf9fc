//! How a problem is cut into circular convolutions: tiles, phases, transform lengths and placements.
//!
//! Geometry only, so that every backend agrees on it and spectra can be shared between passes.
//!
//! **Phases.** With stride `s`, padded input points fall into `s` phases: point `v = r + s q` belongs to phase
//! `r` at position `q`. Kernel point `j` of output `o` meets `v = s o + d j`, that is phase `d j mod s` at
//! position `o + ⌊d j / s⌋`. So a strided layer is a layer of stride 1 whose channels are (channel, phase):
//! summing products over phases does before the transform what folding the spectrum does after it, on
//! transforms `s` times shorter per axis. Dilation only sets kernel points apart.
//!
//! **Positions.** Per axis, with `X`, `W`, `Y` the transforms of length `N` of the placed tensors:
//! `Y = X · conj(W)`, `dX = dY · W`, `dW = X · conj(dY)`, the last summed over batch and tiles.
//!
//! **Whole.** One tile. Zero padding absorbs the wrap-around, so `N` need only reach the end of the input and
//! of the window behind its first point ([`AxisTiling::whole`]); the same placements serve all three passes.
//!
//! **Tiles.** Overlap-save: each tile owns `N - K + 1` outputs (forward, backward-weights) or inputs
//! (backward-input) and reads the `N` positions they meet, `K` the kernel's positions.

use std::ops::Range;

use crate::{Axis, ConvProblem, Pass, Role};

/// Where an axis of one map meets the transform: tensor element `first + i step` stands at point
/// `at + i apart`, for `i < len`. Everything else in the transform is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// First element of the tensor.
    pub first: usize,
    /// Elements from one to the next.
    pub step: usize,
    /// First point of the transform.
    pub at: usize,
    /// Points from one to the next.
    pub apart: usize,
    /// How many.
    pub len: usize,
}

impl Placement {
    /// The point behind the last one used, 0 where nothing is placed.
    pub fn end(&self) -> usize {
        if self.len == 0 { 0 } else { self.at + (self.len - 1) * self.apart + 1 }
    }
}

/// One axis cut into tiles of one transform length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AxisTiling {
    axis: Axis,
    length: usize,
    owned: usize,
    tiles: usize,
    owner: Owner,
}

/// Times that a point may be transformed along an axis because tiles overlap.
const MOST_OVERLAP: usize = 8;

/// What the tiles divide among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Owner {
    /// Everything is in the one tile.
    Whole,
    /// Output points, `owned` a tile.
    Outputs,
    /// Input positions, `owned` a tile.
    Inputs,
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Phases that hold a kernel point; the others meet nothing.
pub fn phases(axis: &Axis) -> usize {
    axis.kernel.min(axis.stride / gcd(axis.stride, axis.dilation))
}

/// Positions the kernel spans: `⌊(kernel - 1) dilation / stride⌋ + 1`.
pub fn kernel_positions(axis: &Axis) -> usize {
    (axis.kernel - 1) * axis.dilation / axis.stride + 1
}

/// Whether any kernel point of any output meets an input point. Where none does, as when all of a dilated
/// kernel falls on padding, every sum is empty, and a transform would give rounding errors for exact zeros.
pub fn meets(axis: &Axis) -> bool {
    let Axis { kernel, stride, dilation, padding: (lo, _), .. } = *axis;
    (0..kernel).any(|j| {
        let output = lo.saturating_sub(j * dilation).div_ceil(stride);
        output < axis.output() && output * stride + j * dilation < lo + axis.input
    })
}

/// Positions `begin..end` at which phase `remainder` holds input (padding left out).
fn input_positions(axis: &Axis, remainder: usize) -> Range<usize> {
    let lo = axis.padding.0;
    let end = lo + axis.input;
    let begin = lo.saturating_sub(remainder).div_ceil(axis.stride);
    begin..end.saturating_sub(remainder).div_ceil(axis.stride).max(begin)
}

/// The remainder that phase `phase` stands for: that of kernel point `phase`.
fn remainder(axis: &Axis, phase: usize) -> usize {
    phase * axis.dilation % axis.stride
}

/// Positions `begin..end` that hold input in some phase.
fn all_positions(axis: &Axis) -> Range<usize> {
    let ranges = (0..phases(axis)).map(|phase| input_positions(axis, remainder(axis, phase)));
    ranges.reduce(|a, b| a.start.min(b.start)..a.end.max(b.end)).unwrap_or(0..0)
}

impl AxisTiling {
    /// Least transform length for the axis in one tile: with input at positions `b..e`, kernel at `0..K` and
    /// outputs at `0..O`, a length `N ≥ max(e, O + K - 1 - b, O, K)` keeps every alias on zeros. For stride 1
    /// that is `input + max(padding)` unless both paddings exceed the kernel.
    pub fn whole_length(axis: &Axis) -> usize {
        let (positions, kernel, output) = (all_positions(axis), kernel_positions(axis), axis.output());
        let read = positions.end.min(output + kernel - 1);
        read.max((output + kernel - 1).saturating_sub(positions.start)).max(output).max(kernel)
    }

    /// The axis in one tile of `length` points, or `None` where that is less than
    /// [`AxisTiling::whole_length`].
    pub fn whole(axis: &Axis, length: usize) -> Option<Self> {
        let fits = length >= Self::whole_length(axis);
        fits.then(|| AxisTiling { axis: *axis, length, owned: axis.output(), tiles: 1, owner: Owner::Whole })
    }

    /// The axis in overlapping tiles of `length` points, or `None` where the kernel leaves a tile nothing to
    /// own.
    pub fn tiled(axis: &Axis, pass: Pass, length: usize) -> Option<Self> {
        let owned = (length + 1).checked_sub(kernel_positions(axis)).filter(|owned| *owned > 0)?;
        let (owner, count) = match pass {
            Pass::BackwardInput => (Owner::Inputs, all_positions(axis).len()),
            Pass::Forward | Pass::BackwardWeights => (Owner::Outputs, axis.output()),
        };
        Some(AxisTiling { axis: *axis, length, owned, tiles: count.div_ceil(owned).max(1), owner })
    }

    /// Points of the transform.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Tiles along the axis.
    pub fn tiles(&self) -> usize {
        self.tiles
    }

    /// Phases along the axis.
    pub fn phases(&self) -> usize {
        phases(&self.axis)
    }

    /// Where the tensor's elements of `tile` and `phase` stand in the transform.
    pub fn placement(&self, role: Role, tile: usize, phase: usize) -> Placement {
        match role {
            Role::Input => self.place_input(tile, phase),
            Role::Weight => self.place_weight(phase),
            Role::Output => self.place_output(tile),
        }
    }

    /// Points of the transform that this tensor can stand at, over all tiles and phases.
    pub fn span(&self, role: Role) -> Range<usize> {
        let kernel = kernel_positions(&self.axis);
        match (role, self.owner) {
            (Role::Weight, _) => 0..kernel,
            (Role::Input, Owner::Whole) => 0..all_positions(&self.axis).end.clamp(1, self.length),
            (Role::Input, Owner::Inputs) => kernel - 1..self.length,
            (Role::Output, Owner::Whole) => 0..self.axis.output(),
            (Role::Output, Owner::Outputs) => 0..self.owned,
            (Role::Input, Owner::Outputs) | (Role::Output, Owner::Inputs) => 0..self.length,
        }
    }

    /// Positions the tile's window covers, and the point of the transform the first of them stands at.
    fn window(&self, tile: usize) -> (Range<usize>, usize) {
        let kernel = kernel_positions(&self.axis);
        match self.owner {
            Owner::Whole => (0..self.axis.output() + kernel - 1, 0),
            Owner::Outputs => {
                let begin = tile * self.owned;
                (begin..begin + self.owned + kernel - 1, 0)
            }
            Owner::Inputs => {
                let begin = all_positions(&self.axis).start + tile * self.owned;
                (begin..begin + self.owned, kernel - 1)
            }
        }
    }

    fn place_input(&self, tile: usize, phase: usize) -> Placement {
        let remainder = remainder(&self.axis, phase);
        let (window, at) = self.window(tile);
        let held = input_positions(&self.axis, remainder);
        let begin = window.start.max(held.start);
        let len = window.end.min(held.end).saturating_sub(begin);
        if len == 0 {
            return Placement { first: 0, step: 1, at: 0, apart: 1, len: 0 };
        }
        let first = remainder + self.axis.stride * begin - self.axis.padding.0;
        Placement { first, step: self.axis.stride, at: at + begin - window.start, apart: 1, len }
    }

    fn place_weight(&self, phase: usize) -> Placement {
        let Axis { kernel, stride, dilation, .. } = self.axis;
        let common = gcd(stride, dilation);
        let step = stride / common;
        let len = (kernel - phase).div_ceil(step);
        Placement { first: phase, step, at: phase * dilation / stride, apart: dilation / common, len }
    }

    fn place_output(&self, tile: usize) -> Placement {
        let output = self.axis.output();
        let (begin, end, at) = match self.owner {
            Owner::Whole => (0, output, 0),
            Owner::Outputs => (tile * self.owned, ((tile + 1) * self.owned).min(output), 0),
            Owner::Inputs => {
                let (window, offset) = self.window(tile);
                let begin = window.start.saturating_sub(offset);
                (begin, window.end.min(output), begin + offset - window.start)
            }
        };
        Placement { first: begin, step: 1, at, apart: 1, len: end.saturating_sub(begin) }
    }
}

/// A problem cut along its three axes; equal tilings of one tensor have equal spectra.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tiling {
    axes: [AxisTiling; 3],
}

impl Tiling {
    /// One tile; `length` turns each axis' least transform length (index 0 to 2, slowest first) into the one
    /// to use, or `None` where there is none.
    pub fn whole(problem: &ConvProblem, length: impl Fn(usize, usize) -> Option<usize>) -> Option<Self> {
        Self::from_axes(problem, |index, axis| {
            AxisTiling::whole(axis, length(index, AxisTiling::whole_length(axis))?)
        })
    }

    /// Tiles of `tile` points along the axes where that saves something and a tile owns an eighth of its points;
    /// whole along the others, with `length` as in [`Tiling::whole`]. `None` where no axis is cut.
    pub fn tiled(
        problem: &ConvProblem,
        pass: Pass,
        tile: usize,
        length: impl Fn(usize, usize) -> Option<usize>,
    ) -> Option<Self> {
        let tiling = Self::from_axes(problem, |index, axis| {
            let whole = length(index, AxisTiling::whole_length(axis))?;
            let whole = AxisTiling::whole(axis, whole)?;
            let tiled = AxisTiling::tiled(axis, pass, tile);
            let tiled =
                tiled.filter(|tiled| tile < whole.length && tiled.owned >= tile.div_ceil(MOST_OVERLAP));
            Some(tiled.unwrap_or(whole))
        })?;
        tiling.axes.iter().any(|axis| axis.owner != Owner::Whole).then_some(tiling)
    }

    fn from_axes(problem: &ConvProblem, cut: impl Fn(usize, &Axis) -> Option<AxisTiling>) -> Option<Self> {
        let [a, b, c] = problem.volume();
        Some(Tiling { axes: [cut(0, a)?, cut(1, b)?, cut(2, c)?] })
    }

    /// Points of the transform along each axis.
    pub fn shape(&self) -> [usize; 3] {
        self.axes.map(|axis| axis.length)
    }

    /// Tiles along each axis.
    pub fn tiles(&self) -> [usize; 3] {
        self.axes.map(|axis| axis.tiles)
    }

    /// Tiles of one image.
    pub fn tile_count(&self) -> usize {
        self.tiles().iter().product()
    }

    /// Phases along each axis.
    pub fn phases(&self) -> [usize; 3] {
        self.axes.map(|axis| axis.phases())
    }

    /// Phases of one channel.
    pub fn phase_count(&self) -> usize {
        self.phases().iter().product()
    }

    /// Points of the transform that the tensor can stand at, along each axis.
    pub fn span(&self, role: Role) -> [Range<usize>; 3] {
        [0, 1, 2].map(|d| self.axes[d].span(role))
    }

    /// Placements along each axis for the tile and phase of these row-major numbers.
    pub fn placements(&self, role: Role, tile: usize, phase: usize) -> [Placement; 3] {
        let tile = split(tile, self.tiles());
        let phase = split(phase, self.phases());
        [0, 1, 2].map(|d| self.axes[d].placement(role, tile[d], phase[d]))
    }

    /// The placement along one axis (0 to 2, slowest first).
    pub fn axis_placement(&self, axis: usize, role: Role, tile: usize, phase: usize) -> Placement {
        self.axes[axis].placement(role, tile, phase)
    }

    /// Whether backward-input reaches every input point; where it does not, the others' gradient is zero.
    pub fn reaches_all_inputs(&self) -> bool {
        self.axes.iter().all(|tiling| {
            let axis = &tiling.axis;
            let read = axis.output() + kernel_positions(axis) - 1;
            tiling.phases() == axis.stride
                && (tiling.owner == Owner::Inputs || all_positions(axis).end <= read)
        })
    }
}

/// Row-major coordinates of `index` in `shape`.
pub fn split(index: usize, shape: [usize; 3]) -> [usize; 3] {
    let [_, b, c] = shape;
    [index / (b * c), index / c % b, index % c]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The three passes along one axis by circular sums over the placements, on integers.
    fn circular(
        axis: &Axis,
        tiling: &AxisTiling,
        pass: Pass,
        lhs: &[i64],
        rhs: &[i64],
        len: usize,
    ) -> Vec<i64> {
        let n = tiling.length();
        let place = |role, tile, phase, values: &[i64]| {
            let p = tiling.placement(role, tile, phase);
            let mut points = vec![0; n];
            (0..p.len).for_each(|i| points[p.at + i * p.apart] = values[p.first + i * p.step]);
            let span = tiling.span(role);
            assert!(p.len == 0 || p.at >= span.start && p.end() <= span.end, "{axis:?} {role:?}");
            points
        };
        let mut out = vec![0; len];
        let [left, right, product] = pass.roles();
        for tile in 0..tiling.tiles() {
            for phase in 0..tiling.phases() {
                let (a, b) = (place(left, tile, phase, lhs), place(right, tile, phase, rhs));
                let p = tiling.placement(product, tile, phase);
                for i in 0..p.len {
                    let point = p.at + i * p.apart;
                    let sum: i64 = match pass {
                        Pass::BackwardInput => (0..n).map(|j| a[(point + n - j) % n] * b[j]).sum(),
                        _ => (0..n).map(|j| a[(point + j) % n] * b[j]).sum(),
                    };
                    out[p.first + i * p.step] += sum;
                }
            }
        }
        out
    }

    fn direct(axis: &Axis, pass: Pass, lhs: &[i64], rhs: &[i64], len: usize) -> Vec<i64> {
        let mut out = vec![0; len];
        for o in 0..axis.output() {
            for j in 0..axis.kernel {
                let Some(u) = (o * axis.stride + j * axis.dilation).checked_sub(axis.padding.0) else {
                    continue;
                };
                if u >= axis.input {
                    continue;
                }
                match pass {
                    Pass::Forward => out[o] += lhs[u] * rhs[j],
                    Pass::BackwardInput => out[u] += lhs[o] * rhs[j],
                    Pass::BackwardWeights => out[j] += lhs[u] * rhs[o],
                }
            }
        }
        out
    }

    fn small_axes() -> Vec<Axis> {
        let mut axes = Vec::new();
        for input in [1, 2, 5, 9, 14] {
            for kernel in [1, 2, 3, 5] {
                for stride in [1, 2, 3, 4, 6] {
                    for dilation in [1, 2, 3, 4] {
                        for padding in [(0, 0), (1, 0), (0, 3), (2, 2), (7, 6)] {
                            let axis = Axis { input, kernel, stride, padding, dilation };
                            axes.extend((axis.output() > 0).then_some(axis));
                        }
                    }
                }
            }
        }
        axes
    }

    #[test]
    fn circular_convolutions_of_placements_are_the_three_passes() {
        let axes = small_axes();
        assert!(axes.len() > 900, "{}", axes.len());
        for axis in &axes {
            let values =
                |len: usize, seed: i64| (0..len as i64).map(|i| (i * 7 + seed) % 11 - 5).collect::<Vec<_>>();
            let length = |role| match role {
                Role::Input => axis.input,
                Role::Weight => axis.kernel,
                Role::Output => axis.output(),
            };
            for pass in Pass::ALL {
                let [lhs, rhs, out] = pass.roles().map(length);
                let (a, b) = (values(lhs, 1), values(rhs, 4));
                let wanted = direct(axis, pass, &a, &b, out);
                let whole = AxisTiling::whole_length(axis);
                let tilings = [whole, whole + 3].map(|n| AxisTiling::whole(axis, n));
                let tiles =
                    [1, 2, 4, 7].map(|n| AxisTiling::tiled(axis, pass, kernel_positions(axis) - 1 + n));
                for tiling in tilings.into_iter().chain(tiles) {
                    let tiling = tiling.expect("a tile that owns something");
                    assert_eq!(circular(axis, &tiling, pass, &a, &b, out), wanted, "{pass} {tiling:?}");
                }
            }
        }
    }

    #[test]
    fn axes_meet_unless_every_sum_is_empty() {
        for axis in small_axes() {
            let ones =
                direct(&axis, Pass::Forward, &vec![1; axis.input], &vec![1; axis.kernel], axis.output());
            assert_eq!(meets(&axis), ones.iter().any(|sum| *sum > 0), "{axis:?}");
        }
        assert!(!meets(&Axis::new(2, 2).padding(2, 1).dilation(4)));
    }

    #[test]
    fn padding_is_paid_once() {
        assert_eq!(AxisTiling::whole_length(&Axis::new(56, 31).padding(15, 15)), 71);
        assert_eq!(AxisTiling::whole_length(&Axis::new(128, 64)), 128);
        assert_eq!(AxisTiling::whole_length(&Axis::new(16, 3).stride(2)), 8);
        assert!(AxisTiling::whole(&Axis::new(56, 31).padding(15, 15), 70).is_none());
    }

    #[test]
    fn a_tile_shorter_than_the_kernel_owns_nothing() {
        assert!(AxisTiling::tiled(&Axis::new(56, 31), Pass::Forward, 30).is_none());
    }

    #[test]
    fn tiles_that_hardly_own_anything_are_not_cut() {
        let problem: ConvProblem = "n1 c1 o1 i300 k57".parse().unwrap();
        let cut = |tile| Tiling::tiled(&problem, Pass::Forward, tile, |_, least| Some(least)).is_some();
        assert!(cut(64) && !cut(63) && cut(299) && !cut(300));
    }
}
