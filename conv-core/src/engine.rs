//! A backend together with its policy, built kernels and the one workspace: what a network holds.

mod measuring;
mod timing;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::algorithm::{check_len, find};
use crate::choose::{Limits, StepChoice, choose_inference, choose_step, rank};
use crate::measured::Measurements;
use crate::{Backend, ConvKernel, ConvProblem, Operands, Pass, Policy, Ranking, Result, Scratch, Spectra};

type Kernels<B> = HashMap<(ConvProblem, Pass, &'static str), Arc<dyn ConvKernel<B>>>;

/// Chooses, builds once per problem and pass, and lends the workspace.
pub struct Engine<B: Backend> {
    backend: B,
    policy: Policy,
    limits: Limits,
    kernels: Kernels<B>,
    workspace: B::Buffer,
    measured: Measurements,
}

/// A pass of a problem with its kernel, ready to run.
pub struct Planned<B: Backend> {
    problem: ConvProblem,
    pass: Pass,
    algorithm: &'static str,
    kernel: Arc<dyn ConvKernel<B>>,
}

impl<B: Backend> Planned<B> {
    /// The algorithm chosen.
    pub fn algorithm(&self) -> &'static str {
        self.algorithm
    }

    /// The pass.
    pub fn pass(&self) -> Pass {
        self.pass
    }

    /// Values of workspace it uses.
    pub fn workspace_len(&self) -> usize {
        self.kernel.workspace_len()
    }
}

/// The passes of one layer's training step, chosen together, with the spectra they share.
pub struct Step<B: Backend> {
    passes: Vec<Planned<B>>,
    spectra: Spectra<B>,
    /// Whether the spectra are those of weights that stay the same.
    keeps_weights: bool,
    seconds: f64,
}

impl<B: Backend> Step<B> {
    /// The planned pass, where it was asked for.
    pub fn planned(&self, pass: Pass) -> Option<&Planned<B>> {
        self.passes.iter().find(|planned| planned.pass == pass)
    }

    /// Transforms that the passes share.
    pub fn shared(&self) -> usize {
        self.spectra.booked()
    }

    /// Has to be called where the weights have changed since the last run of a step of [`Engine::plan_inference`].
    pub fn weights_changed(&mut self) {
        self.spectra.clear();
    }

    /// Seconds of all passes together: as predicted, or by the policy `Measured` as measured where there was
    /// a choice.
    pub fn seconds(&self) -> f64 {
        self.seconds
    }
}

impl<B: Backend> Engine<B> {
    /// An engine that chooses by predicted time and has no workspace limit.
    ///
    /// # Errors
    /// As [`Backend::alloc`].
    pub fn new(backend: B) -> Result<Self> {
        let workspace = backend.alloc(0)?;
        Ok(Engine {
            backend,
            policy: Policy::Predicted,
            limits: Limits::default(),
            kernels: HashMap::new(),
            workspace,
            measured: Measurements::new(crate::cache::folder()),
        })
    }

    /// The same engine with another policy.
    ///
    /// # Errors
    /// [`crate::Error::UnknownAlgorithm`] for a name the backend does not have.
    pub fn with_policy(mut self, policy: Policy) -> Result<Self> {
        self.set_policy(policy)?;
        Ok(self)
    }

    /// Chooses by another policy from now on; what has been planned stays.
    ///
    /// # Errors
    /// As [`Engine::with_policy`].
    pub fn set_policy(&mut self, policy: Policy) -> Result<()> {
        if let Policy::Named(name) = &policy {
            find(self.backend.algorithms(), name)?;
        }
        self.policy = policy;
        Ok(())
    }

    /// The same engine that uses at most `bytes` of workspace; `None` lifts the limit.
    pub fn with_workspace_limit(mut self, bytes: Option<usize>) -> Self {
        self.limits.workspace = bytes;
        self
    }

    /// The same engine that takes algorithms alone whose [`crate::ConvAlgorithm::max_error`] is at most `error`: with
    /// 2e-6 none that trades digits for speed (winograd). `None` lifts the limit.
    pub fn with_max_error(mut self, error: Option<f64>) -> Self {
        self.limits.error = error;
        self
    }

    /// The same engine that keeps measured times in this folder instead of [`crate::cache::folder`]; with
    /// `None` in memory only.
    pub fn with_cache(mut self, folder: Option<PathBuf>) -> Self {
        self.measured = Measurements::new(folder);
        self
    }

