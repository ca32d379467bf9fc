//! The table of a network's layers.

use std::fmt;

use conv_core::Pass;

use crate::Shape;

/// One layer of a [`Summary`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its kind.
    pub layer: &'static str,
    /// Layers around it, besides the network.
    pub depth: usize,
    /// Shape of its output.
    pub output: Shape,
    /// Values it learns.
    pub parameters: usize,
    /// The algorithms chosen, by the layer's own direction.
    pub algorithms: Vec<(Pass, &'static str)>,
}

impl Row {
    /// The algorithm of this pass, `-` where there is none.
    pub fn algorithm(&self, pass: Pass) -> &'static str {
        let found = self.algorithms.iter().find(|(planned, _)| *planned == pass);
        found.map_or("-", |(_, algorithm)| algorithm)
    }

    fn cells(&self) -> [String; 6] {
        let [forward, input, weights] = Pass::ALL.map(|pass| self.algorithm(pass).into());
        let parameters = grouped(self.parameters);
        let layer = format!("{:1$}{2}", "", 2 * self.depth, self.layer);
        [layer, self.output.to_string(), parameters, forward, input, weights]
    }
}

/// Layers, output shapes, numbers of parameters and chosen algorithms; prints as a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The layers, first to last.
    pub rows: Vec<Row>,
}

impl Summary {
    /// Values that all layers learn.
    pub fn parameters(&self) -> usize {
        self.rows.iter().map(|row| row.parameters).sum()
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [forward, input, weights] = Pass::ALL.map(|pass| pass.name().to_owned());
        let head = ["layer".into(), "output shape".into(), "parameters".into(), forward, input, weights];
        let table: Vec<_> = [head].into_iter().chain(self.rows.iter().map(Row::cells)).collect();
        let width = |column: usize| table.iter().map(|cells| cells[column].len()).max().unwrap_or(0);
        let widths: [usize; 6] = std::array::from_fn(width);
        for cells in &table {
            let [layer, output, parameters, passes @ ..] = cells;
            write!(f, "{layer:<0$}  {output:<1$}  {parameters:>2$}", widths[0], widths[1], widths[2])?;
            let passes = passes.iter().zip(&widths[3..]).map(|(cell, width)| format!("  {cell:<width$}"));
            writeln!(f, "{}", passes.collect::<String>().trim_end())?;
        }
        write!(f, "{} parameters", grouped(self.parameters()))
    }
}

/// A count with commas between thousands.
fn grouped(count: usize) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
