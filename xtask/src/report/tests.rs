//! The report from a folder to the page: what it shows, what it refuses and in which words.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::cells::{cells, times};
use super::{Report, read, run, write_run};

const HEADER: &str = "name,problem,pass,backend,algorithm,chosen,median_ms,min_ms,gflops,predicted_ms,\
                      workspace_mib,error";
const JSON: &str = r#"{"machine": "A & B <processor>", "threads": 2, "date": "2026-11-21", "commit": "abc1234",
                       "command": "cargo xtask bench", "once": ["paper.fig3.k7 forward pytorch"]}"#;

/// A line of two algorithms of ours, the first of them picked, and a peer.
fn cell(name: &str, problem: &str, pass: &str, [pick, other, peer]: [f64; 3]) -> String {
    let row = |algorithm: &str, chosen: bool, ms: f64| {
        format!("{name},{problem},{pass},cpu,{algorithm},{chosen},{ms},{ms},1,,,\n")
    };
    row("direct", true, pick) + &row("fft", false, other) + &row("pytorch", false, peer)
}

/// A folder with one machine's `paper.csv` of these lines.
fn folder(lines: &str) -> TempDir {
    let results = tempfile::tempdir().unwrap();
    add(results.path(), "machine/paper", &format!("{HEADER}\n{lines}"));
    results
}

fn add(results: &Path, stem: &str, csv: &str) {
    let file = results.join(stem);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file.with_extension("csv"), csv).unwrap();
    fs::write(file.with_extension("json"), JSON).unwrap();
}

fn report(results: &Path) -> Result<String, String> {
    let output = results.join("out.html");
    let report = Report { results: results.into(), output: output.clone() };
    match run(&report) {
        Ok(()) => Ok(fs::read_to_string(output).unwrap()),
        Err(failure) => {
            assert_eq!(failure.code(), 2);
            assert!(!output.exists() && !results.join("speedup.svg").exists());
            Err(failure.to_string())
        }
    }
}

const FIG3: &str = "n128 c96 o256 i32x32 k7x7";

/// Something for every section.
fn full() -> TempDir {
    let mut lines = String::new();
    for pass in ["forward", "backward-input", "backward-weights"] {
        for n in [16, 32, 64] {
            let problem = format!("n4 c16 o16 i{n}x{n} k9x9 p4");
            lines += &cell(&format!("growth.n{n}"), &problem, pass, [f64::from(n), 40.0, 80.0]);
        }
        lines += &cell("paper.fig3.k7", FIG3, pass, [1.0, 2.0, 4.0]);
        lines += &cell("paper.fig3.n32", FIG3, pass, [1.0, 2.0, 4.0]);
        lines += &cell("paper.table.k7n32f96", FIG3, pass, [111.0, 100.25, 400.0]);
        lines += &cell("report.kernel64", "n4 c3 o16 i128x128 k64x64", pass, [0.5, 0.25, 50.0]);
    }
    lines += &cell("functional.dims1", "n1 c1 o1 i50 k2", "forward", [0.01, 0.02, 0.005]);
    lines += "net.report.kernel64,free text,train,cpu,auto,true,5.0,4.0,,,,\n";
    lines += "net.report.kernel64,free text,train,cpu,pytorch,false,20.0,19.0,,,,\n";
    folder(&lines)
}

#[test]
fn every_section_shows_its_numbers_with_machine_date_and_command() {
    let page = report(full().path()).unwrap();
    assert!(!page.contains("Not measured yet"));
    assert!(page.contains("Measured on A &amp; B &lt;processor&gt;, 2 threads, 2026-11-21, commit abc1234"));
    assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
    for shown in ["111 <small>direct</small>", "100 <small>fft</small>", ">333<", ">1200<", "n 32, batch 128"]
    {
        assert!(page.contains(shown), "{shown}");
    }
    assert!(page.contains("title=\"direct 1.00 ms, pytorch 4.00° ms\">4.0°</td>"), "timed once");
}

#[test]
fn the_same_folder_gives_the_same_bytes() {
    let results = full();
    let both = || (report(results.path()).unwrap(), fs::read(results.path().join("speedup.svg")).unwrap());
    assert_eq!(both(), both());
}

