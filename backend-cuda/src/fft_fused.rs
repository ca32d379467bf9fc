//! `fft-fused`: transform, multiply and invert in one kernel, without spectra in memory; for depthwise layers, whole or
//! in tiles.

use conv_core::fourier::Tiling;
use conv_core::{
    Backend, ConvAlgorithm, ConvKernel, ConvProblem, Cost, Error, Machine, Operands, Pass, Result, Role,
    Scratch, Unsupported,
};
use fft_core::good_length;

use crate::buffer::Table;
use crate::device::{Module, failed};
use crate::fft_tiled::tilings;
use crate::fourier::{self, Maps, Plan, Tables, Transform, no_room};
use crate::operands::{Pointers, workspace};
use crate::product::Parts;
use crate::raw::{Argument, Function, Launch};
use crate::{Buffer, Cuda};

/// Blocks that every multiprocessor should find before a channel's units are cut into parts.
const BLOCKS_EACH: usize = 2;

/// FFT convolution of each channel within a block.
pub(crate) struct FftFused;

impl ConvAlgorithm<Cuda> for FftFused {
    fn name(&self) -> &'static str {
        "fft-fused"
    }

    fn estimate(
        &self,
        machine: &Machine,
        problem: &ConvProblem,
        pass: Pass,
    ) -> std::result::Result<Cost, Unsupported> {
        Fused::best(machine, problem, pass).map(|fused| fused.cost())
    }

    fn build(&self, backend: &Cuda, problem: &ConvProblem, pass: Pass) -> Result<Box<dyn ConvKernel<Cuda>>> {
        let algorithm = self.name();
        let refused = |reason| Error::Refused { algorithm, pass, problem: Box::new(*problem), reason };
        let fused = Fused::best(backend.machine(), problem, pass).map_err(refused)?;
        Ok(Box::new(Kernel::new(backend, fused)?))
    }
}

/// A pass whose blocks each do a part of one channel's units, two at a time.
#[derive(Clone, Debug)]
struct Fused {
    plan: Plan,
    channels: usize,
    parts: usize,
    multiprocessors: usize,
}

impl Fused {
    /// Whole or in tiles, what is predicted fastest.
    fn best(machine: &Machine, problem: &ConvProblem, pass: Pass) -> std::result::Result<Self, Unsupported> {
        let refuse = |reason: &str| Err(Unsupported::Geometry(reason.to_string().into()));
        if problem.group_in() != 1 || problem.group_out() != 1 {
            return refuse("it takes depthwise layers, one channel a group");
        }
        let Some(whole) = Tiling::whole(problem, |_, least| good_length(least)) else {
            return Err(crate::fft::too_long());
        };
        if whole.phase_count() != 1 {
            return refuse("its stride leaves several phases to sum over");
        }
        let first = Fused::new(machine, problem, pass, whole);
        let others = tilings(problem, pass).map(|tiling| Fused::new(machine, problem, pass, tiling));
        let seconds =
            |fused: &Fused| machine.model.seconds("fft-fused", pass, &fused.cost(), machine.threads);
        let all = std::iter::once(first.clone()).chain(others).filter_map(std::result::Result::ok);
        let best = all.min_by(|a, b| seconds(a).total_cmp(&seconds(b)));
        best.map_or_else(|| first, Ok)
    }

    fn new(
        machine: &Machine,
        problem: &ConvProblem,
        pass: Pass,
        tiling: Tiling,
    ) -> std::result::Result<Self, Unsupported> {
        let shape = tiling.shape();
        let points = shape.iter().fold(1usize, |all, n| all.saturating_mul(*n));
        // Some shared memory is the kernel's own.
        let room = machine.caches[0].saturating_sub(1 << 10) / size_of::<[f32; 2]>();
        if points > room || fourier::volume(shape) > room / volumes(pass) {
            return Err(no_room(shape));
        }
        let plan = Plan::of_pairs(problem, pass, tiling, machine, 1)?;
        let (channels, multiprocessors) = (problem.in_channels(), machine.threads.max(1));
        let wanted = (multiprocessors * BLOCKS_EACH).div_ceil(channels);
        let parts = wanted.min(plan.units().div_ceil(2)).max(1);
        Ok(Fused { plan, channels, parts, multiprocessors })
    }

    fn blocks(&self) -> usize {
        self.channels * self.parts
    }

    fn shared(&self) -> u32 {
        self.plan.shared() * volumes(self.plan.pass) as u32
    }

    /// Backward-weights sums parts apart, then adds them up.
    fn workspace_len(&self) -> usize {
        match (self.plan.pass, self.parts) {
            (Pass::BackwardWeights, 2..) => self.parts * self.plan.problem.len(Role::Weight),
            _ => 0,
        }
    }

