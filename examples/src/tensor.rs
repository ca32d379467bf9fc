//! A tensor on its way between files and engines.

use std::fmt;

/// Dense row-major values with their sizes, slowest first.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Size of each axis.
    pub shape: Vec<usize>,
    /// As many values as the sizes multiply to.
    pub values: Vec<f32>,
}

/// Sizes as messages show them: `(1, 3, 8, 8)`.
pub(crate) struct Sizes<'a>(pub(crate) &'a [usize]);

impl fmt::Display for Sizes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: Vec<String> = self.0.iter().take(8).map(usize::to_string).collect();
        let more = if self.0.len() > 8 { ", …" } else { "" };
        write!(f, "({}{more})", shown.join(", "))
    }
}
