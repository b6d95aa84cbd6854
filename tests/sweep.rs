//! `tollway sweep` from outside: cells, common random numbers, comparisons, complaints, the shipped gallery.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use tollway::Stopping;
use tollway::ledger::{Paired, Replications, Sample};
use tollway::sweep::{Plan, Store, SweepFile, Vary};

const CASE: &str = "scenarios/validate/llama3-405b-54d.toml";
const EVERY: &str = "training.llama3.checkpoint.remote.every";

fn tollway(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tollway")).args(arguments).output().unwrap()
}

/// Sweeps into a folder of its own, which is read before it vanishes.
fn sweep<T>(arguments: &[&str], read: impl FnOnce(&Path) -> T) -> T {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let output = tollway(&[&["sweep"], arguments, &["--out", out.to_str().unwrap()]].concat());
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    read(&out)
}

/// What is said of a sweep that is refused; nothing may be written.
fn refusal(arguments: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let output = tollway(&[&["sweep"], arguments, &["--out", out.to_str().unwrap()]].concat());
    assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    assert!(!out.exists(), "{arguments:?}");
    String::from_utf8(output.stderr).unwrap()
}

type Row = BTreeMap<String, String>;

fn rows(file: &Path) -> Vec<Row> {
    let mut reader = csv::Reader::from_path(file).unwrap();
    let header = reader.headers().unwrap().clone();
    let row =
        |record: csv::StringRecord| header.iter().map(str::to_owned).zip(record.iter().map(str::to_owned)).collect();
    reader.records().map(|record| row(record.unwrap())).collect()
}

fn number(row: &Row, column: &str) -> f64 {
    row[column].parse().unwrap_or_else(|_| panic!("{column} of {row:?}"))
}

/// Rows of one metric of the job.
fn of(rows: Vec<Row>, metric: &str) -> Vec<Row> {
    rows.into_iter().filter(|row| row["subject"] == "training.llama3" && row["metric"] == metric).collect()
}

#[test]
fn a_run_of_a_cell_is_the_ordinary_run_and_threads_change_no_byte() {
    let vary = format!("{EVERY}=10 min,20 min");
    let on = |threads: &str| {
        let arguments = [CASE, "--vary", &vary, "--replications", "4", "--threads", threads];
        sweep(&arguments, |out| {
            let files = ["runs.csv", "cells.csv", "comparisons.csv", "datapackage.json", "manifest.json"];
            (files.map(|file| fs::read_to_string(out.join(file)).unwrap()), rows(&out.join("runs.csv")))
        })
    };
    let (one, runs) = on("1");
    assert!(on("2").0 == one && on("8").0 == one, "a sweep differs with the number of threads");

    assert_eq!(runs.len(), 8);
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    tollway(&["run", CASE, "--set", &format!("{EVERY}=20 min"), "--out", out.to_str().unwrap()]);
    let alone = of(rows(&out.join("summary.csv")), "ettr").remove(0);
    assert_eq!((runs[4]["cell"].as_str(), runs[4]["replication"].as_str()), ("1", "0"));
    assert_eq!((&runs[4][EVERY], &runs[4]["training.llama3.ettr_fraction"]), (&"20 min".to_owned(), &alone["value"]));
}

#[test]
fn parameters_are_numbers_in_canonical_units_beside_their_labels() {
    let vary = format!("{EVERY}=auto,20 min,1 h");
    sweep(&[CASE, "--vary", &vary, "--vary", "training.llama3.tokens=15.6 T,1e12"], |out| {
        let cells = of(rows(&out.join("cells.csv")), "ettr");
        let every: Vec<&str> = cells.iter().map(|row| row[&format!("{EVERY}_s")].as_str()).collect();
        assert_eq!(every, ["", "", "1200", "1200", "3600", "3600"]);
        assert_eq!((cells[3][EVERY].as_str(), cells[3]["training.llama3.tokens"].as_str()), ("20 min", "1e12"));
        // "15.6 T" is no number by itself.
        assert_eq!(
            (number(&cells[2], "training.llama3.tokens_value"), &*cells[2]["training.llama3.tokens"]),
            (15.6e12, "15.6 T")
        );
    });
    sweep(&[CASE, "--vary", "training.llama3.mfu=0.3,0.4", "--all-parameters"], |out| {
        let runs = rows(&out.join("runs.csv"));
        assert!(!runs[0].contains_key("training.llama3.mfu_value"), "a plain number is its own label");
        assert_eq!(number(&runs[1], "parameter.training.llama3.mfu"), 0.4);
        // Not in the file: a default.
        assert_eq!(number(&runs[0], "parameter.training.llama3.recovery.attach_cold_s"), 600.0);
        assert_eq!(runs[0]["parameter.cluster.main.node"], "dgx-h100");
    });
}

