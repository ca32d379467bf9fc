//! Heat maps: the speed-up of every problem in every pass.

use maud::{Markup, html};

use super::caption;
use super::cells::{Cell, cells, milliseconds, times};
use super::read::{Row, Source, Timed};

/// Upper ends of the colours; beyond the last there is one more.
const STEPS: [f64; 8] = [0.5, 0.8, 0.95, 1.05, 1.5, 3.0, 10.0, 30.0];
/// More rows than this are folded away.
const MOST_ROWS: usize = 40;

/// The colour of a ratio, from 0.
fn step(ratio: f64) -> usize {
    STEPS.iter().position(|end| ratio < *end).unwrap_or(STEPS.len())
}

/// The section.
pub(crate) fn section(sources: &[Source]) -> Markup {
    let maps: Vec<Markup> = sources.iter().filter_map(map).collect();
    html! {
        @if maps.is_empty() { (caption::missing(&caption::bench("networks", "all"))) }
        @else { (scale()) div.maps { @for map in &maps { (map) } } }
    }
}

fn scale() -> Markup {
    html! {
        p.scale {
            "slower "
            @for index in 0..=STEPS.len() {
                span class={ "h" (index) } {
                    @match STEPS.get(index) {
                        Some(end) => { "<" (end) },
                        None => { "≥" (STEPS[STEPS.len() - 1]) },
                    }
                }
            }
            " faster than the peer"
        }
    }
}

/// The map of one source; none where it has no peer.
fn map(source: &Source) -> Option<Markup> {
    let cells = cells(source);
    let rated: Vec<&Cell<'_>> = cells.iter().filter(|cell| cell.speedup().is_some()).collect();
    let mut rows: Vec<(&str, &str)> = Vec::new();
    for row in rated.iter().map(|cell| (cell.name(), cell.first().problem.as_str())) {
        if !rows.contains(&row) {
            rows.push(row);
        }
    }
    let passes: Vec<Timed> =
        Timed::ALL.into_iter().filter(|pass| rated.iter().any(|cell| cell.pass() == *pass)).collect();
    let at = |row: (&str, &str), pass: Timed| {
        let is =
            |cell: &&&Cell<'_>| (cell.name(), cell.first().problem.as_str()) == row && cell.pass() == pass;
        rated.iter().find(is).copied()
    };
    (!rows.is_empty()).then(|| {
        html! {
            section.map {
                (caption::heading(source))
                details open[rows.len() <= MOST_ROWS] {
                    summary { (rows.len()) " problems" }
                    figure {
                        div.scroll { table.heat {
                            thead { tr { th {} @for pass in &passes { th { (pass.name()) } } } }
                            tbody { @for row in &rows { tr {
                                th title=(row.1) { (row.0) }
                                @for pass in &passes { (square(at(*row, *pass))) }
                            } } }
                        } }
                        (caption::measured("", source))
                    }
                }
            }
        }
    })
}

fn square(cell: Option<&Cell<'_>>) -> Markup {
    let found = cell.and_then(|cell| Some((cell.speedup()?, cell.pick()?, cell.peer()?)));
    let Some((ratio, pick, peer)) = found else { return html! { td { "–" } } };
    let once = if pick.once || peer.once { "°" } else { "" };
    let other = if peer.backend == pick.backend { String::new() } else { format!(" ({})", peer.backend) };
    let times_of = |row: &Row| format!("{} ms", milliseconds(row));
    let details =
        format!("{} {}, {}{other} {}", pick.algorithm, times_of(pick), peer.algorithm, times_of(peer));
    html! { td class={ "h" (step(ratio)) } title=(details) { (times(ratio)) (once) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_go_from_slower_to_faster() {
        assert_eq!([0.1, 0.5, 0.94, 1.0, 1.05, 29.0, 1e6].map(step), [0, 1, 2, 3, 4, 7, 8]);
    }
}
