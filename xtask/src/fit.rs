//! `cargo xtask fit`: measures this machine and fits the cost table that choices are made with.

mod model;
mod problems;
mod samples;

use std::collections::{BTreeSet, HashSet};
use std::io::Write;
use std::path::PathBuf;

use conv_core::{Backend, ConvProblem, CostModel, Ops, Pass, Policy};
use examples::files::{check_writable, write_whole};
use examples::{Common, Failure, Program};
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::bench::cases::{Work, lists};
use crate::bench::ours::{Ours, Tensors, Way, ways};
use crate::bench::progress_bar;
use crate::bench::summary::Regret;
use crate::bench::turns::{Candidate, Times, take_turns};
use samples::{Measured, Sample, Samples};

/// Every problem of this many, in their order, is kept from the fit to try it on.
const HELD_OUT: usize = 5;

/// Times of an algorithm and pass that a fit needs: one for each rate.
const LEAST_TIMES: usize = 5;

/// Operations a second where no table says better: what is far slower than the longest time is not tried.
const GUESS: f64 = 2e10;

/// Measures this machine over a sample of problems and fits the cost table by which algorithms are chosen.
///
/// May be stopped at any time and started again: what has been measured stays. The table goes to the user's cache
/// folder, from where every program on this machine takes it.
#[derive(Clone, Debug, clap::Parser)]
pub(crate) struct Fit {
    /// Lists of problems to measure besides the sampled ones.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    shapes: Vec<PathBuf>,

    /// Cut larger batches of the lists to this.
    #[arg(long, value_name = "N")]
    max_batch: Option<usize>,

    /// Problems of fbfft's grid of 8,232 to measure.
    #[arg(long, value_name = "N", default_value_t = 150)]
    grid: usize,

    /// Other problems to measure: 1 to 3 axes, depthwise, strided, dilated, long kernels.
    #[arg(long, value_name = "N", default_value_t = 150)]
    others: usize,

    /// Decides the sample.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// Seconds to spend on each time.
    #[arg(long, value_name = "S", default_value_t = 0.1)]
    seconds: f64,

    /// Times that every algorithm is measured on a problem and pass, one round after the other: the shortest counts,
    /// since what else a machine does comes and goes. With 0, the rates are fitted to the measurements there are.
    #[arg(long, value_name = "N", default_value_t = 1)]
    rounds: usize,

    /// Algorithms predicted to take more seconds than this are not measured.
    #[arg(long, value_name = "S", default_value_t = 0.5)]
    longest: f64,

    /// Measurements, added to those there are: an algorithm whose rows are deleted is measured again [default: in the
    /// cache folder].
    #[arg(long, value_name = "FILE")]
    samples: Option<PathBuf>,

    /// The table [default: in the cache folder].
    #[arg(long, value_name = "FILE")]
    table: Option<PathBuf>,

    #[command(flatten)]
    common: Common,
}

impl Program for Fit {
    fn common(&self) -> &Common {
        &self.common
    }

    fn run<B: Ops>(self, backend: B, out: &mut (dyn Write + Send)) -> Result<(), Failure> {
        if self.common.policy() != Policy::Predicted {
            let found = &self.common.algorithm;
            let reason =
                format!("--algorithm: expected auto (a fit measures every algorithm), found {found}");
            return Err(Failure::Bad(reason));
        }
        let (table, samples) = self.files(backend.name())?;
        let mut samples = Samples::open(&samples)?;
        self.measure(&backend, &mut samples)?;
        let machine = backend.machine();
        let samples = samples.counted(&backend)?;
        let held = held_out(&samples);
        let (unseen, fitted): (Vec<&Sample>, Vec<&Sample>) =
            samples.iter().partition(|sample| held.contains(sample.problem.as_str()));
        for (algorithm, pass) in
            backend.algorithms().iter().flat_map(|algorithm| Pass::ALL.map(|pass| (algorithm.name(), pass)))
        {
            enough(&fitted, algorithm, pass)?;
        }
        let rates = model::fit(&fitted);
        let mut lines = Vec::new();
        for (what, samples) in [("fitted", &fitted), ("held out", &unseen)] {
            let before = told(&model::regret(samples, &machine.model.rates));
            let after = told(&model::regret(samples, &rates));
            lines.push(format!("{what}: before {before}; after {after}"));
        }
        let lines = lines.join("\n");
        writeln!(out, "{lines}")?;
        let date = jiff::Zoned::now().date();
        let measured = format!("{}, {} threads, {date}", machine.processor, machine.threads);
        let model = CostModel { measured, processor: machine.processor.clone(), rates };
        let text = toml::to_string(&model).map_err(|error| Failure::Bad(error.to_string()))?;
        let comment = lines.lines().map(|line| format!("# {line}\n")).collect::<String>();
        write_whole("--table", &table, |to| {
            write!(to, "# Written by cargo xtask fit from {} times.\n{comment}{text}", samples.len())
                .map_err(|error| error.to_string())
        })?;
        writeln!(out, "written to {}", table.display())?;
        Ok(())
    }
}

