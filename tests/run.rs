//! `tollway run` from outside: the same bytes on any number of threads, goldens, conservation on disk, exit codes.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn tollway(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tollway"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(arguments)
        .output()
        .expect("the binary runs")
}

/// Runs and returns what was printed; panics with the complaint where it fails.
fn run(arguments: &[&str]) -> String {
    let output = tollway(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("prints UTF-8")
}

/// A folder for one run's results.
fn results() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// All files of a result folder but `run.json`, which alone holds wall-clock facts.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    fs::read_dir(folder)
        .expect("the folder exists")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| !path.ends_with("run.json"))
        .map(|path| {
            (path.file_name().expect("a file").to_string_lossy().into_owned(), fs::read(&path).expect("readable"))
        })
        .collect()
}

/// Rows of a CSV file as maps from column to cell.
fn rows(file: &Path) -> Vec<BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_path(file).expect("a CSV file");
    let header = reader.headers().expect("a header").clone();
    let row =
        |record: csv::StringRecord| header.iter().map(str::to_owned).zip(record.iter().map(str::to_owned)).collect();
    reader.records().map(|record| row(record.expect("a row"))).collect()
}

/// One figure of `summary.csv`.
fn figure(folder: &Path, subject: &str, metric: &str) -> f64 {
    let rows = rows(&folder.join("summary.csv"));
    let found = rows.iter().find(|row| row["subject"] == subject && row["metric"] == metric);
    found.unwrap_or_else(|| panic!("{subject} {metric}"))["value"].parse().expect("a number")
}

/// A short cut of the highway: a small training run, then every request of an hour on 16 cells and more.
const SHORT_CUT: &[&str] = &[
    "run",
    "scenarios/highway.toml",
    "--set=training.pretrain.tokens=1e9",
    "--set=duration=\"2 h\"",
    "--set=timeline.step=\"10 min\"",
    "--set=service.chat.fidelity={ requests = {} }",
    "--set=service.chat.arrivals.chat.rate=\"40 /s\"",
    "--set=service.chat.scale.max=1024",
];

#[test]
fn the_same_bytes_on_any_number_of_threads() {
    let on = |threads: &str| {
        let folder = results();
        let out = folder.path().join("out");
        let record = "--set=service.chat.record=0.5";
        run(&[SHORT_CUT, &[record, "--threads", threads, "--out", out.to_str().expect("UTF-8")]].concat());
        contents(&out)
    };
    let one = on("1");
    assert!(one.len() >= 11, "all files of the contract: {:?}", one.keys());
    for threads in ["2", "3", "8"] {
        let many = on(threads);
        for (name, bytes) in &one {
            assert!(many[name] == *bytes, "{name} differs on {threads} threads");
        }
    }
}

/// A run again with as much traffic and as full replicas is the same run; with ten times the traffic the drives overtake sooner.
#[test]
fn what_cannot_be_rescaled_is_run_again() {
    let folder = results();
    let out = folder.path().join("out");
    let sets = [
        "--set=comparison.traffic=[1, 10]",
        "--set=comparison.utilisation=[1.0]",
        "--set=training.pretrain.tokens=2e6",
        "--set=training.pretrain.nodes=4",
        "--set=training.pretrain.spares={ hot = 0, cold = 0 }",
        "--set=service.chat.arrivals={ poisson = { rate = \"0.2 /s\", prompt = 500, output = 100 } }",
        "--set=service.chat.scale={ min = 1, max = 2 }",
        "--set=service.chat.fidelity={ requests = {} }",
        "--out",
        out.to_str().expect("UTF-8"),
    ];
    run(&[SHORT_CUT, &sets].concat());
    let comparison = rows(&out.join("comparison.csv"));
    let rows = rows(&out.join("sensitivity.csv"));
    let day = |factor: &str, value: &str, row: &BTreeMap<String, String>| {
        let same = |other: &&BTreeMap<String, String>| {
            (other["factor"].as_str(), other["value"].as_str()) == (factor, value)
                && (&other["boundary"], &other["axis"]) == (&row["boundary"], &row["axis"])
        };
        rows.iter().find(same).expect("a row")["crossover_day"].clone()
    };
    let mut crossed = 0;
    for row in &comparison {
        assert_eq!(
            [day("traffic", "1", row), day("utilisation", "1", row)],
            [(); 2].map(|()| row["crossover_day"].clone())
        );
        let Ok(sooner) = day("traffic", "10", row).parse::<f64>() else { continue };
        crossed += 1;
        assert!(row["crossover_day"].parse::<f64>().map_or(true, |day| sooner <= day), "{row:?}");
    }
    assert!(crossed >= 10, "{crossed} of {} rows cross", comparison.len());
}

