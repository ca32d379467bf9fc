//! A backend for tests: naive algorithms by definition that share operands between passes, and a count of allocations.

#![allow(dead_code, unreachable_pub, reason = "each test program uses a part")]

use std::sync::atomic::{AtomicUsize, Ordering};

use conv_core::algorithm::check_len;
use conv_core::fourier::Tiling;
use conv_core::ops::Ops;
use conv_core::spectra::{Shared, SpectrumKey};
use conv_core::*;
use nn::Layer;

/// Host vectors.
pub struct Host {
    allocations: AtomicUsize,
    machine: Machine,
}

impl Host {
    /// Buffers made so far.
    pub fn allocations(&self) -> usize {
        self.allocations.load(Ordering::Relaxed)
    }
}

impl Backend for Host {
    type Buffer = Vec<f32>;

    fn name(&self) -> &str {
        "host"
    }

    fn alloc(&self, len: usize) -> Result<Vec<f32>> {
        self.allocations.fetch_add(1, Ordering::Relaxed);
        Ok(vec![0.0; len])
    }

    fn len(&self, buffer: &Vec<f32>) -> usize {
        buffer.len()
    }

    fn upload(&self, from: &[f32], to: &mut Vec<f32>) -> Result<()> {
        check_len("upload", to.len(), from.len())?;
        to.copy_from_slice(from);
        Ok(())
    }

    fn download(&self, from: &Vec<f32>, to: &mut [f32]) -> Result<()> {
        check_len("download", from.len(), to.len())?;
        to.copy_from_slice(from);
        Ok(())
    }

    fn algorithms(&self) -> &'static [&'static dyn ConvAlgorithm<Self>] {
        &[&Naive("plain"), &Naive("slower")]
    }

    fn machine(&self) -> &Machine {
        &self.machine
    }
}

impl Ops for Host {}

/// The definition in f64, named; "slower" is priced ten times as high.
struct Naive(&'static str);

struct Kernel(ConvProblem, Pass);

fn key(problem: &ConvProblem, role: Role) -> Option<SpectrumKey> {
    let tiling = Tiling::whole(problem, |_, length| Some(length))?;
    Some(SpectrumKey { role, tiling, layout: "test" })
}

impl ConvAlgorithm<Host> for Naive {
    fn name(&self) -> &'static str {
        self.0
    }

    fn estimate(
        &self,
        _: &Machine,
        problem: &ConvProblem,
        _: Pass,
    ) -> std::result::Result<Cost, Unsupported> {
        Ok(Cost { product_flops: problem.multiply_adds(), ..Cost::default() })
    }

    fn shares(&self, _: &Machine, problem: &ConvProblem, pass: Pass) -> Vec<Shared> {
        let saved = Cost { product_flops: 1.0, ..Cost::default() };
        let shared = |role| Some(Shared { key: key(problem, role)?, len: problem.len(role), saved });
        pass.roles()[..2].iter().filter_map(|role| shared(*role)).collect()
    }

    fn build(&self, _: &Host, problem: &ConvProblem, pass: Pass) -> Result<Box<dyn ConvKernel<Host>>> {
        Ok(Box::new(Kernel(*problem, pass)))
    }
}

impl ConvKernel<Host> for Kernel {
    fn workspace_len(&self) -> usize {
        0
    }

    fn run(&self, backend: &Host, operands: Operands<'_, Host>, scratch: Scratch<'_, Host>) -> Result<()> {
        let Kernel(problem, pass) = self;
        operands.check(backend, problem, *pass)?;
        let mut kept = |role: Role, operand: &Vec<f32>| -> Vec<f64> {
            let key = key(problem, role);
            if let Some(slot) = key.and_then(|key| scratch.spectra.claim(&key)) {
                slot.copy_from_slice(operand);
            }
            let kept = key.and_then(|key| scratch.spectra.get(&key)).unwrap_or(operand);
            kept.iter().copied().map(f64::from).collect()
        };
        let [left, right, _] = pass.roles();
        let (lhs, rhs) = (kept(left, operands.lhs), kept(right, operands.rhs));
        let product = reference::definition(problem, *pass, &lhs, &rhs);
        operands.out.iter_mut().zip(product).for_each(|(out, value)| *out = value as f32);
        if let Some(bias) = operands.bias {
            host::add_bias(bias, problem.points(Role::Output), 0, operands.out);
        }
        if operands.relu {
            operands.out.iter_mut().for_each(|out| *out = out.max(0.0));
        }
        Ok(())
    }
}

/// An engine on [`Host`] that prefers "plain".
pub fn engine() -> Engine<Host> {
    let rates = |name: &str, seconds: f64| {
        Pass::ALL.map(|pass| format!("[rates.{name}.{pass}]\nproduct = {seconds:.1}\n")).concat()
    };
    let table = format!("measured = \"\"\n{}{}", rates("plain", 1.0), rates("slower", 10.0));
    let model = CostModel::from_toml(&table).expect("a table");
    let machine = Machine {
        name: "host".into(),
        processor: "any".into(),
        threads: 1,
        lanes: 1,
        caches: [1 << 15, 1 << 20, 1 << 25],
        model,
        table: TableSource::Committed,
    };
    Engine::new(Host { allocations: AtomicUsize::new(0), machine }).expect("an engine")
}

/// What a layer made of an input and of a gradient by its output.
pub struct Both {
    pub output: Vec<f32>,
    pub grad_input: Vec<f32>,
    pub grads: Vec<Vec<f32>>,
}

/// Runs both directions of a layer.
pub fn both(
    engine: &mut Engine<Host>,
    layer: &mut impl Layer<Host>,
    shape: &nn::Shape,
    input: &Vec<f32>,
    grad_output: &Vec<f32>,
) -> nn::Result<Both> {
    let mut output = vec![f32::NAN; layer.output_shape(shape)?.elements()];
    let mut grad_input = vec![f32::NAN; shape.elements()];
    layer.forward(engine, nn::Mode::Training { step: 0 }, shape, input, &mut output)?;
    let tensors = nn::Backward { input, output: &output, grad_output, grad_input: Some(&mut grad_input) };
    layer.backward(engine, shape, tensors)?;
    let grads = layer.parameters().iter().map(|parameter| parameter.grad.clone()).collect();
    Ok(Both { output, grad_input, grads })
}

/// Sum of products and of their absolute values.
pub fn dot(a: &[f32], b: &[f32]) -> (f64, f64) {
    assert_eq!(a.len(), b.len());
    let products = a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b));
    products.fold((0.0, 0.0), |(sum, size), product| (sum + product, size + product.abs()))
}

/// A shape that is one.
pub fn shape(sizes: &[usize]) -> nn::Shape {
    nn::Shape::new(sizes).expect("a shape")
}
