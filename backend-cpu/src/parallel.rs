//! Work over indices on the current rayon pool, with a private part of the workspace a worker.

use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

/// Runs `task(index, scratch)` for every index below `count`. Each worker owns one of the parts of
/// `scratch_len` values that `scratch` is made of and takes the next index when it is free, so which worker
/// runs an index varies: a task must depend on its index alone. Tasks without scratch run on the whole pool.
pub(crate) fn for_each_with_scratch(
    count: usize,
    scratch: &mut [f32],
    scratch_len: usize,
    task: impl Fn(usize, &mut [f32]) + Sync,
) {
    if scratch_len == 0 {
        return for_each(count, |index| task(index, &mut []));
    }
    let next = AtomicUsize::new(0);
    let work = |scratch: &mut [f32]| {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                break;
            }
            task(index, scratch);
        }
    };
    let parts = scratch.len() / scratch_len;
    match parts.min(count) {
        0 | 1 => work(&mut scratch[..scratch_len]),
        workers => on_parts(&mut scratch[..workers * scratch_len], scratch_len, &work),
    }
}

/// Runs `task(index)` for every index below `count`.
pub(crate) fn for_each(count: usize, task: impl Fn(usize) + Sync) {
    match count {
        1 => task(0),
        _ => on_indices(count, &task),
    }
}

// What the pool runs is called through a pointer, lest its code be compiled once for every kind of task.

fn on_parts(scratch: &mut [f32], len: usize, work: &(dyn Fn(&mut [f32]) + Sync)) {
    scratch.par_chunks_mut(len).for_each(work);
}

fn on_indices(count: usize, task: &(dyn Fn(usize) + Sync)) {
    (0..count).into_par_iter().for_each(task);
}
