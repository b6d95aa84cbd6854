//! `results.xlsx` of a sweep: the same bytes from the same inputs, and a real spreadsheet program opens it.

#![cfg(feature = "xlsx")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

const CASE: &str = "scenarios/validate/llama3-405b-54d.toml";

fn sweep(out: &Path, threads: &str) {
    let vary = [
        "--vary",
        "training.llama3.checkpoint.remote.every=10 min,20 min,40 min",
        "--vary",
        "training.llama3.nodes=1024,2048",
    ];
    let arguments =
        [&["sweep", CASE, "--replications", "3", "--threads", threads, "--out"], &[out.to_str().unwrap()][..], &vary];
    let output = Command::new(env!("CARGO_BIN_EXE_tollway")).args(arguments.concat()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_same_inputs_give_the_same_workbook() {
    let folder = tempfile::tempdir().unwrap();
    let books = ["1", "2"].map(|threads| {
        let out = folder.path().join(threads);
        sweep(&out, threads);
        // Two seconds are the grain of a zip's clock.
        std::thread::sleep(std::time::Duration::from_millis(2_100));
        fs::read(out.join("results.xlsx")).unwrap()
    });
    assert!(books[0] == books[1]);
}

/// LibreOffice reads every sheet, and its numbers are those of the CSV files. Skips, and says why, where it is not installed.
#[test]
fn a_spreadsheet_program_opens_the_workbook_and_reads_the_same_numbers() {
    if Command::new("soffice").arg("--version").output().is_err() {
        eprintln!("skipped: soffice is not installed (Debian: libreoffice-calc)");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    sweep(&out, "2");
    // Separator comma, quote ", UTF-8, numbers unformatted, every sheet to a file of its own.
    let filter = "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,false,false,false,false,-1";
    let home = format!("-env:UserInstallation=file://{}", folder.path().join("home").display());
    let converted = Command::new("soffice")
        .args(["--headless", &home, "--convert-to", filter, "--outdir"])
        .args([folder.path(), &out.join("results.xlsx")])
        .output()
        .unwrap();
    assert!(converted.status.success(), "{}", String::from_utf8_lossy(&converted.stderr));
    for (sheet, file) in [("Runs", "runs.csv"), ("Cells", "cells.csv"), ("Comparisons", "comparisons.csv")] {
        let read = records(&folder.path().join(format!("results-{sheet}.csv")));
        let ours = records(&out.join(file));
        assert_eq!(read.len(), ours.len(), "{sheet}");
        for (read, ours) in read.iter().zip(&ours) {
            for (read, ours) in read.iter().zip(ours) {
                let same = match (read.parse::<f64>(), ours.parse::<f64>()) {
                    (Ok(read), Ok(ours)) => (read - ours).abs() <= 1e-6 * ours.abs(),
                    _ => read == ours,
                };
                assert!(same, "{sheet}: {read:?} and {ours:?}");
            }
        }
    }
    let overview = records(&folder.path().join("results-Overview.csv"));
    assert_eq!(overview.len(), 7, "a header and six cells");
    let columns = records(&folder.path().join("results-Columns.csv"));
    let named: BTreeMap<&str, &str> = columns.iter().map(|row| (row[1].as_str(), row[2].as_str())).collect();
    assert_eq!(named["training.llama3.checkpoint.remote.every_s"], "s");
    assert!(records(&folder.path().join("results-Charts.csv")).len() > 10, "tables of the headline figures");
}

fn records(file: &Path) -> Vec<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_path(file).unwrap();
    reader.records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect()
}
