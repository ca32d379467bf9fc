//! A pass of a convolution as an operation of candle, on engines that all layers share.

use std::sync::{Mutex, PoisonError};

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp2, Error, Layout, Result, Shape, Tensor, bail};
use conv_core::{Axis, ConvProblem, Engine, Pass};

use crate::Cpu;

/// The product of a pass from its two factors, contiguous tensors. Candle records the forward one alone.
pub(super) struct Convolution {
    pub(super) problem: ConvProblem,
    pub(super) pass: Pass,
}

impl CustomOp2 for Convolution {
    fn name(&self) -> &'static str {
        match self.pass {
            Pass::Forward => "convolution",
            Pass::BackwardInput => "convolution-backward-input",
            Pass::BackwardWeights => "convolution-backward-weights",
        }
    }

    fn cpu_fwd(
        &self,
        left: &CpuStorage,
        left_layout: &Layout,
        right: &CpuStorage,
        right_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (left, right) = (dense(left, left_layout)?, dense(right, right_layout)?);
        let product = with_engine(|engine| engine.convolve(&self.problem, self.pass, left, right, None))?;
        Ok((CpuStorage::F32(product), Shape::from(self.product_shape())))
    }

    fn bwd(
        &self,
        input: &Tensor,
        weight: &Tensor,
        _output: &Tensor,
        grad_output: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let grad_output = &grad_output.contiguous()?;
        let of = |pass, left: &Tensor, right| {
            left.apply_op2_no_bwd(right, &Convolution { problem: self.problem, pass })
        };
        let grad_input = || of(Pass::BackwardInput, grad_output, weight);
        let grad_weight = || of(Pass::BackwardWeights, input, grad_output);
        Ok((input.track_op().then(grad_input).transpose()?, weight.track_op().then(grad_weight).transpose()?))
    }
}

impl Convolution {
    /// Sizes of what the pass makes.
    fn product_shape(&self) -> Vec<usize> {
        let problem = &self.problem;
        let (outer, points): (_, fn(&Axis) -> usize) = match self.pass {
            Pass::Forward => ([problem.batch(), problem.out_channels()], Axis::output),
            Pass::BackwardInput => ([problem.batch(), problem.in_channels()], |axis| axis.input),
            Pass::BackwardWeights => ([problem.out_channels(), problem.group_in()], |axis| axis.kernel),
        };
        outer.into_iter().chain(problem.axes().iter().map(points)).collect()
    }
}

/// Runs on an engine that no other thread uses meanwhile, with the kernels and the workspace of earlier runs. No lock
/// is held while it runs: rayon may give a thread that waits another layer to do.
fn with_engine<T>(run: impl FnOnce(&mut Engine<Cpu>) -> conv_core::Result<T>) -> Result<T> {
    static IDLE: Mutex<Vec<Engine<Cpu>>> = Mutex::new(Vec::new());
    let idle = || IDLE.lock().unwrap_or_else(PoisonError::into_inner);
    let kept = idle().pop();
    let mut engine = match kept {
        Some(engine) => engine,
        None => Engine::new(Cpu::new()).map_err(Error::wrap)?,
    };
    let result = run(&mut engine).map_err(Error::wrap);
    idle().push(engine);
    result
}

/// The values of a contiguous tensor.
fn dense<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let CpuStorage::F32(values) = storage else {
        bail!("convolution: expected values of type F32, found {:?}", storage.dtype());
    };
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&values[start..end]),
        None => bail!("convolution: expected a contiguous tensor, found strides {:?}", layout.stride()),
    }
}
