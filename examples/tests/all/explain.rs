//! `explain`: what it shows, and what it refuses.

use crate::common::{cpu, failure, run};
use backend_cpu::machine_names;
use conv_core::choose::{Limits, rank};
use conv_core::{Backend, ConvProblem, Pass, TableSource};
use examples::explain::Explain;

const LINE: &str = "n128 c96 o256 i31x31 k5x5 p2";

#[test]
fn each_pass_has_its_ranking_and_the_step_its_choice() {
    let text = run::<Explain>(&[LINE]).unwrap();
    for pass in Pass::ALL {
        assert!(text.contains(&format!("{pass} of {LINE}")), "{text}");
    }
    assert_eq!(text.matches("<- pick").count(), 3, "{text}");
    assert!(text.contains("step of all three passes: forward "), "{text}");
    for algorithm in cpu().algorithms() {
        assert!(text.matches(algorithm.name()).count() >= 3, "{text}");
    }
}

#[test]
fn the_table_is_said_to_be_this_machines_or_the_nearest() {
    let text = run::<Explain>(&[LINE]).unwrap();
    let table = text.lines().nth(1).unwrap();
    assert_eq!(table, format!("table: {}", cpu().machine().describe_table()));
    assert_eq!(
        table.contains("the nearest") && table.contains("`cargo xtask fit`"),
        cpu().machine().table == TableSource::Nearest
    );
}

#[test]
fn measured_picks_follow_each_ranking() {
    let text = run::<Explain>(&["n2 c2 o3 i24x24 k5x5 p2", "--algorithm", "measured"]).unwrap();
    assert_eq!(text.matches("<- pick").count(), 3, "{text}");
    assert_eq!(text.lines().filter(|line| line.starts_with("  measured: ")).count(), 3, "{text}");
    let last = text.lines().last().unwrap();
    assert!(last.contains(" transforms shared, measured") && last.ends_with(" ms"), "{text}");
}

#[test]
fn another_machine_and_problems_beyond_this_ones_memory() {
    for name in machine_names() {
        let text = run::<Explain>(&["--machine", name, "--", "n100000 c1000 o1000 i64x64 k9x9"]).unwrap();
        assert!(text.starts_with(&format!("machine {name}, ")), "{text}");
        assert!(text.contains("\ntable: of the library, from "), "{text}");
    }
    let text = run::<Explain>(&["--threads", "7", LINE]).unwrap();
    assert!(text.starts_with("machine ") && text.contains(", 7 threads"), "{text}");
}

#[test]
fn bad_lines_are_exit_2() {
    let cases: [(&[&str], &str); 13] = [
        (&["n1 c1 o1 i4"], "field k is missing"),
        (&["n1 c1 o1 i4 k2 z3"], "unknown field \"z3\""),
        (&["n1 c1 o1 i4 k2 n1"], "field n stands twice"),
        (&["n1 c1 o1 i4 k5"], "kernel of axis 0 does not fit"),
        (&["--", "-n1 c1"], "unknown field \"-n1\""),
        (&[""], "is missing"),
        (&[], "required arguments"),
        (&[LINE, "--machine", "abacus"], "machine: expected one of "),
        (
            &[LINE, "--algorithm", "measured", "--machine", "abacus"],
            "--machine: expected none with --algorithm measured, which times this machine, found abacus",
        ),
        (&[LINE, "--algorithm", "nonsense"], "unknown algorithm \"nonsense\""),
        (&[LINE, "--backend", "cuda"], "backend cuda: "),
        (&[LINE, "--workspace-limit-mib", "-1"], "unexpected argument"),
        (&[LINE, "--max-error", "0"], "expected a number above 0, such as 2e-6"),
    ];
    for (words, expected) in cases {
        let (code, message) = failure::<Explain>(words);
        assert!(code == 2 && message.contains(expected), "{words:?}: {code} {message}");
    }
}

#[test]
fn a_named_algorithm_explains_refuses_or_lacks_workspace() {
    let cpu = cpu();
    for line in ["n1 c1 o1 i9x9 k3x3 s3 d2", "n2 c4 o4 i16x16 k3x3 g4", "n1 c1 o1 i200 k65"] {
        let problem: ConvProblem = line.parse().unwrap();
        for algorithm in cpu.algorithms().iter().map(|algorithm| algorithm.name()) {
            let willing = Pass::ALL.into_iter().all(|pass| {
                let ranking = rank(cpu.algorithms(), cpu.machine(), &problem, pass, Limits::default());
                ranking.entries.iter().any(|entry| entry.algorithm == algorithm && entry.answer.is_ok())
            });
            let words = ["--algorithm", algorithm, line];
            match willing {
                true => assert!(run::<Explain>(&words).unwrap().contains(&format!("forward {algorithm}"))),
                false => assert_eq!(failure::<Explain>(&words).0, 3, "{algorithm} {line}"),
            }
        }
    }
}

#[test]
fn a_gpu_is_predicted_for_without_one() {
    let line = "n8 c32 o32 i56x56 k3x3 p1";
    for backend in ["auto", "cuda"] {
        let text = run::<Explain>(&["--backend", backend, "--machine", "h200", line]).unwrap();
        assert!(text.starts_with("machine h200, 132 threads\n"), "{text}");
        for algorithm in backend_cuda::algorithms() {
            assert!(text.contains(algorithm.name()), "{} in {text}", algorithm.name());
        }
    }
    let (code, message) = failure::<Explain>(&["--backend", "cpu", "--machine", "h200", line]);
    let known = machine_names().join(", ");
    assert_eq!((code, message), (2, format!("--machine: expected one of {known}, found h200")));
    let (_, message) = failure::<Explain>(&["--backend", "cuda", "--machine", machine_names()[0], line]);
    assert!(message.starts_with("--machine: expected one of h200, found "), "{message}");
}