/// All requests, or a sample of them: each row is one that the summary counts, and a sample holds rows of the whole.
#[test]
fn requests_are_written_one_by_one() {
    let folder = results();
    let recorded = |share: &str| {
        let out = folder.path().join(share);
        let record = format!("--set=service.chat.record={share}");
        run(&[SHORT_CUT, &[&record, "--out", out.to_str().expect("UTF-8")]].concat());
        let rows = rows(&out.join("requests.csv"));
        (out, rows)
    };
    let (out, all) = recorded("1.0");
    let outcome = |what: &str| all.iter().filter(|row| row["outcome"] == what).count() as f64;
    assert_eq!(outcome("completed"), figure(&out, "service.chat", "completed"));
    assert_eq!(outcome("rejected"), figure(&out, "service.chat", "rejected"));
    let sum = |column: &str| all.iter().filter_map(|row| row[column].parse::<f64>().ok()).sum::<f64>();
    let mean = sum("e2e_ms") / outcome("completed");
    assert!((mean / figure(&out, "service.chat", "e2e_mean") - 1.0).abs() < 1e-6, "{mean} ms end to end");
    let within = all.iter().filter(|row| row["within_slo"] == "true").count() as f64 / all.len() as f64;
    assert!((within - figure(&out, "service.chat", "slo_attainment")).abs() < 1e-9, "{within} within the SLO");
    let (_, some) = recorded("0.1");
    let part = some.len() as f64 / all.len() as f64;
    assert!((0.08..0.12).contains(&part), "{part} of all");
    assert!(some.iter().take(50).all(|row| all.contains(row)), "a sample is made of the whole");
    assert!(!folder.path().join("none").exists());
}

/// What a golden shows of a scenario that takes minutes.
const CUTS: [(&str, &str); 1] = [("thirty-days", "duration=\"6 h\"")];

/// Prints of each shipped scenario, compared with `tests/golden/NAME.txt`.
#[test]
fn every_shipped_scenario_has_a_golden() {
    let mut seen = 0;
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios")).expect("scenarios") {
        let path = entry.expect("readable").path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let name = path.file_stem().expect("a name").to_str().expect("UTF-8").to_owned();
        let folder = results();
        let out = folder.path().join("out");
        let cuts = CUTS.iter().filter(|(cut, _)| *cut == name).flat_map(|(_, to)| ["--set", to]);
        let command = ["run", path.to_str().expect("UTF-8"), "--out", out.to_str().expect("UTF-8")];
        let printed = run(&command.into_iter().chain(cuts).collect::<Vec<_>>());
        // The last line names the result folder.
        let printed = printed.replace(out.to_str().expect("UTF-8"), &format!("output/{name}"));
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}.txt"));
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&golden, &printed).expect("writable");
        }
        let expected = fs::read_to_string(&golden).unwrap_or_else(|_| panic!("{name} has no golden"));
        assert_eq!(printed, expected, "{name}: a changed golden is a changed claim, see CONTRIBUTING.md");
        seen += 1;
    }
    assert!(seen >= 2, "found {seen} scenarios");
}

/// The figures of all published cases, as `validate` prints them.
#[test]
fn the_published_cases_have_a_golden() {
    let printed = run(&["validate"]);
    let figures = printed.split("\n\n").next().expect("a table");
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/validate.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&golden, figures).expect("writable");
    }
    assert_eq!(figures, fs::read_to_string(&golden).expect("readable"));
}

/// The conversation trace of Azure, where it lies next to the checkout.
#[test]
fn a_real_trace_is_served_to_the_last_token() {
    let trace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/traces/AzureLLMInferenceTrace_conv.csv");
    if !trace.exists() {
        println!("skipped: {} is not here", trace.display());
        return;
    }
    let folder = results();
    let out = folder.path().join("out");
    let path = format!("--set=service.chat.arrivals.trace.azure2023.path={:?}", trace.to_str().expect("UTF-8"));
    run(&["run", "scenarios/azure-replay.toml", &path, "--out", out.to_str().expect("UTF-8")]);
    for (metric, expected) in [
        ("requests", 19_366.0),
        ("completed", 19_366.0),
        ("prompt_tokens", 22_361_870.0),
        ("output_tokens", 4_088_665.0),
    ] {
        assert_eq!(figure(&out, "service.chat", metric), expected, "{metric}");
    }
}

