//! The operands of a pass as kernels take them.

use conv_core::algorithm::check_len;
use conv_core::{Operands, Result, Scratch};

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

/// The parts of these lengths that a kernel cuts its workspace into.
///
/// # Errors
/// [`conv_core::Error::Length`] where they exceed it.
pub(crate) fn workspace<const PARTS: usize>(
    backend: &Cuda,
    scratch: &Scratch<'_, Cuda>,
    lens: [usize; PARTS],
) -> Result<[Span; PARTS]> {
    let (wanted, found) = (lens.iter().sum::<usize>(), scratch.workspace.len());
    check_len("workspace", wanted.max(found), found)?;
    let (all, mut end) = (scratch.workspace.span(backend.device()), 0);
    Ok(lens.map(|len| {
        end += len;
        all.part(end - len..end)
    }))
}
