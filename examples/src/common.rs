//! The flags that all programs share.

use conv_core::{Backend, Engine, Policy};

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

    /// The workspace limit in bytes.
    pub fn workspace_limit(&self) -> Option<usize> {
        self.workspace_limit_mib.map(|mib| mib.saturating_mul(1 << 20))
    }

    /// An engine as the flags ask for.
    ///
    /// # Errors
    /// An algorithm that the backend does not have.
    pub fn engine<B: Backend>(&self, backend: B) -> Result<Engine<B>, Failure> {
        let engine = Engine::new(backend)?.with_policy(self.policy())?;
        Ok(engine.with_workspace_limit(self.workspace_limit()))
    }
}
