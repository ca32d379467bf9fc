//! Forward and backward-input: tasks make all channels of a group in a band of targets of one image.

use std::ops::Range;

use conv_core::{ConvProblem, Cost, Machine, Pass, Role, Unsupported};

use super::kernel::{MOST_ROWS, Products, loads};
use super::made::Made;
use crate::blocking::{Blocking, Epilogue, channels};
use crate::buffer::whole_lines;
use crate::padding::{Class, Layout, MOST_VALUES, TAIL, Tap, classes, cut_axis, longest_band, pad};
use crate::raw::{Columns, for_each_part, for_each_rectangle};
use crate::split::blocks;

/// Tasks a thread should find, so that threads end together.
const TASKS_PER_THREAD: usize = 4;

/// Points of a map below which it is not cut for the sake of more tasks.
const SMALLEST_BAND: usize = 512;

/// Most values of packed weights, or of sums of weights.
pub(super) const MOST_WEIGHTS: usize = 1 << 32;

/// What begins and ends a task, in moves.
pub(super) const TASK_MOVES: f64 = 1024.0;

/// Moves of a tile's first load from a row of a channel: it comes from the second-level cache, those of the row's other
/// taps from the first-level one. 5 and 7 by the rates of 451 measured problems.
const ROW_LOADED: f64 = 6.0;

/// Moves of so many rows with so many values: of each value, or three where it is not beside the next, and 64 of each row.
/// Rates of 570 measured problems were 0.2 ns a value, 0.5 a strided one, 9.5 a row and 190 a task.
pub(super) fn copied(rows: usize, values: usize, strided: bool) -> f64 {
    let value = if strided { 3.0 } else { 1.0 };
    64.0 * rows as f64 + value * values as f64
}

/// The blocking of one problem and pass.
pub(super) struct Maps {
    problem: ConvProblem,
    pass: Pass,
    classes: [Vec<(Class, Vec<Tap>)>; 3],
    /// The axis along which maps are cut into bands, and the targets of a band.
    pub(super) cut: usize,
    pub(super) band: usize,
    /// Values of a task's padded maps, and of its made maps.
    scratch: [usize; 2],
    threads: usize,
    lanes: usize,
}

impl Maps {
    /// # Errors
    /// A refusal where the maps that a row of targets needs are very large.
    pub(super) fn new(machine: &Machine, problem: &ConvProblem, pass: Pass) -> Result<Maps, Unsupported> {
        let shape = target_shape(problem, pass);
        let long = || Unsupported::Geometry("its rows are longer than any cache".into());
        if problem.volume().iter().any(|axis| axis.stride > MOST_VALUES || axis.kernel > MOST_VALUES) {
            return Err(long());
        }
        if problem.len(Role::Weight) > MOST_WEIGHTS {
            return Err(Unsupported::Geometry("its packed weights are larger than any memory".into()));
        }
        let classes = problem.volume().map(|axis| classes(&axis, pass));
        let (cut, threads) = (cut_axis(shape), machine.threads.max(1));
        let mut maps = Maps {
            problem: *problem,
            pass,
            classes,
            cut,
            band: shape[cut],
            scratch: [0; 2],
            threads,
            lanes: machine.lanes.max(1),
        };
        let tasks = problem.batch().saturating_mul(problem.groups());
        let rest: usize = shape[cut + 1..].iter().product();
        let more = |band: usize| {
            let bands = shape[cut].div_ceil(band);
            tasks.saturating_mul(bands) < threads * TASKS_PER_THREAD && band / 2 * rest >= SMALLEST_BAND
        };
        let cached = machine.caches[1] / 2 / size_of::<f32>();
        (maps.band, maps.scratch) = longest_band(shape[cut], cached, |band| maps.values(band), more)?;
        Ok(maps)
    }

    /// Made and summed channels of a group.
    fn channels(&self) -> [usize; 2] {
        channels(&self.problem, self.pass)
    }

    /// Layouts' sizes for a band at the beginning, in the middle or at the end: that of the greatest.
    fn values(&self, band: usize) -> Option<[usize; 2]> {
        let (mut padded, mut made) = (0, 0);
        for [a, b, c] in self.combinations() {
            let mut classes = [a.0, b.0, c.0];
            classes[self.cut].count = classes[self.cut].count.min(band.div_ceil(classes[self.cut].step));
            padded = padded.max(Layout::values(classes, self.channels()[1])?);
            if padded > MOST_VALUES {
                return None;
            }
            made = made.max(Made::new(&Layout::new(classes), 0).len * MOST_ROWS.min(self.channels()[0]));
        }
        Some([padded, made])
    }

    fn combinations(&self) -> impl Iterator<Item = [&(Class, Vec<Tap>); 3]> {
        let [slices, rows, columns] = &self.classes;
        slices.iter().flat_map(move |a| rows.iter().flat_map(move |b| columns.iter().map(move |c| [a, b, c])))
    }

