//! The traits of the contract: a backend, its algorithms, and the kernels they build.

use std::time::Instant;

use crate::spectra::Shared;
use crate::{ConvProblem, Cost, Error, Machine, Pass, Ranks, Result, Spectra, Unsupported};

/// Waits for the work asked for since it was made, and says how many seconds it took.
pub type Stopwatch = Box<dyn FnOnce() -> Result<f64>>;

/// A place where convolutions run: memory, a list of algorithms, a machine to count for.
pub trait Backend: Send + Sync + Sized + 'static {
    /// f32 values in the backend's own memory.
    type Buffer: Send + Sync;

    /// Short name for tables and logs.
    fn name(&self) -> &str;

    /// Zeroed memory for `len` values; 0 is allowed.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    fn alloc(&self, len: usize) -> Result<Self::Buffer>;

    /// Values of the buffer.
    fn len(&self, buffer: &Self::Buffer) -> usize;

    /// Host to backend.
    ///
    /// # Errors
    /// [`Error::Length`] where the lengths differ.
    fn upload(&self, from: &[f32], to: &mut Self::Buffer) -> Result<()>;

    /// Backend to host; waits for work under way.
    ///
    /// # Errors
    /// [`Error::Length`] where the lengths differ.
    fn download(&self, from: &Self::Buffer, to: &mut [f32]) -> Result<()>;

    /// Times what is asked for from here on, by the backend's own clock. The default is the host's clock, for backends
    /// that have done their work when they return.
    ///
    /// # Errors
    /// [`Error::Device`] where the clock fails.
    fn stopwatch(&self) -> Result<Stopwatch> {
        let start = Instant::now();
        Ok(Box::new(move || Ok(start.elapsed().as_secs_f64())))
    }

    /// Every algorithm, one line each. At least one takes every valid problem without workspace.
    fn algorithms(&self) -> &'static [&'static dyn ConvAlgorithm<Self>];

    /// The hardware and its cost table.
    fn machine(&self) -> &Machine;

    /// Ranks that sum in this backend's own memory where it has a way to; else `ranks`, which they are made from.
    ///
    /// # Errors
    /// [`Error::Device`] where the way is there but fails.
    fn connect(&self, ranks: Box<dyn Ranks<Self>>) -> Result<Box<dyn Ranks<Self>>> {
        Ok(ranks)
    }
}

/// A way to compute convolutions on backend `B`: a unit struct without state.
pub trait ConvAlgorithm<B: Backend>: Send + Sync {
    /// Stable name, used in flags, cost tables and logs.
    fn name(&self) -> &'static str;

    /// What its error stays below: the largest error of any value over the largest sum of absolute products of any
    /// value.
    fn max_error(&self) -> f64 {
        2e-6
    }

    /// Accepts with a counted cost or refuses with a reason. Arithmetic only: needs no device.
    ///
    /// # Errors
    /// [`Unsupported`] is the refusal.
    fn estimate(
        &self,
        machine: &Machine,
        problem: &ConvProblem,
        pass: Pass,
    ) -> std::result::Result<Cost, Unsupported>;

    /// Spectra of the operands that the kernel can keep for, or take from, other passes of the same step.
    fn shares(&self, _machine: &Machine, _problem: &ConvProblem, _pass: Pass) -> Vec<Shared> {
        Vec::new()
    }

    /// Whatever is paid once per problem: tables, blocking, compiled modules.
    ///
    /// # Errors
    /// [`Error::Refused`] where [`ConvAlgorithm::estimate`] refuses.
    fn build(&self, backend: &B, problem: &ConvProblem, pass: Pass) -> Result<Box<dyn ConvKernel<B>>>;
}

/// An algorithm made ready for one problem and pass.
pub trait ConvKernel<B: Backend>: Send + Sync {
    /// Values of workspace [`ConvKernel::run`] uses, exactly.
    fn workspace_len(&self) -> usize;

    /// Writes every value of the pass's product, epilogue included. Allocates nothing of the problem's size.
    ///
    /// # Errors
    /// [`Error::Length`] where an operand or the workspace does not have the problem's length.
    fn run(&self, backend: &B, operands: Operands<'_, B>, scratch: Scratch<'_, B>) -> Result<()>;
}

/// The three tensors of a pass and, forward, what follows the sum.
pub struct Operands<'a, B: Backend> {
    /// First factor: input, grad_output, input (by pass).
    pub lhs: &'a B::Buffer,
    /// Second factor: weight, weight, grad_output.
    pub rhs: &'a B::Buffer,
    /// Product: output, grad_input, grad_weight. Overwritten; its contents on entry do not matter.
    pub out: &'a mut B::Buffer,
    /// Forward only: one value an output channel to add.
    pub bias: Option<&'a B::Buffer>,
    /// Forward only: whether negative outputs become zero, after the bias.
    pub relu: bool,
}

impl<'a, B: Backend> Operands<'a, B> {
    /// Operands without an epilogue, in the order of [`Pass::roles`].
    pub fn new(lhs: &'a B::Buffer, rhs: &'a B::Buffer, out: &'a mut B::Buffer) -> Self {
        Operands { lhs, rhs, out, bias: None, relu: false }
    }

    /// Adds a bias (forward only).
    pub fn bias(self, bias: Option<&'a B::Buffer>) -> Self {
        Operands { bias, ..self }
    }

    /// Clamps at zero (forward only).
    pub fn relu(self, relu: bool) -> Self {
        Operands { relu, ..self }
    }

    /// Compares every length with the problem's.
    ///
    /// # Errors
    /// [`Error::Length`] naming the operand, [`Error::Argument`] for an epilogue in a backward pass.
    pub fn check(&self, backend: &B, problem: &ConvProblem, pass: Pass) -> Result<()> {
        let found = [backend.len(self.lhs), backend.len(self.rhs), backend.len(self.out)];
        for ((role, what), found) in pass.roles().into_iter().zip(pass.operand_names()).zip(found) {
            check_len(what, problem.len(role), found)?;
        }
        if let Some(bias) = self.bias {
            check_len("bias", problem.out_channels(), backend.len(bias))?;
        }
        if pass != Pass::Forward && (self.bias.is_some() || self.relu) {
            let found = format!("one in {pass}");
            return Err(Error::Argument { what: "epilogue", expected: "none but in forward".into(), found });
        }
        Ok(())
    }
}

/// [`Error::Length`] unless the two lengths agree.
///
/// # Errors
/// As said.
pub fn check_len(what: &str, expected: usize, found: usize) -> Result<()> {
    if expected == found { Ok(()) } else { Err(Error::Length { what: what.into(), expected, found }) }
}

/// Memory a kernel may use besides its operands.
pub struct Scratch<'a, B: Backend> {
    /// At least [`ConvKernel::workspace_len`] values, garbage on entry and on exit.
    pub workspace: &'a mut B::Buffer,
    /// Spectra kept between the passes of one step.
    pub spectra: &'a mut Spectra<B>,
}

/// The algorithm of this name.
///
/// # Errors
/// [`Error::UnknownAlgorithm`] with the names there are.
pub fn find<B: Backend>(
    algorithms: &[&'static dyn ConvAlgorithm<B>],
    name: &str,
) -> Result<&'static dyn ConvAlgorithm<B>> {
    algorithms.iter().copied().find(|algorithm| algorithm.name() == name).ok_or_else(|| {
        let known: Vec<_> = algorithms.iter().map(|algorithm| algorithm.name()).collect();
        Error::UnknownAlgorithm { name: crate::text::shorten(name), known: known.join(", ") }
    })
}
