//! Counted cost of direct convolution: register tiles, moves around them, and memory traffic.
//!
//! **Products.** A step of a register tile takes as many issue slots of a unit as it has fused multiply-adds, or
//! registers to fill for them if those take more, and 8 at least, since two units with a latency of four cycles
//! keep 8 in flight. A vector that may begin anywhere takes two slots to fill, since it comes from two lines of the
//! cache. Each slot counts as `2 · lanes` operations. Tiles are filled up with repeated chunks, taps in the padding count.
//!
//! **Moves.** Each packed weight and each value gathered on its own is one, a vector stored [`STORED`] (and
//! [`SCATTERED`] where its lanes stand apart), a chunk placed [`PLACED`], a tap listed for a chunk [`LISTED`], a tile of
//! backward-weights begun and ended [`TILED`], a run of it begun [`BEGUN`]. A tile meets a few values of many rows of the
//! source, which no prefetcher follows: where the source of a block of terms is more than the second-level cache, each
//! row is [`MET`].
//!
//! **Bytes.** Maps are read once for each register tile's channels, weights once a task, products are written
//! once a pass and read again in all passes but the first.

use conv_core::{Axis, ConvProblem, Cost, Machine, Pass, Role};

use super::line::Line;
use super::maps::{self, CHUNKS, Maps, PACKED};
use super::terms::MOST_TAPS;
use super::weights::{self, WEIGHTS, Weights};

/// Moves that placing a chunk and storing one of its vectors take.
const PLACED: f64 = 64.0;
const STORED: f64 = 16.0;

/// Moves that storing a vector takes, besides, whose lanes stand apart.
const SCATTERED: f64 = 48.0;

/// Moves that listing a tap for a chunk takes, where a tile has a list of its own: in chunks that are not full or
/// rows that meet padding.
const LISTED: f64 = 4.0;

/// Moves that meeting a row of the source takes, beyond the second-level cache.
const MET: f64 = 24.0;

/// Moves that a tile of backward-weights takes besides its runs.
const TILED: f64 = 512.0;

/// Moves that beginning a run takes.
const BEGUN: f64 = 64.0;

/// Issue slots of a step of `rows` times `vectors` multiply-adds.
pub(super) const fn slots(rows: usize, vectors: usize) -> usize {
    let (products, filled) = (rows * vectors, rows + 2 * vectors);
    let slots = if products > filled { products } else { filled };
    if slots > 8 { slots } else { 8 }
}

/// Vectors of a tile of `rows` channels: half as many where registers are few.
pub(super) fn vectors(machine: &Machine, table: &[usize], rows: usize) -> usize {
    if machine.lanes >= 16 { table[rows - 1] } else { table[rows - 1] / 2 }
}

/// The sizes of nearly equal blocks of at most `most`, and how many have them.
pub(super) fn blocks(len: usize, most: usize) -> [(usize, f64); 2] {
    let count = len.div_ceil(most);
    let larger = len % count;
    [(len / count + 1, larger as f64), (len / count, (count - larger) as f64)]
}

/// Cost of a pass of the merged problem.
pub(super) fn cost(machine: &Machine, problem: &ConvProblem, pass: Pass) -> Cost {
    let ([flops, moves, bytes], tasks) = match pass {
        Pass::BackwardWeights => (weights_cost(machine, problem), Weights::new(machine, problem).tasks_len()),
        _ => (maps_cost(machine, problem, pass), Maps::new(machine, problem, pass).tasks_len()),
    };
    let bytes = 4.0 * bytes;
    let cost = Cost { product_flops: flops, moves, bytes, launches: 1.0, ..Cost::default() };
    cost.in_tasks(tasks, machine.threads)
}