    /// The backend, for memory and copies.
    pub fn backend(&self) -> &B {
        &self.backend
    }

    /// The policy.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Bytes of the workspace all kernels share.
    pub fn workspace_bytes(&self) -> usize {
        self.backend.len(&self.workspace) * size_of::<f32>()
    }

    /// Every algorithm's answer for this problem and pass under the engine's limits.
    pub fn explain(&self, problem: &ConvProblem, pass: Pass) -> Ranking {
        rank(self.backend.algorithms(), self.backend.machine(), problem, pass, self.limits)
    }

    /// Chooses by the engine's policy, builds on first use and books the workspace.
    ///
    /// # Errors
    /// As [`Ranking::choose`], or where memory cannot be had.
    pub fn plan(&mut self, problem: &ConvProblem, pass: Pass) -> Result<Planned<B>> {
        let ranking = self.explain(problem, pass);
        let entry = ranking.choose(&self.policy)?;
        let measured = match self.policy {
            Policy::Measured => self.measure_all(problem, pass, &ranking.candidates())?.first().copied(),
            _ => None,
        };
        let (algorithm, seconds) = measured.unwrap_or((entry.algorithm, entry.seconds().unwrap_or_default()));
        tracing::debug!(%problem, %pass, algorithm, seconds, measured = measured.is_some(), "chosen");
        self.build(problem, pass, algorithm)
    }

    /// Chooses the passes of a training step together ([`choose_step`]) by `policy`, builds them and books
    /// workspace and shared spectra. The first of `passes` is the one that begins the step.
    ///
    /// # Errors
    /// As [`Engine::plan`].
    pub fn plan_step(&mut self, problem: &ConvProblem, passes: &[Pass], policy: &Policy) -> Result<Step<B>> {
        let (machine, algorithms) = (self.backend.machine(), self.backend.algorithms());
        let mut choice = choose_step(algorithms, machine, problem, passes, policy, self.limits)?;
        if *policy == Policy::Measured {
            choice = self.measured_step(problem, passes, &choice)?;
        }
        self.step(problem, passes, choice, false)
    }

    /// One pass that is run again and again with the same weights, as in evaluation: their transform, where the
    /// pick has one, is booked and made once, until [`Step::weights_changed`]. Chosen without the time it takes.
    ///
    /// # Errors
    /// As [`Engine::plan`].
    pub fn plan_inference(&mut self, problem: &ConvProblem, pass: Pass, policy: &Policy) -> Result<Step<B>> {
        let ranking = self.explain(problem, pass);
        let best = ranking.choose(policy)?;
        let times = match policy {
            Policy::Named(_) => vec![(best.algorithm, best.seconds().unwrap_or_default())],
            Policy::Predicted => ranking.predicted().collect(),
            Policy::Measured => {
                let candidates = ranking.candidates();
                let measured = self.measure_all(problem, pass, &candidates)?;
                if measured.is_empty() { candidates } else { measured }
            }
        };
        let (machine, algorithms) = (self.backend.machine(), self.backend.algorithms());
        let choice = choose_inference(algorithms, machine, &(ranking, times), self.limits.workspace)?;
        self.step(problem, &[pass], choice, true)
    }

    /// Builds what has been chosen.
    fn step(
        &mut self,
        problem: &ConvProblem,
        passes: &[Pass],
        choice: StepChoice,
        keeps_weights: bool,
    ) -> Result<Step<B>> {
        let (chosen, seconds, shared) = (choice.algorithms.join(" "), choice.seconds, choice.shared.len());
        tracing::debug!(%problem, chosen, seconds, shared, keeps_weights, "step chosen");
        let spectra = Spectra::book(&self.backend, &choice.shared)?;
        let picks = passes.iter().zip(choice.algorithms);
        let passes = picks.map(|(pass, algorithm)| self.build(problem, *pass, algorithm));
        Ok(Step { passes: passes.collect::<Result<_>>()?, spectra, keeps_weights, seconds })
    }

