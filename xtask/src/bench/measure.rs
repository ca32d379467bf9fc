//! One cell of a bench: a problem, a pass, and everybody who can do it.

use std::cell::RefCell;
use std::io::{self, Write};
use std::rc::Rc;

use conv_core::algorithm::find;
use conv_core::{Backend, Limits, NamedProblem, Policy};
use examples::Failure;
use serde_json::Value;

use super::cases::Work;
use super::ours::{Ours, Tensors, Way, references, ways};
use super::peer::{PeerName, Worker, convolution};
use super::phases::{Phases, phases};
use super::rows::{Row, milliseconds, rounded};
use super::turns::{Candidate, Times, take_turns};

/// What to do in every cell.
pub(crate) struct Settings {
    pub(crate) policy: Policy,
    /// Every willing algorithm, not only the pick.
    pub(crate) all: bool,
    pub(crate) limits: Limits,
    pub(crate) peers: Vec<PeerName>,
    pub(crate) check: bool,
    pub(crate) phases: bool,
    pub(crate) seconds: f64,
}

/// A problem and what is timed of it.
pub(crate) struct Cell {
    pub(crate) list: String,
    pub(crate) named: NamedProblem,
    pub(crate) work: Work,
}

/// What was found in a cell.
pub(crate) struct Measured {
    pub(crate) list: String,
    pub(crate) rows: Vec<Row>,
    pub(crate) notes: Vec<String>,
    /// Results that missed their bound.
    pub(crate) wrong: Vec<String>,
    noise: Vec<f64>,
    single: Vec<bool>,
    phases: Vec<(String, Phases)>,
}

/// Times everybody in the cell, ours and the peers' in turn.
///
/// # Errors
/// As our algorithms; a peer that fails is a note.
pub(crate) fn measure<B: Backend>(
    backend: &B,
    cell: Cell,
    settings: &Settings,
    workers: &mut [Worker],
) -> Result<Measured, Failure> {
    let Cell { list, named, work } = cell;
    let (problem, name) = (&named.problem, work.name());
    let mut found = Measured::new(list);
    let ways = match ways(backend, problem, work, &settings.policy, settings.all, settings.limits) {
        Err(Failure::Refused(reason)) => {
            found.notes.push(reason);
            Vec::new()
        }
        other => other?,
    };
    let tensors = Rc::new(RefCell::new(Tensors::new(backend, problem, work)?));
    let ready = |way: &Way| Ours::new(backend, problem, work, way, &tensors);
    let mut ours = ways.iter().map(ready).collect::<Result<Vec<_>, _>>()?;
    let references = match settings.check {
        true => references(problem, work, &tensors.borrow())?,
        false => Vec::new(),
    };

    for (pass, reference) in work.passes().iter().zip(&references) {
        let (known, all) = reference.known();
        if known < all {
            found.notes.push(format!("{pass}: {known} of {all} values checked"));
        }
    }
    let own = ours.iter_mut().map(|ours| ours as &mut dyn Candidate).collect();
    let request = |peer| convolution(peer, problem, name);
    let Taken { times, peer_times } = take_all(own, request, settings, workers, &mut found.notes)?;
    let row = |algorithm: &str, chosen, times: &Times| {
        let words = [&named.name, &problem.to_string(), name, backend.name(), algorithm];
        Row::new(words, chosen, times, problem.multiply_adds() * work.passes().len() as f64)
    };
    for ((way, ours), times) in ways.iter().zip(&mut ours).zip(&times) {
        let mut row = row(&way.name, way.chosen, times);
        row.predicted_ms = way.seconds.is_finite().then(|| milliseconds(way.seconds));
        row.workspace_mib = Some(rounded(ours.memory as f64 * 4.0 / f64::from(1 << 20), 1e6));
        if settings.check {
            let error = ours.error(&references)?;
            let bounds = way.algorithms.iter().map(|name| Ok(find(backend.algorithms(), name)?.max_error()));
            let bound = bounds.collect::<Result<Vec<f64>, Failure>>()?.into_iter().fold(0.0, f64::max);
            if error.is_nan() || error > bound {
                let miss = format!("{} {name} of {problem}: error {error:.2e}, bound {bound:.0e}", way.name);
                found.wrong.push(miss);
            }
            row.error = Some(error);
        }
        if settings.phases {
            found.phases.push((way.name.clone(), phases(|| ours.once().map(drop))?));
        }
        found.add(row, times);
    }
    for (peer, times) in &peer_times {
        found.add(row(peer.name(), false, times), times);
    }
    Ok(found)
}

/// Times of ours in their order, and of the peers.
pub(crate) struct Taken {
    pub(crate) times: Vec<Times>,
    pub(crate) peer_times: Vec<(PeerName, Times)>,
}

