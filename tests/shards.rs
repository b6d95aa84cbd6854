//! A sweep over many machines, as separate processes that are killed and stopped in the middle.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

const CASE: &str = "scenarios/validate/llama3-405b-54d.toml";
const VARY: &str = "training.llama3.checkpoint.remote.every=10 min,20 min";

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollway"));
    for engine in ["SLURM_ARRAY_TASK_ID", "HQ_TASK_ID", "JOB_COMPLETION_INDEX", "OMPI_COMM_WORLD_RANK"] {
        command.env_remove(engine);
    }
    command.arg("sweep").args(arguments);
    command
}

fn tollway(arguments: &[&str]) -> Output {
    command(arguments).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// What a command that goes well prints.
fn well(arguments: &[&str]) -> String {
    let output = tollway(arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", said(&output));
    String::from_utf8(output.stdout).unwrap()
}

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Place {
        Place(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    /// A plan of the case, and the results of the same sweep on one machine.
    fn planned(&self, scenario: &str, vary: &str, replications: &str) -> (String, String) {
        let (plan, alone) = (self.path("plan"), self.path("alone"));
        let swept = [scenario, "--vary", vary, "--replications", replications];
        well(&[&["plan"], &swept[..], &["--out", &plan]].concat());
        well(&[&swept[..], &["--out", &alone]].concat());
        (plan, alone)
    }
}

/// All files of a result folder but the one with wall-clock facts.
fn results(folder: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.retain(|file| !file.ends_with("run.json"));
    let read = |file: PathBuf| (file.strip_prefix(folder).unwrap().to_owned(), fs::read(&file).unwrap());
    files.into_iter().map(read).collect()
}

/// Runs on record in a folder of records.
fn on_record(records: &Path) -> usize {
    let Ok(entries) = fs::read_dir(records) else { return 0 };
    let count = |file: PathBuf| fs::read_to_string(file).unwrap_or_default().matches("\"run\":").count();
    entries.map(|entry| count(entry.unwrap().path())).sum()
}

/// Waits until so many runs are on record, and fails if the process ends first.
fn wait_for(records: &Path, runs: usize, child: &mut Child) {
    while on_record(records) < runs {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it could be stopped");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn shards_that_are_killed_give_the_bytes_of_one_machine() {
    let place = Place::new();
    let (plan, alone) = place.planned(CASE, VARY, "200");
    let records = Path::new(&plan).join("records");
    let start = |shard: &str| {
        let mut command = command(&["run", &plan, "--shard", shard, "--threads", "1"]);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    // Three times, both shards die of SIGKILL in the middle.
    for round in 1..=3 {
        let mut shards = ["1/2", "2/2"].map(start);
        wait_for(&records, 12 * round, &mut shards[0]);
        for shard in &mut shards {
            shard.kill().unwrap();
            shard.wait().unwrap();
        }
    }
    let so_far = on_record(&records);
    assert!((36..400).contains(&so_far), "{so_far} runs on record");

    let out = place.path("out");
    let early = tollway(&["collect", &plan, "--out", &out]);
    assert_eq!(early.status.code(), Some(3), "{}", said(&early));
    assert!(said(&early).contains(" missing\n") && said(&early).contains("Nothing was written."), "{}", said(&early));
    assert!(!Path::new(&out).exists());
    // Another number of shards uses what the others left.
    for shard in ["1/3", "2/3", "3/3"] {
        well(&["run", &plan, "--shard", shard]);
    }
    let lines = on_record(&records);
    assert!((400..410).contains(&lines), "no run but those in progress ran twice: {lines} lines");
    assert!(well(&["run", &plan, "--shard", "2/3"]).contains("shard 2/3: 133 runs, 0 of them run now\n"));
    assert!(well(&["status", &plan]).contains("400 on record, 0 of them failed; 0 missing\n"));
    well(&["collect", &plan, "--out", &out]);
    assert!(results(&out) == results(&alone), "collected results differ from those of one machine");
}

#[cfg(unix)]
#[test]
fn a_sweep_that_is_stopped_goes_on() {
    for signal in ["-TERM", "-INT"] {
        let place = Place::new();
        let out = place.path("out");
        let arguments = [CASE, "--vary", VARY, "--replications", "200", "--threads", "1", "--out", &out];
        let mut sweep = command(&arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let records = PathBuf::from(place.path("out.records"));
        wait_for(&records, 5, &mut sweep);
        assert!(Command::new("kill").args([signal, &sweep.id().to_string()]).status().unwrap().success());
        let stopped = sweep.wait_with_output().unwrap();
        let count = on_record(&records);
        assert_eq!(stopped.status.code(), Some(75), "{}", said(&stopped));
        let words = format!("Stopped: {count} of 400 runs are on record. The same command goes on from there.\n");
        assert_eq!(said(&stopped), words);
        assert!(fs::read_to_string(records.join("runs.jsonl")).unwrap().ends_with('\n'), "no line is torn");
        assert!(!Path::new(&out).exists());

        let printed = well(&arguments);
        assert!(printed.contains(&format!("400 runs, {count} of them on record\n")), "{printed}");
        assert_eq!(on_record(&records), 400, "no run ran twice");
    }
}

#[test]
fn a_plan_needs_nothing_but_its_folder() {
    let place = Place::new();
    let scenario = place.path("replay.toml");
    let absolute = |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios").join(name);
    fs::copy(absolute("fixtures/azure-conv-invented.csv"), place.path("requests.csv")).unwrap();
    let base = absolute("azure-replay.toml");
    let text = format!(
        "extends = {:?}\n[service.chat.arrivals.trace.azure2023]\npath = \"requests.csv\"\n",
        base.to_str().unwrap()
    );
    fs::write(&scenario, text).unwrap();
    let (plan, alone) = place.planned(&scenario, "seed=1,2", "2");
    // The original files change and go.
    fs::write(&scenario, "nonsense").unwrap();
    fs::remove_file(place.path("requests.csv")).unwrap();
    let copy = place.path("copy");
    fs::create_dir(&copy).unwrap();
    assert!(Command::new("cp").args(["-r", &format!("{plan}/."), &copy]).status().unwrap().success());
    fs::rename(&plan, place.path("moved")).unwrap();
    let plan = place.path("moved");
    // Two folders, a share in each, collected together.
    well(&["run", &plan, "--shard", "1/2"]);
    well(&["run", &copy, "--shard", "2/2"]);
    assert_eq!(tollway(&["collect", &plan, "--out", &place.path("half")]).status.code(), Some(3));
    let out = place.path("out");
    well(&["collect", &plan, &copy, "--out", &out]);
    assert!(results(&out) == results(&alone));
}

#[test]
fn a_larger_plan_keeps_the_records() {
    let place = Place::new();
    let plan = place.path("plan");
    let swept = |vary: &str| ["plan", CASE, "--vary", vary, "--replications", "2", "--out", &plan].map(str::to_owned);
    let run = |vary: &str| {
        let arguments = swept(vary);
        well(&arguments.each_ref().map(String::as_str));
        well(&["run", &plan])
    };
    assert!(run(VARY).contains("4 runs, 4 of them run now"));
    assert!(run(&format!("{VARY},5 min")).contains("6 runs, 2 of them run now"));
}

#[test]
fn what_cannot_be_is_said() {
    let place = Place::new();
    let plan = place.path("plan");
    let swept = [CASE, "--vary", VARY, "--out"];
    well(&[&["plan"], &swept[..], &[&plan]].concat());
    let refused = |arguments: &[&str]| {
        let output = tollway(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        said(&output).replace(&place.path(""), "")
    };
    let words = refused(&["run", &place.path("nowhere")]);
    assert_eq!(words, "error: nowhere: holds no plan of a sweep; `tollway sweep plan FILE --out DIR` makes one\n");
    assert!(refused(&["run", &plan, "--shard", "auto"]).contains("SLURM_ARRAY_TASK_ID"));
    assert!(refused(&["script", &plan, "--engine", "slurm", "--shards", "3"]).contains("more than the 2 runs"));
    assert!(refused(&["script", &plan, "--engine", "kubernetes", "--shards", "1"]).contains("--image"));
    fs::create_dir(place.path("thesis")).unwrap();
    fs::write(place.path("thesis/chapter.tex"), "years of work").unwrap();
    let thesis = place.path("thesis");
    assert!(refused(&[&["plan"], &swept[..], &[&thesis]].concat()).contains("thesis: the folder is not empty"));

    let other = place.path("other");
    well(&["plan", CASE, "--vary", VARY, "--replications", "3", "--out", &other]);
    assert_eq!(
        refused(&["collect", &plan, &other]),
        "error: plan and other hold different plans; collect each alone\n"
    );
    let file = Path::new(&plan).join("plan.jsonl");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace(tollway::sweep::MODEL, "0123")).unwrap();
    assert!(refused(&["run", &plan]).starts_with("error: plan: another version of tollway planned it"));
    fs::write(&file, text.replace("training.llama3.mfu = 0.4", "training.llama3.mfu = 0.5")).unwrap();
    assert_eq!(refused(&["run", &plan]), "error: plan: cell 0 is not what was planned; plan again\n");
    fs::write(&file, &text[..text.len() / 2]).unwrap();
    assert!(refused(&["run", &plan]).contains("plan.jsonl: is no whole plan; plan again"));
}

/// GNU parallel itself runs the printed script, and the bytes are those of one machine. Skips, and says why, where it is not installed.
#[test]
fn gnu_parallel_runs_its_script() {
    if Command::new("parallel").arg("--version").output().is_err() {
        eprintln!("skipped: GNU parallel is not installed (Debian: parallel)");
        return;
    }
    let place = Place::new();
    let (plan, alone) = place.planned(CASE, VARY, "3");
    let program = env!("CARGO_BIN_EXE_tollway");
    let text = well(&["script", &plan, "--engine", "parallel", "--shards", "4", "--program", program]);
    let out = place.path("together");
    // The last line collects to the usual place, which is the tests' own folder here.
    let text = format!("{} --out {out}\n", text.trim_end());
    let ran = Command::new("sh").args(["-c", &text]).env("HOME", place.path("")).output().unwrap();
    assert!(ran.status.success(), "{text}\n{}", said(&ran));
    assert!(results(&out) == results(&alone), "collected results differ from those of one machine");
}

#[test]
fn every_engine_gets_a_script() {
    let place = Place::new();
    let plan = place.path("a plan");
    well(&["plan", CASE, "--vary", VARY, "--replications", "1000", "--out", &plan]);
    let script = |engine: &str, more: &[&str]| {
        let fixed = ["script", &plan, "--engine", engine, "--shards", "12", "--program", "/opt/tollway"];
        well(&[&fixed[..], more].concat()).replace(&plan, "/data/a plan")
    };
    let run = "/opt/tollway sweep run '/data/a plan' --shard";
    let slurm = script("slurm", &["--cores", "4"]);
    assert!(slurm.starts_with("#!/bin/bash\n") && slurm.contains("\n#SBATCH --array=1-12\n"), "{slurm}");
    assert!(slurm.contains(&format!("\nexec {run} \"$SLURM_ARRAY_TASK_ID/12\" --threads 4\n")), "{slurm}");
    let long = tollway(&["script", &plan, "--engine", "slurm", "--shards", "1001"]);
    assert!(said(&long).contains("MaxArraySize is 1001"), "{}", said(&long));
    let hyperqueue = script("hyperqueue", &[]);
    assert!(hyperqueue.contains("--array=1-12 ") && hyperqueue.contains(&format!("{run} auto/12 ")), "{hyperqueue}");
    assert!(hyperqueue.ends_with("\n/opt/tollway sweep collect '/data/a plan'\n"), "{hyperqueue}");
    let pods = script("kubernetes", &["--image", "registry/tollway:1", "--claim", "plans"]);
    assert!(pods.contains("completionMode: Indexed") && pods.contains("\"--shard\", \"auto/12\""), "{pods}");
    let ray = script("ray", &[]);
    assert!(ray.contains("f\"{number}/12\"") && ray.contains("range(1, 12 + 1)"), "{ray}");
    let parallel = script("parallel", &[]);
    assert!(parallel.contains("seq 12 | parallel"), "{parallel}");
    for (name, text) in [("slurm", &slurm), ("hyperqueue", &hyperqueue), ("parallel", &parallel)] {
        let file = place.path(name);
        fs::write(&file, text).unwrap();
        assert!(Command::new("sh").args(["-n", &file]).status().unwrap().success(), "{name} is a shell script: {text}");
    }
}