/// Operations, moves and values of forward and backward-input.
fn maps_cost(machine: &Machine, problem: &ConvProblem, pass: Pass) -> [f64; 3] {
    let maps = Maps::new(machine, problem, pass);
    let (lanes, volume) = (machine.lanes.max(1), problem.volume());
    let backward = pass == Pass::BackwardInput;
    let of_class = |axis: &Axis| match backward {
        true => (
            axis.stride.min(axis.input),
            axis.input.div_ceil(axis.stride),
            axis.kernel as f64 / axis.stride as f64,
        ),
        false => (1, axis.output(), axis.kernel as f64),
    };
    let axes = volume.map(|axis| of_class(&axis));
    let classes: f64 = axes.iter().map(|(classes, ..)| *classes as f64).product();
    let taps: f64 = axes.iter().map(|(.., taps)| taps).product();
    let targets = axes.map(|(_, targets, _)| targets as f64);
    let chunks =
        (targets[0] * targets[1] * (targets[2] / lanes as f64).ceil() / maps.pieces_len() as f64).ceil();
    let parts = (problem.batch() * problem.groups() * maps.pieces_len()) as f64 * classes;
    let source = problem.len(pass.roles()[0]) as f64;
    let of_task = source / (problem.batch() * problem.groups() * maps.pieces_len()) as f64;
    let mut total = [0.0, 0.0, problem.len(pass.roles()[2]) as f64];
    for (rows, count) in blocks(maps.made, maps::MOST_ROWS).into_iter().filter(|(_, count)| *count > 0.0) {
        let vectors = vectors(machine, &CHUNKS, rows);
        let tiles = parts * count * (chunks / vectors as f64).ceil();
        let steps = tiles * maps.summed as f64 * taps;
        let packed = (PACKED / rows) as f64;
        let terms = maps.summed as f64 * taps;
        let of_block = of_task * (packed / terms).min(1.0);
        let met = if 4.0 * of_block > machine.caches[1] as f64 { MET } else { 0.0 };
        let passes = (taps / MOST_TAPS as f64).ceil().max((terms / packed).ceil());
        let gathered = if !backward && volume[2].stride > 1 { steps * (vectors * lanes) as f64 } else { 0.0 };
        let stored = parts * count * chunks * passes;
        let of_vector = if backward && volume[2].stride > 1 { STORED + SCATTERED } else { STORED };
        let lists = listed_tiles(problem, pass, lanes, maps.pieces_len(), vectors)
            .min((chunks / vectors as f64).ceil());
        let channel_blocks = (terms / packed / (taps / MOST_TAPS as f64).ceil()).ceil();
        let listed = parts * count * lists * taps * vectors as f64 * channel_blocks;
        total[0] += 2.0 * lanes as f64 * steps * slots(rows, vectors) as f64;
        total[1] +=
            gathered + parts * count * terms * rows as f64 + stored * (PLACED + of_vector * rows as f64);
        total[1] += listed * LISTED + tiles * maps.summed as f64 * rows_met(problem, pass, vectors) * met;
        total[2] += count * source + parts * count * terms * rows as f64;
        total[2] += 2.0 * (passes - 1.0).max(0.0) * stored / passes.max(1.0) * (rows * lanes) as f64;
    }
    total
}

/// Rows of a source map that a tile of so many chunks, which stand above each other, meets.
fn rows_met(problem: &ConvProblem, pass: Pass, chunks: usize) -> f64 {
    let [planes, rows] = [0, 1].map(|axis: usize| Line::new(&problem.volume()[axis], pass, 0));
    let apart = (chunks - 1) * rows.per_target + rows.taps.saturating_sub(1) * rows.per_tap + 1;
    planes.taps as f64 * apart.min(chunks * rows.taps) as f64
}

/// Tiles of a piece that list taps of their own: one a column of chunks and those of rows that meet padding; all
/// where a column has fewer chunks than a tile.
fn listed_tiles(problem: &ConvProblem, pass: Pass, lanes: usize, pieces: usize, vectors: usize) -> f64 {
    let volume = problem.volume();
    let targets = volume.map(|axis| match pass {
        Pass::BackwardInput => axis.input.div_ceil(axis.stride),
        _ => axis.output(),
    });
    let met = |axis: usize| {
        let (padding, reach) = (volume[axis].padding, volume[axis].extent() - 1);
        let edge = match pass {
            Pass::BackwardInput => reach.saturating_sub(padding.0) + reach.saturating_sub(padding.1),
            _ => padding.0 + padding.1,
        };
        targets[axis].saturating_sub(edge.div_ceil(volume[axis].stride)) as f64
    };
    let columns = targets[2].div_ceil(lanes) as f64;
    let rows = targets[0] as f64 * targets[1] as f64 / pieces as f64;
    let edge_rows = rows - met(0) * met(1) / pieces as f64;
    if rows < vectors as f64 { f64::INFINITY } else { columns * (1.0 + (edge_rows / vectors as f64).ceil()) }
}

