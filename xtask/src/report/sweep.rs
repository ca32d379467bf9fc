//! One quantity varied: the times of every kind of algorithm against it.

use maud::{Markup, html};

use super::caption;
use super::cells::{Cell, cells};
use super::chart::{Chart, Line, Point, Scale};
use super::read::{Row, Source};

/// The lines of a chart, in the order they are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Pick,
    Reference,
    Peer,
    Direct,
    Im2col,
    Fft,
}

impl Kind {
    /// The kinds that are measured.
    pub(crate) const MEASURED: [Kind; 5] = [Kind::Pick, Kind::Peer, Kind::Direct, Kind::Im2col, Kind::Fft];

    /// The row of this kind in a cell.
    pub(crate) fn row<'a>(self, cell: &Cell<'a>) -> Option<&'a Row> {
        match self {
            Kind::Pick => cell.pick(),
            Kind::Peer => cell.peer(),
            Kind::Direct => cell.fastest(|name| name == "direct"),
            Kind::Im2col => cell.fastest(|name| name == "im2col"),
            Kind::Fft => cell.fastest(|name| name.starts_with("fft")),
            Kind::Reference => None,
        }
    }
}

/// Cells at one value of the varied quantity; their times are added.
pub(crate) type Stop<'a> = (f64, Vec<&'a Cell<'a>>);

/// Groups cells by the value that `at` gives, least first; cells without one are left out.
pub(crate) fn stops<'a>(
    cells: impl IntoIterator<Item = &'a Cell<'a>>,
    at: impl Fn(&Cell<'_>) -> Option<f64>,
) -> Vec<Stop<'a>> {
    let mut stops: Vec<Stop<'a>> = Vec::new();
    for cell in cells {
        let Some(value) = at(cell) else { continue };
        match stops.iter_mut().find(|(known, _)| *known == value) {
            Some((_, cells)) => cells.push(cell),
            None => stops.push((value, vec![cell])),
        }
    }
    stops.sort_by(|a, b| a.0.total_cmp(&b.0));
    stops
}

/// The number after `prefix` in a name.
pub(crate) fn number_after(name: &str, prefix: &str) -> Option<f64> {
    name.strip_prefix(prefix)?.parse::<u32>().ok().map(f64::from)
}

/// The lines of every kind measured at one stop at least.
pub(crate) fn lines(stops: &[Stop<'_>]) -> Vec<Line> {
    let line =
        |kind: Kind| Line { kind, points: stops.iter().filter_map(|stop| point(kind, stop)).collect() };
    Kind::MEASURED.map(line).into_iter().filter(|line| !line.points.is_empty()).collect()
}

/// The times of one kind added over a stop's cells, where all of them have it.
fn point(kind: Kind, (x, cells): &Stop<'_>) -> Option<Point> {
    let rows: Vec<&Row> = cells.iter().map(|cell| kind.row(cell)).collect::<Option<_>>()?;
    let y = rows.iter().map(|row| row.median_ms).sum();
    Some(Point { x: *x, y, once: rows.iter().any(|row| row.once) })
}

/// A chart of the stops; none where nothing was measured.
pub(crate) fn chart(title: String, unit: &'static str, scale: Scale, stops: &[Stop<'_>]) -> Option<Chart> {
    let lines = lines(stops);
    (!lines.is_empty()).then_some(Chart { title, unit, scale, lines })
}

/// The batch as part of a title, where all cells agree on it.
pub(crate) fn batch_of(stops: &[Stop<'_>]) -> String {
    let problems = stops.iter().flat_map(|(_, cells)| cells).filter_map(|cell| cell.first().geometry);
    let mut batches: Vec<usize> = problems.map(|problem| problem.batch()).collect();
    batches.sort_unstable();
    batches.dedup();
    match batches.as_slice() {
        [batch] => format!(", batch {batch}"),
        [least, .., most] => format!(", batch {least} to {most}"),
        [] => String::new(),
    }
}

/// One figure a source: `charts` of its cells.
pub(crate) fn figures(
    sources: &[Source],
    says: &str,
    command: &str,
    charts: impl Fn(&[Cell<'_>]) -> Vec<Chart>,
) -> anyhow::Result<Markup> {
    let mut figures = Vec::new();
    for source in sources {
        let charts = charts(&cells(source));
        if !charts.is_empty() {
            let charts = charts.iter().map(Chart::markup).collect::<anyhow::Result<Vec<_>>>()?;
            figures.push(html! {
                (caption::heading(source))
                figure {
                    div.charts { @for chart in charts { (chart) } }
                    (caption::measured(says, source))
                }
            });
        }
    }
    Ok(html! {
        @for figure in &figures { (figure) }
        @if figures.is_empty() { (caption::missing(command)) }
    })
}

/// The legend of all charts.
pub(crate) fn legend() -> Markup {
    let entries = [
        (Kind::Direct, "▲", "direct"),
        (Kind::Im2col, "◆", "im2col"),
        (Kind::Fft, "●", "FFT, whole image or tiles, the faster"),
        (Kind::Peer, "■", "peer, the faster"),
        (Kind::Pick, "▬", "the pick: what our chooser took"),
    ];
    html! {
        p.legend { @for (kind, mark, says) in entries {
            span { span class={ "key " (format!("{kind:?}").to_lowercase()) } { (mark) } " " (says) } " "
        } }
    }
}