#[test]
fn a_comparison_is_a_sentence() {
    let vary = format!("{EVERY}=10 min,40 min");
    sweep(&[CASE, "--vary", &vary, "--replications", "4"], |out| {
        let row = of(rows(&out.join("comparisons.csv")), "ettr").remove(0);
        let percent = format!("{:+.1}", number(&row, "difference_pct"));
        assert!(row["sentence"].starts_with(&percent[..3]) && row["sentence"].ends_with("(paired, n = 4)"), "{row:?}");
        let same = of(rows(&out.join("comparisons.csv")), "research_multiplier").remove(0);
        assert_eq!(same["sentence"], "no difference shown (paired, n = 4)");
    });
}

#[test]
fn the_data_package_describes_every_column() {
    sweep(&[CASE, "--vary", "training.llama3.mfu=0.3,0.4"], |out| {
        let text = fs::read_to_string(out.join("datapackage.json")).unwrap();
        let package: serde_json::Value = serde_json::from_str(&text).unwrap();
        let resources = package["resources"].as_array().unwrap();
        assert_eq!(resources.len(), 3);
        for resource in resources {
            let mut reader = csv::Reader::from_path(out.join(resource["path"].as_str().unwrap())).unwrap();
            let fields = resource["schema"]["fields"].as_array().unwrap();
            let names: Vec<&str> = fields.iter().map(|field| field["name"].as_str().unwrap()).collect();
            assert_eq!(reader.headers().unwrap(), names);
            assert!(reader.records().all(|record| record.is_ok()), "every row is as long as the header");
        }
    });
}

/// A sweep of a steady cell and a noisy one, each with replications until its ETTR is known to +- 0.003.
fn adaptive(folder: &Path, most: u64) -> String {
    let case = fs::canonicalize(CASE).unwrap();
    let text = format!(
        "scenario = {case:?}\nreplications = {{ min = 4, max = {most}, metric = \"training.llama3/ettr\", half_width = 0.003, \
         confidence = 0.9 }}\n[[axis]]\npath = \"{EVERY}\"\nvalues = [\"5 min\", \"2 h\"]\n"
    );
    let file = folder.join("adaptive.toml");
    fs::write(&file, text).unwrap();
    file.to_str().unwrap().to_owned()
}

#[test]
fn replications_go_on_until_the_interval_is_narrow_whatever_runs_them() {
    let folder = tempfile::tempdir().unwrap();
    let file = adaptive(folder.path(), 40);
    let read = |out: &Path| {
        let files = ["runs.csv", "cells.csv", "comparisons.csv", "manifest.json"];
        files.map(|file| fs::read_to_string(out.join(file)).unwrap())
    };
    let (files, cells, comparisons) = sweep(&[&file, "--threads", "1"], |out| {
        (read(out), of(rows(&out.join("cells.csv")), "ettr"), of(rows(&out.join("comparisons.csv")), "ettr"))
    });
    assert!(sweep(&[&file, "--threads", "3"], read) == files, "threads change which replications run");
    let n = |row: &Row| number(row, "n");
    assert!(n(&cells[0]) < n(&cells[1]) && n(&cells[1]) <= 40.0, "{cells:?}");
    assert_eq!(n(&comparisons[0]), n(&cells[0]), "paired over the replications that both have");
    assert!(files[3].contains("\"training.llama3/ettr=0.003 at 90 %\""), "{}", files[3]);

    // Records of another course: three replications of each cell, then fifty.
    let out = folder.path().join("again");
    let arguments = ["sweep", &file, "--out", out.to_str().unwrap()];
    for replications in ["3", "50"] {
        assert!(tollway(&[&arguments[..], &["--replications", replications]].concat()).status.success());
        let output = tollway(&arguments);
        let runs = n(&cells[0]) + n(&cells[1]);
        let printed = String::from_utf8(output.stdout).unwrap();
        assert!(printed.starts_with(&format!("2 cells x 4 to 40 replications = {runs} runs, ")), "{printed}");
        assert!(printed.contains("training.llama3/ettr=0.003 at 90 %: reached in "), "{printed}");
        assert!(read(&out) == files, "records change which replications run");
    }

    // A cell ends with the replications that `run` ends with.
    let alone = folder.path().join("alone");
    let set = format!("{EVERY}=5 min");
    let until = ["--replications", "4..40", "--until", "training.llama3/ettr=0.003"];
    assert!(
        tollway(&[&["run", CASE, "--set", &set, "--out", alone.to_str().unwrap()], &until[..]].concat())
            .status
            .success()
    );
    sweep(&[&[CASE, "--vary", &format!("{EVERY}=5 min,2 h")], &until[..]].concat(), |out| {
        let cell = of(rows(&out.join("cells.csv")), "ettr").remove(0);
        let run = of(rows(&alone.join("replications.csv")), "ettr").remove(0);
        assert_eq!((&cell["n"], &cell["mean"], &cell["ci95_high"]), (&run["n"], &run["mean"], &run["ci95_high"]));
    });
}

