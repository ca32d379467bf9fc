//! Charts of times against one quantity, as SVG whose colours are the page's.

use maud::{Markup, PreEscaped, html};
use plotters::coord::Shift;
use plotters::coord::cartesian::Cartesian2d;
use plotters::element::{Circle, EmptyElement, Polygon, Rectangle};
use plotters::prelude::{
    ChartBuilder, Color, DrawingArea, IntoDrawingArea, IntoFont, LineSeries, RGBColor, SVGBackend, ShapeStyle,
};

use super::axis::Axis;
use super::sweep::Kind;

/// Twice the size a chart is meant to be read at: plotters places by whole units.
const SIZE: (u32, u32) = (800, 580);
/// A letter's height; plotters takes 1.24 times of it.
pub(crate) const FONT: u32 = 30;
/// More points than this are drawn without marks.
const MOST_MARKS: usize = 16;

/// Colours by what they mean; a stylesheet says what they look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ink {
    Text,
    Grid,
    Panel,
    Pick,
    Peer,
    Direct,
    Im2col,
    Fft,
}

impl Ink {
    const ALL: [Ink; 8] =
        [Ink::Text, Ink::Grid, Ink::Panel, Ink::Pick, Ink::Peer, Ink::Direct, Ink::Im2col, Ink::Fft];

    /// A colour that stands for the ink until the SVG is finished.
    pub(crate) fn sentinel(self) -> RGBColor {
        RGBColor(1, 0, self as u8)
    }

    /// The variable of the page's stylesheet.
    pub(crate) fn variable(self) -> &'static str {
        match self {
            Ink::Text => "var(--soft)",
            Ink::Grid => "var(--grid)",
            Ink::Panel => "var(--panel)",
            Ink::Pick => "var(--pick)",
            Ink::Peer => "var(--peer)",
            Ink::Direct => "var(--direct)",
            Ink::Im2col => "var(--im2col)",
            Ink::Fft => "var(--fft)",
        }
    }

    fn of(kind: Kind) -> Ink {
        match kind {
            Kind::Pick => Ink::Pick,
            Kind::Reference => Ink::Text,
            Kind::Peer => Ink::Peer,
            Kind::Direct => Ink::Direct,
            Kind::Im2col => Ink::Im2col,
            Kind::Fft => Ink::Fft,
        }
    }
}

/// How the varied quantity is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    Linear,
    /// Logarithmic, with the powers of two marked.
    PowersOfTwo,
}

/// A measured or computed time.
#[derive(Debug, PartialEq)]
pub(crate) struct Point {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) once: bool,
}

/// The times of one kind, in order of `x`.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) kind: Kind,
    pub(crate) points: Vec<Point>,
}

/// Milliseconds, on a logarithmic axis, against one quantity. At least one line, each of at least one point.
pub(crate) struct Chart {
    pub(crate) title: String,
    pub(crate) unit: &'static str,
    pub(crate) scale: Scale,
    pub(crate) lines: Vec<Line>,
}

/// Text of a chart.
pub(crate) fn text(size: u32) -> plotters::style::TextStyle<'static> {
    ("sans-serif", f64::from(size) * 1.24).into_font().color(&Ink::Text.sentinel())
}

/// Draws on an area and gives the finished SVG, every ink replaced by what `look` says.
pub(crate) fn draw(
    size: (u32, u32),
    look: impl Fn(Ink) -> &'static str,
    paint: impl FnOnce(&Area<'_>) -> Result<(), Failed>,
) -> anyhow::Result<String> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        paint(&area)?;
        area.present()?;
    }
    for ink in Ink::ALL {
        let RGBColor(r, g, b) = ink.sentinel();
        svg = svg.replace(&format!("\"#{r:02X}{g:02X}{b:02X}\""), &format!("\"{}\"", look(ink)));
    }
    Ok(svg)
}

/// What charts are painted on.
pub(crate) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
/// Why painting failed.
pub(crate) type Failed = plotters::drawing::DrawingAreaErrorKind<std::io::Error>;

impl Chart {
    /// The chart with its title, as part of a figure.
    pub(crate) fn markup(&self) -> anyhow::Result<Markup> {
        let svg = draw(SIZE, Ink::variable, |area| self.paint(area))?;
        Ok(html! {
            div.chart role="img" aria-label=(format!("{}, ms against {}", self.title, self.unit)) {
                p.title { (self.title) }
                (PreEscaped(svg))
            }
        })
    }

