//! Records of a sweep: the same command goes on, and runs only what is new.

#[allow(dead_code, reason = "its main is cargo's")]
#[path = "../build.rs"]
mod build_script;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tollway::sweep::{Key, Store, Task, run};

const CASE: &str = "scenarios/validate/llama3-405b-54d.toml";
const SAVES: &str = "training.llama3.checkpoint.remote.every";

/// A folder with a copy of the case, in which sweeps run.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Place {
        let place = Place(tempfile::tempdir().unwrap());
        fs::write(place.path("case.toml"), fs::read_to_string(CASE).unwrap()).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tollway"));
        command
            .current_dir(self.0.path())
            .args(["sweep", "case.toml", "--out", "out"])
            .args(arguments)
            .output()
            .unwrap()
    }

    /// Sweeps over the intervals, and says how many runs were simulated.
    fn sweep(&self, every: &str, replications: &str) -> usize {
        let before = self.lines().len();
        let output = self.run(&["--vary", &format!("{SAVES}={every}"), "--replications", replications]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        self.lines().len() - before
    }

    fn records(&self) -> PathBuf {
        self.path("out.records/runs.jsonl")
    }

    /// Lines of runs on record.
    fn lines(&self) -> Vec<String> {
        let text = fs::read_to_string(self.records()).unwrap_or_default();
        text.lines().filter(|line| line.contains("\"run\":")).map(str::to_owned).collect()
    }

    /// The tables, which all sweeps of the same cells share.
    fn tables(&self) -> Vec<String> {
        let files = ["runs.csv", "cells.csv", "comparisons.csv", "datapackage.json", "manifest.json"];
        files.iter().map(|file| fs::read_to_string(self.path("out").join(file)).unwrap()).collect()
    }
}

/// What a place without any records gives.
fn afresh(every: &str, replications: &str) -> Vec<String> {
    let place = Place::new();
    place.sweep(every, replications);
    place.tables()
}

#[test]
fn only_what_is_new_runs() {
    let place = Place::new();
    assert_eq!(place.sweep("10 min,20 min", "2"), 4);
    let tables = place.tables();
    assert_eq!(place.sweep("10 min,20 min", "2"), 0, "a finished sweep has nothing to run");
    assert!(place.tables() == tables, "what is on record gives the same bytes as what was run");
    assert_eq!(place.sweep("5 min,10 min,20 min", "2"), 2, "one more value of an axis");
    assert_eq!(place.sweep("5 min,10 min,20 min", "3"), 3, "one more replication of three cells");
    assert!(place.tables() == afresh("5 min,10 min,20 min", "3"), "old and new records mix to the same bytes");
    assert_eq!(place.sweep("600 s,1200 s", "1"), 0, "a value in another unit is the same value");
}

#[test]
fn a_comment_runs_nothing_and_a_change_runs_all() {
    let place = Place::new();
    place.sweep("10 min,20 min", "2");
    let text = fs::read_to_string(place.path("case.toml")).unwrap();
    let write = |text: &str| fs::write(place.path("case.toml"), text).unwrap();
    write(&format!("# A remark.\n\n{text}"));
    assert_eq!(place.sweep("10 min,20 min", "2"), 0);
    write(&text.replace("[training.llama3]", "[training.llama3]\nresearch_multiplier = 1.5\nsubmit = \"0 s\""));
    assert_eq!(place.sweep("10 min,20 min", "2"), 0, "a default that is written out");
    write(&text.replace("[training.llama3]", "[training.llama3]\nresearch_multiplier = 2"));
    assert_eq!(place.sweep("10 min,20 min", "2"), 4);
}

