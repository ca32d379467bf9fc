//! The report's experiments, whole networks and growth: charts from names that end in a number.

use maud::{Markup, html};

use super::caption;
use super::cells::{Cell, cells, milliseconds, times};
use super::chart::{Chart, Line, Point, Scale};
use super::read::{Row, Source, Timed};
use super::sweep::{self, Kind, Stop};

/// A chart of what a name's number counts.
struct Experiment {
    prefix: &'static str,
    title: &'static str,
    unit: &'static str,
    scale: Scale,
}

const fn linear(prefix: &'static str, title: &'static str, unit: &'static str) -> Experiment {
    Experiment { prefix, title, unit, scale: Scale::Linear }
}

const FUNCTIONAL: [Experiment; 3] = [
    linear("functional.input", "k 2, two dimensions", "n, input width"),
    linear("functional.kernel", "n 150, two dimensions", "k, kernel width"),
    linear("functional.dims", "n 50, k 2", "dimensions"),
];

const LAYERS: [Experiment; 3] = [
    linear("report.input", "three passes, k 64", "n, input width"),
    linear("report.kernel", "three passes, n 128", "k, kernel width"),
    linear("report.batch", "three passes, n 64, k 32", "S, batch"),
];

const NETWORKS: [Experiment; 3] = [
    linear("net.report.input", "training step, k 64, batch 10", "n, input width"),
    linear("net.report.kernel", "training step, n 128, batch 4", "k, kernel width"),
    linear("net.report.batch", "training step, n 64, k 32", "S, batch"),
];

/// The charts of experiments over the given passes, added.
fn charts(experiments: &[Experiment], passes: &[Timed], cells: &[Cell<'_>]) -> Vec<Chart> {
    let chart = |experiment: &Experiment| {
        let of_passes = cells.iter().filter(|cell| passes.contains(&cell.pass()));
        let mut stops = sweep::stops(of_passes, |cell| sweep::number_after(cell.name(), experiment.prefix));
        stops.retain(|(_, cells)| cells.len() == passes.len());
        let varied = experiment.unit == "S, batch";
        let batch = if varied { String::new() } else { sweep::batch_of(&stops) };
        sweep::chart(format!("{}{batch}", experiment.title), experiment.unit, experiment.scale, &stops)
    };
    experiments.iter().filter_map(chart).collect()
}

/// Naive windowing against FFT.
pub(crate) fn functional(sources: &[Source]) -> anyhow::Result<Markup> {
    let command = caption::bench("functional", "forward");
    let says = "Forward pass, one image, one channel in and out; naive windowing is direct.";
    sweep::figures(sources, says, &command, |cells| charts(&FUNCTIONAL, &[Timed::Forward], cells))
}

/// The training experiments' layer alone.
pub(crate) fn layers(sources: &[Source]) -> anyhow::Result<Markup> {
    let command = caption::bench("report", "all");
    let says = "The convolution alone, 3 channels in and 16 out, the times of its three passes added.";
    sweep::figures(sources, says, &command, |cells| charts(&LAYERS, &Timed::PASSES, cells))
}

/// The training experiments' networks.
pub(crate) fn networks(sources: &[Source]) -> anyhow::Result<Markup> {
    let command = caption::bench_net("report");
    let says = "One training step of the whole network; the pick chooses for every layer and pass.";
    sweep::figures(sources, says, &command, |cells| charts(&NETWORKS, &[Timed::Train], cells))
}

/// Time against n, with the law that FFT convolution follows.
pub(crate) fn growth(sources: &[Source]) -> anyhow::Result<Markup> {
    let command = caption::bench("growth", "all");
    let says = "Thin grey line: n² log n through the pick at the largest n.";
    sweep::figures(sources, says, &command, growth_charts)
}

fn growth_charts(cells: &[Cell<'_>]) -> Vec<Chart> {
    let chart = |pass: Timed| {
        let of_pass = cells.iter().filter(|cell| cell.pass() == pass);
        let stops = sweep::stops(of_pass, |cell| sweep::number_after(cell.name(), "growth.n"));
        let title = format!("{}{}", pass.name(), sweep::batch_of(&stops));
        let mut chart = sweep::chart(title, "n, input width", Scale::PowersOfTwo, &stops)?;
        chart.lines.extend(law(&stops));
        Some(chart)
    };
    Timed::PASSES.into_iter().filter_map(chart).collect()
}

/// `n² log n` at every stop, as long as the pick at the last.
fn law(stops: &[Stop<'_>]) -> Option<Line> {
    let (last, cells) = stops.last()?;
    let cost = |n: f64| n * n * n.log2();
    let scale = cells.first()?.pick()?.median_ms / cost(*last);
    let points = stops.iter().filter(|(n, _)| *n > 1.0);
    let points = points.map(|(n, _)| Point { x: *n, y: scale * cost(*n), once: false }).collect();
    Some(Line { kind: Kind::Reference, points })
}

/// The table of every whole network measured.
pub(crate) fn network_table(sources: &[Source]) -> Markup {
    let of_networks = |source: &'_ Source| source.rows.iter().any(|row| row.pass == Timed::Train);
    let measured: Vec<&Source> = sources.iter().filter(|source| of_networks(source)).collect();
    html! {
        @for source in &measured {
            (caption::heading(source))
            figure {
                div.scroll { table {
                    thead { tr {
                        th { "network" }
                        @for head in ["auto", "direct", "im2col", "fft", "peer", "speed-up"] {
                            th.n { (head) }
                        }
                        th { "what" }
                    } }
                    tbody { @for cell in &cells(source) {
                        @if cell.pass() == Timed::Train { (network_row(cell)) }
                    } }
                } }
                (caption::measured("Milliseconds of one training step.", source))
            }
        }
        @if measured.is_empty() { (caption::missing(&caption::bench_net("lenet"))) }
    }
}

fn network_row(cell: &Cell<'_>) -> Markup {
    let kinds = [Kind::Pick, Kind::Direct, Kind::Im2col, Kind::Fft, Kind::Peer];
    let time = |row: Option<&Row>| row.map_or("–".into(), milliseconds);
    html! {
        tr {
            td { (cell.name()) }
            @for kind in kinds { td.n { (time(kind.row(cell))) } }
            td.n { @match cell.speedup() { Some(ratio) => b { (times(ratio)) "×" }, None => "–" } }
            td { (cell.first().problem) }
        }
    }
}
