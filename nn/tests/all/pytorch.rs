//! Against PyTorch, by the vectors of `vectors/make.py`: losses of 20 steps from the same weights, single layers with
//! gradients, and weights by name.

use std::path::PathBuf;

use backend_cpu::Cpu;
use conv_core::{Backend, Engine};
use nn::*;
use rand::SeedableRng;
use rand::rngs::StdRng;
use safetensors::SafeTensors;

/// A file of vectors.
struct Vectors(Vec<u8>);

impl Vectors {
    fn path(name: &str) -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(format!("{name}.safetensors"))
    }

    fn open(name: &str) -> Self {
        Vectors(std::fs::read(Self::path(name)).unwrap())
    }

    fn tensor(&self, name: &str) -> (Vec<usize>, Vec<f32>) {
        let file = SafeTensors::deserialize(&self.0).unwrap();
        let view = file.tensor(name).unwrap_or_else(|_| panic!("no {name}"));
        let bytes = view.data().as_chunks().0.iter();
        (view.shape().to_vec(), bytes.map(|bytes| f32::from_le_bytes(*bytes)).collect())
    }

    fn values(&self, name: &str) -> Vec<f32> {
        self.tensor(name).1
    }
}

fn engine() -> Engine<Cpu> {
    conv_core::cache::off();
    Engine::new(Cpu::new()).unwrap()
}

fn values(buffer: &backend_cpu::Buffer) -> &[f32] {
    buffer
}

fn close(what: &str, found: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (index, (a, b)) in found.iter().zip(expected).enumerate() {
        assert!((a - b).abs() <= tolerance * b.abs().max(1.0), "{what} at {index}: {a} and {b}");
    }
}

/// The two networks of the script.
fn network(name: &str, backend: &Cpu) -> Sequential<Cpu> {
    let random = &mut StdRng::seed_from_u64(0);
    if name == "linear" {
        return Sequential::new()
            .with(Linear::new(backend, 12, 16, random).unwrap())
            .with(Relu)
            .with(Linear::new(backend, 16, 4, random).unwrap());
    }
    let options = ConvOptions::new(2, 4, [3, 3]).padding([1, 1]).padding_mode(PadMode::Reflect);
    let options = options.bias(false);
    Sequential::new()
        .with(Conv2d::new(backend, options, random).unwrap())
        .with(BatchNorm::new(backend, 4).unwrap())
        .with(Relu)
        .with(Pool::max([2, 2]))
        .with(Flatten)
        .with(Linear::new(backend, 36, 4, random).unwrap())
}

/// The four trainings of the script.
fn trainer(run: &str, network: Sequential<Cpu>) -> Trainer<Cpu> {
    let loss = |smoothing| CrossEntropy::new().label_smoothing(smoothing).unwrap();
    match run {
        "sgd" => Trainer::new(network, Sgd::new(0.1, 0.9, 0.01).unwrap()),
        "nesterov" => Trainer::new(network, Sgd::new(0.1, 0.9, 0.0).unwrap().nesterov()).with_loss(loss(0.1)),
        "adam" => Trainer::new(network, Adam::new(0.01, 0.01).unwrap()).with_clip(0.5).unwrap(),
        _ => Trainer::new(network, Adam::new(0.02, 0.1).unwrap().decoupled())
            .with_schedule(Schedule::new(4, Decay::Cosine { steps: 20 }).unwrap()),
    }
}

#[test]
fn twenty_steps_of_every_optimizer_give_the_same_losses() {
    for (name, image) in [("linear", &[12][..]), ("conv", &[2, 7, 7])] {
        let vectors = Vectors::open(&format!("{name}.losses"));
        let (images, labels) = (vectors.values("images"), vectors.values("labels"));
        let shape = Shape::new(&[&[8], image].concat()).unwrap();
        for run in ["sgd", "nesterov", "adam", "adamw"] {
            let mut engine = engine();
            let mut network = network(name, engine.backend());
            let weights = Vectors::path(&format!("{name}.weights"));
            state_dict::load(weights, engine.backend(), &mut network).unwrap();
            let mut trainer = trainer(run, network);
            let mut losses = Vec::new();
            for step in 0..20 {
                let batch = step % 3;
                let images = &images[batch * shape.elements()..][..shape.elements()];
                let labels: Vec<_> = labels[batch * 8..][..8].iter().map(|label| *label as usize).collect();
                losses.push(trainer.step(&mut engine, &shape, images, &labels).unwrap().loss() as f32);
            }
            let case = format!("{name} by {run}");
            close(&case, &losses, &vectors.values(&format!("{run}.losses")), 1e-4);
            for parameter in trainer.network().parameters() {
                let (shape, expected) = vectors.tensor(&format!("{run}.end.{}", parameter.name));
                assert_eq!(parameter.shape, shape);
                close(&format!("{case}: {}", parameter.name), values(&parameter.value), &expected, 1e-3);
            }
        }
    }
}

