//! Ctrl-C, and the signal by which a machine asks a program to end: heard by programs that save before they do.

use std::process;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::Failure;

/// The exit code of a program that was interrupted, as shells have it.
pub(crate) const CODE: u8 = 130;

static ASKED: AtomicBool = AtomicBool::new(false);

/// From here on the first signal is only noted; the second ends the process at once.
///
/// # Errors
/// A system without signals to hear.
pub(crate) fn listen() -> Result<(), Failure> {
    static LISTENING: Once = Once::new();
    let mut result = Ok(());
    LISTENING.call_once(|| {
        result = ctrlc::set_handler(|| {
            if ASKED.swap(true, Ordering::Relaxed) {
                process::exit(i32::from(CODE));
            }
        });
    });
    result.map_err(|error| Failure::Bad(format!("signals: {error}")))
}

/// Whether the user wants the program to end.
pub(crate) fn asked() -> bool {
    ASKED.load(Ordering::Relaxed)
}