/// Times of ours, and of each peer its faster worker's; ours take turns with the first peer. What a peer cannot do is
/// a note.
///
/// # Errors
/// As ours.
pub(crate) fn take_all(
    mut ours: Vec<&mut dyn Candidate>,
    request: impl Fn(PeerName) -> Value,
    settings: &Settings,
    workers: &mut [Worker],
    notes: &mut Vec<String>,
) -> Result<Taken, Failure> {
    let mut times: Vec<Times> = Vec::new();
    let mut peer_times: Vec<(PeerName, Times)> = Vec::new();
    for group in groups(&settings.peers) {
        let own = ours.len();
        let mut candidates: Vec<&mut dyn Candidate> = Vec::new();
        candidates.extend(ours.drain(..).map(|own| own as &mut dyn Candidate));
        if let Some(peer) = group {
            for worker in workers.iter_mut() {
                match worker.prepare(request(peer)) {
                    Ok(()) => candidates.push(worker),
                    Err(failure) => notes.push(format!("{}: {failure}", peer.name())),
                }
            }
        }
        let mut taken = take_turns(&mut candidates, settings.seconds).into_iter();
        times.extend(taken.by_ref().take(own).collect::<Result<Vec<_>, _>>()?);
        peer_times.extend(group.zip(faster(taken, notes)));
    }
    Ok(Taken { times, peer_times })
}

/// The peers one after the other, the first of them in turn with ours; once without where there is none.
fn groups(peers: &[PeerName]) -> Vec<Option<PeerName>> {
    if peers.is_empty() { vec![None] } else { peers.iter().copied().map(Some).collect() }
}

/// The one of least median; failures are notes.
fn faster(times: impl Iterator<Item = Result<Times, Failure>>, notes: &mut Vec<String>) -> Option<Times> {
    let (times, failures): (Vec<_>, Vec<_>) = times.partition(Result::is_ok);
    notes.extend(failures.into_iter().filter_map(Result::err).map(|failure| failure.to_string()));
    times.into_iter().flatten().min_by(|a, b| a.median().total_cmp(&b.median()))
}

impl Measured {
    pub(crate) fn new(list: String) -> Self {
        let (rows, notes, wrong) = (Vec::new(), Vec::new(), Vec::new());
        Measured { list, rows, notes, wrong, noise: Vec::new(), single: Vec::new(), phases: Vec::new() }
    }

    pub(crate) fn add(&mut self, row: Row, times: &Times) {
        self.rows.push(row);
        self.noise.push(times.noise());
        self.single.push(times.once());
    }

    /// `name pass algorithm` of what ran a single time.
    pub(crate) fn once(&self) -> impl Iterator<Item = String> + '_ {
        let single = self.rows.iter().zip(&self.single).filter(|(_, single)| **single);
        single.map(|(row, _)| format!("{} {} {}", row.name, row.pass, row.algorithm))
    }

    /// The row of the pick.
    pub(crate) fn pick(&self) -> Option<&Row> {
        self.rows.iter().find(|row| row.chosen)
    }

    /// The fastest row of ours.
    pub(crate) fn best(&self) -> Option<&Row> {
        fastest(self.rows.iter().filter(|row| row.workspace_mib.is_some()))
    }

    /// The fastest row of a peer.
    pub(crate) fn peer(&self) -> Option<&Row> {
        fastest(self.rows.iter().filter(|row| row.workspace_mib.is_none()))
    }

    /// The peer's time over the pick's.
    pub(crate) fn ratio(&self) -> Option<f64> {
        Some(self.peer()?.median_ms / self.pick()?.median_ms)
    }

    /// One line, more where there are notes or phases.
    ///
    /// # Errors
    /// As `out`.
    pub(crate) fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        if let (Some(pick), Some(best)) = (self.pick(), self.best()) {
            let index = self.rows.iter().position(|row| row.chosen).unwrap_or(0);
            let noise = if self.single[index] {
                "once".into()
            } else {
                format!("±{:.0}%", self.noise[index] * 100.0)
            };
            write!(out, "{:<28} {:<16} ", shortened(&pick.name), pick.pass)?;
            write!(
                out,
                "{:<10} {:>11.4} {:>5} {:>8.1} ",
                pick.algorithm, pick.median_ms, noise, pick.gflops
            )?;
            write!(out, "{:<10} {:>11.4} ", best.algorithm, best.median_ms)?;
            match (self.peer(), self.ratio()) {
                (Some(peer), Some(ratio)) => write!(out, "{:>11.4} {ratio:>7.2}", peer.median_ms)?,
                _ => write!(out, "{:>11} {:>7}", "-", "-")?,
            }
            let error = pick.error.map_or(String::new(), |error| format!("  error {error:.1e}"));
            writeln!(out, "{error}")?;
        }
        for note in self.notes.iter().chain(&self.wrong) {
            writeln!(out, "  {note}")?;
        }
        self.phases.iter().try_for_each(|(name, phases)| writeln!(out, "  {name:<10} {phases}"))
    }
}

fn fastest<'a>(rows: impl Iterator<Item = &'a Row>) -> Option<&'a Row> {
    rows.min_by(|a, b| a.median_ms.total_cmp(&b.median_ms))
}

fn shortened(name: &str) -> String {
    name.chars().take(28).collect()
}