    fn axes(&self) -> (Axis, Axis) {
        let points = || self.lines.iter().flat_map(|line| &line.points);
        let (xs, ys): (Vec<f64>, Vec<f64>) = points().map(|point| (point.x, point.y)).unzip();
        let x = match self.scale {
            Scale::Linear => Axis::linear(&xs),
            Scale::PowersOfTwo => Axis::powers_of_two(&xs),
        };
        (x, Axis::decades(&ys, 300.0))
    }

    fn paint(&self, area: &Area<'_>) -> Result<(), Failed> {
        let (x, y) = self.axes();
        let mut builder = ChartBuilder::on(area);
        builder.margin(10).margin_top(24).margin_right(24).x_label_area_size(86).y_label_area_size(128);
        let mut chart = builder.build_cartesian_2d(x, y)?;
        let mut mesh = chart.configure_mesh();
        mesh.axis_style(Ink::Grid.sentinel())
            .bold_line_style(ShapeStyle::from(Ink::Grid.sentinel()).stroke_width(1))
            .label_style(text(FONT))
            .x_label_formatter(&|value| Axis::label(*value))
            .y_label_formatter(&|value| Axis::label(*value))
            .x_desc(self.unit)
            .y_desc("ms")
            .draw()?;
        for line in &self.lines {
            chart.draw_series(LineSeries::new(
                line.points.iter().map(|point| (point.x, point.y)),
                stroke(line.kind),
            ))?;
        }
        for line in self.lines.iter().filter(|line| marked(line)) {
            for point in &line.points {
                draw_mark(&mut chart, (point.x, point.y), line.kind, point.once)?;
            }
        }
        Ok(())
    }
}

fn marked(line: &Line) -> bool {
    let few = line.points.len() <= MOST_MARKS && line.kind != Kind::Reference;
    few && (line.kind != Kind::Pick || line.points.len() == 1)
}

fn stroke(kind: Kind) -> ShapeStyle {
    let colour = Ink::of(kind).sentinel();
    match kind {
        Kind::Pick => colour.mix(0.4).stroke_width(16),
        Kind::Reference => colour.stroke_width(2),
        _ => colour.stroke_width(4),
    }
}

type Context<'a, 'b> = plotters::chart::ChartContext<'b, SVGBackend<'a>, Cartesian2d<Axis, Axis>>;

/// A mark: a shape of the kind's own, hollow where the time was taken once.
fn draw_mark(chart: &mut Context<'_, '_>, at: (f64, f64), kind: Kind, once: bool) -> Result<(), Failed> {
    let full = Ink::of(kind).sentinel().filled();
    let inner = if once { Ink::Panel.sentinel().filled() } else { full };
    for (size, style) in [(8, full), (4, inner)] {
        let shape = |points: [(i32, i32); 4]| Polygon::new(points.map(|(x, y)| (x * size, y * size)), style);
        let base = EmptyElement::at(at);
        match kind {
            Kind::Peer => {
                let corners = [(-size, -size), (size, size)];
                chart.draw_series([base + Rectangle::new(corners, style)])?
            }
            Kind::Direct => chart.draw_series([base + shape([(0, -1), (1, 1), (-1, 1), (0, -1)])])?,
            Kind::Im2col => chart.draw_series([base + shape([(0, -1), (1, 0), (0, 1), (-1, 0)])])?,
            _ => chart.draw_series([base + Circle::new((0, 0), size, style)])?,
        };
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_has_the_page_s_colours_alone() {
        let point = |x, y| Point { x, y, once: true };
        let line = Line { kind: Kind::Fft, points: vec![point(8.0, 0.5), point(16.0, 7.0)] };
        let title = "<script>".into();
        let chart = Chart { title, unit: "n", scale: Scale::PowersOfTwo, lines: vec![line] };
        let markup = chart.markup().unwrap().into_string();
        assert!(markup.contains("stroke=\"var(--fft)\"") && markup.contains("fill=\"var(--soft)\""));
        assert!(!markup.contains("\"#") && !markup.contains("<script"), "{markup}");
    }
}
