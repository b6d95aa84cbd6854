//! `tollway sweep` from outside: cells, common random numbers, comparisons, complaints, the shipped gallery.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
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

/// A sample of each cell over 20 replications.
fn ettr(cells: &[Replications]) -> Vec<&Sample> {
    let find =
        |cell: &'_ Replications| cell.samples().iter().position(|sample| sample.figure.metric == "ettr").unwrap();
    cells.iter().map(|cell| &cell.samples()[find(cell)]).collect()
}

#[test]
fn common_random_numbers_make_the_interval_at_least_twice_as_tight() {
    let varies = vec![Vary::parse(&format!("{EVERY}=10 min,20 min")).unwrap()];
    let plan = Plan::new(SweepFile { varies, ..SweepFile::over(Path::new(CASE)) }, 20.try_into().unwrap()).unwrap();
    assert_eq!((plan.runs(), plan.baseline), (40, 0));
    let results = plan.run(&Store::in_memory(), || ()).unwrap();
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
fn the_gallery_asks_and_answers_in_its_header() {
    let mut seen = 0;
    for entry in fs::read_dir("scenarios/sweeps").unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        let header: String = text.lines().take_while(|line| line.starts_with('#')).collect();
        assert!(header.contains('?') && header.contains("Answer: "), "{header}");
        seen += 1;
    }
    assert_eq!(seen, 2, "each sweep of the gallery has a test of its answer below");
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
