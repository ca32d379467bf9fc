//! The flags that all programs share.

use conv_core::{Backend, Engine, Limits, Policy};

use crate::Failure;

/// Where to compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum BackendName {
    /// CUDA where it can be opened, else the CPU.
    Auto,
    /// This machine's CPU.
    Cpu,
    /// The first NVIDIA GPU.
    Cuda,
}

/// Backend, algorithm, threads and workspace.
#[derive(Clone, Debug, clap::Args)]
pub struct Common {
    /// Where to compute.
    #[arg(long, value_enum, default_value_t = BackendName::Auto)]
    pub backend: BackendName,

    /// Algorithm of every convolution (`convolve --list` names them), auto for the fastest by prediction, or
    /// measured for the fastest by timing the likely ones once: times are kept in the user's cache folder or
    /// CONV_CACHE_DIR, and CONV_CACHE=off keeps none.
    #[arg(long, value_name = "auto|measured|NAME", default_value = "auto")]
    pub algorithm: String,

    /// Threads of the CPU, 1 to 1024 [default: all].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,

    /// Most MiB of memory besides the tensors, 0 for none at all [default: no limit].
    #[arg(long, value_name = "N")]
    pub workspace_limit_mib: Option<usize>,

    /// Largest error of an algorithm, relative to the largest sum of absolute products of an output; 2e-6 leaves out
    /// winograd [default: no limit].
    #[arg(long, value_name = "E", value_parser = max_error)]
    pub max_error: Option<f64>,
}

/// A number above 0.
fn max_error(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(error) if error > 0.0 => Ok(error),
        _ => Err("expected a number above 0, such as 2e-6".into()),
    }
}

impl Common {
    /// What `--algorithm` asks for.
    pub fn policy(&self) -> Policy {
        match self.algorithm.as_str() {
            "auto" => Policy::Predicted,
            "measured" => Policy::Measured,
            name => Policy::Named(name.into()),
        }
    }

    /// What algorithms have to stay below.
    pub fn limits(&self) -> Limits {
        let workspace = self.workspace_limit_mib.map(|mib| mib.saturating_mul(1 << 20));
        Limits { workspace, error: self.max_error }
    }

    /// An engine as the flags ask for.
    ///
    /// # Errors
    /// An algorithm that the backend does not have.
    pub fn engine<B: Backend>(&self, backend: B) -> Result<Engine<B>, Failure> {
        let engine = Engine::new(backend)?.with_policy(self.policy())?;
        let Limits { workspace, error } = self.limits();
        Ok(engine.with_workspace_limit(workspace).with_max_error(error))
    }
}
