//! The flags of `convolve`, and which of them a pass takes.

use std::path::{Path, PathBuf};

use conv_core::Pass;

use super::sizes::{Numbers, Pairs};
use crate::{Common, Failure};

/// Computes one pass of a convolution on files.
///
/// Tensors are .npy files of little-endian f32: inputs and outputs `N C [D] [H] W`, weights `O C/g [D] [H] W`. The
/// weight's axes decide whether 1, 2 or 3 of them are spatial. --input and --output may also be .png or .jpg, as
/// (1, C, H, W) with values 0 to 1.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "convolve")]
pub struct Convolve {
    /// What to compute: forward, backward-input or backward-weights.
    #[arg(long, default_value = "forward")]
    pub(super) pass: Pass,

    /// The layer's input (forward, backward-weights).
    #[arg(long, value_name = "FILE")]
    pub(super) input: Option<PathBuf>,

    /// The weights (forward, backward-input).
    #[arg(long, value_name = "FILE")]
    pub(super) weight: Option<PathBuf>,

    /// One value an output channel to add (forward).
    #[arg(long, value_name = "FILE")]
    pub(super) bias: Option<PathBuf>,

    /// Gradient of the output (backward-input, backward-weights).
    #[arg(long, value_name = "FILE")]
    pub(super) grad_output: Option<PathBuf>,

    /// Where the result goes: output, gradient of the input or gradient of the weights.
    #[arg(long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,

    /// Stride of each axis, or one for all.
    #[arg(long, value_name = "A,B", default_value = "1")]
    pub(super) stride: Numbers,

    /// Zeros before and after each axis, or one entry for all; one number stands for both.
    #[arg(long, value_name = "LO:HI,LO:HI", default_value = "0")]
    pub(super) padding: Pairs,

    /// Dilation of each axis, or one for all.
    #[arg(long, value_name = "A,B", default_value = "1")]
    pub(super) dilation: Numbers,

    /// Groups of channels.
    #[arg(long, value_name = "G", default_value_t = 1)]
    pub(super) groups: usize,

    /// Size of the input (backward-input); needed where several inputs give this grad_output.
    #[arg(long, value_name = "A,B")]
    pub(super) input_size: Option<Numbers>,

    /// Size of the kernel (backward-weights); needed where several kernels give this grad_output.
    #[arg(long, value_name = "A,B")]
    pub(super) kernel_size: Option<Numbers>,

    /// Only print the names of the algorithms, one a line.
    #[arg(long)]
    pub(super) list: bool,

    #[command(flatten)]
    pub(super) common: Common,
}

/// A flag with the file it names.
pub(super) type Named<'a> = (&'static str, &'a Path);

impl Convolve {
    /// The files of the pass's two operands and of its result; an error where a flag is missing or too many.
    pub(super) fn paths(&self) -> Result<(Named<'_>, Named<'_>, &Path), Failure> {
        let [left, right] = match self.pass {
            Pass::Forward => ["--input", "--weight"],
            Pass::BackwardInput => ["--grad-output", "--weight"],
            Pass::BackwardWeights => ["--input", "--grad-output"],
        };
        let extra = match self.pass {
            Pass::Forward => "--bias",
            Pass::BackwardInput => "--input-size",
            Pass::BackwardWeights => "--kernel-size",
        };
        let given = self.given();
        let unneeded = given.iter().find(|(flag, given)| *given && ![left, right, extra].contains(flag));
        if let Some((flag, _)) = unneeded {
            let message = format!("{} takes {left} and {right}, found {flag} as well", self.pass);
            return Err(Failure::Bad(message));
        }
        let (lhs, rhs) = (self.required(left)?, self.required(right)?);
        Ok(((left, lhs), (right, rhs), self.required("--output")?))
    }

    /// The flags that not every pass takes, and whether they are there.
    fn given(&self) -> [(&'static str, bool); 6] {
        [
            ("--input", self.input.is_some()),
            ("--weight", self.weight.is_some()),
            ("--bias", self.bias.is_some()),
            ("--grad-output", self.grad_output.is_some()),
            ("--input-size", self.input_size.is_some()),
            ("--kernel-size", self.kernel_size.is_some()),
        ]
    }

    fn required(&self, flag: &str) -> Result<&Path, Failure> {
        let path = match flag {
            "--input" => &self.input,
            "--weight" => &self.weight,
            "--grad-output" => &self.grad_output,
            _ => &self.output,
        };
        path.as_deref().ok_or_else(|| Failure::Bad(format!("{} needs {flag} FILE, found none", self.pass)))
    }
}
