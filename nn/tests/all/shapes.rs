//! Shapes that layers make, and the messages for those they do not take.

use crate::common::{Host, engine, shape};
use conv_core::Policy;
use nn::*;
use rand::SeedableRng;
use rand::rngs::StdRng;

fn conv<const D: usize>(options: ConvOptions<D>) -> Result<Conv<Host, D>> {
    Conv::new(engine().backend(), options, &mut StdRng::seed_from_u64(0))
}

fn message<T>(result: Result<T>) -> String {
    result.map(|_| ()).unwrap_err().to_string()
}

#[test]
fn impossible_shapes() {
    assert_eq!(message(Shape::new(&[3])), "shape: expected batch, channels and any spatial axes, found [3]");
    assert_eq!(message(Shape::new(&[3, 0, 2])), "size 1 of the shape must be at least 1, found 0");
    let large = message(Shape::new(&[usize::MAX, 2]));
    assert_eq!(large, "activation tensor is too large: expected at most 1099511627776 values");
    assert_eq!(shape(&[128, 3, 32, 32]).to_string(), "(128, 3, 32, 32)");
    assert_eq!(shape(&[4, 3, 2]).with_batch(1).unwrap(), shape(&[1, 3, 2]));
}

#[test]
fn impossible_options() {
    let options = ConvOptions::new(4, 6, [3, 3]);
    assert_eq!(message(conv(options.clone().groups(3))), "groups 3 must divide in channels, found 4");
    assert_eq!(message(conv(options.clone().stride([1, 0]))), "stride of axis 1 must be at least 1, found 0");
    assert_eq!(message(conv(ConvOptions::new(1, 1, []))), "expected 1 to 3 spatial axes, found 0");
    assert_eq!(message(conv(ConvOptions::new(1, 1, [1; 4]))), "expected 1 to 3 spatial axes, found 4");
    let far = message(conv(ConvOptions::new(1, 1, [usize::MAX]).dilation([usize::MAX])));
    assert!(far.starts_with("dilated kernel of axis 0 is too large"), "{far}");
    let transposed =
        ConvTranspose::new(engine().backend(), options.stride([2, 1]), &mut StdRng::seed_from_u64(0));
    let found = message(transposed.unwrap().output_padding([1, 1]));
    assert_eq!(found, "output padding: expected less than the stride [2, 1], found [1, 1]");
    let none = message(Linear::new(engine().backend(), 0, 3, &mut StdRng::seed_from_u64(0)));
    assert_eq!(none, "in channels must be at least 1, found 0");
}

#[test]
fn inputs_that_a_layer_does_not_take() {
    let layer = conv(ConvOptions::new(3, 6, [5, 5])).unwrap();
    let found = message(layer.output_shape(&shape(&[2, 3, 32])));
    assert_eq!(found, "expected an input of 3 channels and 2 spatial axes, found (2, 3, 32)");
    let found = message(layer.output_shape(&shape(&[2, 3, 32, 4])));
    assert!(found.starts_with("kernel of axis 1 does not fit: it spans 5 points"), "{found}");
    let random = &mut StdRng::seed_from_u64(0);
    let linear = Linear::new(engine().backend(), 8, 2, random).unwrap();
    let found = message(linear.output_shape(&shape(&[5, 2, 4])));
    assert_eq!(found, "expected an input of 8 features and no spatial axes, found (5, 2, 4)");
    let cut =
        ConvTranspose::new(engine().backend(), ConvOptions::new(1, 1, [2]).padding([2]), random).unwrap();
    let found = message(cut.output_shape(&shape(&[1, 1, 3])));
    assert_eq!(found, "padding: expected less than the 4 points it is cut from, found 4");
    let far = ConvOptions::new(1, 1, [1]).stride([1 << 40]);
    let far = ConvTranspose::new(engine().backend(), far, random).unwrap();
    let found = message(far.output_shape(&shape(&[1, 1, 1 << 30])));
    assert!(found.starts_with("output axis is too large"), "{found}");
}

#[test]
fn pools() {
    let made = |pool: &dyn Layer<Host>, sizes: &[usize]| pool.output_shape(&shape(sizes));
    assert_eq!(made(&Pool::max([2, 2]), &[1, 3, 5, 4]).unwrap(), shape(&[1, 3, 2, 2]));
    assert_eq!(made(&Pool::average([3]).stride([1]).padding([1]), &[1, 3, 5]).unwrap(), shape(&[1, 3, 5]));
    assert_eq!(made(&Pool::max([1, 2, 3]), &[2, 1, 4, 4, 4]).unwrap(), shape(&[2, 1, 4, 2, 1]));
    let found = message(made(&Pool::max([2]).padding([2]), &[1, 1, 5]));
    assert_eq!(found, "padding of a pooling: expected less than the kernel [2], found [2]");
    let found = message(made(&Pool::max([0]), &[1, 1, 5]));
    assert_eq!(found, "kernel of axis 0 must be at least 1, found 0");
    assert!(made(&Pool::max([2]), &[1, 1, 5, 5]).is_err());
}

#[test]
fn a_layer_alone_copies_where_a_network_would_not() {
    let (mut engine, x) = (engine(), (0..12).map(|v| v as f32).collect::<Vec<_>>());
    let run = crate::common::both(&mut engine, &mut Flatten, &shape(&[2, 3, 2]), &x, &x).unwrap();
    assert_eq!((&run.output, &run.grad_input), (&x, &x));
}

#[test]
fn buffers_that_do_not_fit() {
    let mut layer = conv(ConvOptions::new(1, 1, [2])).unwrap();
    let mut engine = engine();
    let found =
        layer.forward(&mut engine, Mode::Evaluation, &shape(&[1, 1, 4]), &vec![0.0; 5], &mut vec![0.0; 3]);
    assert_eq!(message(found), "input has 5 values, expected 4");
    let mut network = Sequential::new().with(layer);
    let found = message(network.predict(&mut engine, &shape(&[1, 1, 4]), &vec![0.0; 5]).map(|_| ()));
    assert_eq!(found, "input of the network has 5 values, expected 4");
}

#[test]
fn a_network_names_the_layer() {
    let mut engine = engine();
    let mut network = models::lenet(engine.backend(), 3, 10, 0).unwrap();
    let found = message(network.prepare(&mut engine, &shape(&[2, 3, 28, 28]), Wanted::Parameters));
    let expected = "layer 7 (linear): expected an input of 400 features and no spatial axes, found (2, 256)";
    assert_eq!(found, expected);
    assert_eq!(message(network.output_shape(&shape(&[2, 3, 28, 28]))), expected);
    let small = message(network.summary(&shape(&[2, 3, 4, 4])));
    assert!(small.starts_with("layer 0 (conv2d): kernel of axis 0 does not fit"), "{small}");
}

#[test]
fn a_layers_policy_overrides_the_engines() {
    let mut engine = engine();
    let options = ConvOptions::new(1, 1, [2]).policy(Policy::Named("nothing".into()));
    let mut layer = conv(options).unwrap();
    let found = message(layer.prepare(&mut engine, &shape(&[1, 1, 4]), Wanted::Output));
    assert_eq!(found, "unknown algorithm \"nothing\", expected one of plain, slower");
}
