//! Poolings and paddings as kernels take them: mirrors the structures of `kernels/ops.cu`.

use conv_core::ops::{PadMode, PoolKind};
use conv_core::{Axis, ConvProblem, Error, Result, Role, Unsupported};

/// One axis of a window.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
struct Side {
    input: i32,
    output: i32,
    kernel: i32,
    stride: i32,
    dilation: i32,
    lo: i32,
}

/// A pooling, or a padding: a pooling of windows of one point.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    sides: [Side; 3],
    maximum: i32,
    scale: f32,
}

impl Window {
    /// # Errors
    /// [`Error::Argument`] for maps beyond 32-bit indices.
    pub(super) fn new(kind: PoolKind, window: &ConvProblem) -> Result<Self> {
        let side = |axis: &Axis| -> Option<Side> {
            axis.padded().max(axis.stride).max(axis.dilation).checked_mul(2).filter(|n| *n < 1 << 31)?;
            let [input, output, kernel] = [axis.input, axis.output(), axis.kernel].map(|n| n as i32);
            let [stride, dilation, lo] = [axis.stride, axis.dilation, axis.padding.0].map(|n| n as i32);
            Some(Side { input, output, kernel, stride, dilation, lo })
        };
        let fits = window.points(Role::Input).max(window.points(Role::Output)) < 1 << 31;
        let [a, b, c] = window.volume();
        let sides = (|| Some([side(a)?, side(b)?, side(c)?]))().filter(|_| fits);
        let sides = sides.ok_or_else(|| {
            let reason = Unsupported::Geometry("a map of a pooling has 2³¹ points or more".into());
            let (expected, found) = ("maps of fewer than 2³¹ points".into(), reason.to_string());
            Error::Argument { what: "pooling", expected, found }
        })?;
        let scale = 1.0 / window.points(Role::Weight) as f32;
        Ok(Window { sides, maximum: (kind == PoolKind::Max).into(), scale })
    }
}

/// A mode of padding: mirrors `Mode` of `kernels/ops.cu`.
pub(super) fn mode_number(mode: PadMode) -> i32 {
    match mode {
        PadMode::Zeros => 0,
        PadMode::Circular => 1,
        PadMode::Reflect => 2,
        PadMode::Replicate => 3,
    }
}
