//! The choice: ask every algorithm, price the willing ones, keep the reasons of the others.

use std::fmt;

use crate::spectra::Shared;
use crate::{ConvAlgorithm, ConvProblem, Cost, Error, Machine, Pass, Result, Role, Unsupported};

/// How to choose.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// Least predicted time.
    #[default]
    Predicted,
    /// Least time measured, among those of at most twice the least predicted time; remembered in the user's
    /// cache folder ([`crate::cache`]).
    Measured,
    /// This algorithm or an error.
    Named(String),
}

/// What a choice has to stay below; nothing by default.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Limits {
    /// Bytes of workspace.
    pub workspace: Option<usize>,
    /// [`ConvAlgorithm::max_error`].
    pub error: Option<f64>,
}

/// What one algorithm answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its name.
    pub algorithm: &'static str,
    /// Its counted cost and predicted seconds, or why it refuses.
    pub answer: std::result::Result<(Cost, f64), Unsupported>,
}

impl Entry {
    /// Predicted seconds, where accepted.
    pub fn seconds(&self) -> Option<f64> {
        self.answer.as_ref().ok().map(|(_, seconds)| *seconds)
    }
}

/// Every algorithm's answer for one problem and pass, accepted ones first, fastest first.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranking {
    /// The problem.
    pub problem: ConvProblem,
    /// The pass.
    pub pass: Pass,
    /// The answers; refusals in the backend's order.
    pub entries: Vec<Entry>,
}

impl Ranking {
    /// The fastest algorithm that accepts.
    pub fn pick(&self) -> Option<&Entry> {
        self.entries.first().filter(|entry| entry.answer.is_ok())
    }

    /// The algorithms worth timing, fastest predicted first: of at most twice the least predicted time.
    pub fn candidates(&self) -> Vec<(&'static str, f64)> {
        let most = 2.0 * self.pick().and_then(Entry::seconds).unwrap_or(0.0);
        self.predicted().take_while(|(_, seconds)| *seconds <= most).collect()
    }

    /// Names and predicted seconds of those that accept.
    pub(crate) fn predicted(&self) -> impl Iterator<Item = (&'static str, f64)> {
        self.entries.iter().filter_map(|entry| Some((entry.algorithm, entry.seconds()?)))
    }

    /// The entry that `policy` takes by prediction.
    ///
    /// # Errors
    /// [`Error::NoAlgorithm`], or for a named algorithm [`Error::UnknownAlgorithm`],
    /// [`Error::WorkspaceLimit`] or [`Error::Refused`].
    pub fn choose(&self, policy: &Policy) -> Result<&Entry> {
        let problem = Box::new(self.problem);
        let Policy::Named(name) = policy else {
            return self.pick().ok_or(Error::NoAlgorithm { pass: self.pass, problem });
        };
        let entry = self.entries.iter().find(|entry| entry.algorithm == name);
        let entry = entry.ok_or_else(|| Error::UnknownAlgorithm {
            name: crate::text::shorten(name),
            known: self.entries.iter().map(|entry| entry.algorithm).collect::<Vec<_>>().join(", "),
        })?;
        let (algorithm, pass) = (entry.algorithm, self.pass);
        match entry.answer.clone() {
            Ok(_) => Ok(entry),
            Err(Unsupported::Workspace { needed, limit }) => {
                Err(Error::WorkspaceLimit { algorithm, pass, problem, needed, limit })
            }
            Err(reason) => Err(Error::Refused { algorithm, pass, problem, reason }),
        }
    }
}

