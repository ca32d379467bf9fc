//! Sums over the GPUs of several processes, from device memory to device memory, while the device goes on computing.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::sync::Arc;

use conv_core::{Backend, Error, Ops, Ranks, Result};
use cudarc::driver::CudaStream;
use cudarc::nccl::{Comm, Id, ReduceOp};

use crate::device::{failed, missing};
use crate::{Buffer, Cuda, raw};

/// Ranks with a GPU each, which NCCL sums over, on a stream of its own. Other ranks bring them together and end them.
pub(crate) struct Nccl {
    ranks: Box<dyn Ranks<Cuda>>,
    comm: Comm,
    stream: Arc<CudaStream>,
    /// Sums under way, in their order.
    sums: VecDeque<Buffer>,
}

impl Nccl {
    /// One communicator of all these ranks, as each of them calls this.
    ///
    /// # Errors
    /// [`Error::Device`] where the library is not there or refuses, as for two ranks on one GPU, and as
    /// [`Ranks::broadcast`].
    pub(crate) fn over(mut ranks: Box<dyn Ranks<Cuda>>, cuda: &Cuda) -> Result<Nccl> {
        if !everywhere(&mut *ranks, cuda, raw::nccl_present())? {
            return Err(missing("the library libnccl.so was not found by every rank"));
        }
        let id = shared_id(&mut *ranks, cuda)?;
        let context = cuda.device().stream().context().clone();
        context.bind_to_thread().map_err(|error| failed("no context", &error))?;
        let stream = context.new_stream().map_err(|error| failed("no stream", &error))?;
        let comm = Comm::from_rank(stream.clone(), ranks.rank(), ranks.size(), id);
        let comm = comm.map_err(|error| refused("a communicator", &error.0))?;
        Ok(Nccl { ranks, comm, stream, sums: VecDeque::new() })
    }
}

/// Whether all ranks say so: where one alone gave up, the others would wait for it.
fn everywhere(ranks: &mut dyn Ranks<Cuda>, cuda: &Cuda, here: bool) -> Result<bool> {
    let (mut count, mut value) = (cuda.alloc(1)?, [f32::from(u8::from(here))]);
    cuda.upload(&value, &mut count)?;
    ranks.begin_sum(cuda, &count, 1.0)?;
    ranks.end_sum(cuda, 1.0, &mut count)?;
    cuda.download(&count, &mut value)?;
    Ok(value == [ranks.size() as f32])
}

/// What rank 0 has drawn to know this job by.
fn shared_id(ranks: &mut dyn Ranks<Cuda>, cuda: &Cuda) -> Result<Id> {
    let own = Id::new().map_err(|error| refused("an identity of the job", &error.0))?;
    let mut values = own.internal().map(f32::from);
    let mut buffer = cuda.alloc(values.len())?;
    cuda.upload(&values, &mut buffer)?;
    ranks.broadcast(cuda, &mut buffer)?;
    cuda.download(&buffer, &mut values)?;
    Ok(Id::uninit(values.map(|value| value as _)))
}

impl Ranks<Cuda> for Nccl {
    fn rank(&self) -> usize {
        self.ranks.rank()
    }

    fn size(&self) -> usize {
        self.ranks.size()
    }

    fn begin_sum(&mut self, cuda: &Cuda, values: &Buffer, weight: f32) -> Result<()> {
        let mut sum = cuda.alloc(values.len())?;
        if weight != 0.0 {
            cuda.axpby(weight, values, 0.0, &mut sum)?;
        }
        self.stream.join(cuda.device().stream()).map_err(|error| failed("an order of streams", &error))?;
        let reduced = self.comm.all_reduce_in_place(sum.slice_mut(), &ReduceOp::Sum);
        self.sums.push_back(sum);
        reduced.map(drop).map_err(|error| refused("a sum", &error.0))
    }

    fn end_sum(&mut self, cuda: &Cuda, scale: f32, sum: &mut Buffer) -> Result<()> {
        let found = || Error::Ranks("expected a sum that was begun, found none".into());
        let summed = self.sums.pop_front().ok_or_else(found)?;
        // Its memory goes back to the device's stream, which waits as well.
        cuda.device().stream().join(&self.stream).map_err(|error| failed("an order of streams", &error))?;
        cuda.axpby(scale, &summed, 0.0, sum)
    }

    fn broadcast(&mut self, cuda: &Cuda, values: &mut Buffer) -> Result<()> {
        self.ranks.broadcast(cuda, values)
    }

    fn abort(&mut self, code: u8) {
        self.ranks.abort(code);
    }
}

impl Drop for Nccl {
    /// Waits for sums under way before their memory is given back.
    fn drop(&mut self) {
        let _ = self.stream.synchronize();
    }
}

fn refused(what: &str, found: &impl Debug) -> Error {
    missing(format!("NCCL, {what}: {found:?}"))
}
