//! Every network by name: parameters, output shapes, and a loss that falls.

use backend_cpu::Cpu;
use conv_core::Engine;
use conv_core::testing::values;
use nn::*;

/// Shape and size, and what ten steps on one batch do to the loss.
fn check(
    name: &str,
    network: nn::Result<Sequential<Cpu>>,
    input: &[usize],
    classes: usize,
    parameters: usize,
) {
    conv_core::cache::off();
    let (mut engine, shape) = (Engine::new(Cpu::new()).unwrap(), crate::common::shape(input));
    let network = network.unwrap();
    let summary = network.summary(&shape).unwrap();
    assert_eq!(summary.parameters(), parameters, "{name}\n{summary}");
    assert_eq!(network.output_shape(&shape).unwrap().sizes(), [input[0], classes], "{name}");
    let labels: Vec<_> = (0..input[0]).map(|image| image % classes).collect();
    let mut trainer = Trainer::new(network, Adam::new(2e-3, 0.0).unwrap());
    let x = values(shape.elements(), 1);
    let losses: Vec<_> =
        (0..10).map(|_| trainer.step(&mut engine, &shape, &x, &labels).unwrap().loss()).collect();
    assert!(losses[9] < 0.7 * losses[0], "{name}: {losses:?}");
}

#[test]
fn networks_learn() {
    let backend = &Cpu::new();
    check("lenet", models::lenet(backend, 3, 10, 1), &[4, 3, 32, 32], 10, 62_006);
    check("report", models::report(backend, 3, 20, 7, 10, 1), &[4, 3, 20, 20], 10, 107_582);
    check("spectral", models::spectral(backend, 3, 20, 7, 10, 1), &[4, 3, 20, 20], 10, 107_918);
    check("resnet", models::resnet(backend, 3, 10, 1), &[4, 3, 16, 16], 10, 78_042);
    check("large_kernel", models::large_kernel(backend, 3, 13, 10, 1), &[4, 3, 32, 32], 10, 91_690);
    check("audio", models::audio(backend, 1, 5, 1), &[4, 1, 2000], 5, 37_509);
    check("volume", models::volume(backend, 1, 3, 1), &[4, 1, 8, 8, 8], 3, 18_491);
}

#[test]
fn the_papers_network() {
    let network = models::paper(&Cpu::new(), 3, 32, 1000, 1).unwrap();
    let input = crate::common::shape(&[128, 3, 32, 32]);
    assert_eq!(network.output_shape(&input).unwrap().sizes(), [128, 1000]);
    let convolutions: usize =
        [3 * 96 * 121, 96 * 256 * 49, 256 * 384 * 25, 384 * 384 * 25, 384 * 384 * 9].iter().sum();
    let biases = 96 + 256 + 3 * 384 + 1000;
    let expected = convolutions + 384 * 64 * 1000 + biases;
    assert_eq!(network.summary(&input).unwrap().parameters(), expected);
}

#[test]
fn kernels_out_of_range() {
    let message =
        |kernel| models::large_kernel(&Cpu::new(), 3, kernel, 10, 1).map(|_| ()).unwrap_err().to_string();
    let expected = "kernel of the network: expected an odd number from 7 to 31, found ";
    assert_eq!(message(8), format!("{expected}8"));
    assert_eq!(message(33), format!("{expected}33"));
    let report = models::report(&Cpu::new(), 3, 8, 9, 10, 1).map(|_| ()).unwrap_err().to_string();
    assert_eq!(report, "kernel of the network: expected 1 to 7, found 9");
}
