//! The rows of one problem and pass together, and what is computed from them.

use std::collections::HashMap;

use super::read::{Row, Source, Timed};

/// All rows of one problem and pass of one source.
pub(crate) struct Cell<'a> {
    rows: Vec<&'a Row>,
}

/// The cells of a source, in file order.
pub(crate) fn cells(source: &Source) -> Vec<Cell<'_>> {
    let mut cells: Vec<Cell<'_>> = Vec::new();
    let mut index = HashMap::new();
    for row in &source.rows {
        let at = *index.entry((&row.name, &row.problem, row.pass)).or_insert(cells.len());
        match cells.get_mut(at) {
            Some(cell) => cell.rows.push(row),
            None => cells.push(Cell { rows: vec![row] }),
        }
    }
    cells
}

impl<'a> Cell<'a> {
    /// Any of its rows: they agree in name, problem and pass.
    pub(crate) fn first(&self) -> &'a Row {
        self.rows[0]
    }

    pub(crate) fn name(&self) -> &'a str {
        &self.first().name
    }

    pub(crate) fn pass(&self) -> Timed {
        self.first().pass
    }

    /// Rows of ours.
    pub(crate) fn ours(&self) -> impl Iterator<Item = &'a Row> {
        self.rows.iter().copied().filter(|row| !row.is_peer())
    }

    /// What our chooser took; of a whole network, the run that chose for every layer.
    pub(crate) fn pick(&self) -> Option<&'a Row> {
        let of_network = |row: &&Row| row.pass == Timed::Train && row.algorithm == "auto";
        self.ours().find(|row| row.chosen).or_else(|| self.ours().find(of_network))
    }

    /// Our fastest row whose algorithm `is` one of those asked for.
    pub(crate) fn fastest(&self, is: impl Fn(&str) -> bool) -> Option<&'a Row> {
        fastest(self.ours().filter(|row| is(&row.algorithm)))
    }

    /// The fastest row of ours.
    pub(crate) fn best(&self) -> Option<&'a Row> {
        self.fastest(|_| true)
    }

    /// The fastest row of another library.
    pub(crate) fn peer(&self) -> Option<&'a Row> {
        fastest(self.rows.iter().copied().filter(|row| row.is_peer()))
    }

    /// How many times faster our pick is than the faster peer.
    pub(crate) fn speedup(&self) -> Option<f64> {
        Some(self.peer()?.median_ms / self.pick()?.median_ms)
    }

    /// The pick and the best, where several algorithms of ours were timed.
    pub(crate) fn choice(&self) -> Option<(&'a Row, &'a Row)> {
        let several = self.pass() != Timed::Train && self.ours().count() > 1;
        several.then_some((self.pick()?, self.best()?))
    }
}

fn fastest<'a>(rows: impl Iterator<Item = &'a Row>) -> Option<&'a Row> {
    rows.min_by(|a, b| a.median_ms.total_cmp(&b.median_ms))
}

/// Three significant digits.
pub(crate) fn digits(value: f64) -> String {
    let decimals = (2.0 - value.abs().log10().floor()).clamp(0.0, 12.0);
    format!("{value:.*}", decimals as usize)
}

/// A ratio as it is read: `0.34`, `3.4`, `34`.
pub(crate) fn times(ratio: f64) -> String {
    let decimals = if ratio < 0.995 { 2 } else { usize::from(ratio < 9.95) };
    format!("{ratio:.decimals$}")
}

/// Milliseconds of a row, marked where they were timed once.
pub(crate) fn milliseconds(row: &Row) -> String {
    format!("{}{}", digits(row.median_ms), if row.once { "°" } else { "" })
}
