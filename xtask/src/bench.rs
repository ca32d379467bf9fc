//! `cargo xtask bench`: times convolutions, ours in turn with a peer's.

pub(crate) mod cases;
mod measure;
mod net;
pub(crate) mod ours;
mod peer;
mod phases;
pub(crate) mod rows;
mod spread;
pub(crate) mod summary;
pub(crate) mod turns;

use std::cell::RefCell;
use std::io::Write;
use std::path::PathBuf;

use conv_core::algorithm::find;
use conv_core::{Engine, Limits, Ops, Policy};
use examples::files::check_writable;
use examples::{Common, Failure, Program};
use indicatif::{ProgressBar, ProgressStyle};

use cases::{List, PassName, Work, lists, works};
use measure::{Cell, Measured};
use net::NetName;
use peer::PeerName;
use rows::{About, Row};

use crate::report;

/// Times convolutions and prints, per problem and pass, the pick, the best and the peer.
#[derive(Clone, Debug, clap::Parser)]
pub(crate) struct Bench {
    /// Lists of problems.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    shapes: Vec<PathBuf>,

    /// A problem, such as "n128 c96 o256 i32x32 k7x7"; may be given again.
    #[arg(long, value_name = "LINE")]
    problem: Vec<String>,

    /// What to time of each problem; all stands for the three passes, step for a training step as a whole.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "all")]
    pass: Vec<PassName>,

    /// Time a training step of whole networks instead.
    #[arg(long, value_enum, conflicts_with_all = ["shapes", "problem", "check", "phases", "choose"])]
    net: Option<NetName>,

    /// Libraries to time the same problems with, in turn with ours.
    #[arg(long, value_enum, value_delimiter = ',')]
    peer: Vec<PeerName>,

    /// Compare every result with the f64 reference; exit code 1 where one is too far off.
    #[arg(long)]
    check: bool,

    /// Cut larger batches to this.
    #[arg(long, value_name = "N")]
    max_batch: Option<usize>,

    /// Print what transforms, products and inverses take.
    #[arg(long)]
    phases: bool,

    /// Time every algorithm and print what the choice costs against the best.
    #[arg(long)]
    choose: bool,

    /// Seconds to spend on each time.
    #[arg(long, value_name = "S", default_value_t = 0.5)]
    seconds: f64,

    /// Where the times go; what they were taken on goes beside it, to .json.
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,

    /// Where a page with the charts of these measurements goes, as `report` draws them.
    #[arg(long, value_name = "FILE", requires = "csv")]
    page: Option<PathBuf>,

    #[command(flatten)]
    common: Common,
}

impl Program for Bench {
    fn common(&self) -> &Common {
        &self.common
    }

    fn run<B: Ops>(self, backend: B, out: &mut (dyn Write + Send)) -> Result<(), Failure> {
        let settings = self.settings(&backend)?;
        if let Some(csv) = &self.csv {
            check_writable("--csv", csv)?;
        }
        if let Some(page) = &self.page {
            check_writable("--page", page)?;
        }
        let cells = match self.net {
            None => cells(&lists(&self.shapes, &self.problem, self.max_batch)?, &works(&self.pass)),
            Some(_) => Vec::new(),
        };
        let nets = self.net.map_or_else(Vec::new, |name| net::nets(name, self.max_batch));
        let machine = backend.machine();
        let about = About::this_run(format!("{} ({})", machine.processor, machine.name), machine.threads);
        let mut workers = match self.peer.is_empty() {
            true => Vec::new(),
            false => peer::start(backend.name(), machine.threads)?,
        };
        let bar = progress_bar((cells.len() + nets.len()) as u64);
        let mut found = Found { bench: &self, out, bar: &bar, about, all: Vec::new() };
        writeln!(found.out, "{}", summary::HEADER)?;
        for cell in cells {
            bar.set_message(format!("{} {}", cell.named.name, cell.work.name()));
            found.add(measure::measure(&backend, cell, &settings, &mut workers)?)?;
        }
        let Limits { workspace, error } = settings.limits;
        let engine = Engine::new(backend)?.with_workspace_limit(workspace).with_max_error(error);
        let engine = RefCell::new(engine);
        for net in nets {
            bar.set_message(net.name().to_string());
            found.add(net::measure(&engine, &net, &settings, &mut workers)?)?;
        }
        found.finish(settings.all)
    }
}

/// What has been measured so far: printed and saved cell by cell.
struct Found<'a> {
    bench: &'a Bench,
    out: &'a mut (dyn Write + Send),
    bar: &'a ProgressBar,
    about: About,
    all: Vec<Measured>,
}

impl Found<'_> {
    fn add(&mut self, measured: Measured) -> Result<(), Failure> {
        self.bar.suspend(|| measured.print(self.out))?;
        self.about.once.extend(measured.once());
        self.all.push(measured);
        if let Some(csv) = &self.bench.csv {
            let rows: Vec<Row> = self.all.iter().flat_map(|measured| measured.rows.clone()).collect();
            rows::save(csv, &rows, &self.about)?;
        }
        self.bar.inc(1);
        Ok(())
    }

    fn finish(self, choose: bool) -> Result<(), Failure> {
        self.bar.finish_and_clear();
        summary::print(self.out, &self.all, choose)?;
        if let (Some(page), Some(csv)) = (&self.bench.page, &self.bench.csv) {
            report::write_run(csv, page)?;
        }
        let wrong: Vec<String> = self.all.iter().flat_map(|measured| measured.wrong.clone()).collect();
        if wrong.is_empty() { Ok(()) } else { Err(Failure::Wrong(wrong.join("\n"))) }
    }
}

impl Bench {
    fn settings<B: Ops>(&self, backend: &B) -> Result<measure::Settings, Failure> {
        let all = self.choose || self.common.algorithm == "all";
        let policy = if all { Policy::Predicted } else { self.common.policy() };
        if let Policy::Named(name) = &policy {
            find(backend.algorithms(), name)?;
        }
        if policy == Policy::Measured && self.net.is_none() {
            let reason =
                "--algorithm: expected auto, all or a name, found measured (every run here is timed)";
            return Err(Failure::Bad(reason.into()));
        }
        self.check_peers(backend.name())?;
        if !(self.seconds > 0.0 && self.seconds <= 60.0) {
            let found = self.seconds;
            return Err(Failure::Bad(format!("--seconds: expected above 0 and at most 60, found {found}")));
        }
        Ok(measure::Settings {
            policy,
            all,
            limits: self.common.limits(),
            peers: self.peer.clone(),
            check: self.check,
            phases: self.phases,
            seconds: self.seconds,
        })
    }

    /// Refuses peers that cannot do what is asked for.
    fn check_peers(&self, backend: &str) -> Result<(), Failure> {
        let refuse = |peer: PeerName, expected: &str, found: &str| {
            Err(Failure::Bad(format!("--peer {}: expected {expected}, found {found}", peer.name())))
        };
        for &peer in &self.peer {
            match peer {
                PeerName::PytorchTf32 if backend != "cuda" => return refuse(peer, "backend cuda", backend),
                PeerName::FftConvPytorch if self.net.is_some() => {
                    return refuse(peer, "problems, since it has no networks", "--net");
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn cells(lists: &[List], works: &[Work]) -> Vec<Cell> {
    let mut cells = Vec::new();
    for list in lists {
        for named in &list.problems {
            let of_work = |work: &Work| Cell { list: list.name.clone(), named: named.clone(), work: *work };
            cells.extend(works.iter().map(of_work));
        }
    }
    cells
}

pub(crate) fn progress_bar(cells: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed} left {eta} {msg}");
    ProgressBar::new(cells).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
