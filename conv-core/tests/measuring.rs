//! The policy `Measured` on planted algorithms that take set times: what is timed, what is remembered, and what
//! becomes of bad files.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use conv_core::fourier::Tiling;
use conv_core::spectra::{Shared, SpectrumKey};
use conv_core::testing::HostBackend;
use conv_core::{
    ConvAlgorithm, ConvKernel, ConvProblem, Cost, CostModel, Engine, Machine, Operands, Pass, Policy, Result,
    Role, Scratch, Unsupported,
};

/// Predicts so many seconds and takes so many milliseconds, in every pass.
#[derive(Clone)]
struct Planted {
    name: &'static str,
    predicted: f64,
    takes: f64,
    workspace: usize,
    /// Predicted seconds that a shared spectrum of the input saves.
    saves: f64,
    fails: bool,
    runs: Arc<AtomicUsize>,
}

fn planted(name: &'static str, predicted: f64, takes: f64) -> Planted {
    Planted { name, predicted, takes, workspace: 0, saves: 0.0, fails: false, runs: Arc::default() }
}

impl Planted {
    fn runs(&self) -> usize {
        self.runs.load(Ordering::Relaxed)
    }
}

impl ConvAlgorithm<HostBackend> for Planted {
    fn name(&self) -> &'static str {
        self.name
    }

    fn estimate(&self, _: &Machine, _: &ConvProblem, _: Pass) -> std::result::Result<Cost, Unsupported> {
        Ok(Cost { product_flops: self.predicted * 1e9, workspace: self.workspace, ..Cost::default() })
    }

    fn shares(&self, _: &Machine, problem: &ConvProblem, pass: Pass) -> Vec<Shared> {
        let role = Role::Input;
        let tiling = Tiling::whole(problem, |_, least| Some(least)).unwrap();
        let saved = Cost { product_flops: self.saves * 1e9, ..Cost::default() };
        let shares = self.saves > 0.0 && pass.roles()[0] == role;
        shares
            .then_some(Shared { key: SpectrumKey { role, tiling, layout: "test" }, len: 100, saved })
            .into_iter()
            .collect()
    }

    fn build(&self, _: &HostBackend, _: &ConvProblem, _: Pass) -> Result<Box<dyn ConvKernel<HostBackend>>> {
        Ok(Box::new(self.clone()))
    }
}

impl ConvKernel<HostBackend> for Planted {
    fn workspace_len(&self) -> usize {
        self.workspace / 4
    }

    fn run(
        &self,
        backend: &HostBackend,
        operands: Operands<'_, HostBackend>,
        scratch: Scratch<'_, HostBackend>,
    ) -> Result<()> {
        assert!(scratch.workspace.len() >= self.workspace / 4);
        assert!(operands.lhs.iter().chain(operands.rhs).all(|value| *value != 0.0));
        if self.fails {
            return Err(conv_core::Error::OutOfMemory { backend: "host".into(), bytes: 1 << 60 });
        }
        self.runs.fetch_add(1, Ordering::Relaxed);
        backend.take(Duration::from_secs_f64(self.takes * 1e-3));
        Ok(())
    }
}

/// A table that predicts a second for every 10⁹ product operations.
fn table(measured: &str) -> CostModel {
    let passes = Pass::ALL.map(|pass| format!("{pass} = {{ product = 1.0 }}\n")).concat();
    let names = ["first", "second", "third"];
    let rows = names.map(|name| format!("[rates.{name}]\n{passes}")).concat();
    CostModel::from_toml(&format!("measured = \"{measured}\"\n{rows}")).unwrap()
}

/// An engine that measures these algorithms and keeps the times in `folder`.
fn engine(algorithms: &[Planted], measured: &str, folder: Option<&Path>) -> Engine<HostBackend> {
    let leak = |planted: &Planted| -> &'static dyn ConvAlgorithm<HostBackend> {
        Box::leak(Box::new(planted.clone()))
    };
    let list: Vec<_> = algorithms.iter().map(leak).collect();
    let backend = HostBackend::new(Vec::leak(list), table(measured));
    let engine = Engine::new(backend).unwrap().with_policy(Policy::Measured).unwrap();
    engine.with_cache(folder.map(Path::to_path_buf))
}

