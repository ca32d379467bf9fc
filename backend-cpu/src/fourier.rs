//! The FFT pipeline that `fft` and `fft-tiled` share: transform, multiply at every frequency, invert.

mod cost;
mod fused;
mod lanes;
mod plan;
mod points;
mod product;

use std::ops::Range;

use conv_core::algorithm::check_len;
use conv_core::spectra::SpectrumKey;
use conv_core::{ConvKernel, Error, Operands, Pass, Result, Role, Scratch, Unsupported};
use fft_core::{COMPLEX_POINT, LANES, PlaneFft, RealFft};

use crate::raw::{for_each_column_block, for_each_part};
use crate::{Buffer, Cpu};
use lanes::{Epilogue, Lanes};
pub(crate) use plan::{InLanes, Plan};
use plan::{Map, Maps, divided};
use points::Points;
use product::{Factor, Product, View};

/// A pass of a problem by transforms.
pub(crate) struct FourierKernel {
    plan: Plan,
    fft: Transform,
}

/// The transform, by what stands in the lanes.
enum Transform {
    Maps(RealFft),
    Points(PlaneFft),
}

impl FourierKernel {
    /// Plans the transform.
    ///
    /// # Errors
    /// [`Error::Refused`] for a shape the transform does not take.
    pub(crate) fn new(algorithm: &'static str, plan: Plan) -> Result<Self> {
        let (problem, pass) = (Box::new(plan.problem), plan.pass);
        let shape = plan.tiling.shape();
        let fft = match plan.in_lanes {
            InLanes::Maps => RealFft::new(&shape).map(Transform::Maps),
            InLanes::Points => PlaneFft::new(&shape).map(Transform::Points),
        };
        let refused = |error: fft_core::ShapeError| {
            let reason = Unsupported::Geometry(error.to_string().into());
            Error::Refused { algorithm, pass, problem, reason }
        };
        Ok(FourierKernel { plan, fft: fft.map_err(refused)? })
    }
}

impl ConvKernel<Cpu> for FourierKernel {
    fn workspace_len(&self) -> usize {
        self.plan.workspace_len()
    }

    fn run(&self, backend: &Cpu, operands: Operands<'_, Cpu>, scratch: Scratch<'_, Cpu>) -> Result<()> {
        let Plan { problem, pass, .. } = &self.plan;
        operands.check(backend, problem, *pass)?;
        let found = scratch.workspace.len();
        check_len("workspace", self.workspace_len().max(found), found)?;
        if let Some(fused) = self.plan.fused {
            let workspace = &mut scratch.workspace[..self.workspace_len()];
            self.run_fused(fused, operands, scratch.spectra, workspace);
            return Ok(());
        }
        let [left, right, product] = pass.roles().map(|role| self.plan.spectra_len(role));
        let (lhs, rest) = scratch.workspace[..self.workspace_len()].split_at_mut(left);
        let (rhs, rest) = rest.split_at_mut(right);
        let (out, lanes) = rest.split_at_mut(product);
        let mut run = Run { kernel: self, lhs, rhs, out, lanes };
        match pass {
            Pass::BackwardWeights => run.backward_weights(operands, scratch.spectra),
            Pass::Forward | Pass::BackwardInput => run.per_unit(operands, scratch.spectra),
        }
        Ok(())
    }
}

type Spectra = conv_core::Spectra<Cpu>;

/// One run: the kernel and its parts of the workspace.
struct Run<'a> {
    kernel: &'a FourierKernel,
    lhs: &'a mut [f32],
    rhs: &'a mut [f32],
    out: &'a mut [f32],
    lanes: &'a mut [f32],
}

impl Run<'_> {
    /// Forward and backward-input: the weights once, then group after group through to the product tensor.
    fn per_unit(&mut self, operands: Operands<'_, Cpu>, spectra: &mut Spectra) {
        let plan = &self.kernel.plan;
        let [left, right, product] = plan.pass.roles();
        if !(product == Role::Output || plan.tiling.reaches_all_inputs()) {
            operands.out.fill(0.0);
        }
        let epilogue = Epilogue { bias: operands.bias.map(|bias| &bias[..]), relu: operands.relu };
        let weights = self.kernel.shared(right, 0..1, operands.rhs, spectra, self.rhs, self.lanes);
        for units in plan.groups() {
            let lhs = self.kernel.shared(left, units.clone(), operands.lhs, spectra, self.lhs, self.lanes);
            let rhs = if weights { found(spectra, self.kernel, right) } else { &*self.rhs };
            let lhs = if lhs { found(spectra, self.kernel, left) } else { &*self.lhs };
            self.kernel.multiply(units.clone(), lhs, rhs, self.out, false);
            self.kernel.invert(product, units, self.out, operands.out, epilogue, self.lanes);
        }
    }

    /// Backward-weights: the products of all groups are summed, then inverted once.
    fn backward_weights(&mut self, operands: Operands<'_, Cpu>, spectra: &mut Spectra) {
        let [left, right, product] = Pass::BackwardWeights.roles();
        for units in self.kernel.plan.groups() {
            let add = units.start > 0;
            let lhs = self.kernel.shared(left, units.clone(), operands.lhs, spectra, self.lhs, self.lanes);
            let rhs = self.kernel.shared(right, units.clone(), operands.rhs, spectra, self.rhs, self.lanes);
            let lhs = if lhs { found(spectra, self.kernel, left) } else { &*self.lhs };
            let rhs = if rhs { found(spectra, self.kernel, right) } else { &*self.rhs };
            self.kernel.multiply(units, rhs, lhs, self.out, add);
        }
        self.kernel.invert(product, 0..1, self.out, operands.out, Epilogue::default(), self.lanes);
    }
}

