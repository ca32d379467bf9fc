//! A model of candle that learns with candle's convolutions and with ours: one type is all that differs.
//!
//! `cargo run --release -p backend-cpu --features candle --example candle`

use std::time::Instant;

use backend_cpu::candle;
use candle_core::{DType, Device, Module, Result, Tensor};
use candle_nn::{Conv2dConfig, Linear, Optimizer, SGD, VarBuilder, VarMap, linear, loss, ops};

/// Points of a side of the kernels, and of the images.
const KERNEL: usize = 15;
const SIZE: usize = 32;

/// Two convolutions, the mean of every map, a linear layer. `C` is the only type that a model changes.
struct Model<C> {
    first: C,
    second: C,
    head: Linear,
}

impl<C: Module> Model<C> {
    fn new(
        conv: impl Fn(usize, usize, usize, Conv2dConfig, VarBuilder<'_>) -> Result<C>,
        builder: &VarBuilder<'_>,
    ) -> Result<Self> {
        let config = Conv2dConfig { padding: KERNEL / 2, ..Default::default() };
        Ok(Model {
            first: conv(3, 16, KERNEL, config, builder.pp("first"))?,
            second: conv(16, 16, KERNEL, config, builder.pp("second"))?,
            head: linear(16, 4, builder.pp("head"))?,
        })
    }

    /// Losses and seconds of ten steps.
    fn train(&self, variables: &VarMap, images: &Tensor, labels: &Tensor) -> Result<(Vec<f32>, f64)> {
        let mut optimizer = SGD::new(variables.all_vars(), 0.02)?;
        let start = Instant::now();
        let mut step = || {
            let maps = self.second.forward(&self.first.forward(images)?.relu()?)?.relu()?;
            let loss = loss::nll(&ops::log_softmax(&self.head.forward(&maps.mean((2, 3))?)?, 1)?, labels)?;
            optimizer.backward_step(&loss)?;
            loss.to_scalar::<f32>()
        };
        let losses = (0..10).map(|_| step()).collect::<Result<_>>()?;
        Ok((losses, start.elapsed().as_secs_f64()))
    }
}

fn main() -> Result<()> {
    let (variables, device) = (VarMap::new(), Device::Cpu);
    let builder = VarBuilder::from_varmap(&variables, DType::F32, &device);
    let images: Vec<f32> = (0..8 * 3 * SIZE * SIZE).map(|i| (i * 37 % 101) as f32 / 50.0 - 1.0).collect();
    let images = Tensor::from_vec(images, (8, 3, SIZE, SIZE), &device)?;
    let labels = Tensor::arange(0u32, 8, &device)?.to_vec1::<u32>()?;
    let labels = Tensor::from_vec(labels.iter().map(|label| label % 4).collect(), 8, &device)?;

    let model = Model::new(candle_nn::conv2d, &builder)?;
    let start: Vec<Tensor> = variables.all_vars().iter().map(|var| var.copy()).collect::<Result<_>>()?;
    let (theirs, slow) = model.train(&variables, &images, &labels)?;
    for (variable, start) in variables.all_vars().iter().zip(&start) {
        variable.set(start)?;
    }
    let (ours, fast) = Model::new(candle::conv2d, &builder)?.train(&variables, &images, &labels)?;

    println!("step  loss with candle_nn::Conv2d  with backend_cpu::candle::Conv2d");
    for (step, (theirs, ours)) in theirs.iter().zip(&ours).enumerate() {
        println!("{step:>4}  {theirs:>27.6}  {ours:>32.6}");
    }
    println!("kernels of {KERNEL} × {KERNEL}: {slow:.3} s and {fast:.3} s");
    Ok(())
}