    /// Operations of the transforms of every two units, and of the products of all points; the weights' transforms
    /// are those of every block. Bytes are the tensors, the weights for every part.
    fn cost(&self) -> Cost {
        let twos = (self.channels * self.plan.units().div_ceil(2)) as f64;
        let (blocks, pass) = (self.blocks() as f64, self.plan.pass);
        let times = |role| if role == Role::Weight { blocks } else { twos };
        let transform_flops = pass.roles().map(|role| times(role) * self.plan.pair_flops(role)).iter().sum();
        // A complex product, and in backward-weights a sum.
        let each = if pass == Pass::BackwardWeights { 8.0 } else { 6.0 };
        let product_flops = each * twos * self.plan.volume() as f64;
        let tensor = |role| {
            let parts = if role == Role::Weight { self.parts } else { 1 };
            (self.plan.problem.len(role) * parts) as f64
        };
        let workspace = self.workspace_len() * size_of::<f32>();
        let bytes = 4.0 * pass.roles().map(tensor).iter().sum::<f64>() + workspace as f64;
        let launches = if workspace > 0 { 2.0 } else { 1.0 };
        let cost = Cost { transform_flops, product_flops, bytes, launches, workspace, ..Cost::default() };
        cost.in_tasks(self.blocks(), self.multiprocessors)
    }
}

/// Volumes that a block holds: the factors, and in backward-weights the sum.
fn volumes(pass: Pass) -> usize {
    if pass == Pass::BackwardWeights { 3 } else { 2 }
}

/// A depthwise pass of a problem.
struct Kernel {
    fused: Fused,
    function: Function,
    sums: Parts,
    /// Of input, weight and output, or in backward-input output, weight and input.
    transforms: [Transform; 3],
    maps: [Maps; 3],
    integers: Table,
    factors: Buffer,
}

impl Kernel {
    fn new(backend: &Cuda, fused: Fused) -> Result<Self> {
        let device = backend.device();
        let (name, roles) = match fused.plan.pass {
            Pass::Forward => ("fused_forward", [Role::Input, Role::Weight, Role::Output]),
            Pass::BackwardInput => ("fused_backward_input", [Role::Output, Role::Weight, Role::Input]),
            Pass::BackwardWeights => ("fused_backward_weights", [Role::Input, Role::Weight, Role::Output]),
        };
        let function = device.function(Module::Fused, name)?;
        function.allow_shared(fused.shared()).map_err(|error| failed("shared memory", &error))?;
        let sums = Parts::new(device)?;
        let mut tables = Tables::default();
        let transforms = roles.map(|role| Transform::new(&fused.plan, role, &mut tables));
        let maps = roles.map(|role| fused.plan.maps(role, &(0..fused.plan.units())));
        let (integers, factors) = tables.upload(backend)?;
        Ok(Kernel { fused, function, sums, transforms, maps, integers, factors })
    }
}

impl ConvKernel<Cuda> for Kernel {
    fn workspace_len(&self) -> usize {
        self.fused.workspace_len()
    }

    fn run(&self, backend: &Cuda, operands: Operands<'_, Cuda>, scratch: Scratch<'_, Cuda>) -> Result<()> {
        let (device, plan) = (backend.device(), &self.fused.plan);
        operands.check(backend, &plan.problem, plan.pass)?;
        let [parts] = workspace(backend, &scratch, [self.workspace_len()])?;
        let Pointers { lhs, rhs, out, bias, relu } = Pointers::new(backend, &operands);
        if plan.pass.roles()[2] == Role::Input && !plan.tiling.reaches_all_inputs() {
            operands.out.clear(device)?;
        }
        let blocks = self.fused.blocks() as u64;
        let launch = Launch { blocks, threads: fourier::THREADS, shared: self.fused.shared() };
        let (integers, factors) = (self.integers.span(device), self.factors.span(device));
        let ([from, kernel, to], [from_maps, kernel_maps, to_maps]) = (&self.transforms, &self.maps);
        let (channels, count) = (self.fused.channels as i32, self.fused.parts as i32);
        let rest: [&dyn Argument; 8] = [from, kernel, to, from_maps, kernel_maps, to_maps, &channels, &count];
        if plan.pass != Pass::BackwardWeights {
            let first: [&dyn Argument; 7] = [&lhs, &rhs, &out, &integers, &factors, &bias, &relu];
            return device.launch(&self.function, launch, &[&first[..], &rest].concat());
        }
        let target = if self.fused.parts > 1 { parts } else { out };
        let first: [&dyn Argument; 5] = [&lhs, &rhs, &target, &integers, &factors];
        device.launch(&self.function, launch, &[&first[..], &rest].concat())?;
        if self.fused.parts > 1 {
            self.sums.sum(device, parts, out, self.fused.parts, plan.problem.len(Role::Weight))?;
        }
        Ok(())
    }
}
