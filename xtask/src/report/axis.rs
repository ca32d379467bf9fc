//! Axes of charts: where they begin and end, and what is marked.

use std::ops::Range;

use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};

/// An axis of values above zero, or of any where it is not logarithmic.
pub(crate) struct Axis {
    log: bool,
    ends: Range<f64>,
    ticks: Vec<f64>,
}

impl Axis {
    /// The values marked, or round numbers where they are many.
    pub(crate) fn linear(values: &[f64]) -> Axis {
        let (least, most) = extent(values);
        let mut ticks = values.to_vec();
        ticks.sort_by(f64::total_cmp);
        ticks.dedup();
        if ticks.len() > 8 {
            let step = round_up((most - least) / 7.0);
            ticks = (0..=8).map(|i| ((least / step).ceil() + f64::from(i)) * step).collect();
            ticks.retain(|tick| *tick <= most);
        }
        let margin = if most > least { 0.04 * (most - least) } else { 1.0 };
        Axis { log: false, ends: least - margin..most + margin, ticks }
    }

    /// Logarithmic, the powers of two marked.
    pub(crate) fn powers_of_two(values: &[f64]) -> Axis {
        let (least, most) = extent(values);
        let (first, last) = (least.log2().floor() as i32, most.log2().ceil() as i32);
        let ends = least / 1.12..most * 1.12;
        let ticks = (first..=last).map(|power| 2f64.powi(power)).filter(|tick| ends.contains(tick)).collect();
        Axis { log: true, ends, ticks }
    }

    /// From a round number to a round number; 1, 2 and 5 marked, or the decades alone where the ends are more
    /// than `ratio` apart.
    pub(crate) fn decades(values: &[f64], ratio: f64) -> Axis {
        let (least, most) = extent(values);
        let round = (-12..=12).flat_map(|power| [1.0, 2.0, 5.0].map(|digit| (digit, 10f64.powi(power))));
        let mut ticks: Vec<(f64, f64)> = round.collect();
        let value = |(digit, decade): &(f64, f64)| digit * decade;
        let first = ticks.iter().map(value).rfind(|v| *v <= least * 0.999).unwrap_or(least * 0.9);
        let last = ticks.iter().map(value).find(|v| *v >= most * 1.001).unwrap_or(most * 1.1);
        ticks.retain(|tick| (first..=last).contains(&value(tick)));
        if last / first > ratio {
            ticks.retain(|(digit, _)| *digit == 1.0);
        }
        Axis { log: true, ends: first..last, ticks: ticks.iter().map(value).collect() }
    }

    /// What is written at a value.
    pub(crate) fn label(value: f64) -> String {
        let decimals = if value < 1.0 { -(value.log10() + 1e-9).floor() } else { 0.0 };
        format!("{value:.*}", decimals.clamp(0.0, 12.0) as usize)
    }
}

impl Ranged for Axis {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (from, to): (i32, i32)) -> i32 {
        let place = |value: f64| if self.log { value.ln() } else { value };
        let (start, end) = (place(self.ends.start), place(self.ends.end));
        let share = (place(*value) - start) / (end - start);
        from + (share * f64::from(to - from)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        if hint.weight().allow_light_points() { Vec::new() } else { self.ticks.clone() }
    }

    fn range(&self) -> Range<f64> {
        self.ends.clone()
    }
}

fn extent(values: &[f64]) -> (f64, f64) {
    values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), v| (least.min(*v), most.max(*v)))
}

/// The next of 1, 2, 5, 10, … at or above a value.
fn round_up(value: f64) -> f64 {
    let decade = 10f64.powf(value.log10().floor());
    [1.0, 2.0, 5.0].into_iter().map(|digit| digit * decade).find(|r| *r >= value).unwrap_or(10.0 * decade)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<String> {
        axis.ticks.iter().map(|tick| Axis::label(*tick)).collect()
    }

    #[test]
    fn axes_mark_round_numbers() {
        assert_eq!(labels(&Axis::decades(&[1.2, 1.8], 1000.0)), ["1", "2"]);
        assert_eq!(
            labels(&Axis::decades(&[0.013, 4000.0], 1000.0)),
            ["0.01", "0.1", "1", "10", "100", "1000"]
        );
        assert_eq!(labels(&Axis::powers_of_two(&[8.0, 34.0, 64.0])), ["8", "16", "32", "64"]);
        assert_eq!(labels(&Axis::linear(&[3.0, 13.0, 5.0, 5.0])), ["3", "5", "13"]);
        let many: Vec<f64> = (0..60).map(|i| 3.0 + 5.0 * f64::from(i)).collect();
        assert_eq!(labels(&Axis::linear(&many)), ["50", "100", "150", "200", "250"]);
    }
}
