//! The FFT pipeline that `fft` and `fft-tiled` share: transform, multiply at every frequency, invert.

mod cost;
mod memory;
mod passes;
mod plan;
mod steps;
mod transform;

use std::ops::Range;

use conv_core::fourier::Tiling;
use conv_core::spectra::SpectrumKey;
use conv_core::{ConvKernel, ConvProblem, Operands, Pass, Result, Role, Scratch};

use crate::buffer::Table;
use crate::device::{Device, Module, failed};
use crate::operands::{Pointers, workspace};
use crate::product::Products;
use crate::raw::{Argument, Function, Launch, Span};
use crate::{Buffer, Cuda};
use memory::InMemory;
pub(crate) use passes::Lines;
pub(crate) use plan::{Plan, no_room};
pub(crate) use transform::{Maps, Tables, Transform, volume};

/// Threads of a block of every kernel here.
pub(crate) const THREADS: u32 = 256;

/// Whether the indices along axes, of tiles and of the maps of a unit fit 32 bits; those of tensors are wider.
fn is_narrow(problem: &ConvProblem, tiling: &Tiling) -> bool {
    let axes = problem.volume();
    let far = axes.iter().map(|axis| axis.padded().max(axis.stride).max(axis.dilation));
    let lens = [problem.maps(Role::Input), problem.maps(Role::Output), problem.maps(Role::Weight)];
    let units = problem.batch().saturating_mul(tiling.tile_count());
    let maps = lens.iter().map(|maps| maps.saturating_mul(tiling.phase_count()));
    far.chain(maps).chain([units]).all(|count| count < 1 << 30)
}

/// The kernels of transforms.
enum Transformer {
    /// Pairs of maps in the shared memory of blocks.
    Blocks { forward: Function, inverse: Function },
    /// In passes through device memory.
    Memory(Box<InMemory>),
}

impl Transformer {
    fn new(device: &Device, plan: &Plan) -> Result<Self> {
        if let Some(passes) = &plan.passes {
            return Ok(Transformer::Memory(Box::new(InMemory::new(device, passes.clone())?)));
        }
        let transform = |name| {
            let function = device.function(Module::Fourier, name)?;
            function.allow_shared(plan.shared()).map_err(|error| failed("shared memory", &error))?;
            Ok::<_, conv_core::Error>(function)
        };
        Ok(Transformer::Blocks {
            forward: transform("fourier_forward")?,
            inverse: transform("fourier_inverse")?,
        })
    }
}

/// What all kernels of a transform look up, and where volumes are.
#[derive(Clone, Copy)]
struct Lookup {
    integers: Span,
    factors: Span,
    volumes: Span,
}

/// A pass of a problem by transforms.
pub(crate) struct FourierKernel {
    plan: Plan,
    transformer: Transformer,
    products: Products,
    transforms: [(Role, Transform); 3],
    integers: Table,
    factors: Buffer,
}

impl FourierKernel {
    /// Uploads the tables and finds the kernels.
    ///
    /// # Errors
    /// As [`conv_core::Backend::alloc`], and [`conv_core::Error::Device`] where the driver refuses.
    pub(crate) fn new(backend: &Cuda, plan: Plan) -> Result<Self> {
        let device = backend.device();
        let transformer = Transformer::new(device, &plan)?;
        let products = Products::new(device, plan.groups(), |units| plan.product(units))?;
        let mut tables = Tables::default();
        let transforms = plan.pass.roles().map(|role| (role, Transform::new(&plan, role, &mut tables)));
        let (integers, factors) = tables.upload(backend)?;
        Ok(FourierKernel { plan, transformer, products, transforms, integers, factors })
    }

    fn key(&self, role: Role) -> SpectrumKey {
        SpectrumKey { role, tiling: self.plan.tiling, layout: "frequencies" }
    }
}

impl ConvKernel<Cuda> for FourierKernel {
    fn workspace_len(&self) -> usize {
        self.plan.workspace_len()
    }

    fn run(&self, backend: &Cuda, operands: Operands<'_, Cuda>, scratch: Scratch<'_, Cuda>) -> Result<()> {
        let Plan { problem, pass, .. } = &self.plan;
        operands.check(backend, problem, *pass)?;
        let [l, r, o] = pass.roles().map(|role| self.plan.spectra_len(role));
        let [lhs, rhs, out, volumes] = workspace(backend, &scratch, [l, r, o, self.plan.volumes_len()])?;
        let pointers = Pointers::new(backend, &operands);
        if pass.roles()[2] == Role::Input && !self.plan.tiling.reaches_all_inputs() {
            operands.out.clear(backend.device())?;
        }
        let mut run =
            Run { kernel: self, backend, pointers, lhs, rhs, out, volumes, spectra: scratch.spectra };
        match pass {
            Pass::BackwardWeights => run.backward_weights(),
            Pass::Forward | Pass::BackwardInput => run.per_unit(),
        }
    }
}

