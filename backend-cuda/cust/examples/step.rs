//! A layer's training step on a stream and in memory of `cust`, compared with the reference; then inference with a bias
//! and ReLU.

use std::error::Error;

use backend_cuda_cust::{Operands, open, run, run_step};
use conv_core::reference::Reference;
use conv_core::testing::values;
use conv_core::{ConvProblem, Engine, Pass, Policy, Role};
use cust::memory::DeviceBuffer;
use cust::stream::{Stream, StreamFlags};

fn main() -> Result<(), Box<dyn Error>> {
    let _context = cust::quick_init()?;
    let stream: &Stream = Box::leak(Box::new(Stream::new(StreamFlags::DEFAULT, None)?));
    let mut engine = Engine::new(open(stream)?)?;
    println!("{}", engine.backend().device().name());

    let problem: ConvProblem = "n2 c3 o4 i20x20 k5x5 p2".parse()?;
    let host =
        [Role::Input, Role::Weight, Role::Output].map(|role| values(problem.len(role), role as u64 + 1));
    let [input, weight, grad_output] = host.each_ref().map(|values| DeviceBuffer::from_slice(values));
    let there = [input?, weight?, grad_output?];

    let mut step = engine.plan_step(&problem, &Pass::ALL, &Policy::Named("fft".into()))?;
    for pass in Pass::ALL {
        let [left, right, product] = pass.roles();
        let [l, r] = [left as usize, right as usize];
        let mut out = DeviceBuffer::from_slice(&vec![f32::NAN; problem.len(product)])?;
        run_step(&mut engine, &mut step, pass, Operands::new(&there[l], &there[r], &mut out))?;
        let error = Reference::new(&problem, pass, &host[l], &host[r])?.error(&out.as_host_vec()?);
        println!("{pass}: error {error:.1e}");
        assert!(error <= 2e-6);
    }

    let forward = engine.plan(&problem, Pass::Forward)?;
    let bias = DeviceBuffer::from_slice(&vec![0.1; problem.out_channels()])?;
    let mut output = DeviceBuffer::from_slice(&vec![f32::NAN; problem.len(Role::Output)])?;
    let operands = Operands::new(&there[0], &there[1], &mut output);
    run(&mut engine, &forward, Operands { bias: Some(&bias), relu: true, ..operands })?;
    let found = output.as_host_vec()?;
    println!("{} with bias and ReLU: {} values", forward.algorithm(), found.len());
    assert!(found.iter().all(|value| *value >= 0.0));

    let mut short = DeviceBuffer::from_slice(&[0.0])?;
    let refused = run(&mut engine, &forward, Operands::new(&there[0], &there[1], &mut short));
    println!("refused: {}", refused.expect_err("one value is not enough"));
    Ok(())
}
