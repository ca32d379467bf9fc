//! What the chooser loses against always taking the fastest of ours.

use maud::{Markup, html};

use super::caption;
use super::cells::{Cell, cells, digits, milliseconds};
use super::read::{Row, Source};
use crate::bench::summary::Regret;

/// A cell's pick and its best.
type Choice<'a> = (&'a Row, &'a Row);

/// The section: a row per list in which several algorithms of ours were timed.
pub(crate) fn section(sources: &[Source]) -> Markup {
    let choices = |source| cells(source).iter().filter_map(Cell::choice).collect::<Vec<_>>();
    let rows: Vec<(&Source, Vec<Choice<'_>>)> = sources
        .iter()
        .map(|source| (source, choices(source)))
        .filter(|(_, choices)| !choices.is_empty())
        .collect();
    let measured: Vec<&Source> = rows.iter().map(|(source, _)| *source).collect();
    html! {
        @if rows.is_empty() { (caption::missing(&caption::bench("networks", "all"))) }
        @else { figure {
            div.scroll { table {
                thead { tr {
                    th { "machine" } th { "list" } th.n { "cells" } th.n { "picks, ms" } th.n { "best, ms" }
                    th.n { "lost" } th.n { "within 5 %" } th { "worst pick" }
                } }
                tbody { @for (source, choices) in &rows { (row(source, choices)) } }
            } }
            (caption::measured_all("Picks and best: the times of all cells added.", &measured))
        } }
    }
}

fn row(source: &Source, choices: &[Choice<'_>]) -> Markup {
    let pairs: Vec<(f64, f64)> =
        choices.iter().map(|(pick, best)| (pick.median_ms, best.median_ms)).collect();
    let regret = Regret::of(&pairs);
    let total = |of: fn(&(f64, f64)) -> f64| digits(pairs.iter().map(of).sum());
    html! {
        tr {
            td { (caption::place(source)) } td { (source.list) } td.n { (regret.cells) }
            td.n { (total(|pair| pair.0)) } td.n { (total(|pair| pair.1)) }
            td.n { b { (format!("{:.1} %", 100.0 * regret.total)) } }
            td.n { (format!("{:.0} %", (100.0 * regret.close).floor())) }
            td { @match regret.worst {
                Some((index, ratio)) if ratio > 1.0 => (worst(choices[index], ratio)),
                _ => "none",
            } }
        }
    }
}

fn worst((pick, best): Choice<'_>, ratio: f64) -> String {
    format!(
        "+{:.0} %: {} {}, {} {} ms for {} {} ms",
        100.0 * (ratio - 1.0),
        pick.name,
        pick.pass.name(),
        pick.algorithm,
        milliseconds(pick),
        best.algorithm,
        milliseconds(best)
    )
}