#[test]
fn without_measurements_every_section_says_what_to_run() {
    let results = tempfile::tempdir().unwrap();
    fs::write(results.path().join("README.md"), "# Times").unwrap();
    fs::write(results.path().join("other.json"), "[]").unwrap();
    let page = report(results.path()).unwrap();
    assert_eq!(page.matches("Not measured yet").count(), 10);
    assert!(page.contains("--shapes shapes/growth.txt"));
    assert!(fs::read_to_string(results.path().join("speedup.svg")).unwrap().contains("not measured yet"));
}

#[test]
fn a_run_has_a_page_with_what_it_measured_alone() {
    let lines = [70, 80].map(|n| format!("net.report.input{n},text,train,cpu,auto,true,5.0,4.0,,,,\n"));
    let results = folder(&lines.concat());
    let (csv, page) = (results.path().join("machine/paper.csv"), results.path().join("page.html"));
    fs::write(results.path().join("machine/other.csv"), "not of this run").unwrap();
    write_run(&csv, &page).unwrap();
    let page = fs::read_to_string(page).unwrap();
    assert!(page.contains("training step, k 64, batch 10") && page.contains("Measured on A"), "{page}");
    assert!(!page.contains("Not measured yet") && !page.contains("MB"), "{page}");
    assert_eq!(page.matches("<section").count(), 2);
}

#[test]
fn names_never_come_out_raw() {
    let name = "paper.fig3.k7<script>\"'&";
    let lines = cell(name, FIG3, "forward", [1.0, 2.0, 3.0])
        .replace(name, &format!("\"{}\"", name.replace('"', "\"\"")));
    let results = folder(&(lines + "net.<script>,<script>,train,<script>,auto,true,1,1,,,,\n"));
    fs::rename(results.path().join("machine/paper.csv"), results.path().join("machine/<script>.csv"))
        .unwrap();
    let json = JSON.replace("abc1234", "<script>");
    fs::write(results.path().join("machine/<script>.json"), json).unwrap();
    // Of the two backends the message has one; the page has none of them.
    let message = report(results.path()).unwrap_err();
    assert!(message.ends_with("found \"<script>\" and, in line 2, \"cpu\""), "{message}");
    let csv = results.path().join("machine/<script>.csv");
    fs::write(&csv, fs::read_to_string(&csv).unwrap().replace("train,<script>", "train,cpu")).unwrap();
    let page = report(results.path()).unwrap();
    let picture = fs::read_to_string(results.path().join("speedup.svg")).unwrap();
    assert!(page.contains("k7&lt;script&gt;&quot;") && picture.contains("&lt;script&gt;"));
    assert!(!page.contains("<script") && !picture.contains("<script"));
}

#[test]
fn bad_rows_name_file_line_expected_and_found() {
    let good = cell("a", FIG3, "forward", [1.0, 2.0, 3.0]);
    let cases = [
        ("a,n1 c1,forward,cpu,fft,true,1,1,1,,,\n", "line 5: expected a problem such as"),
        ("a,n1 c1,forward,cpu,fft,true,1,1,1,,,\n", "found \"n1 c1\": field i is missing"),
        ("a,b,train,cpu,fft,true,x,1,1,,,\n", "line 5: expected a number above 0 for median_ms, found \"x\""),
        ("a,b,train,cpu,fft,true,0,1,1,,,\n", "expected a number above 0 for median_ms, found \"0\""),
        ("a,b,train,cpu,fft,true,1,inf,1,,,\n", "expected a number above 0 for min_ms, found \"inf\""),
        ("a,b,train,cpu,fft,true,1,1,1,no,,\n", "expected a number for predicted_ms, found \"no\""),
        ("a,b,train,cpu,fft,yes,1,1,1,,,\n", "expected true or false for chosen, found \"yes\""),
        ("a,b,train,cpu,,true,1,1,1,,,\n", "expected a name for algorithm, found nothing"),
        ("a,b,train,cpu,pytorch,true,1,1,1,,,\n", "expected chosen = false for the peer pytorch, found true"),
        (
            "a,b,back,cpu,fft,true,1,1,1,,,\n",
            "expected one of forward, backward-input, backward-weights, step, train",
        ),
        ("a,b\n", "line 5: expected 12 fields, found 2"),
    ];
    for (line, expected) in cases {
        let results = folder(&(good.clone() + line));
        let message = report(results.path()).unwrap_err();
        assert!(message.contains("machine/paper.csv, line 5: ") && message.contains(expected), "{message}");
        assert_eq!(message.lines().count(), 1);
    }
    let message = report(folder(&good.repeat(2)).path()).unwrap_err();
    assert!(
        message.ends_with(
            "line 5: expected one row per problem, pass and algorithm, found a forward direct in line 2 too"
        ),
        "{message}"
    );
    let message = report(folder(&good.replace("fft,false", "fft,true")).path()).unwrap_err();
    assert!(
        message.ends_with("line 3: expected one chosen row per problem and pass, found another in line 2")
    );
}