/// Operations, moves and values of backward-weights.
fn weights_cost(machine: &Machine, problem: &ConvProblem) -> [f64; 3] {
    let lanes = machine.lanes.max(1);
    let [d, h, w] = problem.output_shape();
    let registers = w.div_ceil(lanes);
    let runs = if h >= registers { h.div_ceil(super::correlate::ROWS) * registers } else { h };
    let runs = problem.batch() as f64 * d as f64 * runs as f64;
    let steps = problem.batch() as f64 * (d * h) as f64 * registers as f64;
    let row_len = problem.group_in() * problem.points(Role::Weight);
    let mut total = [0.0, 0.0, problem.len(Role::Weight) as f64];
    for (rows, count) in
        blocks(problem.group_out(), weights::MOST_ROWS).into_iter().filter(|(_, count)| *count > 0.0)
    {
        let width = vectors(machine, &WEIGHTS, rows);
        let tiles = count * problem.groups() as f64 * row_len.div_ceil(width) as f64;
        let gathered = if problem.volume()[2].stride > 1 { ((rows + width) * lanes) as f64 } else { 0.0 };
        total[0] += 2.0 * lanes as f64 * tiles * steps * slots(rows, width) as f64;
        total[1] += tiles * (TILED + runs * BEGUN + steps * gathered);
        let read = rows * problem.points(Role::Output) + problem.points(Role::Input);
        total[2] += (tiles / weights::MOST_TILES as f64).ceil() * problem.batch() as f64 * read as f64;
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(lanes: usize) -> Machine {
        Machine {
            name: "test".into(),
            processor: "any".into(),
            threads: 1,
            lanes,
            caches: [32 << 10, 1 << 20, 32 << 20],
            model: Default::default(),
            table: conv_core::TableSource::Committed,
        }
    }

    fn product_flops(line: &str, pass: Pass) -> f64 {
        cost(&machine(16), &line.parse().unwrap(), pass).product_flops
    }

    #[test]
    fn whole_tiles_count_their_multiply_adds() {
        let line = "n3 c5 o16 i4x32 k1x3 p0x1";
        let problem: ConvProblem = line.parse().unwrap();
        assert_eq!(product_flops(line, Pass::Forward), 2.0 * problem.multiply_adds());
        assert_eq!(
            product_flops("n3 c16 o5 i4x32 k1x3 p0x1", Pass::BackwardInput),
            2.0 * problem.multiply_adds()
        );
    }

    #[test]
    fn lanes_and_tiles_are_filled_up() {
        assert_eq!(product_flops("n1 c1 o8 i17 k1", Pass::Forward), 2.0 * 16.0 * 16.0);
        assert_eq!(product_flops("n1 c1 o1 i17 k1", Pass::Forward), 2.0 * 16.0 * 17.0);
        assert_eq!(product_flops("n1 c1 o4 i16 k2 p1:0", Pass::BackwardWeights), 2.0 * 16.0 * 16.0);
    }

    #[test]
    fn tensors_near_the_limit_are_counted() {
        let long = 1usize << 40;
        for line in [
            format!("n1 c1 o1 i{long} k1"),
            format!("n1 c1 o1 i{long} k{long}"),
            format!("n1 c1 o1 i1 k1 p{}:0 s{}", long - 1, long),
            format!("n{long} c1 o1 i1 k1"),
            format!("n1 c{} o{} i1x1048576 k1x1", 1 << 20, 1 << 20),
        ] {
            for pass in Pass::ALL {
                let cost = cost(&machine(16), &line.parse().unwrap(), pass);
                assert!(cost.flops().is_finite() && cost.flops() > 0.0 && cost.bytes > 0.0, "{pass} {line}");
            }
        }
    }
}
