//! `--net`: a training step of a whole network, ours and the same network of a peer.

use std::cell::RefCell;

use conv_core::{Axis, ConvProblem, Engine, Ops, Policy};
use examples::Failure;
use nn::data::{self, Dataset};
use nn::{Conv2d, ConvOptions, Flatten, Linear, Pool, Relu, Sequential, Sgd, Trainer};
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use super::measure::{Measured, Settings, Taken, take_all};
use super::peer::{PeerName, Worker};
use super::rows::Row;
use super::turns::{Candidate, Times};

/// Learning rate and momentum of every network: the report's.
const DESCENT: (f32, f32) = (0.001, 0.9);

/// `--net`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum NetName {
    /// LeNet on 3 × 32 × 32 images, batch 128.
    Lenet,
    /// The paper's five layers one after the other, batch 128.
    Paper,
    /// The report's networks: one convolution, pooling, three linear layers; sizes of all its experiments.
    Report,
}

/// A layer; convolutions are square.
#[derive(Clone, Copy, Debug)]
enum Spec {
    Conv { from: usize, to: usize, kernel: usize, padding: usize },
    Relu,
    MaxPool,
    Flatten,
    Linear { from: usize, to: usize },
}

/// A network for square images, and how it is trained.
#[derive(Clone, Debug)]
pub(crate) struct Net {
    name: String,
    batch: usize,
    channels: usize,
    size: usize,
    classes: usize,
    layers: Vec<Spec>,
}

/// The networks of this name, batches cut to `max_batch`.
pub(crate) fn nets(name: NetName, max_batch: Option<usize>) -> Vec<Net> {
    let cut = |batch: usize| max_batch.map_or(batch, |most| most.min(batch)).max(1);
    match name {
        NetName::Lenet => vec![lenet(cut(128))],
        NetName::Paper => vec![paper(cut(128))],
        NetName::Report => {
            let inputs = [70, 80, 90, 100, 110, 128].map(|n| (format!("input{n}"), 10, n, 64));
            let kernels = [8, 16, 24, 32, 40, 48, 56, 64].map(|k| (format!("kernel{k}"), 4, 128, k));
            let batches = [16, 32, 64, 128, 150, 180, 200].map(|s| (format!("batch{s}"), s, 64, 32));
            let all = inputs.into_iter().chain(kernels).chain(batches);
            all.map(|(name, batch, size, kernel)| report(&name, cut(batch), size, kernel)).collect()
        }
    }
}

/// Three linear layers with ReLU between them.
fn classifier(features: usize, hidden: [usize; 2], classes: usize) -> Vec<Spec> {
    vec![
        Spec::Flatten,
        Spec::Linear { from: features, to: hidden[0] },
        Spec::Relu,
        Spec::Linear { from: hidden[0], to: hidden[1] },
        Spec::Relu,
        Spec::Linear { from: hidden[1], to: classes },
    ]
}

fn lenet(batch: usize) -> Net {
    let mut layers = vec![
        Spec::Conv { from: 3, to: 6, kernel: 5, padding: 0 },
        Spec::Relu,
        Spec::MaxPool,
        Spec::Conv { from: 6, to: 16, kernel: 5, padding: 0 },
        Spec::Relu,
        Spec::MaxPool,
    ];
    layers.extend(classifier(400, [120, 84], 10));
    Net { name: format!("net.lenet.b{batch}"), batch, channels: 3, size: 32, classes: 10, layers }
}

/// Every convolution padded to keep its size, max-pooling after the second and the fifth, 1000 classes.
fn paper(batch: usize) -> Net {
    let sizes = [(3, 96, 11), (96, 256, 7), (256, 384, 5), (384, 384, 5), (384, 384, 3)];
    let mut layers = Vec::new();
    for (index, (from, to, kernel)) in sizes.into_iter().enumerate() {
        layers.extend([Spec::Conv { from, to, kernel, padding: kernel / 2 }, Spec::Relu]);
        layers.extend((index == 1 || index == 4).then_some(Spec::MaxPool));
    }
    layers.extend([Spec::Flatten, Spec::Linear { from: 384 * 8 * 8, to: 1000 }]);
    Net { name: format!("net.paper.b{batch}"), batch, channels: 3, size: 32, classes: 1000, layers }
}

fn report(name: &str, batch: usize, size: usize, kernel: usize) -> Net {
    let pooled = Axis::new(size, kernel).output() / 2;
    let mut layers = vec![Spec::Conv { from: 3, to: 16, kernel, padding: 0 }, Spec::Relu, Spec::MaxPool];
    layers.extend(classifier(16 * pooled * pooled, [120, 84], 10));
    Net { name: format!("net.report.{name}"), batch, channels: 3, size, classes: 10, layers }
}

impl Net {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    fn build<B: Ops>(&self, backend: &B) -> nn::Result<Sequential<B>> {
        let random = &mut StdRng::seed_from_u64(1);
        let mut network = Sequential::new();
        for layer in &self.layers {
            network = match *layer {
                Spec::Conv { from, to, kernel, padding } => {
                    let options = ConvOptions::new(from, to, [kernel; 2]).padding([padding; 2]);
                    network.with(Conv2d::new(backend, options, random)?)
                }
                Spec::Relu => network.with(Relu),
                Spec::MaxPool => network.with(Pool::max([2, 2])),
                Spec::Flatten => network.with(Flatten),
                Spec::Linear { from, to } => network.with(Linear::new(backend, from, to, random)?),
            };
        }
        Ok(network)
    }

