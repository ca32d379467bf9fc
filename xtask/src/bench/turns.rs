//! How times are taken: candidates take turns, so that a slow moment of the machine hits all alike.

use std::time::Duration;

use examples::Failure;

use super::spread::Spread;

/// Rounds in which every candidate has one turn.
const ROUNDS: usize = 5;

/// Rounds at most: a turn in which the hypervisor gave the processor to others is taken again, where its runs take fewer
/// seconds than [`RETAKEN`].
const MOST_ROUNDS: usize = 3 * ROUNDS;
const RETAKEN: f64 = 0.5;

/// Most runs of one candidate.
const MOST_RUNS: usize = 250;

/// Least timed runs where one takes fewer seconds than this; 1 beyond.
const LEAST_RUNS: [(f64, usize); 2] = [(2.0, 3), (5.0, 2)];

/// A run that takes longer is not even preceded by one to warm up.
const ONCE: f64 = 20.0;

/// Runs shorter than this are preceded, every turn, by one that is not timed: the others emptied the caches.
const CACHED: f64 = 0.05;

/// Something that can be run again and again.
pub(crate) trait Candidate {
    /// Seconds of each of `runs` runs.
    ///
    /// # Errors
    /// Why it cannot run.
    fn run(&mut self, runs: usize) -> Result<Vec<f64>, Failure>;

    /// How long its threads may keep the processors busy after a run.
    fn rest(&self) -> Duration {
        Duration::ZERO
    }
}

/// Seconds of the runs of one candidate, sorted.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Times(Vec<f64>);

impl Times {
    fn new(mut seconds: Vec<f64>) -> Self {
        seconds.sort_by(f64::total_cmp);
        Times(seconds)
    }

    fn quantile(&self, share: f64) -> f64 {
        self.0[((self.0.len() - 1) as f64 * share).round() as usize]
    }

    pub(crate) fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    pub(crate) fn min(&self) -> f64 {
        self.0[0]
    }

    /// Half the distance between the quartiles, as a share of the median.
    pub(crate) fn noise(&self) -> f64 {
        (self.quantile(0.75) - self.quantile(0.25)) / 2.0 / self.median()
    }

    /// Whether one run is all there is.
    pub(crate) fn once(&self) -> bool {
        self.0.len() == 1
    }
}

/// Times all candidates for about `seconds` each: a run to warm up, then [`ROUNDS`] rounds, at least three runs
/// of what takes up to two seconds. A run beyond [`ONCE`] is the only one. A candidate that fails has no more turns.
/// Turns in which the processor was stolen do not count where there are enough others.
pub(crate) fn take_turns(candidates: &mut [&mut dyn Candidate], seconds: f64) -> Vec<Result<Times, Failure>> {
    take_turns_beside(candidates, seconds, stolen)
}

/// Ticks in which the hypervisor gave the processors to others so far; 0 where that is not told.
fn stolen() -> u64 {
    let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    stat.split_whitespace().nth(8).and_then(|ticks| ticks.parse().ok()).unwrap_or(0)
}

fn take_turns_beside(
    candidates: &mut [&mut dyn Candidate],
    seconds: f64,
    mut stolen: impl FnMut() -> u64,
) -> Vec<Result<Times, Failure>> {
    let mut taken: Vec<Turns> = candidates.iter_mut().map(|candidate| Turns::begin(*candidate)).collect();
    for round in 0..MOST_ROUNDS {
        for (candidate, turns) in candidates.iter_mut().zip(&mut taken) {
            if turns.wants(round) {
                turns.take(*candidate, seconds, &mut stolen);
                std::thread::sleep(candidate.rest());
            }
        }
    }
    taken.into_iter().map(|turns| turns.found.map(Runs::times)).collect()
}

/// Seconds of runs, of all turns and of the quiet ones.
#[derive(Default)]
struct Runs {
    all: Vec<f64>,
    quiet: Vec<f64>,
}

impl Runs {
    /// The quiet ones, unless there are fewer of them than any time is taken from.
    fn times(self) -> Times {
        let least = self.all.len().min(LEAST_RUNS[0].1);
        Times::new(if self.quiet.len() >= least { self.quiet } else { self.all })
    }
}

/// A candidate's runs so far, and how many quiet turns it is still to have.
struct Turns {
    found: Result<Runs, Failure>,
    left: usize,
}

impl Turns {
    fn begin(candidate: &mut dyn Candidate) -> Self {
        let first = candidate.run(1);
        std::thread::sleep(candidate.rest());
        match first {
            Ok(first) if first[0] > ONCE => {
                Turns { found: Ok(Runs { quiet: first.clone(), all: first }), left: 0 }
            }
            Ok(_) => Turns { found: Ok(Runs::default()), left: ROUNDS },
            Err(failure) => Turns { found: Err(failure), left: 0 },
        }
    }