/// Spectra that [`FourierKernel::shared`] found or made.
fn found<'a>(spectra: &'a Spectra, kernel: &FourierKernel, role: Role) -> &'a [f32] {
    spectra.get(&kernel.key(role)).expect("a booked spectrum stays for the step")
}

impl FourierKernel {
    /// The transform of one map at a time.
    ///
    /// # Panics
    /// Where maps are in the lanes.
    fn plane(&self) -> &PlaneFft {
        match &self.fft {
            Transform::Points(fft) => fft,
            Transform::Maps(_) => unreachable!("fused passes take one map at a time"),
        }
    }

    fn key(&self, role: Role) -> SpectrumKey {
        self.plan.key(role)
    }

    fn scratch_len(&self) -> usize {
        self.plan.scratch_lens().iter().sum()
    }

    /// Makes the spectra of a tensor unless the step has them; returns whether they are the step's.
    fn shared(
        &self,
        role: Role,
        units: Range<usize>,
        tensor: &[f32],
        spectra: &mut Spectra,
        own: &mut [f32],
        lanes: &mut [f32],
    ) -> bool {
        let maps = self.plan.maps(role, units);
        if let Some(buffer) = spectra.claim(&self.key(role)) {
            self.transform(role, &maps, tensor, buffer, lanes);
            return true;
        }
        if spectra.get(&self.key(role)).is_some() {
            return true;
        }
        let len = self.plan.spectra_len_of(maps.count());
        self.transform(role, &maps, tensor, &mut own[..len], lanes);
        false
    }

    /// The spectra of all maps of a group, as many maps a task as are transformed at once.
    fn transform(&self, role: Role, maps: &Maps, tensor: &[f32], spectra: &mut [f32], lanes: &mut [f32]) {
        let _phase = tracing::trace_span!(target: "phase", "transform").entered();
        let scratch = (lanes, self.scratch_len());
        // The slabs of a single map follow each other.
        let single = maps.count() == 1 && self.plan.in_lanes == InLanes::Points;
        let together = if single { spectra.len() } else { self.plan.slab() * COMPLEX_POINT };
        let (row_len, width) = (maps.count() * together, self.plan.in_lanes.maps() * together);
        for_each_column_block(spectra, row_len, width, scratch, |block, mut columns, scratch| {
            match &self.fft {
                Transform::Points(fft) => {
                    let points = Points { plan: &self.plan, fft };
                    points.forward_to_slabs(role, maps.map(block), tensor, &mut columns, scratch);
                }
                Transform::Maps(fft) => {
                    let (lanes, first) = (Lanes { plan: &self.plan, fft }, block * LANES);
                    let mut chosen = [maps.map(first); LANES];
                    let count = columns.width() / COMPLEX_POINT;
                    chosen.iter_mut().enumerate().take(count).for_each(|(i, map)| *map = maps.map(first + i));
                    lanes.forward(role, &chosen[..count], tensor, &mut columns, scratch);
                }
            }
        });
    }

    /// The planes of a tensor from its spectra, a few planes a task.
    fn invert(
        &self,
        role: Role,
        units: Range<usize>,
        spectra: &[f32],
        tensor: &mut Buffer,
        epilogue: Epilogue<'_>,
        lanes: &mut [f32],
    ) {
        let _phase = tracing::trace_span!(target: "phase", "inverse").entered();
        let maps = self.plan.maps(role, units);
        let spectra = &spectra[..self.plan.spectra_len_of(maps.count())];
        let (planes, points) = (maps.planes(), self.plan.problem.points(role));
        let block = self.plan.planes_per_task(&maps);
        let of_task = |task: usize| {
            let first = planes.start + task * block;
            first..(first + block).min(planes.end)
        };
        let range = |task| of_task(task).start * points..of_task(task).end * points;
        let scratch = (lanes, self.scratch_len());
        for_each_part(tensor, planes.len().div_ceil(block), range, scratch, |task, part, scratch| {
            let all = of_task(task).flat_map(|plane| maps.of_plane(plane));
            let first = of_task(task).start;
            match &self.fft {
                Transform::Points(fft) => {
                    let points = Points { plan: &self.plan, fft };
                    for (number, map) in all {
                        let from = (spectra, number, maps.count());
                        points.inverse_from_slabs(role, map, from, (first, &mut *part), epilogue, scratch);
                    }
                }
                Transform::Maps(fft) => in_lanes(all, |chosen| {
                    let lanes = Lanes { plan: &self.plan, fft };
                    lanes.inverse(role, chosen, spectra, (first, &mut *part), epilogue, scratch);
                }),
            }
        });
    }

