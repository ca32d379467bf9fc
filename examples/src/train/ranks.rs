//! The processes that `mpirun` started to train together.

use conv_core::{Backend, Ranks};

use crate::Failure;

/// Variables that launchers of MPI jobs set for every process.
const LAUNCHED: [&str; 4] = ["OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_SIZE", "MPI_LOCALNRANKS"];

/// Variables that hold a process's number among those of its machine.
const LOCAL: [&str; 4] =
    ["OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID", "MV2_COMM_WORLD_LOCAL_RANK", "SLURM_LOCALID"];

/// The ranks of this job, as this backend sums best; none where this process is alone.
pub(super) fn join<B: Backend>(backend: &B) -> Result<Option<Box<dyn Ranks<B>>>, Failure> {
    let Some(variable) = launched() else { return Ok(None) };
    Ok(joined(variable)?.map(|ranks| backend.connect(ranks)).transpose()?)
}

/// This process's number on its machine, from 0: which GPU is its own.
pub(crate) fn local() -> usize {
    let numbers = LOCAL.iter().filter_map(|name| std::env::var(name).ok()?.parse().ok());
    launched().and(numbers.into_iter().next()).unwrap_or(0)
}

fn launched() -> Option<&'static str> {
    LAUNCHED.into_iter().find(|name| std::env::var_os(name).is_some())
}

#[cfg(feature = "mpi")]
fn joined<B: Backend>(_variable: &str) -> Result<Option<Box<dyn Ranks<B>>>, Failure> {
    let ranks: Box<dyn Ranks<B>> = Box::new(nn::parallel::Mpi::join()?);
    Ok(Some(ranks).filter(|ranks| ranks.size() > 1))
}

#[cfg(not(feature = "mpi"))]
fn joined<B: Backend>(variable: &str) -> Result<Option<Box<dyn Ranks<B>>>, Failure> {
    let found = format!("a launcher of MPI jobs ({variable} is set)");
    Err(crate::failure::expected("train", "a build with `--features mpi`", found))
}
