//! From samples to rates: non-negative least squares of relative errors, and what the picks then cost.

use std::collections::BTreeMap;

use conv_core::Rates;
use ndarray::{Array1, Array2};

use super::samples::Sample;
use crate::bench::summary::Regret;

/// Rates by algorithm and pass, as in a cost table.
pub(crate) type Table = BTreeMap<String, BTreeMap<String, Rates>>;

/// Fits every algorithm and pass.
///
/// Minimizes `Σ w (predicted / measured - 1)²`, where `w = (best / measured)² √measured`, with `best` the time of the
/// fastest algorithm on the same problem and pass: a choice hangs on those that come close to the best, and long times
/// cost more than short ones.
pub(crate) fn fit(samples: &[&Sample]) -> Table {
    let best = best_of_cells(samples);
    let mut rows: BTreeMap<(&str, &str), Vec<&Sample>> = BTreeMap::new();
    for sample in samples {
        rows.entry((&sample.algorithm, &sample.pass)).or_default().push(sample);
    }
    let mut table = Table::new();
    for ((algorithm, pass), samples) in rows {
        let weight = |sample: &Sample| best[&sample.cell()] * sample.seconds().powf(0.25 - 2.0);
        let mut terms = Array2::zeros((samples.len(), 5));
        let mut target = Array1::zeros(samples.len());
        for (row, sample) in samples.iter().enumerate() {
            let weight = weight(sample);
            sample.terms().iter().enumerate().for_each(|(i, term)| terms[[row, i]] = weight * term);
            target[row] = weight * sample.seconds();
        }
        let (rates, _) = nnls::nnls(terms.view(), target.view());
        let rates = Rates::from_values(std::array::from_fn(|i| four_digits(rates[i])));
        table.entry(algorithm.into()).or_default().insert(pass.into(), rates);
    }
    table
}

/// As much as a rate can be trusted, and no more to read.
fn four_digits(rate: f64) -> f64 {
    format!("{rate:.3e}").parse().unwrap_or(rate)
}

fn best_of_cells<'a>(samples: &[&'a Sample]) -> BTreeMap<(&'a str, &'a str, usize), f64> {
    let mut best = BTreeMap::new();
    for sample in samples {
        let least = best.entry(sample.cell()).or_insert(f64::INFINITY);
        *least = sample.seconds().min(*least);
    }
    best
}

/// What the picks of a table cost on these samples, over cells with more than one algorithm.
pub(crate) fn regret(samples: &[&Sample], table: &Table) -> Regret {
    let mut cells: BTreeMap<(&str, &str, usize), Vec<&Sample>> = BTreeMap::new();
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
            Sample::new([format!("{size}"), "forward".into(), algorithm.into()], 2, seconds, &cost)
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