#[test]
fn a_torn_line_costs_its_own_run_and_no_other() {
    let place = Place::new();
    place.sweep("10 min,20 min", "2");
    let (tables, whole) = (place.tables(), fs::read(place.records()).unwrap());
    let last = whole[..whole.len() - 1].iter().rposition(|&byte| byte == b'\n').unwrap() + 1;
    for torn in [last, last + 1, last + 40, whole.len() - 2, whole.len() - 1] {
        fs::write(place.records(), &whole[..torn]).unwrap();
        place.sweep("10 min,20 min", "2");
        assert!(place.tables() == tables, "torn after {torn} of {} bytes", whole.len());
        assert_eq!(place.sweep("10 min,20 min", "2"), 0, "the run is on record again");
    }
    fs::write(place.records(), &whole[..20]).unwrap();
    assert_eq!(place.sweep("10 min,20 min", "2"), 4, "no layout, no records");
    assert!(place.tables() == tables);
}

#[test]
fn two_records_that_differ_are_a_defect() {
    let place = Place::new();
    place.sweep("10 min,20 min", "1");
    let line = place.lines().remove(0);
    let add = |line: &str| {
        let text = fs::read_to_string(place.records()).unwrap();
        fs::write(place.records(), format!("{text}{line}\n")).unwrap();
    };
    add(&line);
    assert_eq!(place.sweep("10 min,20 min", "1"), 0, "the same twice is no harm");
    let body = line.split_once("\",").unwrap().1;
    let (before, values) = body.split_once("\"values\":[").unwrap();
    let other = format!("{before}\"values\":[0.5,{}", values.split_once(',').unwrap().1);
    add(&sealed(&other));
    let tables = place.tables();
    let output = place.run(&["--vary", &format!("{SAVES}=10 min,20 min")]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    let file = Path::new("out.records").join("runs.jsonl").display().to_string();
    assert!(
        said.starts_with(&format!(
            "error: defect: two records of one run differ, {file}:2 and {file}:5: training.llama3 "
        )),
        "{said}"
    );
    assert!(said.contains(" and Some(0.5). Same inputs must give the same bytes"), "{said}");
    assert!(place.tables() == tables, "the results stay as they were");
}

#[test]
fn the_model_has_another_version_when_its_code_changes() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    assert_eq!(tollway::sweep::MODEL, build_script::model_version(root), "the build script ran over these sources");

    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let file = folder.path().join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    };
    let version = || build_script::model_version(folder.path());
    for name in
        ["src/lib.rs", "src/main.rs", "src/training/job.rs", "src/report/mod.rs", "src/sweep/key.rs", "src/cli/mod.rs"]
    {
        write(name, "one\ntwo\n");
    }
    write("Cargo.lock", "libm 1");
    let first = version();
    for outside in
        ["src/main.rs", "src/report/mod.rs", "src/report/table.rs", "src/sweep/key.rs", "src/cli/mod.rs", "README.md"]
    {
        write(outside, "changed");
    }
    write("src/lib.rs", "one\r\ntwo\r\n");
    assert_eq!(version(), first, "what no run depends on, and line ends");
    let changes = [
        ("src/training/job.rs", "one\ntwo"),
        ("src/lib.rs", "three"),
        ("Cargo.lock", "libm 2"),
        ("src/catalog/a.csv", ""),
    ];
    let mut seen = vec![first];
    for (name, text) in changes {
        write(name, text);
        assert!(!seen.contains(&version()), "{name}");
        seen.push(version());
    }
}