#[test]
fn adaptive_replications_are_estimated_and_refused_where_nobody_can_decide() {
    let folder = tempfile::tempdir().unwrap();
    let file = adaptive(folder.path(), 40);
    let printed = String::from_utf8(tollway(&["sweep", &file, "--dry-run"]).stdout).unwrap();
    assert!(printed.contains("2 cells x 4 to 40 replications = 8 to 80 runs, about "), "{printed}");
    let plan = folder.path().join("plan");
    let planned = |more: &[&str]| tollway(&[&["sweep", "plan", &file, "--out", plan.to_str().unwrap()], more].concat());
    let refused = planned(&[]);
    assert_eq!(refused.status.code(), Some(2));
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(
        said.contains("do not hear of each other's results") && said.contains("such as --replications 40,"),
        "{said}"
    );
    assert!(!plan.exists());
    assert!(planned(&["--replications", "40"]).status.success());
    let vary = format!("{EVERY}=5 min,2 h");
    let words = refusal(&[CASE, "--vary", &vary, "--replications", "2..4", "--until", "etr=0.1"]);
    assert_eq!(words, "error: replications: no figure of llama3-405b-54d is named `etr`; did you mean `ettr`?\n");
    let words = refusal(&[CASE, "--vary", &vary, "--until", "ettr=0.1"]);
    assert_eq!(words, "error: --until needs a range to stop in, such as --replications 20..400\n");
}

/// A sample of each cell over 20 replications.
fn ettr(cells: &[Replications]) -> Vec<&Sample> {
    let find =
        |cell: &'_ Replications| cell.samples().iter().position(|sample| sample.figure.metric == "ettr").unwrap();
    cells.iter().map(|cell| &cell.samples()[find(cell)]).collect()
}

#[test]
fn common_random_numbers_make_the_interval_at_least_twice_as_tight() {
    let varies = vec![Vary::parse(&format!("{EVERY}=10 min,20 min")).unwrap()];
    let plan =
        Plan::new(SweepFile { varies, ..SweepFile::over(Path::new(CASE)) }, Stopping::at(20.try_into().unwrap()))
            .unwrap();
    assert_eq!((plan.runs(), plan.baseline), (40..=40, 0));
    let results = plan.run(&Store::in_memory(), &()).unwrap().results;
    let cells: Vec<Replications> = results.cells.into_iter().map(|cell| cell.replications).collect();
    let samples = ettr(&cells);
    let paired = Paired::of(samples[0], samples[1]).unwrap().difference.half_width.unwrap();
    let of_mean = |sample: &Sample| sample.spread().unwrap().half_width.unwrap();
    // The half-width of a difference of two independent means, both of as many draws.
    let unpaired = (of_mean(samples[0]) * of_mean(samples[0]) + of_mean(samples[1]) * of_mean(samples[1])).sqrt();
    assert!(2.0 * paired <= unpaired, "paired {paired}, unpaired {unpaired}");
}

#[test]
fn what_cannot_change_is_not_shown_to_differ() {
    let vary = ["--vary", "training.llama3.research_multiplier=1,2", "--replications", "3"];
    sweep(&[&[CASE], &vary[..]].concat(), |out| {
        let row = of(rows(&out.join("comparisons.csv")), "ettr").remove(0);
        assert_eq!((number(&row, "difference"), row["verdict"].as_str()), (0.0, "no difference shown"));
        assert_eq!(row["n"], "3");
    });
}

