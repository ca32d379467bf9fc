//! The program `plot`: draws loss, accuracy and minibatch times of training runs from their metrics.

mod bitmap;
mod panel;

use std::io::Write;
use std::path::{Path, PathBuf};

use conv_core::Ops;
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};
use plotters::prelude::*;

use crate::failure::expected;
use crate::files::{check_readable, check_writable, shown, write_whole};
use crate::train::Line;
use crate::{Common, Failure, Program};

use bitmap::Bitmap;
use panel::{Panel, Series};

/// Draws runs of train, one colour each: loss and accuracy against epochs (training solid, test thin), and the
/// median times of minibatches within the shortest and the longest.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "plot")]
pub struct Plot {
    /// Files that train --metrics wrote.
    #[arg(required = true, value_name = "FILE")]
    metrics: Vec<PathBuf>,

    /// The drawing, .svg or .png.
    #[arg(long, value_name = "FILE")]
    output: PathBuf,

    /// Points across the drawing.
    #[arg(long, value_name = "N", default_value_t = 1200, value_parser = clap::value_parser!(u32).range(300..=10_000))]
    width: u32,

    #[command(flatten)]
    common: Common,
}

/// The lines of one file.
struct Run {
    name: String,
    lines: Vec<Line>,
}

impl Program for Plot {
    fn common(&self) -> &Common {
        &self.common
    }

    fn run<B: Ops>(self, _backend: B, out: &mut (dyn Write + Send)) -> Result<(), Failure> {
        let form = Form::of(&self.output)?;
        check_writable("--output", &self.output)?;
        let runs = self.metrics.iter().map(|path| read(path)).collect::<Result<Vec<Run>, _>>()?;
        let size = (self.width, self.width / 3);
        write_whole("--output", &self.output, |file| match form {
            Form::Svg => svg(file, size, &runs),
            Form::Png => png(file, size, &runs),
        })?;
        let epochs: usize = runs.iter().map(|run| run.lines.len()).sum();
        Ok(writeln!(out, "{}: {} runs, {epochs} epochs", shown(&self.output), runs.len())?)
    }
}

/// What the drawing is, by its name.
#[derive(Clone, Copy)]
enum Form {
    Svg,
    Png,
}

impl Form {
    fn of(path: &Path) -> Result<Form, Failure> {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("svg") => Ok(Form::Svg),
            Some("png") => Ok(Form::Png),
            _ => Err(expected("--output", "a name in .svg or .png", shown(path))),
        }
    }
}

fn svg(file: &mut impl Write, size: (u32, u32), runs: &[Run]) -> Result<(), String> {
    let mut text = String::new();
    draw(SVGBackend::with_string(&mut text, size), runs).map_err(|error| error.to_string())?;
    file.write_all(text.as_bytes()).map_err(|error| error.to_string())
}

fn png(file: &mut impl Write, (width, height): (u32, u32), runs: &[Run]) -> Result<(), String> {
    let mut pixels = vec![0; 3 * width as usize * height as usize];
    let bitmap = Bitmap::new(&mut pixels, (width, height)).ok_or("the font cannot be read")?;
    draw(bitmap, runs).map_err(|error| error.to_string())?;
    let encoder = PngEncoder::new(file);
    encoder.write_image(&pixels, width, height, ExtendedColorType::Rgb8).map_err(|error| error.to_string())
}

fn read(path: &Path) -> Result<Run, Failure> {
    check_readable("metrics", path)?;
    let bad = |reason: String| Failure::Bad(format!("metrics {}: {reason}", shown(path)));
    let text = std::fs::read_to_string(path).map_err(|error| bad(error.to_string()))?;
    let mut lines: Vec<Line> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = serde_json::from_str(line);
        lines.push(
            line.map_err(|error| bad(format!("line {}: expected an epoch, found: {error}", index + 1)))?,
        );
    }
    match lines.is_empty() {
        true => Err(bad("expected a line for each epoch, found none".into())),
        false => Ok(Run { name: path.file_stem().unwrap_or_default().to_string_lossy().into(), lines }),
    }
}

type Drawn<D> = Result<(), DrawingAreaErrorKind<<D as DrawingBackend>::ErrorType>>;

/// Three panels side by side.
fn draw<D: DrawingBackend>(backend: D, runs: &[Run]) -> Drawn<D>
where
    D::ErrorType: 'static,
{
    let root = backend.into_drawing_area();
    root.fill(&WHITE)?;
    let panels = [
        Panel {
            title: "loss (nats)",
            series: vec![
                Series { thin: false, value: |line| line.loss },
                Series { thin: true, value: |line| line.test_loss },
            ],
            band: None,
        },
        Panel {
            title: "accuracy (%)",
            series: vec![
                Series { thin: false, value: |line| 100.0 * line.accuracy },
                Series { thin: true, value: |line| 100.0 * line.test_accuracy },
            ],
            band: None,
        },
        Panel {
            title: "minibatch (ms): median, shortest to longest",
            series: vec![Series { thin: false, value: |line| line.minibatch_ms.median }],
            band: Some((|line| line.minibatch_ms.min, |line| line.minibatch_ms.max)),
        },
    ];
    for (panel, area) in panels.iter().zip(root.split_evenly((1, panels.len()))) {
        panel.draw(&area, runs)?;
    }
    root.present()
}