/// Two candidates, of which the prediction takes the slower, and one beyond twice the best.
fn trio() -> [Planted; 3] {
    [planted("first", 1.0, 3.0), planted("second", 1.9, 0.2), planted("third", 2.1, 0.0)]
}

fn problem() -> ConvProblem {
    "n1 c2 o3 i8 k3".parse().unwrap()
}

fn pick(engine: &mut Engine<HostBackend>) -> &'static str {
    engine.plan(&problem(), Pass::Forward).unwrap().algorithm()
}

fn runs(algorithms: &[Planted]) -> Vec<usize> {
    algorithms.iter().map(Planted::runs).collect()
}

/// The one file of measured times in a folder.
fn file(folder: &Path) -> PathBuf {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<_> = entries.filter(|path| path.extension().is_some_and(|e| e == "json")).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files[0].clone()
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What was said at level info and above.
fn events(work: impl FnOnce()) -> String {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone());
    tracing::subscriber::with_default(subscriber.finish(), work);
    String::from_utf8(log.0.lock().unwrap().clone()).unwrap()
}

#[test]
fn the_truly_faster_candidate_is_taken_and_each_is_timed_once() {
    let algorithms = trio();
    let mut engine = engine(&algorithms, "here", None);
    assert_eq!(pick(&mut engine), "second");
    let first = runs(&algorithms);
    assert!(first[0] == first[1] && first[0] > 1 && first[2] == 0, "{first:?}");
    assert_eq!(pick(&mut engine), "second");
    assert_eq!(runs(&algorithms), first);
    let times = engine.measure(&problem(), Pass::Forward).unwrap();
    assert_eq!(times, [("second", 0.2e-3), ("first", 3e-3)]);
    // Another pass is another question.
    engine.plan(&problem(), Pass::BackwardInput).unwrap();
    assert!(algorithms[0].runs() > first[0]);
}

#[test]
fn long_runs_are_timed_once_and_a_lone_candidate_never() {
    let slow = [planted("first", 1.0, 250.0), planted("second", 1.0, 240.0)];
    pick(&mut engine(&slow, "here", None));
    assert_eq!(runs(&slow), [2, 2]);
    let lone = [planted("first", 1.0, 0.0), planted("second", 2.5, 0.0)];
    let mut engine = engine(&lone, "here", None);
    assert_eq!(pick(&mut engine), "first");
    assert_eq!(runs(&lone), [0, 0]);
    assert!(engine.measure(&problem(), Pass::Forward).unwrap().is_empty());
}

#[test]
fn another_engine_reads_what_was_measured() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (trio(), trio());
    pick(&mut engine(&first, "here", Some(folder.path())));
    assert!(first[0].runs() > 0);
    let said = events(|| assert_eq!(pick(&mut engine(&second, "here", Some(folder.path()))), "second"));
    assert_eq!((runs(&second), said.as_str()), (vec![0; 3], ""));
    let text = fs::read_to_string(file(folder.path())).unwrap();
    assert!(text.contains("\"format\": 1") && text.contains("n1 c2 o3 i8 k3"), "{text}");
}

