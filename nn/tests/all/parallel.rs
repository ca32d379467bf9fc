//! A step that several ranks take together, here threads: one step of the whole minibatch.

use std::collections::VecDeque;
use std::sync::{Arc, Barrier, Mutex};
use std::thread;

use crate::common::shape;
use backend_cpu::{Buffer, Cpu};
use conv_core::testing::values;
use conv_core::{Engine, Ranks, Result};
use nn::data::Batch;
use nn::parallel::{broadcast, share};
use nn::*;
use rand::SeedableRng;
use rand::rngs::StdRng;

/// One of several threads that wait for each other in every sum.
struct Thread {
    rank: usize,
    barrier: Arc<Barrier>,
    slots: Arc<Mutex<Vec<Vec<f32>>>>,
    sums: VecDeque<Vec<f32>>,
}

impl Thread {
    fn all(size: usize) -> Vec<Thread> {
        let (barrier, slots) = (Arc::new(Barrier::new(size)), Arc::new(Mutex::new(vec![Vec::new(); size])));
        let thread = |rank| {
            let (barrier, slots) = (Arc::clone(&barrier), Arc::clone(&slots));
            Thread { rank, barrier, slots, sums: VecDeque::new() }
        };
        (0..size).map(thread).collect()
    }

    /// What all ranks have given, in their order.
    fn exchanged(&self, given: Vec<f32>) -> Vec<Vec<f32>> {
        self.slots.lock().unwrap()[self.rank] = given;
        self.barrier.wait();
        let all = self.slots.lock().unwrap().clone();
        self.barrier.wait();
        all
    }
}

impl Ranks<Cpu> for Thread {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.slots.lock().unwrap().len()
    }

    fn begin_sum(&mut self, _: &Cpu, values: &Buffer, weight: f32) -> Result<()> {
        let own = values.iter().map(|value| if weight == 0.0 { 0.0 } else { weight * value }).collect();
        let all = self.exchanged(own);
        let sum = |point: usize| all.iter().map(|values| values[point]).sum();
        self.sums.push_back((0..values.len()).map(sum).collect());
        Ok(())
    }

    fn end_sum(&mut self, _: &Cpu, scale: f32, sum: &mut Buffer) -> Result<()> {
        let summed = self.sums.pop_front().expect("a sum was begun");
        assert_eq!(summed.len(), sum.len());
        sum.iter_mut().zip(summed).for_each(|(to, from)| *to = scale * from);
        Ok(())
    }

    fn broadcast(&mut self, _: &Cpu, values: &mut Buffer) -> Result<()> {
        let all = self.exchanged(values.to_vec());
        values.copy_from_slice(&all[0]);
        Ok(())
    }

    fn abort(&mut self, _: u8) {}
}

const IMAGE: [usize; 3] = [2, 6, 6];

/// A network, of these first weights, with or without running statistics.
fn trainer(backend: &Cpu, seed: u64, normalised: bool) -> Trainer<Cpu> {
    let random = &mut StdRng::seed_from_u64(seed);
    let mut network =
        Sequential::new().with(Conv2d::new(backend, ConvOptions::new(2, 4, [3, 3]), random).unwrap());
    if normalised {
        network = network.with(BatchNorm::new(backend, 4).unwrap());
    }
    let network = network.with(Relu).with(Flatten).with(Linear::new(backend, 64, 3, random).unwrap());
    Trainer::new(network, Sgd::new(0.05, 0.9, 0.0).unwrap())
}

fn minibatch(images: &[usize], step: u64) -> Batch {
    let len: usize = IMAGE.iter().product();
    let image = |number: &usize| values(len, 100 * step + *number as u64);
    let labels = images.iter().map(|number| number % 3).collect();
    let shape = shape(&[&[images.len().max(1)], &IMAGE[..]].concat());
    Batch { shape, images: images.iter().flat_map(image).collect(), labels }
}

fn state(trainer: &Trainer<Cpu>) -> State {
    let parameters = trainer.network().parameters().into_iter();
    parameters.map(|parameter| (parameter.name.clone(), parameter.value.to_vec())).collect()
}

/// What a network remembers, by name.
type State = Vec<(String, Vec<f32>)>;

/// Losses and end of some steps on minibatches of `count` images by one rank of several.
fn steps(mut thread: Thread, count: usize, normalised: bool, steps: u64) -> (Vec<f64>, State) {
    let mut engine = Engine::new(Cpu::new()).unwrap();
    let mut trainer = trainer(engine.backend(), 1 + thread.rank as u64, normalised);
    broadcast(&mut thread, engine.backend(), trainer.network_mut()).unwrap();
    let numbers: Vec<usize> = (0..count).collect();
    let size = Ranks::<Cpu>::size(&thread);
    let losses = (0..steps).map(|step| {
        let own = minibatch(share(&numbers, thread.rank, size), step);
        let share = (!own.labels.is_empty()).then_some(&own);
        let score = trainer.step_shared(&mut engine, &mut thread, share).unwrap();
        assert_eq!(score.count, count);
        score.loss()
    });
    (losses.collect(), state(&trainer))
}

fn together(size: usize, count: usize, normalised: bool, taken: u64) -> Vec<(Vec<f64>, State)> {
    conv_core::cache::off();
    let start = |rank| thread::spawn(move || steps(rank, count, normalised, taken));
    let threads: Vec<_> = Thread::all(size).into_iter().map(start).collect();
    threads.into_iter().map(|thread| thread.join().unwrap()).collect()
}

fn near(found: &State, expected: &State) {
    for ((name, found), (_, expected)) in found.iter().zip(expected) {
        let worst = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 1e-4, "{name}: {worst}");
    }
}

#[test]
fn ranks_take_the_steps_of_one() {
    let alone = &together(1, 5, false, 4)[0];
    // The last has a rank without images.
    for size in [2, 3, 6] {
        for (losses, end) in together(size, 5, false, 4) {
            losses
                .iter()
                .zip(&alone.0)
                .for_each(|(a, b)| assert!((a - b).abs() < 1e-4, "{losses:?} {alone:?}"));
            near(&end, &alone.1);
        }
    }
}

#[test]
fn running_statistics_are_the_same_on_all_ranks() {
    let ranks = together(3, 7, true, 4);
    assert!(ranks.iter().all(|rank| rank == &ranks[0]));
}

#[test]
fn running_means_of_one_step_are_those_of_the_whole_minibatch() {
    let mean = |size| -> Vec<_> {
        let (_, end) = together(size, 7, true, 1).swap_remove(0);
        end.into_iter().filter(|(name, _)| name.ends_with("running_mean")).collect()
    };
    near(&mean(3), &mean(1));
    assert!(mean(1)[0].1.iter().all(|value| *value != 0.0));
}
