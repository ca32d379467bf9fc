//! The program `predict`: says what a trained network sees in images.

use std::io::Write;
use std::path::{Path, PathBuf};

use conv_core::{Engine, Ops};
use nn::data::normalise;
use nn::{Sequential, Shape, checkpoint};

use crate::files::{check_readable, read, shown};
use crate::train::{State, Task};
use crate::{Common, Failure, Program, Tensor};

/// Prints, for each image, the classes that a network trained by train finds most likely.
///
/// Images are .png or .jpg, scaled so that they cover the network's input, the middle kept; or arrays of the
/// network's input, (C, …) or (N, C, …), in .npy, with values as the data had before it was normalised.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "predict")]
pub struct Predict {
    /// What train --save wrote.
    #[arg(long, value_name = "FILE")]
    checkpoint: PathBuf,

    /// How many classes to print, the most likely first.
    #[arg(long, value_name = "N", default_value_t = 3)]
    top: usize,

    /// The images.
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,

    #[command(flatten)]
    common: Common,
}

impl Program for Predict {
    fn common(&self) -> &Common {
        &self.common
    }

    fn run<B: Ops>(self, backend: B, out: &mut (dyn Write + Send)) -> Result<(), Failure> {
        let mut engine = self.common.engine(backend)?;
        check_readable("--checkpoint", &self.checkpoint)?;
        let state: State = checkpoint::state(&self.checkpoint)?;
        let mut trainer = state.load(engine.backend(), &self.checkpoint, state.steps)?;
        for path in &self.images {
            let images = state.task.images(path)?;
            for (index, image) in images.chunks_exact(state.task.image.iter().product()).enumerate() {
                let logits = logits(&mut engine, trainer.network_mut(), &state.task, image)?;
                let number = if images.len() > image.len() { format!("[{index}]") } else { String::new() };
                writeln!(out, "{}{number}: {}", shown(path), state.task.told(&logits, self.top))?;
            }
        }
        Ok(())
    }
}

/// The network's outputs for one image.
fn logits<B: Ops>(
    engine: &mut Engine<B>,
    network: &mut Sequential<B>,
    task: &Task,
    image: &[f32],
) -> Result<Vec<f32>, Failure> {
    let shape = Shape::new(&[&[1], &task.image[..]].concat())?;
    let mut input = engine.backend().alloc(image.len())?;
    engine.backend().upload(image, &mut input)?;
    let output = network.predict(engine, &shape, &input)?;
    let mut logits = vec![0.0; task.classes.len()];
    engine.backend().download(output, &mut logits)?;
    Ok(logits)
}

impl Task {
    /// The images of a file as the network takes them, one after the other.
    fn images(&self, path: &Path) -> Result<Vec<f32>, Failure> {
        check_readable("image", path)?;
        let array = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("npy"));
        let mut values = if array { self.array(path)? } else { self.picture(path)? };
        normalise(&mut values, self.image[1..].iter().product(), &self.normalisation);
        Ok(values)
    }

    fn array(&self, path: &Path) -> Result<Vec<f32>, Failure> {
        let Tensor { shape, values } = read("image", path, false)?;
        let one = shape == self.image;
        let many = shape.len() == self.image.len() + 1 && shape[1..] == self.image;
        match one || many {
            true => Ok(values),
            false => Err(self.bad(path, format!("an array of {shape:?}"))),
        }
    }

    fn picture(&self, path: &Path) -> Result<Vec<f32>, Failure> {
        let (channels, side) = match self.image[..] {
            [channels @ (1 | 3), rows, columns] if rows == columns => (channels, rows),
            _ => return Err(self.bad(path, "a picture".into())),
        };
        let rgb = nn::data::image(path, side)?;
        let points = side * side;
        // Luma of ITU-R BT.709, of which the weights add up to 1.
        let grey = |at: usize| 0.2126 * rgb[at] + 0.7152 * rgb[points + at] + 0.0722 * rgb[2 * points + at];
        Ok(if channels == 3 { rgb } else { (0..points).map(grey).collect() })
    }

    fn bad(&self, path: &Path, found: String) -> Failure {
        let wanted = &self.image;
        Failure::Bad(format!("image {}: expected the network's input {wanted:?}, found {found}", shown(path)))
    }

    /// The most likely classes with their probabilities, the softmax of the logits.
    fn told(&self, logits: &[f32], top: usize) -> String {
        let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let powers: Vec<f64> = logits.iter().map(|logit| f64::from(logit - largest).exp()).collect();
        let sum: f64 = powers.iter().sum();
        let mut order: Vec<usize> = (0..logits.len()).collect();
        order.sort_by(|a, b| powers[*b].total_cmp(&powers[*a]));
        let word = |class: &usize| format!("{} {:.1} %", self.classes[*class], 100.0 * powers[*class] / sum);
        order.iter().take(top.max(1)).map(word).collect::<Vec<_>>().join(", ")
    }
}
