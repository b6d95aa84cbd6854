//! `tollway compare` from outside: two cells of a sweep, two runs, and what cannot be compared.

use std::path::Path;
use std::process::{Command, Output};

const CASE: &str = "scenarios/validate/llama3-405b-54d.toml";
const EVERY: &str = "training.llama3.checkpoint.remote.every";

fn tollway(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tollway")).args(arguments).output().unwrap()
}

fn out(folder: &Path, name: &str) -> String {
    folder.join(name).to_str().unwrap().to_owned()
}

fn said(arguments: &[&str]) -> String {
    let output = tollway(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn refused(arguments: &[&str]) -> String {
    let output = tollway(arguments);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn two_cells_are_compared_pair_by_pair_and_say_what_comparisons_csv_says() {
    let folder = tempfile::tempdir().unwrap();
    let sweep = out(folder.path(), "sweep");
    said(&["sweep", CASE, "--vary", &format!("{EVERY}=10 min,40 min"), "--replications", "4", "--out", &sweep]);
    let (a, b) = (format!("{sweep}:0"), format!("{sweep}:1"));
    let json: serde_json::Value =
        serde_json::from_str(&said(&["compare", &a, &b, "--metric", "ettr_fraction", "--json"])).unwrap();
    let [row] = json.as_array().unwrap().as_slice() else { panic!("one figure: {json}") };
    let mut reader = csv::Reader::from_path(folder.path().join("sweep/comparisons.csv")).unwrap();
    let header = reader.headers().unwrap().clone();
    let at = |name: &str| header.iter().position(|column| column == name).unwrap();
    let ettr = reader.records().map(Result::unwrap).find(|record| &record[at("metric")] == "ettr").unwrap();
    let same = |column: &str, key: &str| {
        let (one, other): (f64, f64) = (ettr[at(column)].parse().unwrap(), row[key].as_f64().unwrap());
        assert!((one - other).abs() <= 1e-9 * one.abs(), "{column}: {one} and {other}");
    };
    same("baseline_mean", "a");
    same("mean", "b");
    same("difference", "difference");
    same("half_width", "half_width");
    assert_eq!(
        (&row["method"], &row["n"], &row["sentence"]),
        (&"paired".into(), &4.into(), &ettr[at("sentence")].into())
    );
    let table = said(&["compare", &a, &b]);
    assert!(table.starts_with("figure ") && table.contains("training.llama3.ettr_fraction"), "{table}");
    assert!(!table.contains("research_multiplier") && table.contains("more figures are the same in both"), "{table}");
    let words = refused(&["compare", &sweep, &b]);
    assert!(words.contains("holds the cells 0 to 1 of a sweep; name one, as in"), "{words}");
    assert!(refused(&["compare", &a, &format!("{sweep}:7")]).contains("has no cell 7; there are 0 to 1"));
    let words = refused(&["compare", &a, &b, "--metric", "etr_fraction"]);
    assert!(words.contains("did you mean `ettr_fraction`?"), "{words}");
}

#[test]
fn two_runs_are_compared_as_far_as_their_replications_allow() {
    let folder = tempfile::tempdir().unwrap();
    let run = |name: &str, more: &[&str]| {
        let to = out(folder.path(), name);
        said(&[&["run", CASE, "--out", &to], more].concat());
        to
    };
    let rare = format!("{EVERY}=40 min");
    let (a, b) = (run("a", &[]), run("b", &["--set", &rare]));
    let row = said(&["compare", &a, &b, "--metric", "training.llama3.ettr"]);
    assert!(row.contains("(one run, no interval)"), "{row}");
    let (a, b) = (run("a4", &["--replications", "4"]), run("b4", &["--replications", "4", "--set", &rare]));
    let json = said(&["compare", &a, &b, "--metric", "ettr", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json[0]["method"], &json[0]["n"]), (&"welch".into(), &serde_json::json!([4, 4])));
    assert!(json[0]["half_width"].as_f64().unwrap() > 0.0);
    assert!(refused(&["compare", &a, folder.path().to_str().unwrap()]).contains("holds no results of tollway"));
    assert!(refused(&["compare", &format!("{a}:0"), &b]).contains("which has no cells"));
}