#[test]
fn results_that_stand_are_left_alone_and_others_written_anew() {
    let place = Place::new();
    let sweep = |more: &[&str]| {
        let vary = format!("{SAVES}=10 min,20 min");
        let output = place.run(&[&["--vary", &vary, "--replications", "2"], more].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let files = || {
        let entries = fs::read_dir(place.path("out")).unwrap().map(|entry| entry.unwrap().path());
        entries.map(|file| (file.clone(), fs::read(file).unwrap())).collect::<std::collections::BTreeMap<_, _>>()
    };
    sweep(&[]);
    let first = files();
    // A file of somebody else stays as long as nothing is written.
    let mark = place.path("out").join("mark");
    fs::write(&mark, "").unwrap();
    let printed = sweep(&[]);
    assert!(printed.contains("4 runs, 4 of them on record") && printed.contains("Results: "), "{printed}");
    assert!(mark.exists(), "results that stand are written again");
    fs::remove_file(&mark).unwrap();
    assert!(files() == first);

    for (name, content) in &first {
        // Without its manifest a folder is somebody else's.
        if !name.ends_with("manifest.json") {
            fs::remove_file(name).unwrap();
            sweep(&[]);
            assert!(name.exists(), "{} was deleted and is not there", name.display());
        }
        fs::write(name, [&content[..], b" "].concat()).unwrap();
        sweep(&[]);
        // Wall-clock facts are new each time.
        let is_new = name.ends_with("run.json") && fs::read(name).unwrap() != [&content[..], b" "].concat();
        assert!(is_new || fs::read(name).unwrap() == *content, "{} was changed and still is", name.display());
    }
    let columns = || fs::read_to_string(place.path("out/runs.csv")).unwrap().lines().next().unwrap().split(',').count();
    let few = columns();
    sweep(&["--all-parameters"]);
    assert!(columns() > few, "other columns are asked for");
    sweep(&[]);
    assert_eq!(columns(), few);
    // Other runs, other results: the same command as a while ago does not find its own any more.
    place.sweep("10 min,40 min", "2");
    sweep(&[]);
    let now = files();
    let same = |name: &str| first.get(&place.path("out").join(name)) == now.get(&place.path("out").join(name));
    assert!(same("runs.csv") && same("results.xlsx") && same("manifest.json"));
}

/// A line of a record file with its sum.
fn sealed(body: &str) -> String {
    format!("{{\"sum\":\"{}\",{body}", &blake3::hash(body.as_bytes()).to_hex()[..8])
}

#[test]
fn a_run_that_panics_fails_alone() {
    let sound = tollway::scenario::load(Path::new(CASE), &[]).unwrap();
    let mut broken = sound.clone();
    broken.jobs[0].cluster = 7;
    let task = |scenario, replication| Task { scenario, cell: Key::of_cell(scenario), replication };
    let tasks = [task(&sound, 0), task(&broken, 0), task(&sound, 1)];
    let records = run(&tasks, &Store::in_memory(), || ()).unwrap();
    let outcomes: Vec<_> =
        records.iter().map(|record| record.outcome.as_ref().map(|told| told.figures().len())).collect();
    assert!(matches!(outcomes[..], [Ok(_), Err(_), Ok(_)]), "{outcomes:?}");
    let words = outcomes[1].as_ref().unwrap_err();
    assert!(words.starts_with("index out of bounds"), "{words}");
}

#[test]
fn a_run_that_failed_is_a_row_with_its_error() {
    let place = Place::new();
    place.sweep("10 min,20 min", "2");
    let text = fs::read_to_string(place.records()).unwrap();
    let line = place.lines().remove(1);
    let key = line.split_once("\"key\":\"").unwrap().1[..32].to_owned();
    let failed = sealed(&format!("\"failed\":{{\"key\":\"{key}\",\"error\":\"the ledger, it \\\"broke\\\"\"}}}}"));
    fs::write(place.records(), text.replace(&line, &failed)).unwrap();
    for _ in 0..2 {
        let output = place.run(&["--vary", &format!("{SAVES}=10 min,20 min"), "--replications", "2"]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(3), "{said}");
        assert!(said.starts_with("1 of 4 runs failed; the column error of runs.csv says why."), "{said}");
    }
    let mut reader = csv::Reader::from_path(place.path("out/runs.csv")).unwrap();
    let header = reader.headers().unwrap().clone();
    let column = |name: &str| header.iter().position(|column| column == name).unwrap();
    let (error, ettr) = (column("error"), column("training.llama3.ettr_fraction"));
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let failed: Vec<&csv::StringRecord> = rows.iter().filter(|row| !row[error].is_empty()).collect();
    assert_eq!((rows.len(), failed.len()), (4, 1));
    assert_eq!((&failed[0][error], &failed[0][ettr]), ("the ledger, it \"broke\"", ""));
    assert!(rows.iter().all(|row| row[error].is_empty() != row[ettr].is_empty()), "the others have their figures");
}
