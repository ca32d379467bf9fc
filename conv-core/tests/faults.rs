//! The conformance suite finds faults that are planted in algorithms, and nothing wrong with sound ones.

use conv_core::fourier::AxisTiling;
use conv_core::testing::{HostBackend, HostBuffer, conformance, edge_problems, random_problems};
use conv_core::{
    ConvAlgorithm, ConvKernel, ConvProblem, Cost, CostModel, Machine, Operands, Pass, Result, Role, Scratch,
    Unsupported, reference,
};

/// What an algorithm of these tests computes.
type Body = fn(&ConvProblem, Pass, &[f32], &[f32], &mut [f32]);

/// A host algorithm made of one function.
struct Toy {
    name: &'static str,
    takes: fn(&ConvProblem, Pass) -> bool,
    body: Body,
}

struct ToyKernel {
    problem: ConvProblem,
    pass: Pass,
    body: Body,
}

impl ConvAlgorithm<HostBackend> for Toy {
    fn name(&self) -> &'static str {
        self.name
    }

    fn estimate(
        &self,
        _: &Machine,
        problem: &ConvProblem,
        pass: Pass,
    ) -> std::result::Result<Cost, Unsupported> {
        let takes = (self.takes)(problem, pass);
        if takes { Ok(Cost::default()) } else { Err(Unsupported::Geometry("not in this test".into())) }
    }

    fn build(
        &self,
        _: &HostBackend,
        problem: &ConvProblem,
        pass: Pass,
    ) -> Result<Box<dyn ConvKernel<HostBackend>>> {
        Ok(Box::new(ToyKernel { problem: *problem, pass, body: self.body }))
    }
}

impl ConvKernel<HostBackend> for ToyKernel {
    fn workspace_len(&self) -> usize {
        0
    }

    fn run(
        &self,
        backend: &HostBackend,
        operands: Operands<'_, HostBackend>,
        _: Scratch<'_, HostBackend>,
    ) -> Result<()> {
        operands.check(backend, &self.problem, self.pass)?;
        let out: &mut HostBuffer = operands.out;
        (self.body)(&self.problem, self.pass, operands.lhs, operands.rhs, out);
        let points = self.problem.points(Role::Output);
        for (index, value) in out.iter_mut().enumerate() {
            let bias = operands.bias.map_or(0.0, |bias| bias[index / points % bias.len()]);
            *value = if operands.relu { (*value + bias).max(0.0) } else { *value + bias };
        }
        Ok(())
    }
}

fn sound(problem: &ConvProblem, pass: Pass, lhs: &[f32], rhs: &[f32], out: &mut [f32]) {
    let exact = exact(problem, pass, lhs, rhs);
    out.iter_mut().zip(exact).for_each(|(out, value)| *out = value as f32);
}

fn exact(problem: &ConvProblem, pass: Pass, lhs: &[f32], rhs: &[f32]) -> Vec<f64> {
    reference::Reference::new(problem, pass, lhs, rhs).expect("lengths were checked").values
}

fn never_writes_the_last(problem: &ConvProblem, pass: Pass, lhs: &[f32], rhs: &[f32], out: &mut [f32]) {
    let written = out.len() - 1;
    let exact = exact(problem, pass, lhs, rhs);
    out[..written].iter_mut().zip(exact).for_each(|(out, value)| *out = value as f32);
}

/// A true convolution where a cross-correlation is wanted.
fn flips_the_kernel(problem: &ConvProblem, pass: Pass, lhs: &[f32], rhs: &[f32], out: &mut [f32]) {
    let mut flipped = rhs.to_vec();
    if pass != Pass::BackwardWeights {
        flipped.chunks_exact_mut(problem.points(Role::Weight)).for_each(<[f32]>::reverse);
    }
    sound(problem, pass, lhs, &flipped, out);
    if pass == Pass::BackwardWeights {
        out.chunks_exact_mut(problem.points(Role::Weight)).for_each(<[f32]>::reverse);
    }
}

