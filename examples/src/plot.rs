//! The program `plot`: draws loss, accuracy and minibatch times of training runs from their metrics.

mod panel;

use std::io::Write;
use std::path::{Path, PathBuf};

use conv_core::Ops;
use plotters::prelude::*;

use crate::files::{check_readable, check_writable, shown, write_whole};
use crate::train::Line;
use crate::{Common, Failure, Program};

use panel::{Panel, Series};

/// Draws runs of train, one colour each: loss and accuracy against epochs (training solid, test thin), and the
/// median times of minibatches within the shortest and the longest.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "plot")]
pub struct Plot {
    /// Files that train --metrics wrote.
    #[arg(required = true, value_name = "FILE")]
    metrics: Vec<PathBuf>,

    /// The drawing, .svg.
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
        if self.output.extension().is_none_or(|extension| extension != "svg") {
            let found = shown(&self.output);
            return Err(Failure::Bad(format!("--output: expected a name in .svg, found {found}")));
        }
        check_writable("--output", &self.output)?;
        let runs = self.metrics.iter().map(|path| read(path)).collect::<Result<Vec<Run>, _>>()?;
        let mut svg = String::new();
        draw(&mut svg, (self.width, self.width / 3), &runs)
            .map_err(|error| Failure::Bad(format!("--output {}: {error}", shown(&self.output))))?;
        write_whole("--output", &self.output, |file| {
            file.write_all(svg.as_bytes()).map_err(|error| error.to_string())
        })?;
        let epochs: usize = runs.iter().map(|run| run.lines.len()).sum();
        Ok(writeln!(out, "{}: {} runs, {epochs} epochs", shown(&self.output), runs.len())?)
    }
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

type Drawn = Result<(), DrawingAreaErrorKind<std::io::Error>>;

/// Three panels side by side.
fn draw(svg: &mut String, size: (u32, u32), runs: &[Run]) -> Drawn {
    let root = SVGBackend::with_string(svg, size).into_drawing_area();
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
