//! `direct`: the sums as they are defined, several channels in registers; takes every problem without workspace.

use conv_core::{
    ConvAlgorithm, ConvKernel, ConvProblem, Cost, Machine, Operands, Pass, Result, Role, Scratch, Unsupported,
};

use crate::Cuda;
use crate::device::Module;
use crate::geometry::{Layer, is_narrow};
use crate::operands::Pointers;
use crate::raw::{Function, Launch};

/// Direct convolution.
pub(crate) struct Direct;

impl ConvAlgorithm<Cuda> for Direct {
    fn name(&self) -> &'static str {
        "direct"
    }

    fn estimate(
        &self,
        machine: &Machine,
        problem: &ConvProblem,
        pass: Pass,
    ) -> std::result::Result<Cost, Unsupported> {
        Ok(Blocking::new(problem, pass).cost(machine, problem, pass))
    }

    fn build(&self, backend: &Cuda, problem: &ConvProblem, pass: Pass) -> Result<Box<dyn ConvKernel<Cuda>>> {
        let blocking = Blocking::new(problem, pass);
        let function = backend.device().function(Module::Direct, blocking.kernel)?;
        let layer = Layer::new(problem);
        Ok(Box::new(Kernel { problem: *problem, pass, blocking, function, layer }))
    }
}

/// Which kernel runs, and what one thread (forward, backward-input) or block (backward-weights) of it sums:
/// mirrors the instances in `kernels/direct.cu`.
#[derive(Clone, Copy, Debug)]
struct Blocking {
    kernel: &'static str,
    threads: u32,
    channels: usize,
    blocks: u64,
    /// Of all blocks, those of channels, positions and kernel points that fill the last ones included.
    multiply_adds: f64,
}

impl Blocking {
    fn new(problem: &ConvProblem, pass: Pass) -> Self {
        let channels = match pass {
            Pass::BackwardInput => problem.group_in(),
            _ => problem.group_out(),
        };
        let (kernel, threads, channels_at_once, positions) = match (pass, is_narrow(problem), channels) {
            (Pass::Forward, false, _) => ("direct_forward_wide", 128, 8, 128),
            (Pass::Forward, true, 1) => ("direct_forward_depthwise", 128, 1, 512),
            (Pass::Forward, true, _) => ("direct_forward", 128, 8, 256),
            (Pass::BackwardInput, false, _) => ("direct_backward_input_wide", 128, 8, 128),
            (Pass::BackwardInput, true, 1) => ("direct_backward_input_depthwise", 128, 1, 512),
            (Pass::BackwardInput, true, _) => ("direct_backward_input", 128, 8, 256),
            (Pass::BackwardWeights, false, _) => ("direct_backward_weights_wide", 256, 4, 1),
            (Pass::BackwardWeights, true, 1) => ("direct_backward_weights_depthwise", 256, 1, 8),
            (Pass::BackwardWeights, true, _) => ("direct_backward_weights", 256, 8, 4),
        };
        let channel_blocks = channels.div_ceil(channels_at_once) as u64 * problem.groups() as u64;
        let taps = problem.points(Role::Weight);
        let points = |role| problem.batch() as u64 * problem.points(role) as u64;
        let (blocks_of_channels, depth) = match pass {
            Pass::BackwardWeights => {
                let blocks = problem.group_in() as u64 * taps.div_ceil(positions) as u64;
                (blocks, points(Role::Output) as f64)
            }
            _ => {
                let sources = if pass == Pass::Forward { problem.group_in() } else { problem.group_out() };
                let blocks = points(pass.roles()[2]).div_ceil(positions as u64);
                (blocks, sources as f64 * taps as f64)
            }
        };
        let blocks = channel_blocks.saturating_mul(blocks_of_channels);
        let multiply_adds = blocks as f64 * (positions * channels_at_once) as f64 * depth;
        Blocking { kernel, threads, channels: channels_at_once, blocks, multiply_adds }
    }

    /// Operations of whole blocks: what meets padding, and in backward-input the kernel points that no output meets, are
    /// computed as zeros. Each value gathered is a move. Bytes are the operands, the gathered one once for each block
    /// of channels.
    fn cost(&self, machine: &Machine, problem: &ConvProblem, pass: Pass) -> Cost {
        let target = if pass == Pass::BackwardInput { problem.group_in() } else { problem.group_out() };
        let product_flops = 2.0 * self.multiply_adds;
        let channel_blocks = target.div_ceil(self.channels) as f64;
        let tensors = pass.roles().map(|role| 4.0 * problem.len(role) as f64);
        let bytes = tensors[0] * channel_blocks + tensors[1] + tensors[2];
        let moves = product_flops / 2.0 / self.channels as f64;
        let cost = Cost { product_flops, moves, bytes, launches: 1.0, ..Cost::default() };
        cost.in_tasks(usize::try_from(self.blocks).unwrap_or(usize::MAX), machine.threads)
    }
}

/// Direct convolution of one problem and pass.
struct Kernel {
    problem: ConvProblem,
    pass: Pass,
    blocking: Blocking,
    function: Function,
    layer: Layer,
}

impl ConvKernel<Cuda> for Kernel {
    fn workspace_len(&self) -> usize {
        0
    }

    fn run(&self, backend: &Cuda, operands: Operands<'_, Cuda>, _: Scratch<'_, Cuda>) -> Result<()> {
        operands.check(backend, &self.problem, self.pass)?;
        let Pointers { lhs, rhs, out, bias, relu } = Pointers::new(backend, &operands);
        let layer = self.layer.argument();
        let launch = Launch { blocks: self.blocking.blocks, threads: self.blocking.threads, shared: 0 };
        let device = backend.device();
        match self.pass {
            Pass::BackwardWeights => device.launch(&self.function, launch, &[&lhs, &rhs, &out, layer]),
            _ => device.launch(&self.function, launch, &[&lhs, &rhs, &out, &bias, &relu, layer]),
        }
    }
}