    fn build(&mut self, problem: &ConvProblem, pass: Pass, algorithm: &'static str) -> Result<Planned<B>> {
        let key = (*problem, pass, algorithm);
        let planned = match self.kernels.get(&key) {
            Some(kernel) => Planned { problem: *problem, pass, algorithm, kernel: kernel.clone() },
            None => self.construct(problem, pass, algorithm)?,
        };
        self.kernels.insert(key, planned.kernel.clone());
        self.book(planned.workspace_len())?;
        Ok(planned)
    }

    /// A kernel that is not kept.
    fn construct(&self, problem: &ConvProblem, pass: Pass, algorithm: &'static str) -> Result<Planned<B>> {
        let built = find(self.backend.algorithms(), algorithm)?.build(&self.backend, problem, pass)?;
        Ok(Planned { problem: *problem, pass, algorithm, kernel: built.into() })
    }

    fn book(&mut self, len: usize) -> Result<()> {
        if len > self.backend.len(&self.workspace) {
            self.workspace = self.backend.alloc(0)?;
            self.workspace = self.backend.alloc(len)?;
        }
        Ok(())
    }

    /// Runs a planned pass.
    ///
    /// # Errors
    /// [`crate::Error::Length`] where an operand does not fit, or what the backend reports.
    pub fn run(&mut self, planned: &Planned<B>, operands: Operands<'_, B>) -> Result<()> {
        self.run_sharing(planned, operands, &mut Spectra::default())
    }

    /// Runs one pass of a step. The first pass planned begins the step; the passes that follow must get the same
    /// input, weight and grad_output, since their transforms are kept.
    ///
    /// # Errors
    /// As [`Engine::run`], and [`crate::Error::Argument`] for a pass that was not planned.
    pub fn run_step(&mut self, step: &mut Step<B>, pass: Pass, operands: Operands<'_, B>) -> Result<()> {
        let Step { passes, spectra, keeps_weights, .. } = step;
        if !*keeps_weights && passes.first().is_some_and(|first| first.pass == pass) {
            spectra.clear();
        }
        let planned = passes.iter().find(|planned| planned.pass == pass).ok_or_else(|| {
            let known: Vec<_> = passes.iter().map(|planned| planned.pass.name()).collect();
            crate::Error::Argument { what: "pass", expected: known.join(", "), found: pass.to_string() }
        })?;
        self.run_sharing(planned, operands, spectra)
    }

    fn run_sharing(
        &mut self,
        planned: &Planned<B>,
        operands: Operands<'_, B>,
        spectra: &mut Spectra<B>,
    ) -> Result<()> {
        operands.check(&self.backend, &planned.problem, planned.pass)?;
        self.book(planned.workspace_len())?;
        let scratch = Scratch { workspace: &mut self.workspace, spectra };
        planned.kernel.run(&self.backend, operands, scratch)
    }

    /// One pass on host memory: plan, copy in, run, copy out. `bias` is for the forward pass.
    ///
    /// # Errors
    /// [`crate::Error::Length`] where a slice does not fit the problem, and as [`Engine::plan`].
    pub fn convolve(
        &mut self,
        problem: &ConvProblem,
        pass: Pass,
        lhs: &[f32],
        rhs: &[f32],
        bias: Option<&[f32]>,
    ) -> Result<Vec<f32>> {
        let [left, right, product] = pass.roles();
        let names = pass.operand_names();
        check_len(names[0], problem.len(left), lhs.len())?;
        check_len(names[1], problem.len(right), rhs.len())?;
        if let Some(bias) = bias {
            check_len("bias", problem.out_channels(), bias.len())?;
        }
        let planned = self.plan(problem, pass)?;
        let (lhs, rhs) = (self.uploaded(lhs)?, self.uploaded(rhs)?);
        let bias = bias.map(|bias| self.uploaded(bias)).transpose()?;
        let mut out = self.backend.alloc(problem.len(product))?;
        self.run(&planned, Operands::new(&lhs, &rhs, &mut out).bias(bias.as_ref()))?;
        let mut values = vec![0.0; problem.len(product)];
        self.backend.download(&out, &mut values)?;
        Ok(values)
    }

    /// A new buffer with these values.
    ///
    /// # Errors
    /// As [`Backend::alloc`].
    pub fn uploaded(&self, values: &[f32]) -> Result<B::Buffer> {
        let mut buffer = self.backend.alloc(values.len())?;
        self.backend.upload(values, &mut buffer)?;
        Ok(buffer)
    }
}
