//! How many registers a tile may fill. Kernels ask in `const` blocks: what these exclude is dropped before it is compiled.

use pulp::Simd;

/// Vector registers of processors with these instructions; none where there are no vectors, so that of every kernel
/// only the smallest tiles are compiled for such processors.
pub(crate) const fn registers<S: Simd>() -> usize {
    if S::F32_LANES > 1 { S::REGISTER_COUNT } else { 0 }
}