    fn bands(&self) -> Vec<Range<usize>> {
        let targets = target_shape(&self.problem, self.pass)[self.cut];
        (0..targets).step_by(self.band).map(|begin| begin..(begin + self.band).min(targets)).collect()
    }

    /// Classes of a task.
    fn of_band(&self, mut classes: [Class; 3], band: &Range<usize>) -> [Class; 3] {
        classes[self.cut] = classes[self.cut].within(band);
        classes
    }

    /// The targets of a band, by classes.
    fn parts(&self, band: &Range<usize>) -> Vec<Part> {
        let (mut parts, mut before) = (Vec::new(), 0);
        for axes in self.combinations() {
            let padded = Layout::new(self.of_band(axes.map(|axis| axis.0), band));
            let taps = axes.map(|axis| &axis.1[..]);
            if padded.classes.iter().all(|class| class.count > 0) {
                let (made, offsets) = (Made::new(&padded, 0), padded.offsets(taps));
                parts.push(Part { padded, sources: made.sources(), made, offsets, before });
            }
            before += taps.iter().map(|taps| taps.len()).product::<usize>();
        }
        parts
    }

    /// Packs the weights as `[group][block of made channels][class][term][made channel]`.
    fn pack(&self, weight: &[f32], packed: &mut [f32]) {
        let ([made, summed], points) = (self.channels(), self.problem.points(Role::Weight));
        let blocks: Vec<_> = blocks(made, MOST_ROWS).collect();
        let of = |index: usize| (index / blocks.len(), &blocks[index % blocks.len()]);
        let range = |index: usize| {
            let (group, block) = of(index);
            (group * made + block.start) * summed * points..(group * made + block.end) * summed * points
        };
        for_each_part(
            packed,
            self.problem.groups() * blocks.len(),
            range,
            (&mut [], 0),
            |index, packed, _| {
                let (group, block) = of(index);
                let from = &weight[group * made * summed * points..][..made * summed * points];
                let mut places = packed.iter_mut();
                let [_, h, w] = self.problem.kernel_shape();
                for [slices, rows, columns] in self.combinations() {
                    for (channel, slice) in
                        (0..summed).flat_map(|channel| slices.1.iter().map(move |tap| (channel, tap)))
                    {
                        for (row, column) in
                            rows.1.iter().flat_map(|row| columns.1.iter().map(move |tap| (row, tap)))
                        {
                            let point = (slice.point * h + row.point) * w + column.point;
                            for (row, place) in block.clone().zip(&mut places) {
                                let (output, input) =
                                    if self.pass == Pass::Forward { (row, channel) } else { (channel, row) };
                                let inputs = if self.pass == Pass::Forward { summed } else { made };
                                *place = from[(output * inputs + input) * points + point];
                            }
                        }
                    }
                }
            },
        );
    }
}

impl Blocking for Maps {
    /// Values of the packed weights, then of every thread's maps.
    fn workspace_len(&self) -> usize {
        whole_lines(self.problem.len(Role::Weight)) + self.threads * self.scratch.iter().sum::<usize>()
    }

    /// What the pass takes: every vector of every tile as a multiply-add of all its lanes; every value copied to or
    /// from padded and made maps by [`copied`], one move for every load of a tile, [`ROW_LOADED`] for
    /// the first of a row of taps, and [`TASK_MOVES`] more a task; each tensor once.
    fn cost(&self) -> Cost {
        let [made, summed] = self.channels();
        let maps = self.problem.batch() as f64 * self.problem.groups() as f64;
        let bands = self.bands();
        let (mut flops, mut moves) = (0.0, 0.0);
        // All bands but the last are taken to be alike.
        let first = (bands[0].clone(), (bands.len() - 1) as f64);
        let last = (bands[bands.len() - 1].clone(), 1.0);
        for (band, times) in [first, last] {
            for [a, b, c] in self.combinations() {
                let layout = Layout::new(self.of_band([a.0, b.0, c.0], &band));
                if layout.classes.iter().any(|class| class.count == 0) {
                    continue;
                }
                let terms = summed as f64 * (a.1.len() * b.1.len() * c.1.len()) as f64;
                let tap_rows = summed as f64 * (a.1.len() * b.1.len()) as f64;
                let vectors = Made::new(&layout, 0).vectors(self.lanes);
                flops += times * 2.0 * (self.lanes * vectors * made) as f64 * terms;
                let classes = layout.classes;
                let rows = classes[0].count * classes[1].count;
                let strided = classes.iter().any(|class| class.stride > 1);
                let padded = copied(layout.spans[0] * layout.spans[1], layout.map, strided);
                let stored = copied(rows, rows * classes[2].count, classes[2].step > 1);
                moves += times * (padded * summed as f64 + stored * made as f64);
                moves += times * terms * loads(self.lanes, made, MOST_ROWS, vectors);
                moves += times * tap_rows * ROW_LOADED * (vectors * blocks(made, MOST_ROWS).count()) as f64;
            }
        }
        let bytes = 4.0 * self.pass.roles().map(|role| self.problem.len(role) as f64).iter().sum::<f64>();
        let tasks = self.problem.batch().saturating_mul(self.problem.groups()).saturating_mul(bands.len());
        let cost = Cost {
            product_flops: flops * maps,
            moves: moves * maps + TASK_MOVES * tasks as f64 + self.problem.len(Role::Weight) as f64,
            bytes,
            launches: 2.0,
            ..Cost::default()
        };
        cost.in_tasks(tasks, self.threads)
    }