#[test]
fn a_sweep_that_is_wrong_is_refused_before_anything_runs() {
    let words = refusal(&[CASE, "--vary", "training.llama3.checkpoint.remote.evry=10 min,20 min"]);
    assert!(words.contains("did you mean `every`?"), "{words}");
    let words = refusal(&[CASE, "--vary", "training.lama3.mfu=0.3,0.4"]);
    let said = "error: `training.lama3.mfu`: the scenario has no training named `lama3`; did you mean `llama3`?\n";
    assert_eq!(words, said);
    let words = refusal(&[CASE, "--vary", "training.llama3.nodes=2048,4000", "--vary", "training.llama3.mfu=0.3,0.4"]);
    assert_eq!(words.matches("4000 nodes").count(), 1, "said once: {words}");
    assert!(words.contains("(in the cell training.llama3.nodes=4000, training.llama3.mfu=0.3)"), "{words}");
    let vary = ["--vary", "training.llama3.mfu=0.3,0.4"];
    let cases: &[(&[&str], &str)] = &[
        (&[CASE], "error: the sweep varies nothing; add --vary path=a,b,c or an [[axis]] to the sweep file\n"),
        (
            &[CASE, vary[0], vary[1], vary[0], vary[1]],
            "error: two axes vary `training.llama3.mfu`; join their values\n",
        ),
        (
            &[CASE, vary[0], vary[1], "--baseline", "training.llama3.mfu=0.5"],
            "error: the baseline names training.llama3.mfu=0.5, which is no value of its axis; did you mean `0.3`?\n",
        ),
        (
            &[CASE, vary[0], vary[1], "--baseline", "seed=1"],
            "error: the baseline names `seed`, which no axis varies; the axes: `training.llama3.mfu`\n",
        ),
    ];
    for (arguments, words) in cases {
        assert_eq!(refusal(arguments), *words);
    }
    assert!(refusal(&["nowhere.toml", vary[0], vary[1]]).contains("there is no file nowhere.toml"));
}

#[test]
fn a_sweep_file_that_is_wrong_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("s.toml");
    let said = |text: &str| {
        fs::write(&file, format!("scenario = \"x.toml\"\n{text}")).unwrap();
        refusal(&[file.to_str().unwrap()]).replace(file.to_str().unwrap(), "s.toml")
    };
    let has = |text: &str, parts: &[&str]| {
        let words = said(text);
        parts.iter().for_each(|part| assert!(words.contains(part), "{part}: {words}"));
    };
    has("replicatons = 3", &["error: unknown key `replicatons`", "s.toml:2:1", "did you mean `replications`?"]);
    has("[[axis]]\npaht = \"a\"\nvalues = [1]", &["unknown key `paht`", "s.toml:3:1", "did you mean `path`?"]);
    has("design = \"gird\"", &["\"gird\" is none of the choices here", "s.toml:2:10", "did you mean `grid`?"]);
    has("design = { sobol = { cuont = 4 } }", &["unknown key `cuont`", "did you mean `count`?"]);
    let axis = "error: `a`: an axis takes values, or files, or from and to with one of count, step and factor";
    has("[[axis]]\npath = \"a\"\nvalues = [1]\nfrom = 1", &[axis, "s.toml:3:8"]);
    has("[[axis]]\npath = \"a\"\nfrom = 1\nto = 8\nstep = 1\ncount = 3", &[axis]);
    let missed = "error: `a`: steps of 3 from 1 do not meet 9";
    has("[[axis]]\npath = \"a\"\nfrom = 1\nto = 9\nstep = 3", &[missed, "s.toml:6:8"]);
    let both = "[[axis]]\npath = \"a\"\nfrom = 1\nto = 9\nstep = 3\n[[axis]]\npath = \"b\"\nvalues = [1, 1]";
    has(both, &[missed, "error: `b`: the value 1 stands twice", "s.toml:9:10"]);
    has("[[axis]]\npath = \"a\"\nvalues = [1]\nlabels = [\"x\", \"y\"]", &["2 labels for 1 values", "s.toml:5:10"]);
    has("[[axis]]\npath = \"a\"\nfiles = [\"none.toml\"]", &["there is no file", "none.toml to read", "s.toml:4:9"]);
    has("[baseline]\na = { b = 1 }", &["`a`: name a value by its label here", "s.toml:3:1"]);
    has("replications = 0\n", &["`replications`", "s.toml:2:16"]);
    let until =
        |rest: &str| format!("replications = {{ min = 4, max = 8, metric = \"ettr\", half_width = 0.1{rest} }}\n");
    has(&until(", confidnce = 0.9"), &["unknown key `confidnce`", "did you mean `confidence`?", "s.toml:2:"]);
    has(&until(", confidence = 95"), &["a confidence is 0.5 to 0.9999, such as 0.95, found 95", "s.toml:2:"]);
    has(&until("").replace("0.1", "\"x\""), &["\"x\" is no half-width; expected a number", "s.toml:2:"]);
    has(&until("").replace("0.1", "0"), &["a half-width is above zero, found 0", "s.toml:2:"]);
    has(&until("").replace("8", "2"), &["4 is more than 2: min is the smaller number", "s.toml:2:"]);
    has("replications = { min = 4, max = 8 }\n", &["`metric`", "s.toml:2:"]);
    let goal = |rest: &str| {
        format!("[goal]\npath = \"a.b\"\nmetric = \"ettr\"\nat_least = 0.9\nfind = \"smallest\"\n{rest}\n")
    };
    has(&goal("from = 0"), &["`to`", "s.toml:2:"]);
    has(&goal("from = 9\nto = 1"), &["error: `a.b`: from is the smaller end of the search", "s.toml:7:8"]);
    has(&goal("from = \"1 s\"\nto = \"9 s\""), &["say with a tolerance in the unit of from and to", "s.toml:7:8"]);
    let wide = goal("from = \"1 s\"\nto = \"9 s\"\ntolerance = \"1 min\"");
    has(&wide, &["a width above zero in \"s\" is expected, found \"1 min\"", "s.toml:9:13"]);
    has(&goal("from = 0\nto = 9\nat_most = 1"), &["a goal takes one of at_least and at_most", "s.toml:4:10"]);
    has(&goal("from = 0\nto = 9\nquantile = 5"), &["a quantile is 0 to 1, such as 0.05, found 5", "s.toml:9:12"]);
    has(&goal("from = 0\nto = 9").replace("smallest", "fewest"), &["\"fewest\" is none of the choices here"]);
    has("[[axis]\n", &["s.toml:2:"]);
    has("[[axis]]\npath = \"a\"\nvalues = [1]", &["there is no file"]);
}

