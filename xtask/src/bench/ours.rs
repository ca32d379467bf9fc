//! Our algorithms made ready for timing: tensors of one problem, and kernels that share them.

use std::cell::RefCell;
use std::rc::Rc;

use conv_core::algorithm::find;
use conv_core::choose::{Limits, StepChoice, choose_step, rank};
use conv_core::reference::Reference;
use conv_core::testing::values;
use conv_core::{
    Backend, ConvAlgorithm, ConvKernel, ConvProblem, Operands, Pass, Policy, Role, Scratch, Spectra,
};
use examples::Failure;

use super::cases::Work;
use super::turns::Candidate;

/// One way to do the work of a cell: an algorithm a pass, and what is predicted of it.
#[derive(Clone, Debug)]
pub(crate) struct Way {
    /// The algorithm, or where passes of a step differ, all of them.
    pub(crate) name: String,
    pub(crate) algorithms: Vec<&'static str>,
    pub(crate) seconds: f64,
    pub(crate) chosen: bool,
    choice: Option<StepChoice>,
}

/// The willing algorithms, each once, the one that `policy` picks marked; only that one unless `all`.
///
/// # Errors
/// As the chooser.
pub(crate) fn ways<B: Backend>(
    backend: &B,
    problem: &ConvProblem,
    work: Work,
    policy: &Policy,
    all: bool,
    limits: Limits,
) -> Result<Vec<Way>, Failure> {
    let (algorithms, machine) = (backend.algorithms(), backend.machine());
    let way = |policy: &Policy| -> Result<Way, conv_core::Error> {
        Ok(match work {
            Work::Pass(pass) => {
                let ranking = rank(algorithms, machine, problem, pass, limits);
                let entry = ranking.choose(policy)?;
                let (algorithm, seconds) = (entry.algorithm, entry.seconds().unwrap_or(f64::INFINITY));
                Way {
                    name: algorithm.into(),
                    algorithms: vec![algorithm],
                    seconds,
                    chosen: false,
                    choice: None,
                }
            }
            Work::Step => {
                let choice = choose_step(algorithms, machine, problem, &Pass::ALL, policy, limits)?;
                let (picks, seconds) = (choice.algorithms.clone(), choice.seconds);
                let same = picks.iter().all(|name| *name == picks[0]);
                let name = if same { picks[0].to_string() } else { picks.join("+") };
                Way { name, algorithms: picks, seconds, chosen: false, choice: Some(choice) }
            }
        })
    };
    let mut ways = vec![Way { chosen: true, ..way(policy)? }];
    if all {
        for algorithm in algorithms {
            // A refusal is no way.
            let other = way(&Policy::Named(algorithm.name().into()));
            ways.extend(other.ok().filter(|other| other.name != ways[0].name));
        }
    }
    Ok(ways)
}

/// The three tensors of a problem, what the passes make of them, and the workspace.
pub(crate) struct Tensors<B: Backend> {
    host: [Vec<f32>; 3],
    operands: [B::Buffer; 3],
    products: [B::Buffer; 3],
    workspace: B::Buffer,
}

fn index(role: Role) -> usize {
    match role {
        Role::Input => 0,
        Role::Weight => 1,
        Role::Output => 2,
    }
}

impl<B: Backend> Tensors<B> {
    /// Random values in every tensor that `work` reads, memory for those it writes.
    ///
    /// # Errors
    /// As [`Backend::alloc`].
    pub(crate) fn new(backend: &B, problem: &ConvProblem, work: Work) -> Result<Self, Failure> {
        let roles = [Role::Input, Role::Weight, Role::Output];
        let read = roles.map(|role| work.passes().iter().any(|pass| pass.roles()[..2].contains(&role)));
        let written = roles.map(|role| work.passes().iter().any(|pass| pass.roles()[2] == role));
        let len = |role, wanted: bool| if wanted { problem.len(role) } else { 0 };
        let host = [0, 1, 2].map(|i| values(len(roles[i], read[i]), i as u64 + 1));
        let uploaded = |values: &Vec<f32>| -> Result<B::Buffer, Failure> {
            let mut buffer = backend.alloc(values.len())?;
            backend.upload(values, &mut buffer)?;
            Ok(buffer)
        };
        let [x, w, dy] = &host;
        let operands = [uploaded(x)?, uploaded(w)?, uploaded(dy)?];
        let product = |i: usize| backend.alloc(len(roles[i], written[i]));
        let products = [product(0)?, product(1)?, product(2)?];
        Ok(Tensors { host, operands, products, workspace: backend.alloc(0)? })
    }

    fn run(
        &mut self,
        backend: &B,
        kernel: &dyn ConvKernel<B>,
        pass: Pass,
        spectra: &mut Spectra<B>,
    ) -> Result<(), Failure> {
        let [left, right, product] = pass.roles().map(index);
        let out = &mut self.products[product];
        let operands = Operands::new(&self.operands[left], &self.operands[right], out);
        kernel.run(backend, operands, Scratch { workspace: &mut self.workspace, spectra })?;
        Ok(())
    }
}

