//! The layers for candle against candle's own: outputs, gradients, views, errors.

use backend_cpu::candle;
use candle_core::{DType, Device, Module, Result, Tensor, Var};
use candle_nn::{Conv1dConfig, Conv2dConfig, VarBuilder, VarMap};
use conv_core::testing;

fn random(shape: &[usize], seed: u64) -> Var {
    let values = testing::values(shape.iter().product(), seed);
    Var::from_tensor(&Tensor::from_vec(values, shape, &Device::Cpu).unwrap()).unwrap()
}

/// The largest difference of two tensors, and the largest value of the second.
fn difference(a: &Tensor, b: &Tensor) -> (f32, f32) {
    assert_eq!(a.dims(), b.dims());
    let most = |tensor: Tensor| tensor.abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
    (most((a - b).unwrap()), most(b.clone()))
}

/// The output, and the gradients of `Σ output · g` by each variable.
fn results(layer: &dyn Module, input: &Tensor, g: &Tensor, variables: &[&Var]) -> Result<Vec<Tensor>> {
    let output = layer.forward(input)?;
    let gradients = output.mul(g)?.sum_all()?.backward()?;
    let gradients = variables.iter().map(|variable| gradients.get(variable).expect("a gradient").clone());
    Ok([output].into_iter().chain(gradients).collect())
}

fn compare(ours: &dyn Module, theirs: &dyn Module, input: &Tensor, variables: &[&Var]) {
    let g = random(theirs.forward(input).unwrap().dims(), 9);
    let [ours, theirs] = [ours, theirs].map(|layer| results(layer, input, &g, variables).unwrap());
    for (index, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
        let (worst, size) = difference(ours, theirs);
        assert!(worst <= 1e-4 * size.max(1.0), "result {index}: {worst} of {size}");
    }
}

#[test]
fn two_axes() {
    conv_core::cache::off();
    // Kernel points, padding, stride, dilation, groups.
    let cases = [(3, 1, 1, 1, 1), (5, 0, 2, 1, 1), (3, 2, 1, 2, 2), (11, 5, 1, 1, 4), (1, 0, 2, 1, 2)];
    for (k, padding, stride, dilation, groups) in cases {
        let config = Conv2dConfig { padding, stride, dilation, groups, cudnn_fwd_algo: None };
        let (input, weight) = (random(&[2, 4, 17, 15], 1), random(&[8, 4 / groups, k, k], 2));
        let bias = random(&[8], 3);
        let (w, b) = (weight.as_tensor(), Some(bias.as_tensor().clone()));
        let ours = candle::Conv2d::new(w.clone(), b.clone(), config);
        let theirs = candle_nn::Conv2d::new(w.clone(), b, config);
        compare(&ours, &theirs, &input, &[&input, &weight, &bias]);
    }
}

/// A convolution along one axis out of other operations of candle, tap by tap: gradients of `candle_nn::Conv1d` by its
/// weights, those by inputs of many kernel points, and outputs of kernels that are not contiguous are wrong in candle 0.11.
struct Taps(Tensor, Conv1dConfig);

impl Module for Taps {
    fn forward(&self, input: &Tensor) -> Result<Tensor> {
        let Taps(weight, Conv1dConfig { padding, stride, dilation, groups, .. }) = self;
        let input = input.pad_with_zeros(2, *padding, *padding)?;
        let points = (input.dim(2)? - (weight.dim(2)? - 1) * dilation - 1) / stride + 1;
        let tap = |group: usize, k: usize| {
            let starts = (0..points).map(|point| (point * stride + k * dilation) as u32);
            let starts = Tensor::from_iter(starts, input.device())?;
            let channels = weight.dim(1)?;
            let maps = input.narrow(1, group * channels, channels)?.contiguous()?.index_select(&starts, 2)?;
            let filters = weight.chunk(*groups, 0)?[group].get_on_dim(2, k)?.contiguous()?;
            filters.unsqueeze(0)?.broadcast_matmul(&maps)
        };
        let sum = |group| {
            let first = tap(group, 0);
            (1..weight.dim(2)?).fold(first, |sum, k| sum? + tap(group, k)?)
        };
        Tensor::cat(&(0..*groups).map(sum).collect::<Result<Vec<_>>>()?, 1)
    }
}

#[test]
fn one_axis() {
    conv_core::cache::off();
    for (k, padding, stride, dilation, groups) in [(7, 3, 2, 1, 1), (3, 4, 1, 4, 3), (31, 0, 1, 1, 1)] {
        let config = Conv1dConfig { padding, stride, dilation, groups, cudnn_fwd_algo: None };
        let (input, weight) = (random(&[2, 3, 40], 1), random(&[6, 3 / groups, k], 2));
        let ours = candle::Conv1d::new(weight.as_tensor().clone(), None, config);
        compare(&ours, &Taps(weight.as_tensor().clone(), config), &input, &[&input, &weight]);
        let theirs = candle_nn::Conv1d::new(weight.as_tensor().clone(), None, config);
        compare(&ours, &theirs, &input, &[]);
    }
}

