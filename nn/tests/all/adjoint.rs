//! Gradients of convolution layers: ⟨layer(x), g⟩ = ⟨x, dx⟩ = ⟨w, dw⟩, since they are linear in both.

use crate::common::{Host, both, dot, engine, shape};
use conv_core::testing::values;
use nn::{Conv, ConvOptions, ConvTranspose, Layer, Wanted};
use rand::SeedableRng;
use rand::rngs::StdRng;

/// Two steps on other values each, prepared as a step, so that nothing kept from the first may show in the second.
fn check(layer: &mut impl Layer<Host>, input: &[usize], expected: &[usize]) {
    let (mut engine, shape) = (engine(), shape(input));
    layer.prepare(&mut engine, &shape, Wanted::Input).unwrap();
    let output = layer.output_shape(&shape).unwrap();
    assert_eq!(output.sizes(), expected);
    for seed in [1, 2] {
        let (x, g) = (values(shape.elements(), seed), values(output.elements(), seed + 10));
        let run = both(&mut engine, layer, &shape, &x, &g).unwrap();
        let (found, size) = dot(&run.output, &g);
        assert!(size > 0.0);
        for (by_other, _) in [dot(&x, &run.grad_input), dot(&layer.parameters()[0].value, &run.grads[0])] {
            assert!((found - by_other).abs() <= 1e-5 * size, "{found} {by_other}");
        }
    }
}

fn conv<const D: usize>(options: ConvOptions<D>, input: &[usize], expected: &[usize]) {
    let layer = Conv::new(engine().backend(), options.bias(false), &mut StdRng::seed_from_u64(3));
    check(&mut layer.unwrap(), input, expected);
}

fn transpose<const D: usize>(
    options: ConvOptions<D>,
    output_padding: [usize; D],
    input: &[usize],
    expected: &[usize],
) {
    let layer = ConvTranspose::new(engine().backend(), options.bias(false), &mut StdRng::seed_from_u64(3));
    check(&mut layer.unwrap().output_padding(output_padding).unwrap(), input, expected);
}

#[test]
fn convolutions() {
    conv(ConvOptions::new(3, 4, [5]), &[2, 3, 11], &[2, 4, 7]);
    conv(ConvOptions::new(4, 6, [3]).groups(2).stride([3]).padding_pairs([(0, 4)]), &[2, 4, 9], &[2, 6, 4]);
    let uneven = ConvOptions::new(2, 4, [3, 2]).groups(2).dilation([2, 3]).padding_pairs([(1, 0), (0, 2)]);
    conv(uneven.clone(), &[2, 2, 6, 5], &[2, 4, 3, 4]);
    conv(uneven.stride([2, 3]), &[2, 2, 6, 5], &[2, 4, 2, 2]);
    conv(ConvOptions::new(3, 3, [2, 3, 1]).groups(3).padding([1, 1, 0]), &[1, 3, 3, 4, 2], &[1, 3, 4, 4, 2]);
}

#[test]
fn transposed_convolutions() {
    transpose(ConvOptions::new(3, 4, [5]), [0], &[2, 3, 4], &[2, 4, 8]);
    let strided = ConvOptions::new(4, 6, [3]).groups(2).stride([3]).padding_pairs([(2, 1)]);
    transpose(strided.clone(), [0], &[2, 4, 5], &[2, 6, 12]);
    transpose(strided, [2], &[2, 4, 5], &[2, 6, 14]);
    let uneven =
        ConvOptions::new(2, 4, [3, 2]).dilation([2, 3]).stride([1, 2]).padding_pairs([(1, 0), (0, 2)]);
    transpose(uneven.groups(2), [0, 1], &[2, 2, 4, 3], &[2, 4, 7, 7]);
    let deep = ConvOptions::new(2, 3, [2, 3, 2]).stride([2, 1, 2]).padding([0, 1, 0]);
    transpose(deep, [1, 0, 1], &[1, 2, 2, 3, 2], &[1, 3, 5, 3, 5]);
}

#[test]
fn a_transposed_convolution_worked_by_hand() {
    let mut engine = engine();
    let made = |padding, output_padding| {
        let options = ConvOptions::new(1, 1, [3]).stride([2]).padding([padding]);
        let layer = ConvTranspose::new(engine.backend(), options, &mut StdRng::seed_from_u64(0)).unwrap();
        let mut layer = layer.output_padding([output_padding]).unwrap();
        for (parameter, values) in layer.parameters_mut().into_iter().zip([vec![1.0, 10.0, 100.0], vec![0.5]])
        {
            parameter.value = values;
        }
        layer
    };
    let mut layers = [made(0, 0), made(1, 0), made(1, 1)];
    let expected =
        [vec![1.5, 10.5, 102.5, 20.5, 200.5], vec![10.5, 102.5, 20.5], vec![10.5, 102.5, 20.5, 200.5]];
    for (layer, expected) in layers.iter_mut().zip(expected) {
        let g = vec![1.0; expected.len()];
        let run = both(&mut engine, layer, &shape(&[1, 1, 2]), &vec![1.0, 2.0], &g).unwrap();
        assert_eq!(run.output, expected);
        assert_eq!(run.grads[1], [expected.len() as f32]);
    }
}

#[test]
fn bias_is_added_to_each_channel_and_gathers_its_gradient() {
    let mut engine = engine();
    let options = ConvOptions::new(1, 2, [2]);
    let mut layer = Conv::new(engine.backend(), options, &mut StdRng::seed_from_u64(0)).unwrap();
    layer.parameters_mut()[1].value = vec![3.0, -4.0];
    let g = vec![1.0, 2.0, 10.0, 20.0, 100.0, 200.0, 1000.0, 2000.0];
    let run = both(&mut engine, &mut layer, &shape(&[2, 1, 3]), &vec![0.0; 6], &g).unwrap();
    assert_eq!(run.output, [3.0, 3.0, -4.0, -4.0, 3.0, 3.0, -4.0, -4.0]);
    assert_eq!(run.grads[1], [303.0, 3030.0]);
}
