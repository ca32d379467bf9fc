//! The engine's policy `Measured`: what is timed when, and what follows from the times.

use super::Engine;
use super::timing::time;
use crate::choose::{StepChoice, choose_step_by};
use crate::{Backend, ConvProblem, Pass, Ranking, Result};

impl<B: Backend> Engine<B> {
    /// Median seconds of the algorithms of [`Ranking::candidates`], fastest first: times them unless memory
    /// or the cache folder has them. Empty where there is one candidate only.
    ///
    /// # Errors
    /// Where memory for the operands cannot be had.
    pub fn measure(&mut self, problem: &ConvProblem, pass: Pass) -> Result<Vec<(&'static str, f64)>> {
        let ranking: Ranking = self.explain(problem, pass);
        self.measure_all(problem, pass, &ranking.candidates())
    }

    /// [`Engine::measure`] of these candidates.
    pub(super) fn measure_all(
        &mut self,
        problem: &ConvProblem,
        pass: Pass,
        candidates: &[(&'static str, f64)],
    ) -> Result<Vec<(&'static str, f64)>> {
        if candidates.len() < 2 {
            return Ok(Vec::new());
        }
        self.measured.read(&self.backend);
        let known = |engine: &Self, name| engine.measured.get(problem, pass, name);
        let names = candidates.iter().map(|(name, _)| *name);
        let missing: Vec<_> = names.clone().filter(|name| known(self, name).is_none()).collect();
        if !missing.is_empty() {
            let times = time(self, problem, pass, &missing)?;
            tracing::debug!(%problem, %pass, ?times, "measured");
            self.measured.add(&self.backend, problem, pass, &times);
        }
        let mut times: Vec<_> = names.filter_map(|name| Some((name, known(self, name)?))).collect();
        times.sort_by(|(_, a), (_, b)| a.total_cmp(b));
        Ok(times)
    }

    /// Chooses a step by measured times, among each pass's candidates and what the predicted step takes.
    pub(super) fn measured_step(
        &mut self,
        problem: &ConvProblem,
        passes: &[Pass],
        predicted: &StepChoice,
    ) -> Result<StepChoice> {
        let mut times = Vec::new();
        for (&pass, pick) in passes.iter().zip(&predicted.algorithms) {
            let ranking = self.explain(problem, pass);
            let mut candidates = ranking.candidates();
            let pick = ranking.entries.iter().find(|entry| entry.algorithm == *pick);
            let pick = pick.and_then(|entry| Some((entry.algorithm, entry.seconds()?)));
            candidates.extend(pick.filter(|pick| !candidates.contains(pick)));
            let measured = self.measure_all(problem, pass, &candidates)?;
            candidates.truncate(1);
            times.push((ranking, if measured.is_empty() { candidates } else { measured }));
        }
        choose_step_by(self.backend.algorithms(), self.backend.machine(), &times, self.limits.workspace)
    }
}
