//! The paper's table of results and its figure 3, printed and measured.

use maud::{Markup, html};

use super::caption;
use super::cells::{Cell, cells, digits, milliseconds};
use super::chart::{Chart, Scale};
use super::read::{Row, Source, Timed};
use super::sweep;

/// A layer of the paper's table: its name in `shapes/paper.txt` and `k, n, f, f'`.
const LAYERS: [(&str, [u32; 4]); 5] = [
    ("paper.table.k11n32f3", [11, 32, 3, 96]),
    ("paper.table.k7n32f96", [7, 32, 96, 256]),
    ("paper.table.k5n16f256", [5, 16, 256, 384]),
    ("paper.table.k5n16f384", [5, 16, 384, 384]),
    ("paper.table.k3n16f384", [3, 16, 384, 384]),
];

/// Milliseconds printed for a layer: Torch7, CudaConv, FFT. The paper has no backward-input of
/// the first layer.
type Printed = [Option<[u32; 3]>; 5];

/// The table's rows of passes, then of their total.
const PRINTED: [Printed; 4] = [
    [Some([5, 16, 3]), Some([178, 221, 34]), Some([74, 98, 34]), Some([111, 146, 49]), Some([57, 86, 49])],
    [None, Some([197, 261, 92]), Some([76, 108, 76]), Some([116, 161, 116]), Some([62, 77, 116])],
    [
        Some([39, 32, 2]),
        Some([285, 403, 33]),
        Some([116, 195, 32]),
        Some([174, 280, 48]),
        Some([96, 178, 47]),
    ],
    [
        Some([44, 48, 5]),
        Some([660, 885, 159]),
        Some([266, 401, 142]),
        Some([401, 587, 213]),
        Some([215, 341, 212]),
    ],
];

/// The three columns of the paper.
const PRINTED_BY: [&str; 3] = ["Torch7", "CudaConv", "FFT"];

/// Which of our rows stands in the table.
type Reader = for<'a> fn(&Cell<'a>) -> Option<&'a Row>;
const MEASURED: [(&str, Reader); 3] =
    [("best", |cell| cell.best()), ("pick", |cell| cell.pick()), ("peer", |cell| cell.peer())];