/// One axis by the definition of the transform in f32, with twiddle factors that went through `round`.
fn by_transform(problem: &ConvProblem, lhs: &[f32], rhs: &[f32], out: &mut [f32], round: fn(f32) -> f32) {
    let axis = problem.axes()[0];
    let tiling = AxisTiling::whole(&axis, AxisTiling::whole_length(&axis)).expect("the least length fits");
    let n = tiling.length();
    let angle = |k: usize| std::f64::consts::TAU * k as f64 / n as f64;
    let twiddles: Vec<[f32; 2]> =
        (0..n).map(|k| [round(angle(k).cos() as f32), round(angle(k).sin() as f32)]).collect();
    let spectra = |tensor: &[f32], role: Role| -> Vec<Vec<[f32; 2]>> {
        let place = tiling.placement(role, 0, 0);
        let transform = |map: &[f32]| {
            let point = |k: usize| {
                (0..place.len).fold([0.0, 0.0], |[re, im], i| {
                    let [cos, sin] = twiddles[(place.at + i) * k % n];
                    [re + map[place.first + i] * cos, im - map[place.first + i] * sin]
                })
            };
            (0..n).map(point).collect()
        };
        tensor.chunks_exact(problem.points(role)).map(transform).collect()
    };
    let (x, w) = (spectra(lhs, Role::Input), spectra(rhs, Role::Weight));
    let (cin, cout, points) = (problem.in_channels(), problem.out_channels(), problem.points(Role::Output));
    for (map, out) in out.chunks_exact_mut(points).enumerate() {
        let (image, o) = (map / cout, map % cout);
        let product = |k: usize| {
            (0..cin).fold([0.0f32, 0.0f32], |[re, im], c| {
                let ([a, b], [p, q]) = (x[image * cin + c][k], w[o * cin + c][k]);
                [re + a * p + b * q, im + b * p - a * q]
            })
        };
        let y: Vec<[f32; 2]> = (0..n).map(product).collect();
        for (i, out) in out.iter_mut().enumerate() {
            let real = |k: usize| y[k][0] * twiddles[i * k % n][0] - y[k][1] * twiddles[i * k % n][1];
            *out = (0..n).map(real).sum::<f32>() / n as f32;
        }
    }
}

fn transforms(problem: &ConvProblem, _: Pass, lhs: &[f32], rhs: &[f32], out: &mut [f32]) {
    by_transform(problem, lhs, rhs, out, |twiddle| twiddle);
}

fn transforms_in_bf16(problem: &ConvProblem, _: Pass, lhs: &[f32], rhs: &[f32], out: &mut [f32]) {
    by_transform(problem, lhs, rhs, out, |twiddle| f32::from_bits(twiddle.to_bits() & 0xffff_0000));
}

fn one_plain_axis(problem: &ConvProblem, pass: Pass) -> bool {
    let plain = |axis: &conv_core::Axis| axis.stride == 1 && axis.dilation == 1;
    pass == Pass::Forward && problem.groups() == 1 && problem.axes().len() == 1 && plain(&problem.axes()[0])
}

static SOUND: Toy = Toy { name: "sound", takes: |_, _| true, body: sound };
static UNWRITTEN: Toy = Toy { name: "unwritten", takes: |_, _| true, body: never_writes_the_last };
static FLIPPED: Toy = Toy { name: "flipped", takes: |_, _| true, body: flips_the_kernel };
static TRANSFORM: Toy = Toy { name: "transform", takes: one_plain_axis, body: transforms };
static BF16: Toy = Toy { name: "bf16", takes: one_plain_axis, body: transforms_in_bf16 };

fn problems() -> Vec<ConvProblem> {
    let mut problems: Vec<_> = edge_problems().into_iter().map(|named| named.problem).collect();
    problems.extend(random_problems(200, 7));
    problems
        .extend(["n2 c3 o4 i50 k7", "n1 c2 o2 i64 k33 p5"].map(|line| line.parse::<ConvProblem>().unwrap()));
    problems
}

#[test]
fn sound_algorithms_pass_and_each_planted_fault_is_found() {
    static ALL: &[&dyn ConvAlgorithm<HostBackend>] = &[&SOUND, &UNWRITTEN, &FLIPPED, &TRANSFORM, &BF16];
    let backend = HostBackend::new(ALL, CostModel::default());
    let problems = problems();
    let outcome = conformance(&backend, &problems).unwrap();
    let failed = |name: &str| outcome.failures.iter().filter(|failure| failure.algorithm == name).count();
    assert_eq!(outcome.runs_of("sound"), problems.len() * 3);
    assert!(outcome.runs_of("transform") >= 10, "{:?}", outcome.runs);
    assert_eq!((failed("sound"), failed("transform")), (0, 0));
    assert_eq!(failed("unwritten"), outcome.runs_of("unwritten"), "an output never written");
    assert!(failed("flipped") > problems.len(), "a kernel flipped: {}", failed("flipped"));
    // Transforms of very few points have exact twiddles even in bf16.
    assert!(failed("bf16") * 2 > outcome.runs_of("bf16"), "bf16 twiddles: {}", failed("bf16"));
    let long = outcome.failures.iter().find(|f| f.algorithm == "bf16" && f.problem.axes()[0].input == 50);
    assert!(long.is_some_and(|failure| failure.what.starts_with("error ")));
}

#[test]
fn a_problem_that_nothing_takes_is_a_failure() {
    static NONE: &[&dyn ConvAlgorithm<HostBackend>] = &[];
    let backend = HostBackend::new(NONE, CostModel::default());
    let outcome = conformance(&backend, &random_problems(3, 1)).unwrap();
    assert_eq!((outcome.total(), outcome.failures.len()), (0, 9));
}
