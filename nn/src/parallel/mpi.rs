//! Ranks of an MPI job. One thread alone speaks MPI, so that sums go on while the others compute, whatever thread
//! support the library has.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

use mpi::Threading;
use mpi::collective::SystemOperation;
use mpi::topology::SimpleCommunicator;
use mpi::traits::*;

use conv_core::{Backend, Error, Ranks, Result};

use super::BUCKET;

/// The ranks of the job that `mpirun` started; one alone where it did not.
///
/// Dropping it ends this rank's part, which waits for all others. After a failure call [`Ranks::abort`] first.
pub struct Mpi {
    rank: usize,
    size: usize,
    requests: Option<Sender<Request>>,
    results: Receiver<Vec<f32>>,
    thread: Option<JoinHandle<()>>,
    /// The bucket that waits for more.
    filling: Vec<f32>,
    /// Sums that have come and not been asked for.
    summed: VecDeque<f32>,
}

/// What the thread is asked for.
enum Request {
    Sum(Vec<f32>),
    Broadcast(Vec<f32>),
    Abort(i32),
}

impl Mpi {
    /// Joins the job; once in a process.
    ///
    /// # Errors
    /// [`Error::Ranks`] where that was done before, or no thread can be had.
    pub fn join() -> Result<Self> {
        let (requests, asked) = channel();
        let (answers, results) = channel();
        let (place, found) = channel();
        let serve = move || {
            let universe = mpi::initialize_with_threading(Threading::Funneled);
            let Some((universe, _)) = universe else { return };
            let world = universe.world();
            if place.send((world.rank(), world.size())).is_ok() {
                answer(&world, &asked, &answers);
            }
        };
        let thread = thread::Builder::new().name("mpi".into()).spawn(serve);
        let thread = thread.map_err(|error| Error::Ranks(error.to_string()))?;
        let (rank, size) = found.recv().map_err(|_| ended("MPI cannot be started twice"))?;
        let (rank, size) = (rank.unsigned_abs() as usize, size.unsigned_abs() as usize);
        let (filling, summed) = (Vec::new(), VecDeque::new());
        Ok(Mpi { rank, size, requests: Some(requests), results, thread: Some(thread), filling, summed })
    }

    fn wait(&mut self) {
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }

    /// Ends all ranks with this exit code.
    fn end(&mut self, code: u8) {
        if let Some(requests) = self.requests.take() {
            let _ = requests.send(Request::Abort(i32::from(code)));
        }
        self.wait();
    }

    fn begin_bucket(&mut self) -> Result<()> {
        let bucket = std::mem::take(&mut self.filling);
        self.ask(Request::Sum(bucket))
    }

    fn answer(&self) -> Result<Vec<f32>> {
        self.results.recv().map_err(|_| ended("the thread that speaks MPI has ended"))
    }

    fn ask(&self, request: Request) -> Result<()> {
        let sent = self.requests.as_ref().is_some_and(|requests| requests.send(request).is_ok());
        if sent { Ok(()) } else { Err(ended("the thread that speaks MPI has ended")) }
    }
}

impl Drop for Mpi {
    fn drop(&mut self) {
        if thread::panicking() {
            // The others wait for this rank: an ordinary end would wait for them.
            self.end(101);
        }
        self.requests = None;
        self.wait();
    }
}

impl<B: Backend> Ranks<B> for Mpi {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn abort(&mut self, code: u8) {
        self.end(code);
    }

    fn begin_sum(&mut self, backend: &B, values: &B::Buffer, weight: f32) -> Result<()> {
        let begin = self.filling.len();
        self.filling.resize(begin + backend.len(values), 0.0);
        if weight != 0.0 {
            backend.download(values, &mut self.filling[begin..])?;
            self.filling[begin..].iter_mut().for_each(|value| *value *= weight);
        }
        if self.filling.len() >= BUCKET { self.begin_bucket() } else { Ok(()) }
    }

    fn end_sum(&mut self, backend: &B, scale: f32, sum: &mut B::Buffer) -> Result<()> {
        let len = backend.len(sum);
        if self.summed.len() < len && !self.filling.is_empty() {
            self.begin_bucket()?;
        }
        while self.summed.len() < len {
            self.summed.extend(self.answer()?);
        }
        let values: Vec<f32> = self.summed.drain(..len).map(|value| value * scale).collect();
        backend.upload(&values, sum)
    }

    fn broadcast(&mut self, backend: &B, values: &mut B::Buffer) -> Result<()> {
        let mut given = vec![0.0; backend.len(values)];
        backend.download(values, &mut given)?;
        self.ask(Request::Broadcast(given))?;
        backend.upload(&self.answer()?, values)
    }
}

/// Answers requests in their order until nobody asks any more.
fn answer(world: &SimpleCommunicator, asked: &Receiver<Request>, answers: &Sender<Vec<f32>>) {
    for request in asked {
        let values = match request {
            Request::Sum(values) => {
                let mut sums = vec![0.0; values.len()];
                world.all_reduce_into(&values[..], &mut sums[..], SystemOperation::sum());
                sums
            }
            Request::Broadcast(mut values) => {
                world.process_at_rank(0).broadcast_into(&mut values[..]);
                values
            }
            Request::Abort(code) => world.abort(code),
        };
        if answers.send(values).is_err() {
            return;
        }
    }
}

fn ended(reason: &str) -> Error {
    Error::Ranks(reason.into())
}