    /// The same for the peer's worker.
    fn request(&self, peer: PeerName) -> Value {
        let layer = |layer: &Spec| match *layer {
            Spec::Conv { from, to, kernel, padding } => json!(["conv", [from, to, kernel, padding]]),
            Spec::Relu => json!(["relu", []]),
            Spec::MaxPool => json!(["maxpool", [2]]),
            Spec::Flatten => json!(["flatten", []]),
            Spec::Linear { from, to } => json!(["linear", [from, to]]),
        };
        json!({ "peer": peer.name(), "network": {
            "layers": self.layers.iter().map(layer).collect::<Vec<_>>(),
            "batch": self.batch,
            "image": [self.channels, self.size, self.size],
            "classes": self.classes,
            "rate": DESCENT.0,
            "momentum": DESCENT.1,
        }})
    }

    /// Direct multiply-adds of the convolutions of a step; the first has no backward-input.
    fn multiply_adds(&self) -> f64 {
        let (mut size, mut sum, mut passes) = (self.size, 0.0, 2.0);
        for layer in &self.layers {
            match *layer {
                Spec::Conv { from, to, kernel, padding } => {
                    let axis = Axis::new(size, kernel).padding(padding, padding);
                    let problem = ConvProblem::new(self.batch, from, to, 1, &[axis; 2]);
                    sum += passes * problem.map_or(0.0, |problem| problem.multiply_adds());
                    (size, passes) = (axis.output(), 3.0);
                }
                Spec::MaxPool => size /= 2,
                Spec::Relu | Spec::Flatten | Spec::Linear { .. } => {}
            }
        }
        sum
    }
}

/// A network in training, on an engine that it shares with others: algorithms are chosen at its first step.
struct Training<'a, B: Ops> {
    trainer: Trainer<B>,
    engine: &'a RefCell<Engine<B>>,
    images: &'a Dataset,
}

impl<B: Ops> Training<'_, B> {
    /// One step and its seconds.
    fn step(&mut self) -> Result<f64, Failure> {
        let Training { trainer, engine, images } = self;
        let stop = engine.borrow().backend().stopwatch()?;
        trainer.step(&mut engine.borrow_mut(), images.shape(), images.images(), images.labels())?;
        Ok(stop()?)
    }
}

impl<B: Ops> Candidate for Training<'_, B> {
    fn run(&mut self, runs: usize) -> Result<Vec<f64>, Failure> {
        (0..runs).map(|_| self.step()).collect()
    }
}

/// Times a training step under the policy asked for, where all is asked for under every algorithm, and the peer's.
///
/// # Errors
/// As training.
pub(crate) fn measure<B: Ops>(
    engine: &RefCell<Engine<B>>,
    net: &Net,
    settings: &Settings,
    workers: &mut [Worker],
) -> Result<Measured, Failure> {
    let mut found = Measured::new("net".into());
    let mut policies = vec![("auto".to_string(), Policy::Predicted)];
    match &settings.policy {
        Policy::Named(name) => policies = vec![(name.clone(), settings.policy.clone())],
        _ if settings.all => {
            let engine = engine.borrow();
            let names = engine.backend().algorithms().iter().map(|algorithm| algorithm.name().to_string());
            policies.extend(names.map(|name| (name.clone(), Policy::Named(name))));
        }
        policy => policies[0].1 = policy.clone(),
    }
    let images = data::random(net.batch, net.channels, &[net.size; 2], net.classes, 1)?;
    let descent = Sgd::new(DESCENT.0, DESCENT.1, 0.0)?;
    let mut ours = Vec::new();
    for (name, policy) in policies {
        engine.borrow_mut().set_policy(policy)?;
        let trainer = Trainer::new(net.build(engine.borrow().backend())?, descent);
        let mut training = Training { trainer, engine, images: &images };
        match training.step() {
            Ok(_) => ours.push((name, training)),
            Err(Failure::Refused(reason)) => found.notes.push(reason),
            Err(failure) => return Err(failure),
        }
    }
    let own = ours.iter_mut().map(|(_, training)| training as &mut dyn Candidate).collect();
    let Taken { times, peer_times } =
        take_all(own, |peer| net.request(peer), settings, workers, &mut found.notes)?;

    let backend = engine.borrow().backend().name().to_string();
    let row = |algorithm: &str, chosen, times: &Times| {
        let problem = format!("{} batch {}", net.name, net.batch);
        let words = [&net.name, &problem, "train", &backend, algorithm];
        Row::new(words, chosen, times, net.multiply_adds())
    };
    for (index, ((name, _), times)) in ours.iter().zip(&times).enumerate() {
        let workspace_mib = Some(engine.borrow().workspace_bytes() as f64 / f64::from(1 << 20));
        found.add(Row { workspace_mib, ..row(name, index == 0, times) }, times);
    }
    for (peer, times) in &peer_times {
        found.add(row(peer.name(), false, times), times);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use backend_cpu::Cpu;
    use nn::{Layer, Shape};

    #[test]
    fn the_networks_compose() {
        let sizes = [(NetName::Lenet, 1), (NetName::Paper, 1), (NetName::Report, 21)];
        for (name, count) in sizes {
            let nets = nets(name, Some(2));
            assert_eq!(nets.len(), count);
            for net in nets {
                let shape = Shape::new(&[2, net.channels, net.size, net.size]).unwrap();
                let network = net.build(&Cpu::new()).unwrap();
                assert_eq!(network.output_shape(&shape).unwrap().sizes(), [2, net.classes], "{}", net.name);
            }
        }
    }

    #[test]
    fn operations_are_those_of_the_convolutions() {
        let lenet = lenet(1);
        let (first, second) = (28.0 * 28.0 * 6.0 * 3.0 * 25.0, 10.0 * 10.0 * 16.0 * 6.0 * 25.0);
        assert_eq!(lenet.multiply_adds(), 2.0 * first + 3.0 * second);
    }
}