#[test]
fn failures_are_counted_once_and_follow_the_seed() {
    let run_seed = |seed: &str| {
        let folder = results();
        let out = folder.path().join("out");
        let cut = ["run", "scenarios/validate/llama3-405b-54d.toml", "--seed", seed, "--out"];
        run(&[&cut[..], &[out.to_str().expect("UTF-8")]].concat());
        let events = rows(&out.join("events.csv"));
        let failures: Vec<String> =
            events.iter().filter(|row| row["event"] == "failure").map(|row| row["time_s"].clone()).collect();
        let subject = &rows(&out.join("jobs.csv"))[0]["subject"];
        assert_eq!(figure(&out, subject, "interruptions") as usize, failures.len());
        failures
    };
    let (first, again, other) = (run_seed("1"), run_seed("1"), run_seed("2"));
    assert!(first.len() > 300, "{} failures in 54 days", first.len());
    assert_eq!(first, again);
    assert_ne!(first, other);
}

/// One day of the same service at both fidelities, at a tenth of a per cent of the traffic.
#[test]
fn response_tables_agree_with_every_request() {
    let day = |fidelity: &str| {
        let folder = results();
        let out = folder.path().join("out");
        let cut = [
            "run",
            "scenarios/highway.toml",
            "--set=training.pretrain.tokens=1e9",
            "--set=duration=\"1 d\"",
            "--set=service.chat.arrivals.chat.rate=\"60 /s\"",
            "--set=service.chat.scale.min=4",
        ];
        run(&[
            &cut[..],
            &[&format!("--set=service.chat.fidelity={{ {fidelity} = {{}} }}"), "--out", out.to_str().expect("UTF-8")],
        ]
        .concat());
        folder
    };
    let (exact, fluid) = (day("requests"), day("fluid"));
    let both = |metric: &str| {
        let of = |folder: &tempfile::TempDir| figure(&folder.path().join("out"), "service.chat", metric);
        (of(&exact), of(&fluid))
    };
    for (metric, band) in [
        ("energy", 0.05),
        ("prompt_tokens", 0.05),
        ("output_tokens", 0.05),
        ("ttft_mean", 0.20),
        ("tpot_mean", 0.20),
        ("e2e_mean", 0.20),
    ] {
        let (exact, fluid) = both(metric);
        assert!((fluid / exact - 1.0).abs() <= band, "{metric}: {fluid} by tables, {exact} exact");
    }
}

/// Tenants add up to the meter in each interval, as written to disk.
#[test]
fn power_on_disk_adds_up_to_the_meter() {
    let folder = results();
    let out = folder.path().join("out");
    run(&[SHORT_CUT, &["--out", out.to_str().expect("UTF-8")]].concat());
    let mut by_time: BTreeMap<String, (f64, f64)> = BTreeMap::new();
    for row in rows(&out.join("power.csv")).iter().filter(|row| row["site"] == "abilene") {
        let number = |column: &str| row[column].parse::<f64>().expect("a number");
        let (sum, meter) = by_time.entry(row["time_s"].clone()).or_default();
        *sum += number("power_kw");
        *meter = number("meter_kw");
    }
    assert_eq!(by_time.len(), 12);
    for (time, (tenants, meter)) in by_time {
        assert!((tenants - meter).abs() <= 1e-6 * meter, "at {time} s: tenants {tenants} kW, meter {meter} kW");
    }
}

#[test]
fn a_folder_that_is_not_ours_is_refused_before_anything_runs() {
    let folder = results();
    fs::write(folder.path().join("thesis.doc"), "precious").expect("writable");
    let output = tollway(&[SHORT_CUT, &["--out", folder.path().to_str().expect("UTF-8")]].concat());
    assert_eq!(output.status.code(), Some(2));
    let why = "the folder is not empty and holds no manifest.json of tollway; choose another with --out";
    assert_eq!(String::from_utf8_lossy(&output.stderr), format!("error: {}: {why}\n", folder.path().display()));
    assert_eq!(fs::read_dir(folder.path()).expect("readable").count(), 1);
}

#[test]
fn an_unwritable_folder_is_refused_before_anything_runs() {
    let folder = results();
    let file = folder.path().join("file");
    fs::write(&file, "").expect("writable");
    let out = file.join("out");
    let output = tollway(&[SHORT_CUT, &["--out", out.to_str().expect("UTF-8")]].concat());
    assert_eq!(output.status.code(), Some(2));
    let why = "cannot be written: not a directory";
    assert_eq!(String::from_utf8_lossy(&output.stderr), format!("error: {}: {why}\n", out.display()));
}

