//! The program `explain`: how every algorithm answers for a problem, and which is picked.

use std::io::Write;

use backend_cpu::machine_of;
use conv_core::choose::{choose_step, rank};
use conv_core::{ConvProblem, Machine, Ops, Pass, Policy};

use crate::failure::expected;
use crate::{Common, Failure, Program};

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

    fn run<B: Ops>(self, backend: B, out: &mut (dyn Write + Send)) -> Result<(), Failure> {
        let (policy, limits) = (self.common.policy(), self.common.limits());
        let mut engine = self.common.engine(backend)?;
        let machine = self.machine(engine.backend().machine())?;
        let problem: ConvProblem = self.line.parse().map_err(conv_core::Error::Parse)?;
        let algorithms = engine.backend().algorithms();
        writeln!(out, "machine {}, {} threads", machine.name, machine.threads)?;
        writeln!(out, "table: {}", machine.describe_table())?;
        let mut how = "measured";
        for pass in Pass::ALL {
            let ranking = rank(algorithms, &machine, &problem, pass, limits);
            write!(out, "\n{ranking}")?;
            let pick = ranking.choose(&policy)?.algorithm;
            if policy == Policy::Measured {
                let times = engine.measure(&problem, pass)?;
                writeln!(out, "{}", measured(pick, &times))?;
                how = if times.is_empty() { "measured and predicted" } else { how };
            }
        }
        if policy == Policy::Measured {
            let step = engine.plan_step(&problem, &Pass::ALL, &policy)?;
            let picks = Pass::ALL.iter().filter_map(|pass| step.planned(*pass));
            let picks = picks.map(|planned| (planned.pass(), planned.algorithm()));
            return write_step(out, picks, step.shared(), how, step.seconds());
        }
        let step = choose_step(algorithms, &machine, &problem, &Pass::ALL, &policy, limits)?;
        let picks = Pass::ALL.into_iter().zip(step.algorithms);
        write_step(out, picks, step.shared.len(), "predicted", step.seconds)
    }
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

impl Explain {
    /// The machine asked for, with the threads asked for.
    fn machine(&self, this: &Machine) -> Result<Machine, Failure> {
        let machine = match &self.machine {
            Some(name) if self.common.policy() == Policy::Measured => {
                let wanted = "none with --algorithm measured, which times this machine";
                return Err(expected("--machine", wanted, conv_core::shorten(name)));
            }
            Some(name) => machine_of(name)?,
            None => this.clone(),
        };
        let threads = self.common.threads.map_or(machine.threads, usize::from);
        Ok(Machine { threads, ..machine })
    }
}