#[test]
fn a_sub_tree_is_swapped_by_table_or_by_file_and_keeps_its_label() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    let case = fs::canonicalize(CASE).unwrap();
    fs::create_dir(folder.path().join("tiers")).unwrap();
    write("tiers/rare.toml", "every = \"40 min\"\nblocking = \"2 s\"\n");
    write("tiers/often.toml", "every = \"10 min\"\nblocking = \"2 s\"\n");
    write(
        "swap.toml",
        &format!(
            r#"
scenario = {case:?}
baseline = {{ "training.llama3.checkpoint.remote" = "often" }}
exclude = [{{ "training.llama3.checkpoint.remote" = "rare", "cluster.main.failures" = "unbroken" }}]

[[axis]]
path = "training.llama3.checkpoint.remote"
files = ["tiers/rare.toml", "tiers/often.toml"]

[[axis]]
path = "cluster.main.failures"
values = [{{ exponential = {{ rate = "0.0037887 /d" }} }}, {{ none = {{}} }}]
labels = ["published", "unbroken"]
"#
        ),
    );
    let file = folder.path().join("swap.toml");
    sweep(&[file.to_str().unwrap()], |out| {
        let ettr: Vec<_> = of(rows(&out.join("cells.csv")), "ettr");
        let cells: Vec<_> = ettr
            .iter()
            .map(|row| (row["training.llama3.checkpoint.remote"].as_str(), row["cluster.main.failures"].as_str()))
            .collect();
        assert_eq!(cells, [("rare", "published"), ("often", "published"), ("often", "unbroken")]);
        let means: Vec<f64> = ettr.iter().map(|row| number(row, "mean")).collect();
        assert!(means[0] < means[1] && means[1] < means[2], "{means:?}");
    });
}

#[test]
fn a_path_inside_a_swapped_file_starts_from_that_file() {
    let folder = tempfile::tempdir().unwrap();
    let scenario = fs::canonicalize("scenarios/cooling.toml").unwrap();
    fs::create_dir(folder.path().join("here")).unwrap();
    fs::copy("scenarios/fixtures/weather-invented.csv", folder.path().join("here/air.csv")).unwrap();
    let weather =
        "[weather]\ndesign = \"tower\"\nseries = { path = \"air.csv\", dry_bulb = \"dry_c\", wet_bulb = \"wet_c\" }\n";
    fs::write(folder.path().join("here/tower.toml"), weather).unwrap();
    let constant = "[constant]\npue = 1.2\nwue = \"0 L/kWh\"\n";
    fs::write(folder.path().join("here/plain.toml"), constant).unwrap();
    let text = format!(
        "scenario = {scenario:?}\n[[axis]]\npath = \"site.desert.facility\"\nfiles = [\"here/plain.toml\", \"here/tower.toml\"]\n"
    );
    fs::write(folder.path().join("s.toml"), text).unwrap();
    sweep(&[folder.path().join("s.toml").to_str().unwrap()], |out| {
        let runs = rows(&out.join("runs.csv"));
        let pue: Vec<f64> = runs.iter().map(|row| number(row, "site.desert.pue")).collect();
        assert!((pue[0] - 1.2).abs() < 1e-9 && (pue[1] - 1.266).abs() < 1e-3, "{pue:?}");
    });
}

