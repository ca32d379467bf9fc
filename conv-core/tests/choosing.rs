//! Ranking, policies, the workspace limit and the choice of a step, on toy algorithms with set costs.

use conv_core::choose::{Limits, choose_step, choose_step_by, rank};
use conv_core::fourier::Tiling;
use conv_core::spectra::{Shared, SpectrumKey};
use conv_core::testing::HostBackend;
use conv_core::{
    Backend, ConvAlgorithm, ConvKernel, ConvProblem, Cost, CostModel, Engine, Error, Machine, Operands, Pass,
    Policy, Result, Role, Scratch, Unsupported,
};

/// Takes so many product operations, and saves some of them where its input spectrum is shared.
struct Toy {
    name: &'static str,
    operations: [f64; 3],
    workspace: usize,
    shared: f64,
    refuses: bool,
    max_error: f64,
}

struct Fill(&'static str, usize);

impl ConvAlgorithm<HostBackend> for Toy {
    fn name(&self) -> &'static str {
        self.name
    }

    fn max_error(&self) -> f64 {
        self.max_error
    }

    fn estimate(&self, _: &Machine, _: &ConvProblem, pass: Pass) -> std::result::Result<Cost, Unsupported> {
        if self.refuses {
            return Err(Unsupported::Geometry("it only takes Sundays".into()));
        }
        let product_flops = self.operations[pass as usize] * 1e9;
        Ok(Cost { product_flops, workspace: self.workspace, ..Cost::default() })
    }

    fn shares(&self, _: &Machine, problem: &ConvProblem, pass: Pass) -> Vec<Shared> {
        let role = Role::Input;
        let tiling = Tiling::whole(problem, |_, least| Some(least)).unwrap();
        let saved = Cost { product_flops: self.shared * 1e9, ..Cost::default() };
        let shares = self.shared > 0.0 && pass.roles()[0] == role;
        shares
            .then_some(Shared { key: SpectrumKey { role, tiling, layout: "test" }, len: 100, saved })
            .into_iter()
            .collect()
    }

    fn build(&self, _: &HostBackend, _: &ConvProblem, _: Pass) -> Result<Box<dyn ConvKernel<HostBackend>>> {
        Ok(Box::new(Fill(self.name, self.workspace / 4)))
    }
}

impl ConvKernel<HostBackend> for Fill {
    fn workspace_len(&self) -> usize {
        self.1
    }

    fn run(
        &self,
        _: &HostBackend,
        operands: Operands<'_, HostBackend>,
        scratch: Scratch<'_, HostBackend>,
    ) -> Result<()> {
        assert!(scratch.workspace.len() >= self.1);
        operands.out.fill(self.0.len() as f32);
        Ok(())
    }
}

const fn toy(name: &'static str, operations: [f64; 3], workspace: usize) -> Toy {
    Toy { name, operations, workspace, shared: 0.0, refuses: false, max_error: 2e-6 }
}

static SLOW: Toy = toy("slow", [9.0, 9.0, 9.0], 0);
static FAST: Toy = toy("fast", [2.0, 3.0, 2.0], 4000);
static SHARING: Toy = Toy { shared: 1.5, ..toy("sharing", [3.0, 9.0, 2.0], 4000) };
static SUNDAY: Toy = Toy { refuses: true, ..toy("sunday", [0.0; 3], 0) };
static LIST: &[&dyn ConvAlgorithm<HostBackend>] = &[&SLOW, &FAST, &SHARING, &SUNDAY];

fn backend() -> HostBackend {
    let passes = Pass::ALL.map(|pass| format!("{} = {{ product = 1.0 }}\n", pass.name())).concat();
    let rows = ["slow", "fast", "sharing", "sunday"].map(|name| format!("[rates.{name}]\n{passes}")).concat();
    HostBackend::new(LIST, CostModel::from_toml(&format!("measured = \"toys\"\n{rows}")).unwrap())
}

fn problem() -> ConvProblem {
    "n1 c2 o3 i8 k3".parse().unwrap()
}

#[test]
fn a_ranking_holds_every_answer_and_marks_the_pick() {
    let ranking = rank(LIST, backend().machine(), &problem(), Pass::Forward, Limits::default());
    let names: Vec<_> = ranking.entries.iter().map(|entry| entry.algorithm).collect();
    assert_eq!(names, ["fast", "sharing", "slow", "sunday"]);
    let text = ranking.to_string();
    assert!(text.starts_with("forward of n1 c2 o3 i8 k3\n"), "{text}");
    assert!(text.contains("it only takes Sundays") && text.matches("<- pick").count() == 1, "{text}");
}

#[test]
fn the_limit_turns_large_workspaces_into_refusals() {
    let ranking = rank(
        LIST,
        backend().machine(),
        &problem(),
        Pass::Forward,
        Limits { workspace: Some(3999), ..Limits::default() },
    );
    assert_eq!(ranking.pick().unwrap().algorithm, "slow");
    let error = ranking.choose(&Policy::Named("fast".into())).unwrap_err().to_string();
    assert_eq!(error, "fast needs 4000 bytes of workspace for forward of n1 c2 o3 i8 k3, the limit is 3999");
}