    fn wants(&self, round: usize) -> bool {
        let short = |runs: &Runs| runs.all.first().is_none_or(|first| *first < RETAKEN);
        self.left > 0 && (round < ROUNDS || self.found.as_ref().is_ok_and(short))
    }

    fn take(&mut self, candidate: &mut dyn Candidate, seconds: f64, stolen: &mut impl FnMut() -> u64) {
        let Ok(found) = &mut self.found else { return };
        let _spread = Spread::new();
        let before = stolen();
        match turn(candidate, &found.all, seconds) {
            Ok(runs) => {
                found.all.extend(&runs);
                let planned = planned_runs(&found.all, seconds);
                if stolen() == before {
                    found.quiet.extend(runs);
                    self.left -= 1;
                }
                // What is planned to run fewer times than there are rounds has no turn in each.
                let quiet = found.quiet.len();
                self.left = self.left.min(planned.saturating_sub(quiet));
            }
            Err(failure) => *self = Turns { found: Err(failure), left: 0 },
        }
    }
}

/// One turn: an equal share of the runs that `seconds` allows.
fn turn(candidate: &mut dyn Candidate, found: &[f64], seconds: f64) -> Result<Vec<f64>, Failure> {
    if found.is_empty() {
        return candidate.run(1);
    }
    let planned = planned_runs(found, seconds);
    if found[0] < CACHED {
        candidate.run(1)?;
    }
    candidate.run(planned.div_ceil(ROUNDS))
}

fn planned_runs(found: &[f64], seconds: f64) -> usize {
    let least = LEAST_RUNS.iter().find(|(below, _)| found[0] < *below).map_or(1, |(_, runs)| *runs);
    ((seconds / found[0].max(1e-9)) as usize).clamp(least, MOST_RUNS)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes `seconds` a run, on a clock of its own.
    struct Planted(f64, usize);

    impl Candidate for Planted {
        fn run(&mut self, runs: usize) -> Result<Vec<f64>, Failure> {
            self.1 += runs;
            Ok(vec![self.0; runs])
        }
    }

    fn runs_of(seconds: f64) -> (usize, bool) {
        let mut planted = Planted(seconds, 0);
        let times = take_turns_beside(&mut [&mut planted], 1.0, || 0).remove(0).unwrap();
        assert_eq!(times.median(), seconds);
        (planted.1, times.once())
    }

    /// Runs so often before it dies.
    struct Mortal(usize);

    impl Candidate for Mortal {
        fn run(&mut self, runs: usize) -> Result<Vec<f64>, Failure> {
            self.0 = self.0.checked_sub(runs).ok_or_else(|| Failure::Bad("dead".into()))?;
            Ok(vec![1e-3; runs])
        }
    }

    #[test]
    fn one_that_dies_leaves_the_others_their_times() {
        for lives in [0, 1, 10] {
            let (mut planted, mut mortal) = (Planted(0.1, 0), Mortal(lives));
            let times = take_turns_beside(&mut [&mut mortal, &mut planted], 1.0, || 0);
            assert_eq!(times[0], Err(Failure::Bad("dead".into())), "{lives} lives");
            assert_eq!(times[1].as_ref().unwrap().median(), 0.1);
            assert_eq!(planted.1, 10, "{lives} lives");
        }
    }

    #[test]
    fn stolen_turns_are_taken_again() {
        // Each turn asks twice: the first three turns are disturbed, or all.
        for (disturbed, runs) in [(3, 3 + ROUNDS), (usize::MAX, MOST_ROUNDS)] {
            let (mut planted, mut asked, mut ticks) = (Planted(0.2, 0), 0, 0);
            let stolen = || {
                ticks += u64::from(asked % 2 == 1 && asked / 2 < disturbed);
                asked += 1;
                ticks
            };
            let times = take_turns_beside(&mut [&mut planted], 1.0, stolen).remove(0).unwrap();
            assert_eq!((planted.1, times.median()), (1 + runs, 0.2));
        }
    }

    #[test]
    fn runs_follow_the_time_they_take() {
        assert_eq!(runs_of(30.0), (1, true));
        assert_eq!(runs_of(6.0), (2, true));
        assert_eq!(runs_of(3.0), (3, false));
        assert_eq!(runs_of(1.0), (4, false));
        assert_eq!(runs_of(0.1), (1 + 1 + 4 * 2, false));
        assert_eq!(runs_of(1e-6), (1 + 1 + 4 * (1 + 50), false));
    }

    #[test]
    fn quantiles_are_of_the_sorted_times() {
        let times = Times::new(vec![5.0, 1.0, 4.0, 2.0, 3.0]);
        assert_eq!((times.median(), times.min()), (3.0, 1.0));
        approx::assert_abs_diff_eq!(times.noise(), 1.0 / 3.0, epsilon = 1e-12);
    }
}
