//! The program `explain`: how every algorithm answers for a problem, and which is picked.

use std::io::Write;

use backend_cpu::Cpu;
use conv_core::choose::{choose_step, rank};
use conv_core::{Backend, ConvAlgorithm, ConvProblem, Machine, Ops, Pass, Policy};

use crate::failure::expected;
use crate::{BackendName, Common, Failure, Program};

/// Shows the ranking of all algorithms for each pass of a problem, and the choice for a whole training step.
///
/// Nothing is computed but predictions, so that problems larger than this machine are welcome, unless
/// --algorithm measured asks for times: then what was measured follows each ranking.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "explain")]
pub struct Explain {
    /// The problem as one line, such as "n128 c3 o96 i227x227 k11x11 s4".
    line: String,

    /// Predict for the machine of this name instead of this one.
    #[arg(long, value_name = "NAME")]
    machine: Option<String>,

    #[command(flatten)]
    common: Common,
}

impl Program for Explain {
    fn common(&self) -> &Common {
        &self.common
    }

    fn computes(&self) -> bool {
        self.machine.is_none()
    }

    fn run<B: Ops>(self, backend: B, out: &mut (dyn Write + Send)) -> Result<(), Failure> {
        let problem: ConvProblem = self.line.parse().map_err(conv_core::Error::Parse)?;
        match (&self.machine, self.common.policy()) {
            (Some(name), Policy::Measured) => {
                let wanted = "none with --algorithm measured, which times this machine";
                Err(expected("--machine", wanted, conv_core::shorten(name)))
            }
            (Some(name), _) => self.predict_elsewhere(name, &problem, out),
            (None, Policy::Measured) => self.measure(backend, &problem, out),
            (None, _) => {
                let engine = self.common.engine(backend)?;
                let backend = engine.backend();
                self.predict(backend.algorithms(), backend.machine(), &problem, out)
            }
        }
    }
}

impl Explain {
    /// The ranking for the machine of this name, by the algorithms of the backend that it is for.
    fn predict_elsewhere(
        &self,
        name: &str,
        problem: &ConvProblem,
        out: &mut dyn Write,
    ) -> Result<(), Failure> {
        let [mut cpus, mut gpus] = [backend_cpu::machine_names(), backend_cuda::machine_names()];
        match self.common.backend {
            BackendName::Auto => {}
            BackendName::Cpu => gpus.clear(),
            BackendName::Cuda => cpus.clear(),
        }
        if gpus.contains(&name) {
            return self.predict(backend_cuda::algorithms(), &backend_cuda::machine_of(name)?, problem, out);
        }
        if cpus.contains(&name) {
            return self.predict(Cpu::new().algorithms(), &backend_cpu::machine_of(name)?, problem, out);
        }
        let wanted = format!("one of {}", [cpus, gpus].concat().join(", "));
        Err(expected("--machine", wanted, conv_core::shorten(name)))
    }

    fn predict<B: Backend>(
        &self,
        algorithms: &[&'static dyn ConvAlgorithm<B>],
        machine: &Machine,
        problem: &ConvProblem,
        out: &mut dyn Write,
    ) -> Result<(), Failure> {
        let (policy, limits) = (self.common.policy(), self.common.limits());
        let machine = self.with_threads(machine);
        write_machine(out, &machine)?;
        for pass in Pass::ALL {
            let ranking = rank(algorithms, &machine, problem, pass, limits);
            write!(out, "\n{ranking}")?;
            ranking.choose(&policy)?;
        }
        let step = choose_step(algorithms, &machine, problem, &Pass::ALL, &policy, limits)?;
        let picks = Pass::ALL.into_iter().zip(step.algorithms);
        write_step(out, picks, step.shared.len(), "predicted", step.seconds)
    }

    /// The ranking for this machine, and what the likely algorithms take on it.
    fn measure<B: Ops>(&self, backend: B, problem: &ConvProblem, out: &mut dyn Write) -> Result<(), Failure> {
        let (policy, limits) = (self.common.policy(), self.common.limits());
        let mut engine = self.common.engine(backend)?;
        let machine = self.with_threads(engine.backend().machine());
        write_machine(out, &machine)?;
        let mut how = "measured";
        for pass in Pass::ALL {
            let ranking = rank(engine.backend().algorithms(), &machine, problem, pass, limits);
            write!(out, "\n{ranking}")?;
            let pick = ranking.choose(&policy)?.algorithm;
            let times = engine.measure(problem, pass)?;
            writeln!(out, "{}", measured(pick, &times))?;
            how = if times.is_empty() { "measured and predicted" } else { how };
        }
        let step = engine.plan_step(problem, &Pass::ALL, &policy)?;
        let picks = Pass::ALL.iter().filter_map(|pass| step.planned(*pass));
        let picks = picks.map(|planned| (planned.pass(), planned.algorithm()));
        write_step(out, picks, step.shared(), how, step.seconds())
    }

    /// The machine with the threads asked for.
    fn with_threads(&self, machine: &Machine) -> Machine {
        let threads = self.common.threads.map_or(machine.threads, usize::from);
        Machine { threads, ..machine.clone() }
    }
}

fn write_machine(out: &mut dyn Write, machine: &Machine) -> Result<(), Failure> {
    writeln!(out, "machine {}, {} threads", machine.name, machine.threads)?;
    writeln!(out, "table: {}", machine.describe_table())?;
    Ok(())
}

/// The fastest measured, and what the others took.
fn measured(only: &str, times: &[(&'static str, f64)]) -> String {
    let shown = |(name, seconds): &(&str, f64)| format!("{name} {:.3} ms", seconds * 1e3);
    match times {
        [] => format!("  measured: {only} is the only candidate"),
        [pick] => format!("  measured: {}", shown(pick)),
        [pick, others @ ..] => {
            let others = others.iter().map(shown).collect::<Vec<_>>().join(", ");
            format!("  measured: {}, before {others}", shown(pick))
        }
    }
}

fn write_step(
    out: &mut dyn Write,
    picks: impl Iterator<Item = (Pass, &'static str)>,
    shared: usize,
    how: &str,
    seconds: f64,
) -> Result<(), Failure> {
    let picks = picks.map(|(pass, name)| format!("{pass} {name}")).collect::<Vec<_>>().join(", ");
    writeln!(out, "\nstep of all three passes: {picks}")?;
    writeln!(out, "  {shared} transforms shared, {how} {:.3} ms", seconds * 1e3)?;
    Ok(())
}
