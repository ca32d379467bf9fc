//! The picture of results: per list, how many times faster our pick is than the faster peer.

use maud::{Markup, PreEscaped, html};
use plotters::element::{PathElement, Rectangle, Text};
use plotters::prelude::{ChartBuilder, Color, ShapeStyle};
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::axis::Axis;
use super::caption;
use super::cells::{Cell, cells, times};
use super::chart::{Area, FONT, Failed, Ink, draw, text};
use super::read::Source;
use crate::bench::summary::geometric_mean;

/// The speed-ups of one source's cells.
pub(crate) struct Summary<'a> {
    source: &'a Source,
    /// Geometric mean.
    mean: f64,
    /// Least and largest.
    range: (f64, f64),
    cells: usize,
    /// Cells in which the pick is not slower.
    faster: usize,
    /// The cell of the least.
    worst: Cell<'a>,
}

impl<'a> Summary<'a> {
    /// None where no cell has both a pick and a peer.
    pub(crate) fn of(source: &'a Source) -> Option<Summary<'a>> {
        let mut rated: Vec<(f64, Cell<'a>)> =
            cells(source).into_iter().filter_map(|cell| Some((cell.speedup()?, cell))).collect();
        rated.sort_by(|a, b| a.0.total_cmp(&b.0));
        let ratios: Vec<f64> = rated.iter().map(|(ratio, _)| *ratio).collect();
        let range = (*ratios.first()?, *ratios.last()?);
        let mean = geometric_mean(&ratios);
        let faster = ratios.iter().filter(|ratio| **ratio >= 1.0).count();
        let worst = rated.into_iter().next()?.1;
        Some(Summary { source, mean, range, cells: ratios.len(), faster, worst })
    }

    fn worst_text(&self) -> String {
        format!("{}× {} {}", times(self.range.0), self.worst.name(), self.worst.pass().name())
    }
}

/// The section: the picture, then the table.
pub(crate) fn section(sources: &[Source]) -> anyhow::Result<Markup> {
    let summaries: Vec<Summary<'_>> = sources.iter().filter_map(Summary::of).collect();
    if summaries.is_empty() {
        return Ok(caption::missing(&caption::bench("report", "all")));
    }
    let picture = picture(&summaries, Ink::variable)?;
    let measured: Vec<&Source> = summaries.iter().map(|summary| summary.source).collect();
    Ok(html! {
        figure {
            div.picture role="img" aria-label="Speed-up per list" { (PreEscaped(picture)) }
            (table(&summaries))
            (caption::measured_all(
                "Bar: geometric mean over the list's cells, a cell being one problem and pass. Thin line: \
                 from the worst cell to the best. 1 is as fast as the faster peer.",
                &measured,
            ))
        }
    })
}

fn table(summaries: &[Summary<'_>]) -> Markup {
    html! {
        div.scroll { table {
            thead { tr {
                th { "machine" } th { "list" } th.n { "speed-up" } th.n { "cells" } th.n { "not slower" }
                th { "worst cell" }
            } }
            tbody { @for summary in summaries { tr {
                td { (caption::place(summary.source)) } td { (summary.source.list) }
                td.n { b { (times(summary.mean)) "×" } } td.n { (summary.cells) }
                td.n { (summary.faster * 100 / summary.cells) " %" }
                td { (summary.worst_text()) }
            } } }
        } }
    }
}

/// The picture as a file of its own: no background, in colours that a light and a dark page both carry.
pub(crate) fn standalone(sources: &[Source]) -> anyhow::Result<String> {
    let summaries: Vec<Summary<'_>> = sources.iter().filter_map(Summary::of).collect();
    picture(&summaries, |ink| match ink {
        Ink::Pick => "#3d84c6",
        Ink::Grid => "#8a939d",
        _ => "#76808a",
    })
}

/// One row of the picture.
enum Entry<'a> {
    Machine(&'a str),
    Bar(&'a Summary<'a>),
}

fn entries<'a>(summaries: &'a [Summary<'a>]) -> Vec<Entry<'a>> {
    let mut entries = Vec::new();
    let mut before = None;
    for summary in summaries {
        let place = caption::place(summary.source);
        if before != Some(place) {
            entries.push(Entry::Machine(place));
        }
        before = Some(place);
        entries.push(Entry::Bar(summary));
    }
    entries
}

fn picture(summaries: &[Summary<'_>], look: impl Fn(Ink) -> &'static str) -> anyhow::Result<String> {
    let entries = entries(summaries);
    let height = 146 + 54 * entries.len() as u32;
    draw((800, height), look, |area| paint(area, &entries))
}

fn paint(area: &Area<'_>, entries: &[Entry<'_>]) -> Result<(), Failed> {
    let left = |pos| text(FONT).pos(Pos::new(HPos::Left, pos));
    let title =
        if entries.is_empty() { "Speed-up: not measured yet" } else { "Speed-up over the faster peer" };
    area.draw(&Text::new(title, (14, 12), left(VPos::Top)))?;
    let ratios = entries.iter().flat_map(|entry| match entry {
        Entry::Machine(_) => vec![1.0],
        Entry::Bar(summary) => vec![summary.range.0, summary.range.1],
    });
    let axis = Axis::decades(&ratios.chain([1.0, 2.0]).collect::<Vec<f64>>(), 60.0);
    let mut builder = ChartBuilder::on(area);
    builder.margin_top(64).margin_bottom(10).margin_left(230).margin_right(130).x_label_area_size(56);
    let rows = entries.len().max(1) as f64;
    let mut chart = builder.build_cartesian_2d(axis, rows..0.0)?;
    let grid = ShapeStyle::from(Ink::Grid.sentinel().mix(0.5)).stroke_width(1);
    let mut mesh = chart.configure_mesh();
    mesh.disable_y_mesh().disable_y_axis().axis_style(grid).bold_line_style(grid).label_style(text(FONT));
    mesh.x_label_formatter(&|value| format!("{}×", Axis::label(*value))).draw()?;
    for (index, entry) in entries.iter().enumerate() {
        let middle = index as f64 + 0.5;
        let (_, y) = chart.backend_coord(&(1.0, middle));
        match entry {
            Entry::Machine(place) => {
                area.draw(&Text::new(*place, (14, y), left(VPos::Center)))?;
            }
            Entry::Bar(summary) => {
                let from_to = |a: f64, b: f64, half: f64| [(a, middle - half), (b, middle + half)];
                let bar =
                    Rectangle::new(from_to(1.0, summary.mean, 0.3), Ink::Pick.sentinel().mix(0.7).filled());
                let (least, most) = summary.range;
                let whisker =
                    PathElement::new(from_to(least, most, 0.0), Ink::Text.sentinel().stroke_width(3));
                chart.draw_series([bar])?;
                chart.draw_series([whisker])?;
                let list = Text::new(summary.source.list.as_str(), (34, y), left(VPos::Center));
                area.draw(&list)?;
                let right = text(FONT).pos(Pos::new(HPos::Right, VPos::Center));
                area.draw(&Text::new(format!("{}×", times(summary.mean)), (786, y), right))?;
            }
        }
    }
    let one = [(1.0, 0.0), (1.0, rows)];
    chart.draw_series([PathElement::new(one, Ink::Text.sentinel().stroke_width(2))])?;
    Ok(())
}
