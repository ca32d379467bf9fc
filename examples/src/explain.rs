//! The program `explain`: how every algorithm answers for a problem, and which is picked.

use std::io::Write;

use backend_cpu::machine_of;
use conv_core::choose::{choose_step, rank};
use conv_core::{ConvProblem, Machine, Ops, Pass};

use crate::{Common, Failure, Program};

/// Shows the ranking of all algorithms for each pass of a problem, and the choice for a whole training step.
///
/// Nothing is computed but predictions: problems larger than this machine are welcome.
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

    fn run<B: Ops>(self, backend: B, out: &mut (dyn Write + Send)) -> Result<(), Failure> {
        let (policy, limit) = (self.common.policy(), self.common.workspace_limit());
        let engine = self.common.engine(backend)?;
        let machine = self.machine(engine.backend().machine())?;
        let problem: ConvProblem = self.line.parse().map_err(conv_core::Error::Parse)?;
        let algorithms = engine.backend().algorithms();
        writeln!(out, "machine {}, {} threads", machine.name, machine.threads)?;
        for pass in Pass::ALL {
            let ranking = rank(algorithms, &machine, &problem, pass, limit);
            write!(out, "\n{ranking}")?;
            ranking.choose(&policy)?;
        }
        let step = choose_step(algorithms, &machine, &problem, &Pass::ALL, &policy, limit)?;
        let picks = Pass::ALL.iter().zip(&step.algorithms).map(|(pass, name)| format!("{pass} {name}"));
        let picks = picks.collect::<Vec<_>>().join(", ");
        writeln!(out, "\nstep of all three passes: {picks}")?;
        let (shared, time) = (step.shared.len(), step.seconds * 1e3);
        writeln!(out, "  {shared} transforms shared, predicted {time:.3} ms")?;
        Ok(())
    }
}

impl Explain {
    /// The machine asked for, with the threads asked for.
    fn machine(&self, this: &Machine) -> Result<Machine, Failure> {
        let machine = match &self.machine {
            Some(name) => machine_of(name)?,
            None => this.clone(),
        };
        let threads = self.common.threads.map_or(machine.threads, usize::from);
        Ok(Machine { threads, ..machine })
    }
}