impl Fit {
    /// Where the table and its measurements go: by default side by side in the cache folder.
    fn files(&self, backend: &str) -> Result<(PathBuf, PathBuf), Failure> {
        let cached = (backend == "cpu").then(backend_cpu::fitted_table).flatten();
        let table = self.table.clone().or(cached).ok_or_else(|| {
            Failure::Bad("--table: expected a file, found none, and no cache folder for this backend".into())
        })?;
        if let (None, Some(folder)) = (&self.table, table.parent()) {
            std::fs::create_dir_all(folder)?;
        }
        let samples = self.samples.clone().unwrap_or_else(|| table.with_extension("csv"));
        check_writable("--table", &table)?;
        check_writable("--samples", &samples)?;
        Ok((table, samples))
    }

    fn measure<B: Backend>(&self, backend: &B, samples: &mut Samples) -> Result<(), Failure> {
        let mut problems = problems::sample(self.grid, self.others, &mut StdRng::seed_from_u64(self.seed));
        if !self.shapes.is_empty() {
            let listed = lists(&self.shapes, &[], self.max_batch)?;
            problems.extend(listed.iter().flat_map(|list| list.problems.iter().map(|named| named.problem)));
        }
        let known = samples.known();
        let bar = progress_bar((problems.len() * self.rounds) as u64);
        for (round, problem) in (1..=self.rounds).flat_map(|n| problems.iter().map(move |p| (n, p))) {
            bar.set_message(problem.to_string());
            for pass in Pass::ALL {
                samples.add(self.cell(backend, problem, pass, (round, &known))?)?;
            }
            bar.inc(1);
        }
        bar.finish_and_clear();
        Ok(())
    }

    /// Times every willing algorithm that is neither hopeless nor known.
    fn cell<B: Backend>(
        &self,
        backend: &B,
        problem: &ConvProblem,
        pass: Pass,
        (round, known): (usize, &HashSet<Measured>),
    ) -> Result<Vec<Sample>, Failure> {
        let (work, threads) = (Work::Pass(pass), backend.machine().threads);
        let words = |way: &Way| [problem.to_string(), pass.name().into(), way.name.clone()];
        let mut ways = ways(backend, problem, work, &Policy::Predicted, true, self.common.limits())?;
        let cost = |name: &str| {
            let algorithm = conv_core::algorithm::find(backend.algorithms(), name).ok()?;
            algorithm.estimate(backend.machine(), problem, pass).ok()
        };
        ways.retain(|way| {
            let guess = cost(&way.name).map_or(f64::INFINITY, |cost| cost.flops() / GUESS);
            (if way.seconds.is_finite() { way.seconds } else { guess }) <= self.longest
                && !known.contains(&Measured { words: words(way), threads, round })
        });
        if ways.is_empty() {
            return Ok(Vec::new());
        }
        let tensors = std::rc::Rc::new(std::cell::RefCell::new(Tensors::new(backend, problem, work)?));
        let ours = ways.iter().map(|way| Ours::new(backend, problem, work, way, &tensors));
        let mut ours = ours.collect::<Result<Vec<_>, _>>()?;
        let mut candidates: Vec<&mut dyn Candidate> = Vec::new();
        candidates.extend(ours.iter_mut().map(|ours| ours as &mut dyn Candidate));
        let times = take_turns(&mut candidates, self.seconds).into_iter().collect::<Result<Vec<_>, _>>()?;
        let sample =
            |(way, times): (&Way, &Times)| Sample { round, ..Sample::new(words(way), threads, times.min()) };
        Ok(ways.iter().zip(&times).map(sample).collect())
    }
}

/// Whether there are as many times as rates: fewer would leave an algorithm without a row, never to be chosen.
fn enough(samples: &[&Sample], algorithm: &str, pass: Pass) -> Result<(), Failure> {
    let of_row = |sample: &&&Sample| sample.algorithm == algorithm && sample.pass == pass.name();
    match samples.iter().filter(of_row).count() {
        found if found < LEAST_TIMES => Err(Failure::Bad(format!(
            "expected at least {LEAST_TIMES} times of {algorithm} {pass} to fit, found {found}; no table written"
        ))),
        _ => Ok(()),
    }
}

/// Problems kept from the fit, by their order in the samples.
fn held_out(samples: &[Sample]) -> BTreeSet<&str> {
    let mut problems: Vec<&str> = samples.iter().map(|sample| sample.problem.as_str()).collect();
    problems.sort_unstable();
    problems.dedup();
    problems.into_iter().skip(HELD_OUT - 1).step_by(HELD_OUT).collect()
}

fn told(regret: &Regret) -> String {
    let Regret { cells, total, close, .. } = regret;
    format!("{:.1} % more than the best of {cells} cells, {:.1} % within 5 %", total * 100.0, close * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_few_times_are_no_table() {
        let words = ["n1 c1 o1 i4 k3", "forward", "direct"].map(String::from);
        let sample = Sample::new(words, 2, 1e-3);
        let samples = vec![&sample; LEAST_TIMES];
        assert_eq!(enough(&samples, "direct", Pass::Forward), Ok(()));
        let message = enough(&samples[1..], "direct", Pass::Forward).unwrap_err().to_string();
        assert_eq!(message, "expected at least 5 times of direct forward to fit, found 4; no table written");
        assert!(enough(&samples, "fft", Pass::Forward).is_err());
    }
}
