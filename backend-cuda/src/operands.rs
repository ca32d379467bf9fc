//! The operands of a pass as kernels take them.

use conv_core::Operands;

use crate::Cuda;
use crate::raw::Span;

/// Addresses of the operands; no bias is a null pointer.
#[derive(Clone, Copy)]
pub(crate) struct Pointers {
    pub(crate) lhs: Span,
    pub(crate) rhs: Span,
    pub(crate) out: Span,
    pub(crate) bias: Span,
    /// 1 where negative outputs become zero.
    pub(crate) relu: i32,
}

impl Pointers {
    pub(crate) fn new(backend: &Cuda, operands: &Operands<'_, Cuda>) -> Self {
        let device = backend.device();
        Pointers {
            lhs: operands.lhs.span(device),
            rhs: operands.rhs.span(device),
            out: operands.out.span(device),
            bias: operands.bias.map_or(Span::NONE, |bias| bias.span(device)),
            relu: operands.relu.into(),
        }
    }
}