#[test]
fn a_limit_of_errors_leaves_out_what_is_less_exact() {
    static COARSE: Toy = Toy { max_error: 2e-5, ..toy("fast", [1.0; 3], 0) };
    let list: &[&dyn ConvAlgorithm<HostBackend>] = &[&SLOW, &COARSE];
    let within = |error| {
        let limits = Limits { error, ..Limits::default() };
        rank(list, backend().machine(), &problem(), Pass::Forward, limits)
    };
    for (error, pick) in [(None, "fast"), (Some(2e-5), "fast"), (Some(1e-5), "slow")] {
        assert_eq!(within(error).pick().unwrap().algorithm, pick, "{error:?}");
    }
    let refused = within(Some(1e-5)).choose(&Policy::Named("fast".into())).unwrap_err().to_string();
    assert_eq!(refused, "fast refuses forward of n1 c2 o3 i8 k3: its error may be 2e-5, the limit is 1e-5");
    let none = within(Some(1e-7)).choose(&Policy::Predicted).unwrap_err().to_string();
    assert!(none.contains("forward of n1 c2 o3 i8 k3"), "{none}");
}

#[test]
fn named_algorithms_that_are_unknown_or_refuse_are_errors() {
    let ranking = rank(LIST, backend().machine(), &problem(), Pass::Forward, Limits::default());
    let refused = ranking.choose(&Policy::Named("sunday".into())).unwrap_err();
    assert_eq!(refused.to_string(), "sunday refuses forward of n1 c2 o3 i8 k3: it only takes Sundays");
    let unknown = Engine::new(backend()).unwrap().with_policy(Policy::Named("quick".into())).err().unwrap();
    assert_eq!(
        unknown.to_string(),
        "unknown algorithm \"quick\", expected one of slow, fast, sharing, sunday"
    );
}

#[test]
fn a_step_is_chosen_as_a_whole() {
    let choose = |workspace| {
        let limits = Limits { workspace, ..Limits::default() };
        choose_step(LIST, backend().machine(), &problem(), &Pass::ALL, &Policy::Predicted, limits).unwrap()
    };
    // Alone, "fast" wins forward; with the input's spectrum shared, "sharing" does: 3 + 2 - 1.5 < 2 + 2.
    let free = choose(None);
    assert_eq!(free.algorithms, ["sharing", "fast", "sharing"]);
    approx::assert_abs_diff_eq!(free.seconds, 6.5, epsilon = 1e-9);
    assert_eq!(free.shared.len(), 1);
    // No room for the kept spectrum beside the workspace: nothing is shared and each pass takes its best.
    let tight = choose(Some(4100));
    assert_eq!((tight.algorithms[0], tight.shared.len()), ("fast", 0));
}

#[test]
fn candidates_are_predicted_within_twice_the_best() {
    let candidates = |backend: HostBackend, pass| {
        let ranking = rank(LIST, backend.machine(), &problem(), pass, Limits::default());
        ranking.candidates().iter().map(|(name, _)| *name).collect::<Vec<_>>()
    };
    assert_eq!(candidates(backend(), Pass::Forward), ["fast", "sharing"]);
    assert_eq!(candidates(backend(), Pass::BackwardInput), ["fast"]);
    // Without a table nothing is known of any of them.
    let unknown = HostBackend::new(LIST, CostModel::default());
    assert_eq!(candidates(unknown, Pass::Forward), ["slow", "fast", "sharing"]);
}

#[test]
fn a_step_by_other_seconds_scales_what_sharing_saves() {
    let backend = backend();
    let times = [Pass::Forward, Pass::BackwardWeights].map(|pass| {
        let ranking = rank(LIST, backend.machine(), &problem(), pass, Limits::default());
        (ranking, vec![("fast", 0.08), ("sharing", 0.09)])
    });
    let step = choose_step_by(LIST, backend.machine(), &times, None).unwrap();
    assert_eq!((step.algorithms, step.shared.len()), (vec!["sharing", "sharing"], 1));
    // 1.5 of 3 predicted seconds are saved forward, 1.5 of 2 in the other pass; the dearer is paid.
    approx::assert_abs_diff_eq!(step.seconds, 0.18 - 0.045, epsilon = 1e-9);
}

#[test]
fn the_engine_books_one_workspace_and_checks_operands() {
    let mut engine = Engine::new(backend()).unwrap();
    let planned = engine.plan(&problem(), Pass::Forward).unwrap();
    assert_eq!((planned.algorithm(), engine.workspace_bytes()), ("fast", 4000));
    let found = engine.convolve(&problem(), Pass::Forward, &[0.0; 16], &[0.0; 18], None).unwrap();
    assert_eq!(found, [4.0; 18]);
    let error = engine.convolve(&problem(), Pass::Forward, &[0.0; 15], &[0.0; 18], None).unwrap_err();
    assert_eq!(error, Error::Length { what: "input".into(), expected: 16, found: 15 });
    assert_eq!(error.to_string(), "input has 15 values, expected 16");
}

#[test]
fn an_epilogue_in_a_backward_pass_is_an_error() {
    let mut engine = Engine::new(backend()).unwrap();
    let planned = engine.plan(&problem(), Pass::BackwardInput).unwrap();
    let (dy, w, mut dx) = (vec![0.0; 18], vec![0.0; 18], vec![0.0; 16]);
    let operands = Operands::new(&dy, &w, &mut dx).relu(true);
    let error = engine.run(&planned, operands).unwrap_err().to_string();
    assert_eq!(error, "epilogue: expected none but in forward, found one in backward-input");
}
