//! Streams and memory of another library: here cudarc's own, with which this crate shares nothing but the driver.
#![allow(unsafe_code)]

mod common;

use std::sync::Arc;

use backend_cuda::{Borrowed, Cuda, Device};
use conv_core::algorithm::find;
use conv_core::reference::Reference;
use conv_core::testing::values;
use conv_core::{Backend, ConvProblem, Engine, Operands, Pass, Policy};
use cudarc::driver::{CudaContext, CudaSlice, CudaStream, DevicePtr};

fn lent(cuda: &Cuda, stream: &Arc<CudaStream>, slice: &CudaSlice<f32>) -> Borrowed {
    // SAFETY: the values are there, and the other library uses them on this stream only.
    unsafe { Borrowed::new(cuda.device(), slice.device_ptr(stream).0, slice.len()) }.unwrap()
}

/// Every algorithm on the other library's stream, in its memory.
fn passes_run_in_foreign_memory(context: &Arc<CudaContext>) {
    let stream = context.new_stream().unwrap();
    // SAFETY: the stream outlives the engine.
    let device = unsafe { Device::of_stream(stream.cu_stream().cast()) }.unwrap();
    let mut engine = Engine::new(Cuda::on(device).unwrap()).unwrap();
    let problem: ConvProblem = "n2 c4 o6 i9x11 k3x3 p1 g2".parse().unwrap();
    for (algorithm, pass) in
        ["direct", "im2col", "fft"].into_iter().flat_map(|name| Pass::ALL.map(|p| (name, p)))
    {
        let [left, right, product] = pass.roles();
        let [a, b] = [values(problem.len(left), 1), values(problem.len(right), 2)];
        let [lhs, rhs] = [&a, &b].map(|values| stream.clone_htod(values).unwrap());
        let out = stream.clone_htod(&vec![f32::NAN; problem.len(product)]).unwrap();
        {
            engine.set_policy(Policy::Named(algorithm.into())).unwrap();
            let plan = engine.plan(&problem, pass).unwrap();
            let [lhs, rhs, mut out] = [&lhs, &rhs, &out].map(|slice| lent(engine.backend(), &stream, slice));
            engine.run(&plan, Operands::<Cuda>::new(&lhs, &rhs, &mut out)).unwrap();
        }
        let found = stream.clone_dtoh(&out).unwrap();
        let error = Reference::new(&problem, pass, &a, &b).unwrap().error(&found);
        let bound = find(engine.backend().algorithms(), algorithm).unwrap().max_error();
        assert!(error <= bound, "{algorithm} {pass}: {error:.1e}");
    }
}

fn what_is_not_of_the_device_is_refused(context: &Arc<CudaContext>) {
    let stream = context.new_stream().unwrap();
    // SAFETY: the stream outlives the backend.
    let cuda = Cuda::on(unsafe { Device::of_stream(stream.cu_stream().cast()) }.unwrap()).unwrap();
    // SAFETY: no values are used.
    let none = unsafe { Borrowed::new(cuda.device(), 0, 0) }.unwrap();
    assert!(none.is_empty());
    // SAFETY: it is refused.
    let wild = unsafe { Borrowed::new(cuda.device(), 16, 1) }.unwrap_err().to_string();
    assert!(wild.starts_with("backend cuda: memory of another library: "), "{wild}");

    let other = CudaContext::new_non_primary(0, 0).unwrap();
    let foreign = other.new_stream().unwrap();
    // SAFETY: it is refused.
    let refusal = unsafe { Device::of_stream(foreign.cu_stream().cast()) }.unwrap_err().to_string();
    let expected = "expected a stream of the device's primary context, found one of another context";
    assert_eq!(refusal, format!("backend cuda: {expected}"));
}

fn all() {
    let context = CudaContext::new(0).unwrap();
    passes_run_in_foreign_memory(&context);
    what_is_not_of_the_device_is_refused(&context);
}

#[test]
fn foreign_streams_and_memory_are_taken_on_a_gpu() {
    if common::gpu().is_some() {
        all();
    }
}

#[cfg(feature = "emulate")]
#[test]
fn foreign_streams_and_memory_are_taken_emulated() {
    backend_cuda::emulate::load();
    all();
}

/// Nothing panics where there is no driver.
#[cfg(not(feature = "emulate"))]
#[test]
fn without_a_driver_a_stream_is_refused() {
    if Cuda::open(0).is_err_and(|error| error.to_string().contains("libcuda")) {
        // SAFETY: it is refused.
        let refusal = unsafe { Device::of_stream(std::ptr::null_mut()) }.unwrap_err().to_string();
        assert!(refusal.contains("libcuda was not found"), "{refusal}");
    }
}