    /// The products at all frequencies. `left` and `right` are the factors as the matrix product wants them:
    /// rows of the product come from `left`.
    fn multiply(&self, units: Range<usize>, left: &[f32], right: &[f32], out: &mut [f32], add: bool) {
        let _phase = tracing::trace_span!(target: "phase", "product").entered();
        let matrices = self.matrices(units.len());
        let Matrices { rows, groups, left_maps, right_maps, out_maps, pass, .. } = matrices;
        let (slab, row_maps) = (self.plan.slab(), out_maps / rows);
        let row_parts = divided(rows, self.plan.product_rows(rows));
        let (left, right) = (as_elements(left), as_elements(right));
        let range = |task: usize| {
            let (number, rows) = (task / row_parts.len(), &row_parts[task % row_parts.len()]);
            let first = number * out_maps;
            let maps = first + rows.start * row_maps..first + rows.end * row_maps;
            maps.start * slab * COMPLEX_POINT..maps.end * slab * COMPLEX_POINT
        };
        for_each_part(out, self.plan.slabs() * row_parts.len(), range, (&mut [], 0), |task, out, _| {
            let (number, rows) = (task / row_parts.len(), &row_parts[task % row_parts.len()]);
            let blocks = slab.min(self.plan.blocks() - number * slab);
            let out = out.as_chunks_mut().0;
            for group in 0..groups {
                if let Some((sizes, [left_view, right_view, view])) = matrices.product(rows.clone(), group) {
                    let left = Factor { elements: &left[number * left_maps * slab..], view: left_view };
                    let right = Factor { elements: &right[number * right_maps * slab..], view: right_view };
                    Product { pass, sizes, slab, blocks, left, right, out, view, add }.run();
                }
            }
        });
    }

    /// How the product of a group of units is laid out in the spectra.
    fn matrices(&self, units: usize) -> Matrices {
        let problem = &self.plan.problem;
        let phases = self.plan.tiling.phase_count();
        let (group_in, group_out) = (problem.group_in() * phases, problem.group_out());
        let (cin, cout) = (problem.in_channels() * phases, problem.out_channels());
        let weights = cout * group_in;
        let (rows, left_maps, right_maps, out_maps) = match self.plan.pass {
            Pass::Forward => (units, units * cin, weights, units * cout),
            Pass::BackwardInput => (units, units * cout, weights, units * cin),
            Pass::BackwardWeights => (cout, units * cout, units * cin, weights),
        };
        let groups = problem.groups();
        let pass = self.plan.pass;
        Matrices { pass, units, rows, groups, group_in, group_out, left_maps, right_maps, out_maps }
    }
}

/// Spectra as blocks of 16 frequencies.
fn as_elements(spectra: &[f32]) -> &[[f32; COMPLEX_POINT]] {
    spectra.as_chunks().0
}

/// Sizes of the product at one block of frequencies: rows are units, or output channels in backward-weights.
struct Matrices {
    pass: Pass,
    units: usize,
    rows: usize,
    groups: usize,
    /// Input maps of one group: channels and phases.
    group_in: usize,
    group_out: usize,
    left_maps: usize,
    right_maps: usize,
    out_maps: usize,
}

impl Matrices {
    /// `[m, n, k]` and the views of left, right and out for `rows` of one group, where `out` begins with row
    /// `rows.start`; `None` where the group has none of the rows.
    fn product(&self, rows: Range<usize>, group: usize) -> Option<([usize; 3], [View; 3])> {
        let Matrices { group_in, group_out, groups, units, .. } = *self;
        let (cin, cout) = (groups * group_in, groups * group_out);
        let view = |first, rows_apart, columns_apart| View { first, rows_apart, columns_apart };
        let (input, output) = (group * group_in, group * group_out);
        let weight = group * group_out * group_in;
        Some(match self.pass {
            Pass::Forward => {
                let left = view(rows.start * cin + input, cin, 1);
                let right = view(weight, 1, group_in);
                ([rows.len(), group_out, group_in], [left, right, view(output, cout, 1)])
            }
            Pass::BackwardInput => {
                let left = view(rows.start * cout + output, cout, 1);
                let right = view(weight, group_in, 1);
                ([rows.len(), group_in, group_out], [left, right, view(input, cin, 1)])
            }
            Pass::BackwardWeights => {
                let begin = rows.start.max(output);
                let count = rows.end.min(output + group_out).checked_sub(begin).filter(|n| *n > 0)?;
                let out = view((begin - rows.start) * group_in, group_in, 1);
                ([count, group_in, units], [view(begin, 1, cout), view(input, cin, 1), out])
            }
        })
    }
}

/// Calls `visit` with 16 maps at a time, the last time with the rest.
fn in_lanes(maps: impl Iterator<Item = (usize, Map)>, mut visit: impl FnMut(&[(usize, Map)])) {
    let mut chosen = Vec::with_capacity(LANES);
    for map in maps {
        chosen.push(map);
        if chosen.len() == LANES {
            visit(&chosen);
            chosen.clear();
        }
    }
    if !chosen.is_empty() {
        visit(&chosen);
    }
}
