//! The processes that `mpirun` started to train together.

use nn::parallel::Ranks;

use crate::Failure;

/// Variables that launchers of MPI jobs set for every process.
const LAUNCHED: [&str; 4] = ["OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_SIZE", "MPI_LOCALNRANKS"];

/// The ranks of this job; none where this process is alone.
pub(super) fn join() -> Result<Option<Box<dyn Ranks>>, Failure> {
    match LAUNCHED.iter().find(|name| std::env::var_os(name).is_some()) {
        Some(variable) => joined(variable),
        None => Ok(None),
    }
}

#[cfg(feature = "mpi")]
fn joined(_variable: &str) -> Result<Option<Box<dyn Ranks>>, Failure> {
    let ranks = nn::parallel::Mpi::join()?;
    Ok(if ranks.size() > 1 { Some(Box::new(ranks)) } else { None })
}

#[cfg(not(feature = "mpi"))]
fn joined(variable: &str) -> Result<Option<Box<dyn Ranks>>, Failure> {
    let found = format!("a launcher of MPI jobs ({variable} is set)");
    Err(crate::failure::expected("train", "a build with `--features mpi`", found))
}
