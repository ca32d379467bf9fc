//! The program `convolve`: one pass of a convolution on files.

mod flags;
mod geometry;
mod sizes;

use std::io::Write;
use std::time::Instant;

use conv_core::{Engine, Ops, Pass};

use crate::convolve::geometry::{problem, shape_of};
use crate::files::{self, Format};
use crate::{Common, Failure, Program, Tensor, picture};

pub use flags::Convolve;

/// The tensors of a pass, in operand order, and the bias.
struct Operands {
    lhs: Tensor,
    rhs: Tensor,
    bias: Option<Tensor>,
}

impl Program for Convolve {
    fn common(&self) -> &Common {
        &self.common
    }

    fn run<B: Ops>(self, backend: B, out: &mut (dyn Write + Send)) -> Result<(), Failure> {
        let mut engine = self.common.engine(backend)?;
        if self.list {
            return list(&engine, out);
        }
        let (lhs, rhs, output) = self.paths()?;
        let format = Format::of("--output", output, true)?;
        files::check_writable("--output", output)?;
        let image = |flag: &str| flag == "--input";
        let read = |(flag, path)| files::read(flag, path, image(flag));
        let bias = self.bias.as_deref().map(|path| read(("--bias", path))).transpose()?;
        let operands = Operands { lhs: read(lhs)?, rhs: read(rhs)?, bias };
        let problem = problem(&self, &operands)?;
        let shape = shape_of(&problem, self.pass.roles()[2]);
        if format != Format::Npy {
            picture::check_shape(&shape, format).map_err(|why| Failure::Bad(format!("--output: {why}")))?;
        }
        let algorithm = engine.plan(&problem, self.pass)?.algorithm();
        let start = Instant::now();
        let values = compute(&mut engine, &problem, self.pass, operands)?;
        let milliseconds = start.elapsed().as_secs_f64() * 1e3;
        files::write("--output", output, format, &Tensor { shape, values })?;
        writeln!(out, "{problem}: {}, {algorithm}, {milliseconds:.3} ms", self.pass)?;
        Ok(())
    }
}

fn list<B: Ops>(engine: &Engine<B>, out: &mut (dyn Write + Send)) -> Result<(), Failure> {
    for algorithm in engine.backend().algorithms() {
        writeln!(out, "{}", algorithm.name())?;
    }
    Ok(())
}

fn compute<B: Ops>(
    engine: &mut Engine<B>,
    problem: &conv_core::ConvProblem,
    pass: Pass,
    operands: Operands,
) -> Result<Vec<f32>, Failure> {
    let Operands { lhs, rhs, bias } = operands;
    let bias = bias.as_ref().map(|bias| bias.values.as_slice());
    Ok(engine.convolve(problem, pass, &lhs.values, &rhs.values, bias)?)
}