    /// Computes the pass.
    fn run(
        &self,
        [source, weight]: [&[f32]; 2],
        out: &mut [f32],
        epilogue: Epilogue<'_>,
        workspace: &mut [f32],
    ) {
        let len = self.problem.len(Role::Weight);
        let (packed, scratch) = workspace.split_at_mut(whole_lines(len));
        let packed = &mut packed[..len];
        self.pack(weight, packed);
        let (shape, made) = (target_shape(&self.problem, self.pass), self.channels()[0]);
        let (points, rest) = (shape.iter().product(), shape[self.cut + 1..].iter().product::<usize>());
        let (images, groups) = (self.problem.batch(), self.problem.groups());
        let rows: Vec<_> = (0..images * groups).map(|maps| maps * made..(maps + 1) * made).collect();
        let bands = self.bands();
        let columns: Vec<_> = bands.iter().map(|band| band.start * rest..band.end * rest).collect();
        let parts: Vec<Vec<Part>> = bands.iter().map(|band| self.parts(band)).collect();
        let scratch = (scratch, self.scratch.iter().sum());
        for_each_rectangle(out, points, [&rows, &columns], scratch, |[maps, band], mut out, scratch| {
            let (image, group, begin) = (maps / groups, maps % groups, columns[band].start);
            let task = Task { maps: self, source, packed, epilogue, image, group, begin };
            task.run(&parts[band], &mut out, scratch);
        });
    }
}

fn target_shape(problem: &ConvProblem, pass: Pass) -> [usize; 3] {
    if pass == Pass::Forward { problem.output_shape() } else { problem.input_shape() }
}

/// Targets of a band that meet the same taps.
struct Part {
    padded: Layout,
    made: Made,
    /// What the first of every vector of targets meets at offset 0.
    sources: Vec<usize>,
    /// How far from a target on is what each tap meets.
    offsets: Vec<usize>,
    /// Taps of the classes before.
    before: usize,
}

/// All made channels of a group in a band of one image, which begins with point `begin` of a map.
struct Task<'a> {
    maps: &'a Maps,
    source: &'a [f32],
    packed: &'a [f32],
    epilogue: (Option<&'a [f32]>, bool),
    image: usize,
    group: usize,
    begin: usize,
}

impl Task<'_> {
    fn run(&self, parts: &[Part], out: &mut Columns<'_>, scratch: &mut [f32]) {
        let [channels, summed] = self.maps.channels();
        let points = self.maps.problem.points(Role::Weight);
        let (bias, relu) = self.epilogue;
        let (source, made_maps) = scratch.split_at_mut(self.maps.scratch[0]);
        for Part { padded, made: layout, sources, offsets, before } in parts {
            self.pad(padded, source);
            for block in blocks(channels, MOST_ROWS) {
                let first = (self.group * channels + block.start) * points + before * block.len();
                let made = &mut made_maps[..block.len() * layout.len];
                Products {
                    sources,
                    offsets,
                    channels: summed,
                    map: padded.map,
                    rows: block.len(),
                    weights: &self.packed[first * summed..][..summed * offsets.len() * block.len()],
                    source,
                    bias: bias.map(|bias| &bias[self.group * channels + block.start..][..block.len()]),
                    relu,
                    made,
                }
                .run();
                self.store(layout, block, made, out);
            }
        }
    }

    /// Fills the padded maps.
    fn pad(&self, layout: &Layout, padded: &mut [f32]) {
        let Maps { problem, pass, .. } = self.maps;
        let (shape, summed) = match pass {
            Pass::Forward => (problem.input_shape(), self.maps.channels()[1]),
            _ => (problem.output_shape(), self.maps.channels()[1]),
        };
        let points: usize = shape.iter().product();
        let first = (self.image * problem.groups() + self.group) * summed;
        let (maps, tail) = padded.split_at_mut(summed * layout.map);
        for (channel, map) in maps.chunks_exact_mut(layout.map).enumerate() {
            pad(layout, shape, &self.source[(first + channel) * points..][..points], map);
        }
        tail[..TAIL].fill(0.0);
    }

    /// Writes a block of made maps to the rows of `out`.
    fn store(&self, layout: &Made, block: Range<usize>, made: &[f32], out: &mut Columns<'_>) {
        let shape = target_shape(&self.maps.problem, self.maps.pass);
        for (channel, map) in block.zip(made.chunks_exact(layout.len)) {
            layout.gather(shape, self.begin, map, out.row(channel));
        }
    }
}