#[test]
fn bad_files_name_what_is_missing() {
    let results = tempfile::tempdir().unwrap();
    let message = report(&results.path().join("none")).unwrap_err();
    assert!(message.contains("none: expected a folder of measurements"), "{message}");
    add(results.path(), "m/fit", "length,ms\n1,2\n");
    let message = report(results.path()).unwrap_err();
    assert!(message.ends_with("fit.csv, line 1: expected name as column 1 of the header, found \"length\""));
    add(results.path(), "m/fit", "");
    assert!(report(results.path()).unwrap_err().ends_with("line 1: expected a header, found nothing"));
    add(results.path(), "m/fit", &format!("{HEADER},more\n"));
    assert!(report(results.path()).unwrap_err().ends_with("expected 12 columns, found 13"));
    fs::write(results.path().join("m/fit.csv"), b"\xff\xfe").unwrap();
    assert!(report(results.path()).unwrap_err().contains("cannot read"));
    fs::write(results.path().join("m/fit.json"), "{\"machine\": 1}").unwrap();
    let message = report(results.path()).unwrap_err();
    assert!(message.contains("fit.json: expected the fields machine, threads"), "{message}");
    fs::remove_file(results.path().join("m/fit.json")).unwrap();
    let message = report(results.path()).unwrap_err();
    assert!(message.contains("fit.csv: expected fit.json beside it"), "{message}");
}

#[test]
fn a_cell_s_pick_best_and_peer_are_its_own() {
    let mut lines = cell("a", FIG3, "forward", [3.0, 2.0, 12.0]);
    lines += &format!("a,{FIG3},forward,cpu,fft-conv-pytorch,false,6,6,1,,,\n");
    lines += &cell("a", FIG3, "backward-input", [1.0, 2.0, 3.0]);
    let sources = read::sources(folder(&lines).path()).unwrap();
    let found = cells(&sources[0]);
    let ratios: Vec<f64> = found.iter().map(|cell| cell.speedup().unwrap()).collect();
    assert_eq!(ratios, [2.0, 3.0]);
    let (pick, best) = found[0].choice().unwrap();
    assert_eq!((pick.algorithm.as_str(), best.algorithm.as_str()), ("direct", "fft"));
    assert_eq!(found[0].peer().unwrap().algorithm, "fft-conv-pytorch");
}

#[test]
fn summary_and_regret_are_those_of_the_rows() {
    let lines = cell("a", FIG3, "forward", [1.0, 2.0, 1.0])
        + &cell("a", FIG3, "backward-input", [1.04, 1.0, 4.16])
        + &cell("a", FIG3, "backward-weights", [4.0, 2.0, 64.0]);
    let page = report(folder(&lines).path()).unwrap();
    // Speed-ups 1, 4 and 16; picks 6.04 ms for 4 ms; two of three within 5 %.
    for shown in
        ["<b>4.0×</b>", "1.0× a forward", ">6.04<", "<b>51.0 %</b>", ">66 %<", "+100 %: a backward-weights"]
    {
        assert!(page.contains(shown), "{shown}");
    }
}

#[test]
fn ratios_are_written_as_they_are_read() {
    assert_eq!(
        [0.344, 0.994, 0.996, 3.44, 9.96, 170.4].map(times),
        ["0.34", "0.99", "1.0", "3.4", "10", "170"]
    );
}