/// One run: the kernel, its operands and its parts of the workspace.
struct Run<'a> {
    kernel: &'a FourierKernel,
    backend: &'a Cuda,
    pointers: Pointers,
    lhs: Span,
    rhs: Span,
    out: Span,
    volumes: Span,
    spectra: &'a mut conv_core::Spectra<Cuda>,
}

impl Run<'_> {
    /// Forward and backward-input: the weights once, then group after group through to the product tensor.
    fn per_unit(&mut self) -> Result<()> {
        let [left, right, product] = self.kernel.plan.pass.roles();
        let weights = self.transform(right, &(0..1), self.pointers.rhs, self.rhs)?;
        for units in self.kernel.plan.groups().all() {
            let lhs = self.transform(left, &units, self.pointers.lhs, self.lhs)?;
            self.multiply(&units, lhs, weights, false)?;
            self.invert(product, &units)?;
        }
        Ok(())
    }

    /// Backward-weights: the products of all groups are summed, then inverted once.
    fn backward_weights(&mut self) -> Result<()> {
        let [left, right, product] = Pass::BackwardWeights.roles();
        for units in self.kernel.plan.groups().all() {
            let lhs = self.transform(left, &units, self.pointers.lhs, self.lhs)?;
            let rhs = self.transform(right, &units, self.pointers.rhs, self.rhs)?;
            self.multiply(&units, rhs, lhs, units.start > 0)?;
        }
        self.invert(product, &(0..1))
    }

    /// The spectra of a tensor: the step's where it has them or wants them, else made in `own`.
    fn transform(&mut self, role: Role, units: &Range<usize>, tensor: Span, own: Span) -> Result<Span> {
        let (kernel, device) = (self.kernel, self.backend.device());
        let key = kernel.key(role);
        let target = match self.spectra.claim(&key) {
            Some(buffer) => buffer.span(device),
            None => match self.spectra.get(&key) {
                Some(made) => return Ok(made.span(device)),
                None => own,
            },
        };
        let _phase = tracing::trace_span!(target: "phase", "transform").entered();
        let (transform, maps) = (kernel.transform_of(role), kernel.plan.maps(role, units));
        let lookup = self.lookup();
        match &kernel.transformer {
            Transformer::Memory(memory) => {
                memory.transform(device, [tensor, target], lookup, transform, &maps)?;
            }
            Transformer::Blocks { forward, .. } => {
                let Lookup { integers, factors, .. } = lookup;
                let launch = kernel.launch(role, units);
                device.launch(forward, launch, &[&tensor, &target, &integers, &factors, transform, &maps])?;
            }
        }
        Ok(target)
    }

    /// The product tensor's elements from its spectra.
    fn invert(&self, role: Role, units: &Range<usize>) -> Result<()> {
        let _phase = tracing::trace_span!(target: "phase", "inverse").entered();
        let (kernel, device) = (self.kernel, self.backend.device());
        let (transform, maps) = (kernel.transform_of(role), kernel.plan.maps(role, units));
        let Pointers { out, bias, relu, .. } = self.pointers;
        match &kernel.transformer {
            Transformer::Memory(memory) => {
                memory.invert(device, [self.out, out, bias], relu, self.lookup(), transform, &maps)
            }
            Transformer::Blocks { inverse, .. } => {
                let Lookup { integers, factors, .. } = self.lookup();
                let (launch, spectra) = (kernel.launch(role, units), self.out);
                let arguments: [&dyn Argument; 8] =
                    [&spectra, &out, &integers, &factors, &bias, &relu, transform, &maps];
                device.launch(inverse, launch, &arguments)
            }
        }
    }

    fn lookup(&self) -> Lookup {
        let (kernel, device) = (self.kernel, self.backend.device());
        let (integers, factors) = (kernel.integers.span(device), kernel.factors.span(device));
        Lookup { integers, factors, volumes: self.volumes }
    }

    /// The products at all frequencies; rows come from `left`.
    fn multiply(&self, units: &Range<usize>, left: Span, right: Span, add: bool) -> Result<()> {
        let _phase = tracing::trace_span!(target: "phase", "product").entered();
        self.kernel.products.multiply(self.backend.device(), units.len(), [left, right, self.out], add)
    }
}

impl FourierKernel {
    fn transform_of(&self, role: Role) -> &Transform {
        let found = self.transforms.iter().find(|(own, _)| *own == role);
        &found.expect("a pass has three tensors").1
    }

    fn launch(&self, role: Role, units: &Range<usize>) -> Launch {
        let blocks = self.plan.transform_blocks(role, units.len()) as u64;
        Launch { blocks, threads: THREADS, shared: self.plan.shared() }
    }
}