#[test]
fn another_table_or_list_of_algorithms_discards_what_was_measured() {
    let folder = tempfile::tempdir().unwrap();
    pick(&mut engine(&trio(), "here", Some(folder.path())));
    let again = |algorithms: &[Planted], table| {
        let said = events(|| assert_eq!(pick(&mut engine(algorithms, table, Some(folder.path()))), "second"));
        assert!(said.contains(" INFO ") && said.contains("measured times discarded"), "{said}");
        assert!(algorithms[0].runs() > 0);
    };
    again(&trio(), "elsewhere");
    again(&trio()[..2], "elsewhere");
    let last = trio();
    pick(&mut engine(&last[..2], "elsewhere", Some(folder.path())));
    assert_eq!(runs(&last), [0; 3], "the new file holds");
    for (ours, other) in
        [("\"any\"", "\"abacus\""), ("\"format\": 1", "\"format\": 2"), ("\"host\"", "\"x\"")]
    {
        let path = file(folder.path());
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(ours), "{text}");
        fs::write(&path, text.replace(ours, other)).unwrap();
        again(&trio()[..2], "elsewhere");
    }
}

#[test]
fn bad_files_are_named_and_replaced() {
    let folder = tempfile::tempdir().unwrap();
    pick(&mut engine(&trio(), "here", Some(folder.path())));
    let path = file(folder.path());
    let good = fs::read_to_string(&path).unwrap();
    let line = problem().to_string();
    let bad = [
        b"garbage".to_vec(),
        vec![0xff; 100],
        Vec::new(),
        good.as_bytes()[..good.len() / 2].to_vec(),
        good.as_bytes()[..good.len() - 3].to_vec(),
        good.replace("\"first\": ", "\"first\": -").into_bytes(),
        good.replace("\"first\": ", "\"first\": 1e999").into_bytes(),
        format!("{good} more").into_bytes(),
        good.replace(&line, "n1 c2 o3 i8 k9").into_bytes(),
    ];
    for bytes in bad {
        assert_ne!(bytes, good.as_bytes());
        fs::write(&path, &bytes).unwrap();
        let algorithms = trio();
        let said =
            events(|| assert_eq!(pick(&mut engine(&algorithms, "here", Some(folder.path()))), "second"));
        let text = String::from_utf8_lossy(&bytes);
        assert_eq!(said.lines().count(), 1, "{text}\n{said}");
        assert!(said.contains(" WARN ") && said.contains(path.to_str().unwrap()), "{text}\n{said}");
        assert!(algorithms[0].runs() > 0);
        let algorithms = trio();
        let said =
            events(|| assert_eq!(pick(&mut engine(&algorithms, "here", Some(folder.path()))), "second"));
        assert_eq!((runs(&algorithms), said.as_str()), (vec![0; 3], ""), "{text}");
    }
}

#[test]
fn a_folder_that_takes_no_files_is_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let blocked = folder.path().join("a file");
    fs::write(&blocked, "").unwrap();
    let algorithms = trio();
    let mut engine = engine(&algorithms, "here", Some(&blocked.join("folder")));
    let said = events(|| assert_eq!(pick(&mut engine), "second"));
    assert!(said.contains(" WARN ") && said.contains("kept in this process only"), "{said}");
    let before = runs(&algorithms);
    let said = events(|| {
        pick(&mut engine);
        engine.plan(&problem(), Pass::BackwardInput).unwrap();
    });
    assert_eq!(said, "", "said once");
    assert_eq!(algorithms[1].runs(), 2 * before[1], "kept in the engine");
}

#[test]
fn engines_that_write_at_once_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let problems = |worker: usize| {
        (0..6).map(move |i| format!("n{} c1 o1 i{} k3", worker + 1, i + 5).parse::<ConvProblem>().unwrap())
    };
    let quick = || [planted("first", 1.0, 0.1), planted("second", 1.0, 0.0)];
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let path = folder.path();
            scope.spawn(move || {
                let mut engine = engine(&quick(), "here", Some(path));
                problems(worker).for_each(|problem| drop(engine.plan(&problem, Pass::Forward).unwrap()));
            });
        }
    });
    let algorithms = quick();
    let mut engine = engine(&algorithms, "here", Some(folder.path()));
    for problem in (0..4).flat_map(problems) {
        engine.plan(&problem, Pass::Forward).unwrap();
        assert_eq!(runs(&algorithms), [0, 0], "{problem} was lost");
    }
}