/// Ranks without touching a device, so that a laptop can answer for any machine's table.
///
/// What exceeds one of `limits` is refused.
pub fn rank<B: crate::Backend>(
    algorithms: &[&'static dyn ConvAlgorithm<B>],
    machine: &Machine,
    problem: &ConvProblem,
    pass: Pass,
    limits: Limits,
) -> Ranking {
    let answer = |algorithm: &dyn ConvAlgorithm<B>| {
        let bound = algorithm.max_error();
        if let Some(limit) = limits.error.filter(|limit| bound > *limit) {
            return Err(Unsupported::Inexact { bound: format!("{bound:e}"), limit: format!("{limit:e}") });
        }
        let cost = algorithm.estimate(machine, problem, pass)?;
        match limits.workspace {
            Some(limit) if cost.workspace > limit => {
                Err(Unsupported::Workspace { needed: cost.workspace, limit })
            }
            _ => Ok((cost, machine.model.seconds(algorithm.name(), pass, &cost, machine.threads))),
        }
    };
    let mut entries: Vec<Entry> = algorithms
        .iter()
        .map(|algorithm| Entry { algorithm: algorithm.name(), answer: answer(*algorithm) })
        .collect();
    entries.sort_by(|a, b| {
        let time = |entry: &Entry| entry.seconds().unwrap_or(f64::INFINITY);
        a.answer.is_err().cmp(&b.answer.is_err()).then(time(a).total_cmp(&time(b)))
    });
    Ranking { problem: *problem, pass, entries }
}

impl fmt::Display for Ranking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} of {}", self.pass, self.problem)?;
        writeln!(f, "  {:<12} {:>12} {:>12} {:>14}", "algorithm", "predicted", "GFLOP", "workspace")?;
        for (index, Entry { algorithm, answer }) in self.entries.iter().enumerate() {
            match answer {
                Ok((cost, seconds)) => {
                    let mark = if index == 0 { "  <- pick" } else { "" };
                    let (time, gflop) = (milliseconds(*seconds), cost.flops() * 1e-9);
                    let mebibytes = cost.workspace as f64 / f64::from(1 << 20);
                    writeln!(f, "  {algorithm:<12} {time:>12} {gflop:>12.4} {mebibytes:>10.2} MiB{mark}")?;
                }
                Err(reason) => {
                    writeln!(f, "  {algorithm:<12} {:>12} {:>12} {:>14}  {reason}", "-", "-", "-")?
                }
            }
        }
        Ok(())
    }
}

fn milliseconds(seconds: f64) -> String {
    if seconds.is_finite() { format!("{:.3} ms", seconds * 1e3) } else { "unknown".into() }
}

/// One way to run a training step: an algorithm a pass, and the spectra its passes share.
#[derive(Clone, Debug, PartialEq)]
pub struct StepChoice {
    /// Algorithms, in the order of the passes asked for.
    pub algorithms: Vec<&'static str>,
    /// Transforms that at least two of the passes use.
    pub shared: Vec<Shared>,
    /// Seconds of all passes together, as predicted or measured.
    pub seconds: f64,
}

/// A pass's candidate for a step.
struct Candidate {
    algorithm: &'static str,
    seconds: f64,
    workspace: usize,
    shares: Vec<(Shared, f64)>,
}

