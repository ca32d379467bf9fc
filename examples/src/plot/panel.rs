//! One panel of a drawing: values against epochs.

use plotters::coord::Shift;
use plotters::prelude::*;

use super::{Drawn, Run};
use crate::train::Line;

/// Reads a value from the line of an epoch.
pub(super) type Value = fn(&Line) -> f64;

/// A line of a panel, one for each run.
pub(super) struct Series {
    pub(super) thin: bool,
    pub(super) value: Value,
}

/// What a panel shows.
pub(super) struct Panel {
    pub(super) title: &'static str,
    pub(super) series: Vec<Series>,
    /// Lower and upper edge of a shaded area.
    pub(super) band: Option<(Value, Value)>,
}

impl Panel {
    /// Draws the panel for these runs, with a legend where there are several.
    pub(super) fn draw<D: DrawingBackend>(&self, area: &DrawingArea<D, Shift>, runs: &[Run]) -> Drawn<D>
    where
        D::ErrorType: 'static,
    {
        let epochs = runs.iter().flat_map(|run| run.lines.iter().map(|line| line.epoch as f64));
        let (left, right) = bounds(epochs);
        let (low, high) = bounds(runs.iter().flat_map(|run| self.values(run)));
        let margin = (high - low).max(1e-6) * 0.05;
        let mut chart = ChartBuilder::on(area)
            .caption(self.title, ("sans-serif", 14))
            .margin(8)
            .x_label_area_size(34)
            .y_label_area_size(48)
            .build_cartesian_2d(left..right.max(left + 1.0), low - margin..high + margin)?;
        chart
            .configure_mesh()
            .x_desc("epoch")
            .light_line_style(TRANSPARENT)
            .x_labels(6)
            .y_labels(6)
            .draw()?;
        for (index, run) in runs.iter().enumerate() {
            let colour = Palette99::pick(index).to_rgba();
            if let Some((lower, upper)) = self.band {
                let edge = |value: Value| points(run, value).collect::<Vec<_>>();
                let (mut outline, back) = (edge(lower), edge(upper));
                outline.extend(back.into_iter().rev());
                chart.draw_series([Polygon::new(outline, colour.mix(0.2))])?;
            }
            for Series { thin, value } in &self.series {
                let style = colour.stroke_width(if *thin { 1 } else { 2 });
                let drawn = chart.draw_series(LineSeries::new(points(run, *value), style))?;
                if !thin && runs.len() > 1 {
                    let key = move |(x, y)| PathElement::new([(x, y), (x + 12, y)], colour.stroke_width(2));
                    drawn.label(&run.name).legend(key);
                }
            }
        }
        if runs.len() > 1 {
            chart.configure_series_labels().background_style(WHITE.mix(0.8)).draw()?;
        }
        Ok(())
    }

    /// All values that have to be seen.
    fn values(&self, run: &Run) -> Vec<f64> {
        let band = self.band.into_iter().flat_map(|(lower, upper)| [lower, upper]);
        let values = self.series.iter().map(|series| series.value).chain(band);
        values.flat_map(|value| points(run, value).map(|(_, y)| y).collect::<Vec<_>>()).collect()
    }
}

/// Epochs and values, numbers only.
fn points(run: &Run, value: Value) -> impl Iterator<Item = (f64, f64)> {
    let point = move |line: &Line| (line.epoch as f64, value(line));
    run.lines.iter().map(point).filter(|(_, y)| y.is_finite())
}

/// Least and largest; 0 to 1 of none.
fn bounds(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let found = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
    if found.0 <= found.1 { found } else { (0.0, 1.0) }
}