/// One layer both ways, from its own weights in the file.
fn single(name: &str, layer: &mut dyn Layer<Cpu>) {
    let (mut engine, vectors) = (engine(), Vectors::open("layers"));
    let of = |tensor: &str| vectors.tensor(&format!("{name}.{tensor}"));
    for parameter in layer.parameters_mut().into_iter().filter(|parameter| parameter.trained) {
        engine.backend().upload(&of(&parameter.name).1, &mut parameter.value).unwrap();
    }
    let (sizes, x) = of("x");
    let shape = Shape::new(&sizes).unwrap();
    let (sizes, y) = of("y");
    assert_eq!(layer.output_shape(&shape).unwrap().sizes(), sizes, "{name}");
    let [x, grad_output] = [x, of("g").1].map(|values| engine.uploaded(&values).unwrap());
    let mut output = engine.backend().alloc(y.len()).unwrap();
    let mut grad_input = engine.backend().alloc(x.len()).unwrap();
    layer.prepare(&mut engine, &shape, Wanted::Input).unwrap();
    layer.forward(&mut engine, Mode::Training { step: 0 }, &shape, &x, &mut output).unwrap();
    let grads = Some(&mut grad_input);
    let tensors = Backward { input: &x, output: &output, grad_output: &grad_output, grad_input: grads };
    layer.backward(&mut engine, &shape, tensors).unwrap();
    close(&format!("{name}: output"), &output, &y, 2e-5);
    close(&format!("{name}: gradient by the input"), &grad_input, &of("dx").1, 2e-5);
    for parameter in layer.parameters().into_iter().filter(|parameter| parameter.trained) {
        let what = format!("d{}", parameter.name);
        close(&format!("{name}: {what}"), &parameter.grad, &of(&what).1, 1e-4);
    }
}

fn conv<const D: usize>(name: &str, options: ConvOptions<D>) {
    let layer = Conv::new(&Cpu::new(), options, &mut StdRng::seed_from_u64(0));
    single(name, &mut layer.unwrap());
}

#[test]
fn padding_modes_and_the_same_size() {
    let modes = [
        ("zeros", PadMode::Zeros),
        ("circular", PadMode::Circular),
        ("reflect", PadMode::Reflect),
        ("replicate", PadMode::Replicate),
    ];
    for (name, mode) in modes {
        let one = ConvOptions::new(2, 3, [3]).padding([2]).stride([2]);
        conv(&format!("{name}1"), one.padding_mode(mode));
        let two = ConvOptions::new(4, 2, [3, 2]).padding([2, 1]).groups(2).dilation([1, 2]);
        conv(&format!("{name}2"), two.padding_mode(mode));
    }
    let three = ConvOptions::new(1, 2, [2, 2, 2]).padding([1; 3]).padding_mode(PadMode::Replicate);
    conv("replicate3", three);
    conv("same", ConvOptions::new(2, 3, [4, 3]).same().dilation([1, 2]));
}

#[test]
fn batch_normalisation() {
    single("batch_norm", &mut BatchNorm::new(&Cpu::new(), 3).unwrap());
}

#[test]
fn weights_go_both_ways_by_name() {
    let (backend, folder) = (Cpu::new(), tempfile::tempdir().unwrap());
    let (theirs, ours) = (Vectors::path("conv.weights"), folder.path().join("ours"));
    let mut first = network("conv", &backend);
    state_dict::load(&theirs, &backend, &mut first).unwrap();
    state_dict::save(&ours, &backend, &first).unwrap();
    let [theirs, ours] = [theirs, ours].map(|path| Vectors(std::fs::read(path).unwrap()));
    let file = SafeTensors::deserialize(&theirs.0).unwrap();
    let mut names = file.names();
    // PyTorch makes its counter anew where a file has none.
    names.retain(|name| *name != "1.num_batches_tracked");
    names.sort_unstable();
    let mut found: Vec<_> = first.parameters().into_iter().map(|parameter| parameter.name.as_str()).collect();
    found.sort_unstable();
    assert_eq!(found, names);
    for name in names {
        assert_eq!(ours.tensor(name), theirs.tensor(name), "{name}");
    }
}

#[test]
fn names_of_modules_and_bad_weights() {
    let (backend, random) = (Cpu::new(), &mut StdRng::seed_from_u64(0));
    let path = Vectors::path("linear.weights");
    let message = |mut network: Sequential<Cpu>| {
        let found = state_dict::load(&path, &backend, &mut network).unwrap_err().to_string();
        found.split_once(".safetensors: ").unwrap().1.to_owned()
    };
    let named = Sequential::new().named("classifier", Linear::new(&backend, 12, 16, random).unwrap());
    let names: Vec<_> = named.parameters().iter().map(|parameter| parameter.name.clone()).collect();
    assert_eq!(names, ["classifier.weight", "classifier.bias"]);
    assert_eq!(message(named), "tensor \"0.bias\" is not of this network");
    let longer = network("linear", &backend).with(Linear::new(&backend, 4, 2, random).unwrap());
    assert_eq!(message(longer), "expected a tensor \"3.weight\", found none");
    let other = Sequential::new()
        .with(Linear::new(&backend, 12, 15, random).unwrap())
        .with(Relu)
        .with(Linear::new(&backend, 15, 4, random).unwrap());
    assert_eq!(message(other), "tensor \"0.weight\": expected F32 [15, 12], found F32 [16, 12]");
}