/// Chooses the passes of a step together: over all combinations of willing algorithms, the least sum of
/// predicted times, where a transform that several passes share is paid once. Sharing is left out where it
/// would exceed the limit together with the workspace.
///
/// # Errors
/// As [`Ranking::choose`].
pub fn choose_step<B: crate::Backend>(
    algorithms: &[&'static dyn ConvAlgorithm<B>],
    machine: &Machine,
    problem: &ConvProblem,
    passes: &[Pass],
    policy: &Policy,
    limits: Limits,
) -> Result<StepChoice> {
    let mut times = Vec::new();
    for &pass in passes {
        let ranking = rank(algorithms, machine, problem, pass, limits);
        let best = ranking.choose(policy)?.algorithm;
        let wanted = |name| !matches!(policy, Policy::Named(_)) || name == best;
        let predicted = ranking.predicted().filter(|(algorithm, _)| wanted(*algorithm)).collect();
        times.push((ranking, predicted));
    }
    choose_step_by(algorithms, machine, &times, limits.workspace)
}

/// [`choose_step`] among the algorithms listed beside each pass's ranking, at the seconds listed instead of
/// those predicted. What sharing saves is scaled with them.
///
/// # Errors
/// [`Error::Argument`] without passes, or for a pass without algorithms.
pub fn choose_step_by<B: crate::Backend>(
    algorithms: &[&'static dyn ConvAlgorithm<B>],
    machine: &Machine,
    times: &[(Ranking, Vec<(&'static str, f64)>)],
    limit: Option<usize>,
) -> Result<StepChoice> {
    let contenders = |(ranking, times): &(Ranking, Vec<_>)| contenders(algorithms, machine, ranking, times);
    cheapest(&times.iter().map(contenders).collect::<Result<Vec<_>>>()?, limit)
}

/// The algorithm, of those listed beside the ranking at these seconds, that runs a pass in least time when it is run
/// again and again with the same weights: where an algorithm can keep the weights' transform, making it costs nothing,
/// and the choice shares that transform alone. It is not kept where it would exceed `limit` bytes together with the
/// workspace.
///
/// # Errors
/// [`Error::Argument`] without algorithms.
pub fn choose_inference<B: crate::Backend>(
    algorithms: &[&'static dyn ConvAlgorithm<B>],
    machine: &Machine,
    (ranking, times): &(Ranking, Vec<(&'static str, f64)>),
    limit: Option<usize>,
) -> Result<StepChoice> {
    let fits = |candidate: &Candidate, shared: &Shared| {
        limit.is_none_or(|limit| candidate.workspace + shared.len * size_of::<f32>() <= limit)
    };
    let choice = |candidate: Candidate| {
        let weights = candidate.shares.iter().find(|(shared, _)| shared.key.role == Role::Weight);
        let kept = weights.filter(|(shared, _)| fits(&candidate, shared));
        StepChoice {
            algorithms: vec![candidate.algorithm],
            shared: kept.iter().map(|(shared, _)| *shared).collect(),
            seconds: candidate.seconds - kept.map_or(0.0, |(_, seconds)| *seconds),
        }
    };
    let choices = contenders(algorithms, machine, ranking, times)?.into_iter().map(choice);
    choices.min_by(|a, b| a.seconds.total_cmp(&b.seconds)).ok_or_else(no_algorithms)
}

fn no_algorithms() -> Error {
    Error::Argument {
        what: "passes",
        expected: "at least one, each with an algorithm".into(),
        found: "none".into(),
    }
}

/// Those of `times` that are willing, at that many seconds.
fn contenders<B: crate::Backend>(
    algorithms: &[&'static dyn ConvAlgorithm<B>],
    machine: &Machine,
    ranking: &Ranking,
    times: &[(&'static str, f64)],
) -> Result<Vec<Candidate>> {
    let mut contenders = Vec::new();
    for entry in &ranking.entries {
        let time = times.iter().find(|(algorithm, _)| *algorithm == entry.algorithm);
        if let (Some(&(algorithm, seconds)), Ok((cost, predicted))) = (time, &entry.answer) {
            let scale = if *predicted > 0.0 && predicted.is_finite() { seconds / predicted } else { 1.0 };
            let price = |saved: &Cost| {
                let saved = machine.model.seconds(algorithm, ranking.pass, saved, machine.threads) * scale;
                if saved.is_finite() { saved } else { 0.0 }
            };
            let found = crate::algorithm::find(algorithms, algorithm)?;
            let shares = found.shares(machine, &ranking.problem, ranking.pass);
            let shares = shares.into_iter().map(|shared| (shared, price(&shared.saved))).collect();
            contenders.push(Candidate { algorithm, seconds, workspace: cost.workspace, shares });
        }
    }
    Ok(contenders)
}

/// The combination of least time.
fn cheapest(candidates: &[Vec<Candidate>], limit: Option<usize>) -> Result<StepChoice> {
    let mut best: Option<StepChoice> = None;
    combinations(candidates, &mut Vec::new(), &mut |combination| {
        let choice = price(combination, limit);
        if best.as_ref().is_none_or(|best| choice.seconds.total_cmp(&best.seconds).is_lt()) {
            best = Some(choice);
        }
    });
    best.ok_or_else(no_algorithms)
}

fn combinations<'a>(
    candidates: &'a [Vec<Candidate>],
    chosen: &mut Vec<&'a Candidate>,
    visit: &mut impl FnMut(&[&'a Candidate]),
) {
    match candidates.split_first() {
        None if !chosen.is_empty() => visit(chosen),
        None => {}
        Some((first, rest)) => first.iter().for_each(|candidate| {
            chosen.push(candidate);
            combinations(rest, chosen, visit);
            chosen.pop();
        }),
    }
}

/// Sum of times, less what sharing saves: every use of a transform but its dearest.
fn price(combination: &[&Candidate], limit: Option<usize>) -> StepChoice {
    let mut uses: Vec<(Shared, Vec<f64>)> = Vec::new();
    for (shared, seconds) in combination.iter().flat_map(|candidate| &candidate.shares) {
        match uses.iter_mut().find(|(known, _)| known.key == shared.key) {
            Some((_, times)) => times.push(*seconds),
            None => uses.push((*shared, vec![*seconds])),
        }
    }
    uses.retain(|(_, times)| times.len() > 1);
    let workspace = combination.iter().map(|candidate| candidate.workspace).max().unwrap_or(0);
    let booked: usize = uses.iter().map(|(shared, _)| shared.len * size_of::<f32>()).sum();
    if limit.is_some_and(|limit| workspace + booked > limit) {
        uses.clear();
    }
    let saved = |times: &Vec<f64>| times.iter().sum::<f64>() - times.iter().copied().fold(0.0, f64::max);
    StepChoice {
        algorithms: combination.iter().map(|candidate| candidate.algorithm).collect(),
        seconds: combination.iter().map(|candidate| candidate.seconds).sum::<f64>()
            - uses.iter().map(|(_, times)| saved(times)).sum::<f64>(),
        shared: uses.into_iter().map(|(shared, _)| shared).collect(),
    }
}