#[test]
fn designs_of_a_sweep_file_run() {
    let folder = tempfile::tempdir().unwrap();
    let case = fs::canonicalize(CASE).unwrap();
    let file = folder.path().join("s.toml");
    let cells = |design: &str, every: &str| {
        let text = format!(
            "scenario = {case:?}\n{design}\n[[axis]]\npath = \"{EVERY}\"\n{every}\n[[axis]]\npath = \"training.llama3.mfu\"\nvalues = [0.3, 0.4, 0.5]\n"
        );
        fs::write(&file, text).unwrap();
        sweep(&[file.to_str().unwrap()], |out| {
            let row = |row: Row| (row[EVERY].clone(), row["training.llama3.mfu"].clone());
            of(rows(&out.join("cells.csv")), "ettr").into_iter().map(row).collect::<Vec<_>>()
        })
    };
    let list = "values = [\"10 min\", \"20 min\"]";
    let one = cells("design = \"one_at_a_time\"", list);
    let pair = |every: &str, mfu: &str| (every.to_owned(), mfu.to_owned());
    assert_eq!(one, [pair("10 min", "0.3"), pair("20 min", "0.3"), pair("10 min", "0.4"), pair("10 min", "0.5")]);
    let range = "from = \"5 min\"\nto = \"80 min\"\nscale = \"log\"";
    for design in ["design = { latin_hypercube = { count = 6 } }", "design = { sobol = { count = 6, seed = 3 } }"] {
        let drawn = cells(design, range);
        assert_eq!(drawn.len(), 6);
        let minutes = |cell: &(String, String)| cell.0.strip_suffix(" min").unwrap().parse::<f64>().unwrap();
        assert!(drawn.iter().all(|cell| (5.0..=80.0).contains(&minutes(cell))), "{drawn:?}");
        assert_eq!(cells(design, range), drawn);
    }
}

/// A search file over the published case: `goal` is the rest of the section, `axis` an axis before it.
fn search(folder: &Path, top: &str, goal: &str) -> String {
    let case = fs::canonicalize(CASE).unwrap();
    let file = folder.join("search.toml");
    let set = "set = [\"duration=3 d\", \"timeline.step=1 d\", \"cluster.main.nodes=2304\", \"training.llama3.recovery.repair=12 h\"]";
    fs::write(&file, format!("scenario = {case:?}\n{set}\n{top}\n[goal]\n{goal}\n")).unwrap();
    file.to_str().unwrap().to_owned()
}

const REPAIR: &str = "training.llama3.recovery.repair";
const HOT: &str = "training.llama3.spares.hot";

