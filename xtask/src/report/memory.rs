//! The paper's table of memory, printed and computed.

use conv_core::paper::{exact_memory_bytes, memory_bytes};
use maud::{Markup, html};

/// `S, n, f, f'` and megabytes, as printed.
const PRINTED: [([u32; 4], u32); 8] = [
    ([128, 16, 96, 256], 76),
    ([128, 32, 96, 256], 294),
    ([64, 64, 96, 256], 784),
    ([128, 64, 96, 256], 1159),
    ([128, 16, 256, 384], 151),
    ([128, 32, 256, 384], 588),
    ([128, 16, 384, 384], 214),
    ([128, 32, 384, 384], 830),
];

/// A row computed: the batch that gives the printed number, the paper's form and the exact one in MB.
fn computed(([s, n, f, f_out], printed): ([u32; 4], u32)) -> (u32, f64, f64) {
    let megabytes = |bytes: fn(f64, f64, f64, f64) -> f64, s: u32| {
        bytes(s.into(), n.into(), f.into(), f_out.into()) / 1e6
    };
    let fits = |s: &u32| (megabytes(memory_bytes, *s) - f64::from(printed)).abs() <= 1.0;
    let batch = [s, 64].into_iter().find(fits).unwrap_or(s);
    (batch, megabytes(memory_bytes, batch), megabytes(exact_memory_bytes, batch))
}

/// The section; nothing in it is measured.
pub(crate) fn section() -> Markup {
    html! {
        figure {
            div.scroll { table {
                thead { tr {
                    th.n { "S" } th.n { "n" } th.n { "f" } th.n { "f′" } th.n { "printed" }
                    th.n { "S computed with" } th.n { "4n(n+1)(…)" } th.n { "exact, 4n(n+2)(…)" }
                } }
                tbody { @for row in PRINTED {
                    @let (batch, paper, exact) = computed(row);
                    tr {
                        @for number in row.0 { td.n { (number) } }
                        td.n { (row.1) }
                        td.n { (batch) @if batch != row.0[0] { " *" } }
                        td.n { (format!("{paper:.1}")) } td.n { (format!("{exact:.1}")) }
                    }
                } }
            } }
            figcaption {
                "Megabytes (10⁶ bytes) of complex spectra; (…) is S f + S f′ + f f′. Computed from the two \
                 formulas, not measured. * The printed number is that of S = 64."
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_printed_number_is_found_and_the_last_four_at_half_the_batch() {
        let rows = PRINTED.map(|row| (row.1, computed(row)));
        assert!(rows.iter().all(|(printed, (_, paper, _))| (paper - f64::from(*printed)).abs() <= 1.0));
        assert_eq!(rows.map(|(_, (batch, ..))| batch), [128, 128, 64, 128, 64, 64, 64, 64]);
    }
}
