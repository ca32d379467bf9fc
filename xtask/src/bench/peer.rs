//! Peers: other libraries timed by worker processes, in turn with ours.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use conv_core::{Axis, ConvProblem};
use examples::Failure;
use serde_json::{Value, json};

use super::turns::Candidate;

/// The worker's program.
const SCRIPT: &str = include_str!("peer.py");

/// Threads of OpenMP wait in a loop of 300 000 pauses for the next work before they sleep, unless told otherwise: 12 ms
/// on an EPYC of Zen 3, and pauses of other processors are up to twice as long.
const REST: Duration = Duration::from_millis(40);

/// Variables set for a worker.
type Environment = &'static [(&'static str, &'static str)];

/// Environments a worker is started in: glibc's allocator as it is, and one that keeps what it has.
const ALLOCATORS: [Environment; 2] =
    [&[], &[("MALLOC_MMAP_THRESHOLD_", "68719476736"), ("MALLOC_TRIM_THRESHOLD_", "68719476736")]];

/// `--peer`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum PeerName {
    /// PyTorch's own convolutions (oneDNN, cuDNN), in f32 throughout.
    Pytorch,
    /// The same on a GPU with TF32, which rounds factors to 10 bits.
    PytorchTf32,
    /// The Python package of this name: whole-image FFTs through PyTorch.
    FftConvPytorch,
}

impl PeerName {
    pub(crate) fn name(self) -> &'static str {
        match self {
            PeerName::Pytorch => "pytorch",
            PeerName::PytorchTf32 => "pytorch-tf32",
            PeerName::FftConvPytorch => "fft-conv-pytorch",
        }
    }
}

/// A worker process.
pub(crate) struct Worker {
    backend: String,
    threads: usize,
    environment: Environment,
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Drop for Worker {
    fn drop(&mut self) {
        // The worker ends by itself with its input; a busy one need not be waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One worker for each allocator of the host's memory, on a GPU a single one.
///
/// # Errors
/// Where `python3` or torch is missing, or torch cannot compute on this backend.
pub(crate) fn start(backend: &str, threads: usize) -> Result<Vec<Worker>, Failure> {
    let environments = if backend == "cuda" { &ALLOCATORS[..1] } else { &ALLOCATORS };
    environments.iter().map(|environment| Worker::start(backend, threads, environment)).collect()
}

impl Worker {
    fn start(backend: &str, threads: usize, environment: Environment) -> Result<Self, Failure> {
        let mut command = Command::new("python3");
        command.args(["-c", SCRIPT, backend, &threads.to_string()]).envs(environment.iter().copied());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let missing = |found: String| {
            let expected = format!("expected python3 with torch for {backend} (pip install torch numpy)");
            Failure::Bad(format!("--peer: {expected}, found {found}"))
        };
        let mut child = command.spawn().map_err(|error| missing(error.to_string()))?;
        let (Some(requests), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(missing("no pipes".into()));
        };
        let (backend, answers) = (backend.into(), BufReader::new(answers));
        let mut worker = Worker { backend, threads, environment, child, requests, answers };
        match worker.answer() {
            Ok(_) => Ok(worker),
            Err(_) => Err(missing(worker.last_words())),
        }
    }

    /// The last line a worker that failed wrote.
    fn last_words(&mut self) -> String {
        let Some(stderr) = self.child.stderr.take() else { return "nothing".into() };
        let lines = BufReader::new(stderr).lines().map_while(Result::ok);
        lines.filter(|line| !line.trim().is_empty()).last().unwrap_or_else(|| "a worker that ended".into())
    }

    fn answer(&mut self) -> Result<Value, Failure> {
        let mut line = String::new();
        let read = self.answers.read_line(&mut line).map_err(Failure::from)?;
        let answer: Option<Value> = serde_json::from_str(&line).ok();
        match answer {
            Some(answer) if answer.get("failed").is_none() => Ok(answer),
            Some(answer) => Err(Failure::Bad(format!("peer: {}", answer["failed"].as_str().unwrap_or("")))),
            None if read == 0 => Err(Failure::Bad("peer: the worker ended".into())),
            None => Err(Failure::Bad(format!("peer: expected an answer, found {line:?}"))),
        }
    }

    fn ask(&mut self, request: &Value) -> Result<Value, Failure> {
        writeln!(self.requests, "{request}").map_err(Failure::from)?;
        self.answer()
    }

    /// Makes ready what the next runs repeat, in a new process where the last request was the end of one.
    ///
    /// # Errors
    /// Why the peer cannot.
    pub(crate) fn prepare(&mut self, request: Value) -> Result<(), Failure> {
        if self.child.try_wait()?.is_some() {
            *self = Worker::start(&self.backend, self.threads, self.environment)?;
        }
        self.ask(&json!({ "prepare": request })).map(drop)
    }
}

impl Candidate for Worker {
    fn run(&mut self, runs: usize) -> Result<Vec<f64>, Failure> {
        let answer = self.ask(&json!({ "run": runs }))?;
        let seconds = answer["seconds"].as_array().into_iter().flatten().filter_map(Value::as_f64);
        let seconds: Vec<f64> = seconds.collect();
        let complete = seconds.len() == runs;
        complete.then_some(seconds).ok_or_else(|| Failure::Bad(format!("peer: expected {runs} times")))
    }

    fn rest(&self) -> Duration {
        REST
    }
}

/// What [`Worker::prepare`] wants to know of a problem and pass.
pub(crate) fn convolution(peer: PeerName, problem: &ConvProblem, pass: &str) -> Value {
    let axis = |axis: &Axis| {
        json!({
            "input": axis.input,
            "kernel": axis.kernel,
            "stride": axis.stride,
            "padding": [axis.padding.0, axis.padding.1],
            "dilation": axis.dilation,
        })
    };
    json!({
        "peer": peer.name(),
        "pass": pass,
        "problem": {
            "batch": problem.batch(),
            "in_channels": problem.in_channels(),
            "out_channels": problem.out_channels(),
            "groups": problem.groups(),
            "axes": problem.axes().iter().map(axis).collect::<Vec<_>>(),
        },
    })
}
