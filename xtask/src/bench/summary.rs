//! What a whole bench says: the peer's times over ours per list, and what the choice costs.

use std::collections::BTreeMap;
use std::io::{self, Write};

use super::measure::Measured;

pub(crate) const HEADER: &str = "problem                      pass             pick              ms noise   \
                                 GFLOP/s best              ms      peer ms   ratio";

/// What picks cost against the best algorithm of each cell.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Regret {
    pub(crate) cells: usize,
    /// Total time of the picks over total time of the best, less 1.
    pub(crate) total: f64,
    /// Share of the picks within 5 % of the best.
    pub(crate) close: f64,
    /// Index and ratio of the worst pick.
    pub(crate) worst: Option<(usize, f64)>,
}

impl Regret {
    /// Of pairs (pick, best).
    pub(crate) fn of(pairs: &[(f64, f64)]) -> Self {
        let ratios = pairs.iter().map(|(pick, best)| pick / best);
        let sum = |f: fn(&(f64, f64)) -> f64| pairs.iter().map(f).sum::<f64>();
        let cells = pairs.len();
        Regret {
            cells,
            total: sum(|pair| pair.0) / sum(|pair| pair.1).max(f64::MIN_POSITIVE) - 1.0,
            close: ratios.clone().filter(|ratio| *ratio <= 1.05).count() as f64 / cells.max(1) as f64,
            worst: ratios.enumerate().max_by(|a, b| a.1.total_cmp(&b.1)),
        }
    }
}

/// The `n`-th root of the product.
pub(crate) fn geometric_mean(values: &[f64]) -> f64 {
    (values.iter().map(|value| value.ln()).sum::<f64>() / values.len() as f64).exp()
}

/// Prints a line for each list and, of more than one, for all.
///
/// # Errors
/// As `out`.
pub(crate) fn print(out: &mut dyn Write, all: &[Measured], choose: bool) -> io::Result<()> {
    let mut lists: BTreeMap<&str, Vec<&Measured>> = BTreeMap::new();
    all.iter().for_each(|measured| lists.entry(&measured.list).or_default().push(measured));
    let several = lists.len() > 1;
    for (name, members) in &lists {
        ratios(out, name, members)?;
    }
    if choose {
        for (name, members) in &lists {
            regret(out, name, members)?;
        }
        if several {
            regret(out, "all lists", &all.iter().collect::<Vec<_>>())?;
        }
    }
    Ok(())
}

fn ratios(out: &mut dyn Write, list: &str, members: &[&Measured]) -> io::Result<()> {
    let cells: Vec<(f64, &&Measured)> = members.iter().filter_map(|m| Some((m.ratio()?, m))).collect();
    let Some((worst, cell)) = cells.iter().min_by(|a, b| a.0.total_cmp(&b.0)) else { return Ok(()) };
    let mean = geometric_mean(&cells.iter().map(|(ratio, _)| *ratio).collect::<Vec<_>>());
    let (count, pick) = (cells.len(), cell.pick().map(|row| format!("{} {}", row.name, row.pass)));
    let pick = pick.unwrap_or_default();
    writeln!(
        out,
        "{list}: peer over ours {mean:.2} (geometric mean of {count}), worst {worst:.2} at {pick}"
    )?;
    let mut sums: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    for (_, member) in &cells {
        if let (Some(pick), Some(peer)) = (member.pick(), member.peer()) {
            let sum = sums.entry(&pick.name).or_default();
            *sum = (sum.0 + pick.median_ms, sum.1 + peer.median_ms);
        }
    }
    let sums: Vec<(f64, &str)> = sums.into_iter().map(|(name, (ours, peer))| (peer / ours, name)).collect();
    let Some((worst, name)) = sums.iter().min_by(|a, b| a.0.total_cmp(&b.0)) else { return Ok(()) };
    let (mean, count) = (geometric_mean(&sums.iter().map(|sum| sum.0).collect::<Vec<_>>()), sums.len());
    writeln!(out, "{list}: sums of passes {mean:.2} (geometric mean of {count}), worst {worst:.2} at {name}")
}

fn regret(out: &mut dyn Write, list: &str, members: &[&Measured]) -> io::Result<()> {
    let cells: Vec<&&Measured> = members.iter().filter(|m| m.pick().is_some()).collect();
    let pair = |m: &&&Measured| Some((m.pick()?.median_ms, m.best()?.median_ms));
    let Regret { cells: count, total, close, worst } =
        Regret::of(&cells.iter().filter_map(pair).collect::<Vec<_>>());
    let Some((index, ratio)) = worst else { return Ok(()) };
    write!(out, "{list}: picks cost {:.1} % more than the best of {count} cells, ", total * 100.0)?;
    write!(out, "{:.1} % within 5 %, ", close * 100.0)?;
    let row = |f: fn(&Measured) -> Option<&super::Row>| f(cells[index]).map_or("", |row| &row.algorithm);
    let (pick, best) = (row(Measured::pick), row(Measured::best));
    let cell = cells[index].pick().map(|row| format!("{} {}", row.name, row.pass)).unwrap_or_default();
    writeln!(out, "worst {ratio:.2} at {cell} ({pick} instead of {best})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regret_is_of_totals_and_shares() {
        let regret = Regret::of(&[(1.0, 1.0), (2.08, 2.0), (6.0, 3.0), (1.0, 1.0)]);
        approx::assert_abs_diff_eq!(regret.total, 10.08 / 7.0 - 1.0, epsilon = 1e-12);
        assert_eq!((regret.cells, regret.close, regret.worst), (4, 0.75, Some((2, 2.0))));
        assert_eq!(Regret::of(&[]).worst, None);
    }

    #[test]
    fn means_are_geometric() {
        approx::assert_abs_diff_eq!(geometric_mean(&[2.0, 8.0]), 4.0, epsilon = 1e-12);
    }
}
