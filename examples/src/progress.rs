//! Where progress bars are drawn.

use std::io::{IsTerminal, stderr, stdout};

use indicatif::ProgressDrawTarget;

/// Stderr; nowhere where stdout or stderr is not a terminal.
pub(crate) fn target() -> ProgressDrawTarget {
    let seen = stdout().is_terminal() && stderr().is_terminal();
    if seen { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() }
}
