//! From samples to rates: non-negative least squares of relative errors, and what the picks then cost.

use std::collections::BTreeMap;

use conv_core::Rates;
use ndarray::{Array1, Array2};

use super::samples::Sample;
use crate::bench::summary::Regret;

/// Rates by algorithm and pass, as in a cost table.
pub(crate) type Table = BTreeMap<String, BTreeMap<String, Rates>>;

/// Solutions of the linear problem after which rates no longer change in the digits that are kept.
const ROUNDS: usize = 20;

/// Fits after which the machine's slowness no longer changes in the digits that matter.
const SLOWNESS_ROUNDS: usize = 4;

/// How many algorithms' worth of belief there is, before any is measured, that the machine was as fast as always.
const DOUBT: f64 = 0.5;

/// A problem and pass, on so many threads.
type Cell<'a> = (&'a str, &'a str, usize);

/// Seconds, or a ratio of them, of every problem and pass.
type PerCell<'a> = BTreeMap<Cell<'a>, f64>;

/// Fits every algorithm and pass, and how slow the machine was in the minutes of every problem and pass: what the times
/// of all its algorithms have in common, [`slowness`].
pub(crate) fn fit(samples: &[&Sample]) -> Table {
    let best = best_of_cells(samples);
    let mut table = fit_rates(samples, &best, &BTreeMap::new());
    for _ in 0..SLOWNESS_ROUNDS {
        table = fit_rates(samples, &best, &slowness(samples, &best, &table));
    }
    table
}

/// By how much the times of each problem and pass exceed their predictions, of those that come close to the best in the
/// first place; less where there are few, and 1 where there is one.
fn slowness<'a>(samples: &[&'a Sample], best: &PerCell<'a>, table: &Table) -> PerCell<'a> {
    let mut cells: BTreeMap<Cell<'_>, Vec<[f64; 2]>> = BTreeMap::new();
    for sample in samples {
        let weight = (best[&sample.cell()] / sample.seconds()).powi(2);
        let predicted = sample.predicted(&table[&sample.algorithm][&sample.pass]);
        let log = (sample.seconds() / predicted.max(f64::MIN_POSITIVE)).ln();
        cells.entry(sample.cell()).or_default().push([weight * log, weight]);
    }
    let of = |errors: Vec<[f64; 2]>| -> f64 {
        let [logs, weights] = [0, 1].map(|i| errors.iter().map(|error| error[i]).sum::<f64>());
        // One alone has nothing in common with others.
        if errors.len() > 1 { (logs / (weights + DOUBT)).exp() } else { 1.0 }
    };
    cells.into_iter().map(|(cell, errors)| (cell, of(errors))).collect()
}

/// Minimizes `Σ w log²(predicted slowness / measured)`, where `w = (best / measured)² √measured`, with `best` the time of
/// the fastest algorithm on the same problem and pass: a choice hangs on those that come close to the best, and long times
/// cost more than short ones. Logarithms, since squares of relative errors are least for predictions that are too low,
/// the more so the less an algorithm is linear. Solved by linear problems one after the other, each weighted so that
/// its errors count as their logarithms did in the one before.
fn fit_rates(samples: &[&Sample], best: &PerCell<'_>, slowness: &PerCell<'_>) -> Table {
    let seconds = |sample: &Sample| sample.seconds() / slowness.get(&sample.cell()).unwrap_or(&1.0);
    let mut rows: BTreeMap<(&str, &str), Vec<&Sample>> = BTreeMap::new();
    for sample in samples {
        rows.entry((&sample.algorithm, &sample.pass)).or_default().push(sample);
    }
    let mut table = Table::new();
    for ((algorithm, pass), samples) in rows {
        let weight = |sample: &Sample| {
            (best[&sample.cell()] / sample.seconds()).powi(2) * seconds(sample).sqrt()
                / seconds(sample).powi(2)
        };
        let mut rates = least_squares(&samples, seconds, weight);
        for _ in 0..ROUNDS {
            let ratio = |sample: &Sample| sample.predicted(&rates) / seconds(sample);
            rates = least_squares(&samples, seconds, |sample| weight(sample) * as_logarithm(ratio(sample)));
        }
        let rates = Rates::from_values(rates.values().map(four_digits));
        table.entry(algorithm.into()).or_default().insert(pass.into(), rates);
    }
    table
}

/// Rates of least `Σ weight (predicted - seconds)²`, none negative.
fn least_squares(
    samples: &[&Sample],
    seconds: impl Fn(&Sample) -> f64,
    weight: impl Fn(&Sample) -> f64,
) -> Rates {
    let mut terms = Array2::zeros((samples.len(), 5));
    let mut target = Array1::zeros(samples.len());
    for (row, sample) in samples.iter().enumerate() {
        let weight = weight(sample).sqrt();
        sample.terms().iter().enumerate().for_each(|(i, term)| terms[[row, i]] = weight * term);
        target[row] = weight * seconds(sample);
    }
    let (rates, _) = nnls::nnls(terms.view(), target.view());
    Rates::from_values(std::array::from_fn(|i| rates[i]))
}

/// The weight of a squared relative error that gives it the derivative of the squared logarithm of the ratio:
/// `log(ratio) / (ratio (ratio - 1))`, for ratios from 0.1 to 10, the nearest of those for others.
fn as_logarithm(ratio: f64) -> f64 {
    let ratio = ratio.clamp(0.1, 10.0);
    if (ratio - 1.0).abs() < 1e-6 { 1.0 } else { ratio.ln() / (ratio - 1.0) / ratio }
}

