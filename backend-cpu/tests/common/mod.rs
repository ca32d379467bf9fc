//! What the tests of this crate share.

use backend_cpu::Cpu;

/// The CPU with a table of the library, whatever the user has fitted.
pub(crate) fn cpu() -> Cpu {
    conv_core::cache::off();
    Cpu::new()
}
