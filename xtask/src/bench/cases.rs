//! Which problems are timed.

use std::path::{Path, PathBuf};

use conv_core::{ConvProblem, Error, NamedProblem, Pass, parse_shapes};
use examples::Failure;

/// What is timed of a problem: one pass, or all three of a training step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    Pass(Pass),
    Step,
}

impl Work {
    /// The passes, in the order of a training step.
    pub(crate) fn passes(&self) -> &[Pass] {
        match self {
            Work::Pass(pass) => std::slice::from_ref(pass),
            Work::Step => &Pass::ALL,
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Work::Pass(pass) => pass.name(),
            Work::Step => "step",
        }
    }
}

/// `--pass`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum PassName {
    /// The three passes, each alone.
    All,
    Forward,
    BackwardInput,
    BackwardWeights,
    /// The three passes of a training step together, spectra shared.
    Step,
}

/// What the names stand for, each once.
pub(crate) fn works(names: &[PassName]) -> Vec<Work> {
    let mut works: Vec<Work> = Vec::new();
    for name in names {
        let meant = match name {
            PassName::All => Pass::ALL.map(Work::Pass).to_vec(),
            PassName::Forward => vec![Work::Pass(Pass::Forward)],
            PassName::BackwardInput => vec![Work::Pass(Pass::BackwardInput)],
            PassName::BackwardWeights => vec![Work::Pass(Pass::BackwardWeights)],
            PassName::Step => vec![Work::Step],
        };
        let new: Vec<Work> = meant.into_iter().filter(|work| !works.contains(work)).collect();
        works.extend(new);
    }
    works
}

/// Problems that are reported together.
#[derive(Clone, Debug)]
pub(crate) struct List {
    /// The file's stem, or `problem`.
    pub(crate) name: String,
    pub(crate) problems: Vec<NamedProblem>,
}

/// Reads the lists, then the single problems as one more, batches cut to `max_batch`.
///
/// # Errors
/// A file or line that cannot be read; nothing to time.
pub(crate) fn lists(
    files: &[PathBuf],
    lines: &[String],
    max_batch: Option<usize>,
) -> Result<Vec<List>, Failure> {
    let mut lists = files.iter().map(|file| read(file)).collect::<Result<Vec<List>, _>>()?;
    if !lines.is_empty() {
        let problems = lines.iter().map(|line| {
            let mut problems = parse_shapes(line).map_err(Error::Parse)?;
            problems.pop().ok_or_else(|| Failure::Bad("--problem: expected a problem, found nothing".into()))
        });
        lists.push(List { name: "problem".into(), problems: problems.collect::<Result<_, _>>()? });
    }
    for named in lists.iter_mut().flat_map(|list| &mut list.problems) {
        named.problem = capped(&named.problem, max_batch)?;
    }
    if lists.iter().all(|list| list.problems.is_empty()) {
        let found = if lists.is_empty() { "neither --shapes nor --problem" } else { "lists without a line" };
        return Err(Failure::Bad(format!("expected problems to time, found {found}")));
    }
    Ok(lists)
}

fn read(file: &Path) -> Result<List, Failure> {
    let about = |reason: String| Failure::Bad(format!("--shapes {}: {reason}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|error| about(error.to_string()))?;
    let problems = parse_shapes(&text).map_err(|error| about(error.to_string()))?;
    let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    Ok(List { name, problems })
}

fn capped(problem: &ConvProblem, max_batch: Option<usize>) -> Result<ConvProblem, Failure> {
    match max_batch {
        Some(most) if most < problem.batch() => Ok(problem.with_batch(most)?),
        _ => Ok(*problem),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_and_its_members_are_timed_once() {
        let found = works(&[PassName::Step, PassName::Forward, PassName::All]);
        let names: Vec<_> = found.iter().map(Work::name).collect();
        assert_eq!(names, ["step", "forward", "backward-input", "backward-weights"]);
    }

    #[test]
    fn problems_keep_their_names_and_lose_batch() {
        let lines = ["n8 c1 o1 i4 k3 # one".to_string(), "n2 c1 o1 i4 k3".to_string()];
        let lists = lists(&[], &lines, Some(3)).unwrap();
        let found: Vec<_> = lists[0].problems.iter().map(|p| (p.name.as_str(), p.problem.batch())).collect();
        assert_eq!(found, [("one", 3), ("n2 c1 o1 i4 k3", 2)]);
    }

    #[test]
    fn bad_lists_are_named() {
        let message = |files: &[PathBuf], lines: &[String], most| match lists(files, lines, most) {
            Err(failure) => failure.to_string(),
            Ok(_) => String::new(),
        };
        assert!(message(&["no/such.txt".into()], &[], None).starts_with("--shapes no/such.txt: "));
        assert_eq!(message(&[], &["n1".into()], None), "line 1: field i is missing");
        assert_eq!(message(&[], &["# x".into()], None), "--problem: expected a problem, found nothing");
        let nothing = "expected problems to time, found neither --shapes nor --problem";
        assert_eq!(message(&[], &[], None), nothing);
        assert_eq!(message(&[], &["n1 c1 o1 i4 k3".into()], Some(0)), "batch must be at least 1, found 0");
    }
}