/// A way made ready, on tensors that it shares with others.
pub(crate) struct Ours<'a, B: Backend> {
    backend: &'a B,
    kernels: Vec<(Pass, Box<dyn ConvKernel<B>>)>,
    spectra: Spectra<B>,
    tensors: Rc<RefCell<Tensors<B>>>,
    /// Values of workspace and of shared spectra.
    pub(crate) memory: usize,
}

impl<'a, B: Backend> Ours<'a, B> {
    /// Builds the kernels and books their memory.
    ///
    /// # Errors
    /// As building and allocating.
    pub(crate) fn new(
        backend: &'a B,
        problem: &ConvProblem,
        work: Work,
        way: &Way,
        tensors: &Rc<RefCell<Tensors<B>>>,
    ) -> Result<Self, Failure> {
        let build = |(pass, name): (&Pass, &&'static str)| -> Result<_, Failure> {
            let algorithm: &dyn ConvAlgorithm<B> = find(backend.algorithms(), name)?;
            Ok((*pass, algorithm.build(backend, problem, *pass)?))
        };
        let pairs = work.passes().iter().zip(&way.algorithms);
        let kernels = pairs.map(build).collect::<Result<Vec<_>, _>>()?;
        let workspace = kernels.iter().map(|(_, kernel)| kernel.workspace_len()).max().unwrap_or(0);
        if backend.len(&tensors.borrow().workspace) < workspace {
            let workspace = backend.alloc(workspace)?;
            tensors.borrow_mut().workspace = workspace;
        }
        let shared = way.choice.as_ref().map_or(&[][..], |choice| &choice.shared);
        let memory = workspace + shared.iter().map(|shared| shared.len).sum::<usize>();
        let spectra = Spectra::book(backend, shared)?;
        Ok(Ours { backend, kernels, spectra, tensors: tensors.clone(), memory })
    }

    /// One run, to its end, and its seconds.
    ///
    /// # Errors
    /// As the kernels.
    pub(crate) fn once(&mut self) -> Result<f64, Failure> {
        self.spectra.clear();
        let stop = self.backend.stopwatch()?;
        let mut tensors = self.tensors.borrow_mut();
        for (pass, kernel) in &self.kernels {
            tensors.run(self.backend, kernel.as_ref(), *pass, &mut self.spectra)?;
        }
        Ok(stop()?)
    }

    /// The error of each pass, largest first missed: outputs are filled with NaN before.
    ///
    /// # Errors
    /// As the kernels.
    pub(crate) fn error(&mut self, references: &[Reference]) -> Result<f64, Failure> {
        for (pass, _) in &self.kernels {
            let product = &mut self.tensors.borrow_mut().products[index(pass.roles()[2])];
            self.backend.upload(&vec![f32::NAN; self.backend.len(product)], product)?;
        }
        self.once()?;
        let tensors = self.tensors.borrow();
        let mut errors = Vec::new();
        for ((pass, _), reference) in self.kernels.iter().zip(references) {
            let product = &tensors.products[index(pass.roles()[2])];
            let mut found = vec![0.0; self.backend.len(product)];
            self.backend.download(product, &mut found)?;
            errors.push(reference.error(&found));
        }
        // In the total order NaN, which no bound must accept, is the largest.
        Ok(errors.into_iter().max_by(f64::total_cmp).unwrap_or(0.0))
    }
}

/// Multiply-adds of a problem whose every value is computed to check a pass; beyond, [`SAMPLE`] of them are.
const CHECKED_WHOLE: f64 = 3e9;

/// Values that are computed to check a pass of a larger problem.
const SAMPLE: usize = 4096;

/// What each pass of `work` should give.
///
/// # Errors
/// None for tensors of this problem.
pub(crate) fn references<B: Backend>(
    problem: &ConvProblem,
    work: Work,
    tensors: &Tensors<B>,
) -> Result<Vec<Reference>, Failure> {
    let reference = |pass: &Pass| {
        let [left, right, _] = pass.roles().map(index);
        let (lhs, rhs) = (&tensors.host[left], &tensors.host[right]);
        Ok(match problem.multiply_adds() <= CHECKED_WHOLE {
            true => Reference::new(problem, *pass, lhs, rhs)?,
            false => Reference::of_sample(problem, *pass, lhs, rhs, SAMPLE)?,
        })
    };
    work.passes().iter().map(reference).collect()
}

impl<B: Backend> Candidate for Ours<'_, B> {
    fn run(&mut self, runs: usize) -> Result<Vec<f64>, Failure> {
        (0..runs).map(|_| self.once()).collect()
    }
}