#[test]
fn the_limit_is_obeyed_and_another_times_only_what_is_missing() {
    let mut algorithms = trio();
    algorithms[1].workspace = 4000;
    algorithms[2] = planted("third", 1.5, 6.0);
    let mut engine = engine(&algorithms, "here", None).with_workspace_limit(Some(3999));
    assert_eq!(pick(&mut engine), "first");
    let before = runs(&algorithms);
    assert!(before[0] > 0 && before[1] == 0 && before[2] > 0, "{before:?}");
    assert_eq!(engine.workspace_bytes(), 0);
    let mut engine = engine.with_workspace_limit(None);
    assert_eq!((pick(&mut engine), engine.workspace_bytes()), ("second", 4000));
    let after = runs(&algorithms);
    assert!(after[1] > 0 && (after[0], after[2]) == (before[0], before[2]), "{after:?}");
}

#[test]
fn the_workspace_of_a_loser_is_given_back() {
    let mut algorithms = trio();
    algorithms[0].workspace = 4000;
    let mut engine = engine(&algorithms, "here", None);
    assert_eq!((pick(&mut engine), engine.workspace_bytes()), ("second", 0));
}

#[test]
fn a_candidate_that_fails_is_left_out() {
    let mut algorithms = trio();
    algorithms[1].fails = true;
    let mut engine = engine(&algorithms, "here", None);
    let said = events(|| assert_eq!(pick(&mut engine), "first"));
    assert!(said.contains(" WARN ") && said.contains("could not allocate"), "{said}");
}

#[test]
fn a_step_is_chosen_as_a_whole_by_measured_times() {
    let algorithms = [planted("first", 2.0, 6.0), Planted { saves: 2.5, ..planted("second", 3.5, 7.0) }];
    let mut engine = engine(&algorithms, "here", None);
    let predicted = engine.plan_step(&problem(), &Pass::ALL, &Policy::Predicted).unwrap();
    // Predicted: 2 + 2 against 3.5 + 3.5 - 2.5.
    assert_eq!((predicted.planned(Pass::Forward).unwrap().algorithm(), predicted.shared()), ("first", 0));
    assert_eq!(runs(&algorithms), [0, 0]);
    let step = engine.plan_step(&problem(), &Pass::ALL, &Policy::Measured).unwrap();
    let names = Pass::ALL.map(|pass| step.planned(pass).unwrap().algorithm());
    // Measured: 6 + 6 against 7 + 7 - 5. Alone, each pass takes the other.
    assert_eq!((names, step.shared()), (["second", "first", "second"], 1));
    assert_eq!(pick(&mut engine), "first");
    let mut time = |pass, name| {
        let times = engine.measure(&problem(), pass).unwrap();
        times.iter().find(|(known, _)| *known == name).unwrap().1
    };
    let (forward, weights) = (time(Pass::Forward, "second"), time(Pass::BackwardWeights, "second"));
    let saved = 2.5 / 3.5 * forward.min(weights);
    let expected = forward + time(Pass::BackwardInput, "first") + weights - saved;
    approx::assert_relative_eq!(step.seconds(), expected, max_relative = 1e-9);
}

#[test]
fn a_step_times_what_the_prediction_takes_for_its_sharing() {
    // Alone "second" is predicted beyond twice the best; sharing makes it the predicted step's pick.
    let algorithms = [planted("first", 1.0, 1.0), Planted { saves: 2.3, ..planted("second", 2.1, 0.5) }];
    let mut engine = engine(&algorithms, "here", None);
    assert_eq!(pick(&mut engine), "first");
    assert_eq!(algorithms[1].runs(), 0);
    let passes = [Pass::Forward, Pass::BackwardWeights];
    let step = engine.plan_step(&problem(), &passes, &Policy::Measured).unwrap();
    assert_eq!(passes.map(|pass| step.planned(pass).unwrap().algorithm()), ["second", "second"]);
    assert!(algorithms[1].runs() > 0);
}