/// As much as a rate can be trusted, and no more to read.
fn four_digits(rate: f64) -> f64 {
    format!("{rate:.3e}").parse().unwrap_or(rate)
}

fn best_of_cells<'a>(samples: &[&'a Sample]) -> PerCell<'a> {
    let mut best = BTreeMap::new();
    for sample in samples {
        let least = best.entry(sample.cell()).or_insert(f64::INFINITY);
        *least = sample.seconds().min(*least);
    }
    best
}

/// What the picks of a table cost on these samples, over cells with more than one algorithm.
pub(crate) fn regret(samples: &[&Sample], table: &Table) -> Regret {
    let mut cells: BTreeMap<Cell<'_>, Vec<&Sample>> = BTreeMap::new();
    samples.iter().for_each(|sample| cells.entry(sample.cell()).or_default().push(sample));
    let predicted = |sample: &Sample| {
        let rates = table.get(&sample.algorithm).and_then(|passes| passes.get(&sample.pass));
        rates.map_or(f64::INFINITY, |rates| sample.predicted(rates))
    };
    let pair = |cell: &Vec<&Sample>| {
        let pick = cell.iter().min_by(|a, b| predicted(a).total_cmp(&predicted(b)))?;
        let best = cell.iter().map(|sample| sample.seconds()).fold(f64::INFINITY, f64::min);
        (cell.len() > 1).then_some((pick.seconds(), best))
    };
    Regret::of(&cells.values().filter_map(pair).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use conv_core::Cost;

    /// Samples of two algorithms whose times are linear in what is counted of them.
    fn planted() -> Vec<Sample> {
        let sizes = [(1e8, 4e8), (3e8, 1e7), (1e9, 2e9), (4e9, 1e8), (2e10, 1e9)];
        let sample = |size: f64, bytes: f64, algorithm: &str| {
            let (flops, launches) = if algorithm == "slow" { (size, 1.0) } else { (size / 8.0, 900.0) };
            let cost = Cost { product_flops: flops, bytes, launches, ..Cost::default() };
            let seconds = 0.02 * flops * 1e-9 / 2.0 + 0.1 * bytes * 1e-9 + 3e-6 * launches;
            let words = [format!("{size}"), "forward".into(), algorithm.into()];
            Sample { cost, ..Sample::new(words, 2, seconds) }
        };
        let both = |&(size, bytes): &(f64, f64)| [sample(size, bytes, "slow"), sample(size, bytes, "fast")];
        sizes.iter().flat_map(both).collect()
    }

    #[test]
    fn planted_rates_are_found_and_their_picks_cost_nothing() {
        let samples = planted();
        let samples: Vec<&Sample> = samples.iter().collect();
        let table = fit(&samples);
        let rates = table["slow"]["forward"];
        approx::assert_relative_eq!(rates.product, 0.02, max_relative = 1e-2);
        approx::assert_relative_eq!(rates.bytes, 0.1, max_relative = 5e-2);
        assert!(rates.transform == 0.0 && rates.moves == 0.0);
        assert_eq!(regret(&samples, &table).total, 0.0);
    }

    #[test]
    fn slow_minutes_are_told_from_slow_algorithms() {
        let mut samples = planted();
        let table = fit(&samples.iter().collect::<Vec<_>>());
        for sample in samples.iter_mut().filter(|sample| sample.problem == "1000000000") {
            sample.ms *= 3.0;
        }
        let samples: Vec<&Sample> = samples.iter().collect();
        let slowness = slowness(&samples, &best_of_cells(&samples), &table);
        for ((problem, ..), slowness) in slowness {
            let expected = if problem == "1000000000" { 1.8..3.0 } else { 0.97..1.03 };
            assert!(expected.contains(&slowness), "{problem}: {slowness}");
        }
        let alone: Vec<&Sample> =
            samples.iter().copied().filter(|sample| sample.algorithm == "slow").collect();
        let slowness = super::slowness(&alone, &best_of_cells(&alone), &table);
        assert!(slowness.values().all(|slowness| *slowness == 1.0), "{slowness:?}");
    }

    #[test]
    fn errors_to_both_sides_are_alike() {
        let cost = Cost { product_flops: 2e9, ..Cost::default() };
        let sample = |problem: &str, seconds: f64| {
            let words = [problem.into(), "forward".into(), "direct".into()];
            Sample { cost, ..Sample::new(words, 2, seconds) }
        };
        let (half, double) = (sample("half", 0.5), sample("double", 2.0));
        let rate = fit(&[&half, &double])["direct"]["forward"].product;
        // Weights are √seconds: log rate = (√0.5 log 0.5 + √2 log 2) / (√0.5 + √2).
        let (short, long) = (0.5f64.sqrt(), 2f64.sqrt());
        let expected = (2f64.ln() * (long - short) / (long + short)).exp();
        approx::assert_relative_eq!(rate, expected, max_relative = 1e-3);
    }

    #[test]
    fn a_table_that_always_picks_one_costs_the_difference() {
        let samples = planted();
        let samples: Vec<&Sample> = samples.iter().collect();
        let mut table = fit(&samples);
        table.remove("fast");
        let regret = regret(&samples, &table);
        let sum =
            |name: &str| -> f64 { samples.iter().filter(|s| s.algorithm == name).map(|s| s.seconds()).sum() };
        assert!(sum("slow") > sum("fast") && regret.total > 0.0, "{regret:?}");
        assert_eq!(regret.cells, 5);
    }
}