#[test]
fn a_search_finds_what_a_grid_finds_with_fewer_runs_and_goes_on_from_its_records() {
    let folder = tempfile::tempdir().unwrap();
    let axis = format!("replications = 3\n[[axis]]\npath = \"{REPAIR}\"\nvalues = [\"12 h\", \"2 d\"]");
    let goal = format!(
        "path = \"{HOT}\"\nfrom = 0\nto = 32\nmetric = \"training.llama3/ettr\"\nat_least = 0.9\nfind = \"smallest\""
    );
    let file = search(folder.path(), &axis, &goal);
    let out = folder.path().join("out");
    let run = |threads: &str| {
        let output = tollway(&["sweep", &file, "--threads", threads, "--out", out.to_str().unwrap()]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let files = ["runs.csv", "cells.csv", "comparisons.csv", "goals.csv", "datapackage.json", "manifest.json"];
        let files = files.map(|file| fs::read_to_string(out.join(file)).unwrap());
        (String::from_utf8(output.stdout).unwrap(), files)
    };
    let (printed, files) = run("1");
    let records = folder.path().join("out.records/runs.jsonl");
    let lines = fs::read_to_string(&records).unwrap().lines().count();
    let (again, same) = run("2");
    assert!(same == files);
    assert_eq!(fs::read_to_string(&records).unwrap().lines().count(), lines, "a search on record runs nothing");
    assert!(again.contains(" runs, ") && again.contains(" of them on record\n"), "{again}");
    fs::remove_file(&records).unwrap();
    assert!(run("3").1 == files, "threads change a search");

    // Every value, one by one.
    let file = search(folder.path(), "replications = 3", "").replace("search", "grid");
    let set = fs::read_to_string(folder.path().join("search.toml")).unwrap().replace("[goal]", "");
    fs::write(&file, set).unwrap();
    let vary = [format!("{REPAIR}=12 h,2 d"), format!("{HOT}=0..32/33")];
    let grid = sweep(&[&file, "--vary", &vary[0], "--vary", &vary[1]], |out| of(rows(&out.join("cells.csv")), "ettr"));
    let goals = rows(&out.join("goals.csv"));
    assert_eq!(goals.len(), 2);
    for row in &goals {
        let keeps = |cell: &&Row| cell[REPAIR] == row[REPAIR] && number(cell, "mean") >= 0.9;
        let fewest = grid.iter().find(keeps).unwrap();
        assert_eq!((row["answer"].as_str(), row["verdict"].as_str()), (fewest[HOT].as_str(), "found"), "{row:?}");
        assert_eq!((&row["high"], &row["at_high"]), (&row["answer"], &fewest["mean"]));
        assert_eq!(number(row, "low_value"), number(row, "answer_value") - 1.0, "{row:?}");
        assert!(number(row, "at_low") < 0.9 && number(row, "probes") <= 8.0, "{row:?}");
        let words = format!("the smallest {HOT} with training.llama3/ettr at least 0.9 is {}: ", row["answer"]);
        assert!(row["sentence"].starts_with(&words), "{row:?}");
        assert!(printed.contains(&format!("\n{REPAIR}={}: {}\n", row[REPAIR], row["sentence"])), "{printed}");
        // The cells of the answer and beside it are those of the other files.
        let cells = of(rows(&out.join("cells.csv")), "ettr");
        let cell = cells.iter().find(|cell| cell["cell"] == row["answer_cell"]).unwrap();
        assert_eq!((&cell[HOT], &cell["mean"], &cell[REPAIR]), (&row["answer"], &row["at_high"], &row[REPAIR]));
    }
    let runs = rows(&out.join("runs.csv")).len() as f64;
    assert_eq!(runs, goals.iter().map(|row| 3.0 * number(row, "probes")).sum::<f64>(), "each probe is a run");
    assert!(files[4].contains("\"goals.csv\"") && files[5].contains("\"goal\": \"smallest training.llama3.spares.hot"));
}

#[test]
fn a_search_says_when_there_is_nothing_to_find() {
    let folder = tempfile::tempdir().unwrap();
    let said = |goal: &str| {
        let file = search(folder.path(), "", &format!("path = \"{HOT}\"\nfrom = 0\nto = 64\n{goal}"));
        sweep(&[&file], |out| rows(&out.join("goals.csv")).remove(0))
    };
    let of = |row: &Row| ["verdict", "answer", "low", "high", "probes", "monotone"].map(|name| row[name].clone());
    let ettr = "metric = \"training.llama3/ettr\"";
    assert_eq!(
        of(&said(&format!("{ettr}\nat_least = 0.01\nfind = \"smallest\""))),
        ["always met", "0", "0", "64", "2", "yes"]
    );
    let never = said(&format!("{ettr}\nat_least = 0.999\nfind = \"smallest\""));
    assert_eq!(of(&never), ["never met", "", "0", "64", "2", "yes"]);
    assert!(never["sentence"].contains("is never met at 0 or 64: "), "{never:?}");
    // Fewer spares are worse, so no largest number keeps a good share.
    let other = said(&format!("{ettr}\nat_least = 0.8\nfind = \"largest\""));
    assert_eq!(of(&other), ["other way", "", "0", "64", "2", "no"]);
    assert!(other["sentence"].ends_with(": search for the smallest"), "{other:?}");
}

#[test]
fn a_search_between_quantities_stops_at_its_tolerance_and_notices_a_bend() {
    let folder = tempfile::tempdir().unwrap();
    // Saving too often costs time and saving too rarely, too: the share has a hump, and the search sees its far side.
    let goal = |metric: &str| {
        format!(
            "path = \"{EVERY}\"\nfrom = \"10 s\"\nto = \"640 min\"\ntolerance = \"30 s\"\nscale = \"log\"\n{metric}"
        )
    };
    let unit = search(folder.path(), "", &goal("metric = \"ettr\"\nat_least = 0.6\nfind = \"largest\""));
    let words = refusal(&[&unit]);
    assert!(words.contains("from and to have one unit"), "{words}");
    let goal = goal("metric = \"ettr\"\nat_least = 0.6\nfind = \"largest\"")
        .replace("10 s", "0.1 min")
        .replace("30 s", "1 min");
    let file = search(folder.path(), "replications = 4", &goal);
    // Spares are not the matter here.
    let set = format!("{REPAIR}=0 s");
    let row = sweep(&[&file, "--set", &set], |out| rows(&out.join("goals.csv")).remove(0));
    assert_eq!(row["verdict"], "found", "{row:?}");
    let (low, high) = (number(&row, "low_value"), number(&row, "high_value"));
    assert!(low < high && high - low <= 60.0 && number(&row, "answer_value") == low, "{row:?}");
    assert_eq!(row["monotone"], "no", "{row:?}");
    assert!(row["sentence"].contains("; but it does not move one way ("), "{row:?}");
}

#[test]
fn a_search_is_estimated_and_refused_where_it_cannot_be() {
    let folder = tempfile::tempdir().unwrap();
    let goal = |metric: &str| {
        let goal =
            format!("path = \"{HOT}\"\nfrom = 0\nto = 64\nmetric = \"{metric}\"\nat_least = 0.9\nfind = \"smallest\"");
        search(folder.path(), "replications = 2", &goal)
    };
    let words = refusal(&[&goal("training.llama3/etr")]);
    assert_eq!(words, "error: goal: no figure is named `training.llama3/etr`; did you mean `ettr`?\n");
    let words = refusal(&[&goal("cost@B4")]);
    assert!(words.contains("goal: `cost@B4` names ") && words.contains("such as metric = \""), "{words}");
    let file = goal("ettr");
    let printed = String::from_utf8(tollway(&["sweep", &file, "--dry-run"]).stdout).unwrap();
    assert!(printed.contains("2 to 8 cells x 2 replications = 4 to 16 runs, about "), "{printed}");
    assert!(printed.contains(" goals.csv,"), "{printed}");
    let plan = folder.path().join("plan");
    let refused = tollway(&["sweep", "plan", &file, "--out", plan.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("a goal search decides the next run by the last"));
    let words = refusal(&[&file, "--vary", &format!("{HOT}=1,2")]);
    assert_eq!(words, format!("error: an axis varies `{HOT}`, which the goal searches; take one of them out\n"));
}

#[test]
fn a_dry_run_names_the_cells_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let arguments = ["sweep", "scenarios/sweeps/spares-repair.toml", "--dry-run", "--out", out.to_str().unwrap()];
    let printed = String::from_utf8(tollway(&arguments).stdout).unwrap();
    assert!(printed.contains("15 cells x 20 replications = 300 runs, about "), "{printed}");
    let cell = "cell 4: training.llama3.recovery.repair=12 h, training.llama3.spares.hot=64  (baseline)\n";
    assert!(printed.contains(cell), "{printed}");
    assert!(!out.exists());
}

/// The mean ETTR of each cell of a shipped sweep at 4 replications, by its values on the two axes.
fn gallery(name: &str, axes: [&str; 2]) -> BTreeMap<[String; 2], f64> {
    let file = format!("scenarios/sweeps/{name}.toml");
    let cells = sweep(&[&file, "--replications", "4"], |out| of(rows(&out.join("cells.csv")), "ettr"));
    cells.iter().map(|row| (axes.map(|axis| row[axis].clone()), number(row, "mean"))).collect()
}

#[test]
fn a_larger_fleet_saves_more_often() {
    let ettr = gallery("checkpoint-fleet", ["training.llama3.nodes", EVERY]);
    let best = |nodes: &str| {
        let fleet = ettr.iter().filter(|(key, _)| key[0] == nodes);
        fleet.max_by(|one, other| one.1.total_cmp(other.1)).unwrap().0[1].clone()
    };
    assert_eq!(["256", "1024", "2048"].map(best), ["10 min", "5 min", "5 min"]);
}

#[test]
fn spares_follow_the_nodes_in_repair() {
    let ettr = gallery("spares-repair", ["training.llama3.recovery.repair", "training.llama3.spares.hot"]);
    let of = |repair: &str, hot: &str| ettr[&[repair.to_owned(), hot.to_owned()]];
    assert!(of("12 h", "4") < 0.75 && of("12 h", "16") > 0.91);
    assert!(of("2 d", "16") < 0.75 && of("2 d", "32") > 0.91);
    assert!(of("7 d", "32") < 0.25 && of("7 d", "64") < 0.91);
}
