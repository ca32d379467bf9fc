//! A backend of plain vectors without algorithms of its own, for tests of the contract itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::algorithm::check_len;
use crate::{Backend, ConvAlgorithm, CostModel, Machine, Result, Stopwatch, TableSource};

/// Memory of a [`HostBackend`].
pub type HostBuffer = Vec<f32>;

/// A backend in host memory that runs the algorithms it is given. Its clock stands still but for what its
/// algorithms [take](HostBackend::take).
pub struct HostBackend {
    algorithms: &'static [&'static dyn ConvAlgorithm<HostBackend>],
    machine: Machine,
    nanoseconds: Arc<AtomicU64>,
}

impl HostBackend {
    /// With these algorithms and cost model.
    pub fn new(algorithms: &'static [&'static dyn ConvAlgorithm<HostBackend>], model: CostModel) -> Self {
        let caches = [32 << 10, 1 << 20, 32 << 20];
        let machine = Machine {
            name: "host".into(),
            processor: "any".into(),
            threads: 1,
            lanes: 1,
            caches,
            model,
            table: TableSource::Committed,
        };
        HostBackend { algorithms, machine, nanoseconds: Arc::default() }
    }

    /// Moves the backend's clock, without waiting.
    pub fn take(&self, time: Duration) {
        self.nanoseconds.fetch_add(time.as_nanos() as u64, Ordering::Relaxed);
    }
}

impl Backend for HostBackend {
    type Buffer = HostBuffer;

    fn name(&self) -> &str {
        "host"
    }

    fn alloc(&self, len: usize) -> Result<HostBuffer> {
        Ok(vec![0.0; len])
    }

    fn len(&self, buffer: &HostBuffer) -> usize {
        buffer.len()
    }

    fn upload(&self, from: &[f32], to: &mut HostBuffer) -> Result<()> {
        check_len("upload", to.len(), from.len())?;
        to.copy_from_slice(from);
        Ok(())
    }

    fn download(&self, from: &HostBuffer, to: &mut [f32]) -> Result<()> {
        check_len("download", from.len(), to.len())?;
        to.copy_from_slice(from);
        Ok(())
    }

    fn stopwatch(&self) -> Result<Stopwatch> {
        let clock = Arc::clone(&self.nanoseconds);
        let start = clock.load(Ordering::Relaxed);
        Ok(Box::new(move || Ok(Duration::from_nanos(clock.load(Ordering::Relaxed) - start).as_secs_f64())))
    }

    fn algorithms(&self) -> &'static [&'static dyn ConvAlgorithm<Self>] {
        self.algorithms
    }

    fn machine(&self) -> &Machine {
        &self.machine
    }
}

impl crate::Ops for HostBackend {}