#[test]
fn views_and_inputs_that_nothing_learns_from() {
    conv_core::cache::off();
    let (input, weight) = (random(&[2, 40, 3], 1), random(&[7, 3, 6], 2));
    let kernel = weight.transpose(0, 2).unwrap();
    let ours = candle::Conv1d::new(kernel.clone(), None, Conv1dConfig::default());
    let theirs = Taps(kernel, Conv1dConfig::default());
    let turned = input.transpose(1, 2).unwrap();
    compare(&ours, &theirs, &turned, &[&input, &weight]);
    let part = turned.narrow(2, 5, 20).unwrap();
    compare(&ours, &theirs, &part, &[&input, &weight]);
    compare(&ours, &theirs, &part.detach(), &[&weight]);
    let gradients = ours.forward(&part.detach()).unwrap().sum_all().unwrap().backward().unwrap();
    assert!(gradients.get(&input).is_none());
}

#[test]
fn builders_and_layers_of_candle() {
    conv_core::cache::off();
    let (variables, device) = (VarMap::new(), Device::Cpu);
    let builder = || VarBuilder::from_varmap(&variables, DType::F32, &device);
    let (one, two) = (Conv1dConfig { groups: 2, ..Default::default() }, Conv2dConfig::default());
    let line = random(&[1, 4, 9], 1);
    let theirs = candle_nn::conv1d(4, 6, 3, one, builder().pp("a")).unwrap();
    let ours = candle::conv1d(4, 6, 3, one, builder().pp("a")).unwrap();
    assert_eq!((ours.weight().dims(), ours.bias().unwrap().dims()), (&[6, 2, 3][..], &[6][..]));
    compare(&ours, &theirs, &line, &[]);
    compare(&candle::Conv1d::from(theirs.clone()), &theirs, &line, &[]);
    let image = random(&[1, 3, 8, 9], 1);
    let theirs = candle_nn::conv2d(3, 5, 3, two, builder().pp("b")).unwrap();
    compare(&candle::conv2d(3, 5, 3, two, builder().pp("b")).unwrap(), &theirs, &image, &[&image]);
    compare(&candle::Conv2d::from(theirs.clone()), &theirs, &image, &[&image]);
    let bare = candle::conv2d_no_bias(3, 5, 3, two, builder().pp("b")).unwrap();
    assert!(bare.bias().is_none() && *bare.config() == two);
    assert!(candle::conv1d_no_bias(4, 6, 3, one, builder().pp("a")).unwrap().bias().is_none());
    let other = candle::conv1d(4, 6, 5, one, builder().pp("a")).map(|_| ()).unwrap_err().to_string();
    assert!(other.contains("shape mismatch"), "{other}");
}

#[test]
fn layers_in_tasks_of_rayon() {
    use rayon::prelude::*;
    conv_core::cache::off();
    let layer = candle::Conv2d::new(random(&[8, 4, 9, 9], 2).as_tensor().clone(), None, Default::default());
    let images: Vec<Tensor> =
        (0..16).map(|seed| random(&[1, 4, 32, 32], seed).as_detached_tensor()).collect();
    let forward = |image| layer.forward(image).unwrap();
    let together: Vec<Tensor> = images.par_iter().map(forward).collect();
    for (image, found) in images.iter().zip(&together) {
        assert_eq!(difference(found, &forward(image)).0, 0.0);
    }
}

#[test]
fn bad_tensors() {
    let weight = |shape: &[usize]| random(shape, 2).as_tensor().clone();
    let message = |shape: &[usize], input: &Tensor| {
        let layer = candle::Conv2d::new(weight(shape), None, Conv2dConfig::default());
        layer.forward(input).unwrap_err().to_string()
    };
    let found = message(&[8, 3, 3, 3], &random(&[1, 4, 9, 9], 1));
    let expected = "convolution: expected as many channels of input and weight, found an input of [1, 4, 9, 9] and 1 \
                    groups of weights [8, 3, 3, 3]";
    assert!(found.starts_with(expected), "{found}");
    let found = message(&[8, 3, 3, 3], &random(&[3, 9, 9], 1));
    let expected = "convolution: expected input and weight of 4 dimensions, found [3, 9, 9] and [8, 3, 3, 3]";
    assert!(found.starts_with(expected), "{found}");
    let found = message(&[8, 3, 5, 5], &random(&[1, 3, 4, 4], 1));
    assert!(found.contains("axis 0"), "{found}");
    let found = message(&[8, 3, 3, 3], &random(&[1, 3, 9, 9], 1).to_dtype(DType::F64).unwrap());
    assert!(found.starts_with("convolution: expected values of type F32, found F64"), "{found}");
}