/// The table's section.
pub(crate) fn table_section(sources: &[Source]) -> Markup {
    let measured: Vec<(&Source, Vec<Cell<'_>>)> = sources
        .iter()
        .map(|source| (source, cells(source)))
        .filter(|(_, cells)| cells.iter().any(|cell| cell.name().starts_with("paper.table.")))
        .collect();
    html! {
        @for (source, cells) in &measured {
            (caption::heading(source))
            figure {
                (table(cells))
                (caption::measured("Rows best, pick and peer are ours to compare; \
                    the others as printed.", source))
            }
        }
        @if measured.is_empty() {
            (caption::missing(&caption::bench("paper", "all")))
            figure { (table(&[])) figcaption { "As printed: GTX Titan, batch 128." } }
        }
    }
}

fn table(cells: &[Cell<'_>]) -> Markup {
    let batch = |name: &str| cells.iter().find(|cell| cell.name() == name)?.first().geometry;
    html! {
        div.scroll { table.paper {
            thead {
                tr { th colspan="2" { "k, n, f, f′" } @for (_, layer) in LAYERS {
                    th.n { (layer.map(|number| number.to_string()).join(", ")) }
                } }
                @if !cells.is_empty() {
                    tr { th colspan="2" { "batch, printed / measured" } @for (name, _) in LAYERS {
                        td.n { "128 / " @match batch(name) {
                            Some(problem) => (problem.batch()),
                            None => "–",
                        } }
                    } }
                }
            }
            @for (row, printed) in PRINTED.iter().enumerate() { (pass_rows(row, printed, cells)) }
        } }
    }
}

/// The rows of one pass, or after the last pass those of the total.
fn pass_rows(row: usize, printed: &Printed, cells: &[Cell<'_>]) -> Markup {
    let rows = PRINTED_BY.len() + if cells.is_empty() { 0 } else { MEASURED.len() };
    html! {
        tbody {
            @for (by, name) in PRINTED_BY.iter().enumerate() {
                tr.printed {
                    @if by == 0 {
                        th rowspan=(rows) { (Timed::PASSES.get(row).map_or("total", |p| p.name())) }
                    }
                    td { (name) }
                    @for layer in printed { td.n { @match layer {
                        Some(times) => (times[by]),
                        None => "–",
                    } } }
                }
            }
            @if !cells.is_empty() {
                @for (name, read) in MEASURED {
                    tr class=(name) {
                        td { (name) }
                        @for (layer, _) in LAYERS { td.n { (measured(row, layer, read, cells)) } }
                    }
                }
            }
        }
    }
}

fn measured(row: usize, layer: &str, read: Reader, cells: &[Cell<'_>]) -> Markup {
    let find = |pass: Timed| {
        let cell = cells.iter().find(|cell| cell.name() == layer && cell.pass() == pass);
        cell.and_then(read)
    };
    match Timed::PASSES.get(row) {
        Some(pass) => match find(*pass) {
            Some(row) => html! { (milliseconds(row)) " " small { (row.algorithm) } },
            None => html! { "–" },
        },
        None => {
            let counted = Timed::PASSES.iter().zip(&PRINTED);
            let counted = counted.filter(|(_, printed)| printed[position(layer)].is_some());
            let total: Option<f64> = counted.map(|(pass, _)| Some(find(*pass)?.median_ms)).sum();
            html! { @match total { Some(total) => (digits(total)), None => "–" } }
        }
    }
}

fn position(layer: &str) -> usize {
    LAYERS.iter().position(|(name, _)| *name == layer).unwrap_or(0)
}

/// Figure 3's section.
pub(crate) fn figure_section(sources: &[Source]) -> anyhow::Result<Markup> {
    let command = caption::bench("paper", "all");
    sweep::figures(sources, "96 input and 256 output channels.", &command, figure_charts)
}

fn figure_charts(cells: &[Cell<'_>]) -> Vec<Chart> {
    let after = |prefix: &'static str| move |cell: &Cell<'_>| sweep::number_after(cell.name(), prefix);
    let batch = |cell: &Cell<'_>| {
        let varied = cell.name().starts_with("paper.fig3.S") || cell.name() == "paper.fig3.n32";
        let problem = cell.first().geometry.filter(|_| varied)?;
        Some(problem.batch() as f64)
    };
    let mut charts = Vec::new();
    for pass in Timed::PASSES {
        let of_pass = || cells.iter().filter(move |cell| cell.pass() == pass);
        let by_n = sweep::stops(of_pass(), after("paper.fig3.n"));
        let by_k = sweep::stops(of_pass(), after("paper.fig3.k"));
        let by_s = first_alone(sweep::stops(of_pass(), batch));
        charts.extend([
            sweep::chart(
                format!("{}: k 7{}", pass.name(), sweep::batch_of(&by_n)),
                "n, input width",
                Scale::PowersOfTwo,
                &by_n,
            ),
            sweep::chart(
                format!("{}: n 32{}", pass.name(), sweep::batch_of(&by_k)),
                "k, kernel width",
                Scale::Linear,
                &by_k,
            ),
            sweep::chart(format!("{}: n 32, k 7", pass.name()), "S, batch", Scale::PowersOfTwo, &by_s),
        ]);
    }
    charts.into_iter().flatten().collect()
}

/// A capped batch makes several names one problem: the first stands for them.
fn first_alone(mut stops: Vec<sweep::Stop<'_>>) -> Vec<sweep::Stop<'_>> {
    stops.iter_mut().for_each(|(_, cells)| cells.truncate(1));
    stops
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printed_totals_are_the_sums_of_the_passes_within_rounding() {
        let cells = (0..LAYERS.len()).flat_map(|layer| (0..PRINTED_BY.len()).map(move |by| (layer, by)));
        for (layer, by) in cells {
            let passes: u32 = PRINTED[..3].iter().filter_map(|row| Some(row[layer]?[by])).sum();
            let total = PRINTED[3][layer].unwrap()[by];
            assert!(passes.abs_diff(total) <= 1, "layer {layer} {}: {passes}", PRINTED_BY[by]);
        }
    }
}