#[test]
fn a_pipe_hears_no_progress() {
    let folder = results();
    let out = folder.path().join("out");
    let output = tollway(&[SHORT_CUT, &["--out", out.to_str().expect("UTF-8")]].concat());
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

/// The README shows what the main command prints.
#[test]
fn the_readme_tells_the_truth() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("README.md")).expect("readable");
    let golden = fs::read_to_string(root.join("tests/golden/highway.txt")).expect("readable");
    assert!(readme.contains(golden.trim_end()), "README.md shows another table than tests/golden/highway.txt");
    for command in ["cargo run --release -- run scenarios/highway.toml", "cargo test --release"] {
        assert!(readme.contains(command), "README.md lost {command:?}");
        assert!(
            fs::read_to_string(root.join(".ci/run"))
                .expect("readable")
                .contains(&command.replace("--release", "--release --locked")),
            "{command}"
        );
    }
}

#[test]
fn replications_spread_around_their_mean_and_are_the_same_bytes_on_any_number_of_threads() {
    let on = |threads: &str| {
        let folder = results();
        let out = folder.path().join("out");
        let case = ["run", "scenarios/validate/llama3-405b-54d.toml", "--replications", "20", "--threads", threads];
        let printed = run(&[&case[..], &["--out", out.to_str().expect("UTF-8")]].concat());
        assert!(printed.contains("This is replication 0 of 20"), "{printed}");
        let interruptions =
            |row: &BTreeMap<String, String>| row["subject"] == "training.llama3" && row["metric"] == "interruptions";
        let row = rows(&out.join("replications.csv")).into_iter().find(interruptions).expect("the row");
        (contents(&out), row, figure(&out, "training.llama3", "interruptions"))
    };
    let (one, row, of_the_first) = on("1");
    let (two, ..) = on("2");
    assert!(one == two, "replications differ with the number of threads");
    let cell = |name: &str| row[name].parse::<f64>().expect("a number");
    // 419 interruptions expected, a Poisson count: sd 20.5, of 20 draws 14.4 to 26.5 in 95 % of seeds.
    assert_eq!(cell("n"), 20.0);
    assert!((cell("mean") - 419.0).abs() < 3.0 * 20.5 / 20_f64.sqrt(), "{row:?}");
    assert!((12.0..30.0).contains(&cell("sd")), "{row:?}");
    let half_width = 2.093_024 * cell("sd") / 20_f64.sqrt();
    assert!((cell("ci95_high") - cell("mean") - half_width).abs() < 1e-3, "{row:?}");
    assert!(cell("p5") < cell("p50") && cell("p50") < cell("p95"), "{row:?}");

    let folder = results();
    let out = folder.path().join("out");
    run(&["run", "scenarios/validate/llama3-405b-54d.toml", "--out", out.to_str().expect("UTF-8")]);
    assert_eq!(figure(&out, "training.llama3", "interruptions"), of_the_first, "replication 0 is the ordinary run");
    assert!(!out.join("replications.csv").exists());
}

#[test]
fn replications_stop_when_the_interval_is_narrow_enough_on_any_number_of_threads() {
    let case = "scenarios/validate/llama3-405b-54d.toml";
    let on = |range: &str, goal: &str, threads: &str| {
        let folder = results();
        let out = folder.path().join("out");
        let (path, threads) = (out.to_str().expect("UTF-8"), ["--threads", threads]);
        let arguments = ["run", case, "--replications", range, "--until", goal, "--out", path];
        let printed = run(&[&arguments[..], &threads].concat());
        let mean = |row: &BTreeMap<String, String>| row["metric"] == "interruptions";
        let row = rows(&out.join("replications.csv")).into_iter().find(mean).expect("the row");
        (contents(&out), row, printed)
    };
    // sd 20.5 a run: a half-width of 5 takes about (1.96 x 20.5 / 5)^2 = 65 runs, and more at the first estimate than at the last.
    let (one, row, printed) = on("10..400", "interruptions=5", "1");
    let (two, ..) = on("10..400", "interruptions=5", "2");
    assert!(one == two, "the number of replications depends on that of threads");
    let cell = |name: &str| row[name].parse::<f64>().expect("a number");
    assert!((30.0..150.0).contains(&cell("n")), "{row:?}");
    assert!((cell("ci95_high") - cell("ci95_low")) / 2.0 <= 5.0, "{row:?}");
    assert!(printed.contains("interruptions=5: reached after"), "{printed}");
    let (.., row, printed) = on("4..6", "training.llama3/interruptions=0.1%", "2");
    assert_eq!(row["n"], "6");
    assert!(printed.contains("interruptions=0.1%: not reached after 6 of at most 6"), "{printed}");
}
