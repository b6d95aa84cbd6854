//! The sweeps of the gallery: each states a question and its answer, and its cells have a golden.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a golden keeps of a cell: metric and boundary, the subject `total` only where the third says so.
const KEPT: [(&str, &str, bool); 10] = [
    ("ettr", "", false),
    ("interruptions", "", false),
    ("slo_attainment", "", false),
    ("tpot_p99", "", false),
    ("cost_per_request", "B4", false),
    ("kwh_crossover_day", "B4", false),
    ("pue", "", false),
    ("wue", "", false),
    ("cost", "B4", true),
    ("carbon", "B4", true),
];

fn sweeps() -> Vec<PathBuf> {
    let entries = fs::read_dir("scenarios/sweeps").unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|kind| kind == "toml")).collect();
    files.sort();
    files
}

/// The mean of each kept figure of each cell, at two replications where chance matters.
fn cells(sweep: &Path) -> String {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollway"));
    command.args(["sweep", sweep.to_str().unwrap(), "--out", out.to_str().unwrap()]);
    if fs::read_to_string(sweep).unwrap().contains("\nreplications = ") {
        command.args(["--replications", "2"]);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}: {}", sweep.display(), String::from_utf8_lossy(&output.stderr));
    let mut reader = csv::Reader::from_path(out.join("cells.csv")).unwrap();
    let header = reader.headers().unwrap().clone();
    let at = |name: &str| header.iter().position(|column| column == name).unwrap();
    let subject = at("subject");
    let (mut text, mut last) = (String::new(), String::new());
    for record in reader.records().map(Result::unwrap) {
        let get = |name: &str| record.get(at(name)).unwrap();
        let is_kept = KEPT.iter().any(|&(metric, boundary, of_total)| {
            (get("metric"), get("boundary")) == (metric, boundary) && (!of_total || get("subject") == "total")
        });
        if !is_kept {
            continue;
        }
        let axes = (1..subject).map(|axis| format!("{}={}", &header[axis], record.get(axis).unwrap()));
        let cell = axes.collect::<Vec<_>>().join(", ");
        if cell != last {
            writeln!(text, "{cell}").unwrap();
            last = cell;
        }
        writeln!(text, "    {} {} {} {}", get("subject"), get("metric"), get("mean"), get("unit")).unwrap();
    }
    if let Ok(mut goals) = csv::Reader::from_path(out.join("goals.csv")) {
        let header = goals.headers().unwrap().clone();
        let path = header.iter().position(|column| column == "path").unwrap();
        for goal in goals.records().map(Result::unwrap) {
            let axes = (1..path).map(|axis| format!("{}={}", &header[axis], &goal[axis])).collect::<Vec<_>>();
            writeln!(text, "{}\n    {}", axes.join(", "), goal.iter().next_back().unwrap()).unwrap();
        }
    }
    text
}

#[test]
fn the_gallery_asks_and_answers_and_its_cells_have_goldens() {
    let mut changed = Vec::new();
    for sweep in sweeps() {
        let text = fs::read_to_string(&sweep).unwrap();
        let header: String = text.lines().take_while(|line| line.starts_with('#')).collect();
        assert!(header.contains('?') && header.contains("Answer: "), "{}: {header}", sweep.display());
        let found = cells(&sweep);
        let golden = Path::new("tests/golden/sweeps").join(sweep.with_extension("txt").file_name().unwrap());
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::create_dir_all(golden.parent().unwrap()).unwrap();
            fs::write(&golden, &found).unwrap();
        }
        if fs::read_to_string(&golden).unwrap_or_default() != found {
            changed.push(golden);
        }
    }
    assert!(changed.is_empty(), "a changed golden is a changed claim, see CONTRIBUTING.md: {changed:?}");
}

/// The mean of `metric` in each cell of the golden of `sweep`, by the cell's text.
fn golden(sweep: &str, metric: &str) -> BTreeMap<String, f64> {
    let text = fs::read_to_string(format!("tests/golden/sweeps/{sweep}.txt")).unwrap();
    let (mut cell, mut found) = ("", BTreeMap::new());
    for line in text.lines() {
        match line.strip_prefix("    ") {
            None => cell = line,
            Some(row) => {
                let words: Vec<&str> = row.split(' ').collect();
                if words[1] == metric {
                    found.insert(cell.to_owned(), words[2].parse().unwrap_or(f64::NAN));
                }
            }
        }
    }
    found
}

/// The value of the one cell whose text has all `parts`.
fn pick(cells: &BTreeMap<String, f64>, parts: &[&str]) -> f64 {
    let mut found =
        cells.iter().filter(|(cell, _)| parts.iter().all(|part| cell.split(", ").any(|one| one.ends_with(part))));
    let value = *found.next().unwrap_or_else(|| panic!("{parts:?}")).1;
    assert!(found.next().is_none(), "{parts:?} is more than one cell");
    value
}

#[test]
fn a_smaller_batch_buys_speed_with_dollars() {
    let (cost, tpot) = (golden("batch-slo", "cost_per_request"), golden("batch-slo", "tpot_p99"));
    let at = |of: &BTreeMap<String, f64>, batch: &str, slo: &str| {
        pick(of, &[&format!("max_batch={batch}"), &format!("tpot={slo}")])
    };
    assert!(at(&cost, "16", "80 ms") > 2.5 * at(&cost, "256", "80 ms"));
    assert!(at(&tpot, "16", "80 ms") < 20.0 && at(&tpot, "256", "80 ms") > 60.0);
    // A cap of 64 binds before a limit of 30 ms does; without a cap the limit sets the price.
    assert_eq!(at(&cost, "64", "30 ms"), at(&cost, "64", "80 ms"));
    assert!(at(&cost, "256", "30 ms") > 1.15 * at(&cost, "256", "80 ms"));
}

#[test]
fn the_grid_moves_carbon_and_the_air_decides_how_to_cool() {
    let (carbon, pue) = (golden("site-grid-cooling", "carbon"), golden("site-grid-cooling", "pue"));
    let at = |of: &BTreeMap<String, f64>, air: &str, grid: &str, design: &str| {
        pick(of, &[&format!("series={air}"), &format!("grid={grid}"), &format!("design={design}")])
    };
    assert!(at(&carbon, "hot and dry", "erco", "air") > 15.0 * at(&carbon, "hot and dry", "bpat", "air"));
    assert!(at(&pue, "hot and dry", "erco", "adiabatic") < at(&pue, "hot and dry", "erco", "liquid"));
    assert!(at(&pue, "hot and humid", "erco", "liquid") < at(&pue, "hot and humid", "erco", "adiabatic"));
}

#[test]
fn twice_the_traffic_halves_the_way_to_the_crossing() {
    let days = golden("crossover", "kwh_crossover_day");
    let at = |rate: &str, multiplier: &str| {
        pick(&days, &[&format!("rate={rate}"), &format!("research_multiplier={multiplier}")])
    };
    let (one, two) = (at("1000 /s", "1"), at("2000 /s", "1"));
    assert!((1.5..2.5).contains(&(one / two)), "{one} and {two}");
    assert!(at("2000 /s", "3") > 2.0 * at("2000 /s", "1"));
    assert!(at("1000 /s", "3").is_nan(), "never within 90 days");
}
