//! Timing the algorithms of one pass against each other.

use super::{Engine, Planned};
use crate::{Backend, ConvProblem, Operands, Pass, Result};

/// Seconds of timed runs for each algorithm; one run is made even where it takes longer.
const BUDGET: f64 = 0.2;

/// Most timed runs of each algorithm.
const MOST_ROUNDS: usize = 50;

/// Median seconds of each of these algorithms that could be run: after a run that is not timed, they take
/// turns, so that a slow moment hits all alike. The engine's workspace is used, and given back where it had
/// to grow.
///
/// # Errors
/// Where the operands cannot be had. An algorithm that fails is left out with a warning.
pub(super) fn time<B: Backend>(
    engine: &mut Engine<B>,
    problem: &ConvProblem,
    pass: Pass,
    algorithms: &[&'static str],
) -> Result<Vec<(&'static str, f64)>> {
    let workspace = engine.backend.len(&engine.workspace);
    let mut bench = Bench::new(engine, problem, pass)?;
    let mut contenders = Vec::new();
    for &algorithm in algorithms {
        let built = bench.engine.construct(problem, pass, algorithm);
        match built.and_then(|planned| Ok((bench.run(&planned)?, planned))) {
            Ok((shortest, planned)) => contenders.push(Contender { planned, shortest, times: Vec::new() }),
            Err(error) => tracing::warn!(%problem, %pass, algorithm, %error, "not timed"),
        }
    }
    for round in 0..MOST_ROUNDS {
        let spent = round as f64 * contenders.iter().map(|contender| contender.shortest).sum::<f64>();
        if round > 0 && spent >= BUDGET * contenders.len() as f64 {
            break;
        }
        for contender in &mut contenders {
            contender.add(bench.run(&contender.planned)?);
        }
    }
    engine.workspace = engine.backend.alloc(0)?;
    engine.book(workspace)?;
    Ok(contenders.iter().map(|contender| (contender.planned.algorithm(), median(&contender.times))).collect())
}

/// One of the algorithms that take turns.
struct Contender<B: Backend> {
    planned: Planned<B>,
    /// Of all its runs, the first included: a slow moment does not use up the rounds.
    shortest: f64,
    times: Vec<f64>,
}

impl<B: Backend> Contender<B> {
    fn add(&mut self, seconds: f64) {
        self.shortest = self.shortest.min(seconds);
        self.times.push(seconds);
    }
}

fn median(times: &[f64]) -> f64 {
    let mut times = times.to_vec();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// The tensors of a pass on an engine.
struct Bench<'a, B: Backend> {
    engine: &'a mut Engine<B>,
    lhs: B::Buffer,
    rhs: B::Buffer,
    out: B::Buffer,
}

impl<'a, B: Backend> Bench<'a, B> {
    fn new(engine: &'a mut Engine<B>, problem: &ConvProblem, pass: Pass) -> Result<Self> {
        let [left, right, product] = pass.roles().map(|role| problem.len(role));
        let (lhs, rhs) = (engine.uploaded(&values(left, 1))?, engine.uploaded(&values(right, 2))?);
        let out = engine.backend().alloc(product)?;
        Ok(Bench { engine, lhs, rhs, out })
    }

    /// Seconds of one run.
    fn run(&mut self, planned: &Planned<B>) -> Result<f64> {
        let stop = self.engine.backend().stopwatch()?;
        self.engine.run(planned, Operands::new(&self.lhs, &self.rhs, &mut self.out))?;
        stop()
    }
}

/// `len` values between 1/2 and 1 in magnitude, of either sign: none is zero or near it (Marsaglia's
/// xorshift).
fn values(len: usize, seed: u64) -> Vec<f32> {
    let mut state = seed;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let magnitude = 0.5 + (state >> 41) as f32 * 0.5 / (1u32 << 23) as f32;
        if state & 1 == 0 { magnitude } else { -magnitude }
    };
    std::iter::repeat_with(next).take(len).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_neither_zero_nor_all_alike() {
        let values = values(1000, 1);
        assert!(values.iter().all(|value| (0.5..=1.0).contains(&value.abs())));
        assert!(values.iter().sum::<f32>().abs() < 100.0);
    }

    #[test]
    fn the_median_ignores_a_slow_moment() {
        assert_eq!(median(&[9.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0]), 4.0);
    }
}
