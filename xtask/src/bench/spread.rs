//! Where threads stand while they are timed.

/// Holds every worker of the pool on a processor of its own until it is dropped.
///
/// A virtual machine's scheduler takes a processor that has slept for one that the host has taken away, and wakes a
/// worker beside the one that calls it; there they stay for tens of milliseconds, in which the two take as long as one.
/// Work that goes on and on is spread in time, and threads of OpenMP do not sleep between two runs, but those that wait
/// for their turn do.
pub(super) struct Spread(Option<Processors>);

impl Spread {
    pub(super) fn new() -> Self {
        let processors = Processors::allowed();
        if let Some(processors) = &processors {
            rayon::broadcast(|worker| processors.hold(worker.index()));
        }
        Spread(processors)
    }
}

impl Drop for Spread {
    fn drop(&mut self) {
        if let Some(processors) = &self.0 {
            rayon::broadcast(|_| processors.release());
        }
    }
}

#[cfg(target_os = "linux")]
use linux::Processors;

#[cfg(target_os = "linux")]
mod linux {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

    /// Those that this program may use.
    pub(super) struct Processors(CpuSet);

    // Where a change is refused, threads stay where they are.
    impl Processors {
        pub(super) fn allowed() -> Option<Self> {
            sched_getaffinity(None).ok().map(Processors)
        }

        pub(super) fn hold(&self, worker: usize) {
            let mut allowed = (0..CpuSet::MAX_CPU).filter(|processor| self.0.is_set(*processor));
            if let Some(own) = allowed.nth(worker) {
                let mut one = CpuSet::new();
                one.set(own);
                let _ = sched_setaffinity(None, &one);
            }
        }

        pub(super) fn release(&self) {
            let _ = sched_setaffinity(None, &self.0);
        }
    }
}

#[cfg(not(target_os = "linux"))]
/// Not to be chosen here.
struct Processors;

#[cfg(not(target_os = "linux"))]
impl Processors {
    fn allowed() -> Option<Self> {
        None
    }

    fn hold(&self, _: usize) {}

    fn release(&self) {}
}
