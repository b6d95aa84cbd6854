//! `tollway run`: load, simulate, write, print.

use super::repeat::Repeat;
use super::{BAD_INPUT, DONE, OUR_FAULT, complain, print, usage};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tollway::engine::RunStats;
use tollway::ledger::{Accounts, Count, Goal, Replications};
use tollway::report::{self, InputFile, Manifest, Note, RunRecord, Timelines};
use tollway::scenario::{self, Scenario};
use tollway::{Outcome, Replicated, Stopping, replicate_until, rerun, simulate};

/// What to run and where to.
#[derive(Debug, Args)]
pub(crate) struct RunArguments {
    /// Scenario files.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Write the results to this folder instead of output/<scenario>.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Change a value, such as training.pretrain.tokens=1e9; may be repeated.
    #[arg(long = "set", value_name = "PATH=VALUE")]
    sets: Vec<String>,
    /// Seed of all chance, instead of the scenario's.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Threads; all cores by default. The results are the same on any number.
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    #[command(flatten)]
    repeat: Repeat,
    /// Print the summary as one JSON object instead of the table.
    #[arg(long)]
    json: bool,
}

/// Runs each scenario in turn.
pub(crate) fn run(arguments: &RunArguments) -> u8 {
    let stopping = match arguments.repeat.stopping() {
        Ok(stopping) => stopping.unwrap_or(Stopping::at(NonZeroU64::MIN)),
        Err(words) => {
            eprintln!("error: {words}");
            return BAD_INPUT;
        }
    };
    if arguments.out.is_some() && arguments.files.len() > 1 {
        eprintln!("error: --out names one folder and there are {} scenarios", arguments.files.len());
        return BAD_INPUT;
    }
    let threads = arguments.threads.map_or(0, NonZeroUsize::get);
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().expect("no pool was built before");
    arguments
        .files
        .iter()
        .map(|file| run_one(file, arguments, &stopping))
        .find(|&outcome| outcome != DONE)
        .unwrap_or(DONE)
}

fn run_one(file: &Path, arguments: &RunArguments, stopping: &Stopping) -> u8 {
    let mut sets = arguments.sets.clone();
    sets.extend(arguments.seed.map(|seed| format!("seed={seed}")));
    let scenario = match scenario::load(file, &sets) {
        Ok(scenario) => scenario,
        Err(complaints) => return complain(&complaints),
    };
    let out = arguments.out.clone().unwrap_or_else(|| Path::new("output").join(&scenario.name));
    if let Err(error) = report::check(&out) {
        eprintln!("error: {error}");
        return BAD_INPUT;
    }
    let timelines = Timelines { step: scenario.step, files: &scenario.timelines };
    let mut note = String::new();
    let (accounts, written) = if stopping.max == NonZeroU64::MIN {
        let (outcome, record) = timed(&scenario);
        let written = report::write(&out, &outcome.accounts, timelines, &manifest(&scenario), &record);
        (outcome.accounts, written)
    } else {
        let (outcome, record) = match timed_replications(&scenario, stopping) {
            Ok(replicated) => replicated,
            Err(goal) => {
                eprintln!("error: --until {goal}: no figure of {} is named so; summary.csv lists them", scenario.name);
                return BAD_INPUT;
            }
        };
        let Replicated { accounts, replications, .. } = outcome;
        let mut manifest = manifest(&scenario);
        let mut tell = |key: &str, value| {
            manifest.notes.push(Note { subject: "total".to_owned(), key: key.to_owned(), value });
        };
        let count = replications.count();
        tell("replications", count.to_string());
        note = format!("This is replication 0 of {count}; replications.csv says how each figure varies over them.\n");
        for goal in &stopping.goals {
            let reached = replications.excess(goal).is_some_and(|excess| excess <= 1.0);
            let words = if reached { "reached" } else { "not reached" };
            tell("until", format!("{goal} {words}"));
            note.push_str(&format!("{goal}: {words} after {count} of at most {} replications.\n", stopping.max));
        }
        note.push('\n');
        let written = report::write_replicated(&out, &accounts, &replications, timelines, &manifest, &record);
        (accounts, written)
    };
    if let Err(error) = written {
        eprintln!("error: {error}");
        return OUR_FAULT;
    }
    if let Some(words) = report::too_long_for_a_spreadsheet(&accounts, timelines) {
        eprintln!("note: {words}");
    }
    if arguments.json {
        return print(&report::json(&accounts));
    }
    print(&format!("{}\n{note}Results: {}\n", report::table(&accounts, &models(&scenario)), out.display()))
}

/// Simulates under a progress bar, which only a terminal sees, and with a clock.
#[expect(clippy::disallowed_methods, reason = "the run record is the one place for wall-clock facts")]
fn timed(scenario: &Scenario) -> (Outcome, RunRecord) {
    let began = Instant::now();
    let bar = ProgressBar::new(scenario.horizon.nanos());
    let style = ProgressStyle::with_template("{msg} {wide_bar} {percent} %, {eta} left").expect("the template is ours");
    bar.set_style(style);
    bar.set_message(scenario.name.clone());
    let mut outcome = simulate(scenario, |now| bar.set_position(now.nanos()));
    rerun(scenario, &mut outcome.accounts);
    bar.finish_and_clear();
    let record = record(began.elapsed(), outcome.stats, requests(&outcome.accounts));
    (outcome, record)
}

/// Runs replications under a progress bar that counts them, and with a clock; else the goal whose figure does not exist.
#[expect(clippy::disallowed_methods, reason = "the run record is the one place for wall-clock facts")]
fn timed_replications(scenario: &Scenario, stopping: &Stopping) -> Result<(Replicated, RunRecord), Goal> {
    let began = Instant::now();
    let bar = ProgressBar::new(stopping.max.get());
    let style = ProgressStyle::with_template("{msg} {wide_bar} {pos} of {len}, {eta} left");
    bar.set_style(style.expect("the template is ours"));
    bar.set_message(scenario.name.clone());
    let outcome = replicate_until(scenario, stopping, || bar.inc(1));
    bar.finish_and_clear();
    let mut outcome = outcome?;
    rerun(scenario, &mut outcome.accounts);
    let record = record(began.elapsed(), outcome.stats, requests_of_all(&outcome.replications));
    Ok((outcome, record))
}

/// Wall-clock facts of what took `elapsed`.
pub(super) fn record(elapsed: Duration, stats: RunStats, requests: u64) -> RunRecord {
    let cpu_s = usage::cpu_seconds();
    RunRecord {
        wall_s: elapsed.as_secs_f64(),
        cpu_s,
        peak_memory_bytes: usage::peak_memory_bytes(),
        threads: rayon::current_num_threads(),
        events: stats.events,
        windows: stats.windows,
        requests,
        requests_per_cpu_s: cpu_s.filter(|&seconds| seconds > 0.0).map(|seconds| requests as f64 / seconds),
    }
}

/// Requests that arrived at any service or device in any replication.
pub(super) fn requests_of_all(replications: &Replications) -> u64 {
    let counts = replications.samples().iter().filter(|sample| sample.figure.metric == "requests");
    counts.flat_map(|sample| sample.values.iter().flatten()).map(|count| count as u64).sum()
}

/// Requests that arrived at any service or device.
fn requests(accounts: &Accounts) -> u64 {
    accounts.tenants().iter().map(|tenant| tenant.book.counted(Count::Arrived)).sum()
}

fn manifest(scenario: &Scenario) -> Manifest {
    Manifest {
        program: "tollway",
        version: env!("CARGO_PKG_VERSION").to_owned(),
        name: scenario.name.clone(),
        seed: scenario.seed,
        replication: scenario.replication,
        start: scenario.start.to_string(),
        duration_s: scenario.horizon.as_secs_f64(),
        step_s: scenario.step.as_secs_f64(),
        inputs: scenario.inputs.iter().map(input).collect(),
        notes: scenario.notes.iter().map(note).collect(),
        scenario: scenario.manifest.lines().map(str::to_owned).collect(),
    }
}

pub(super) fn input(input: &scenario::Input) -> InputFile {
    InputFile { path: input.path.clone(), blake3: input.blake3.clone() }
}

fn note(note: &scenario::Note) -> Note {
    Note { subject: note.subject.clone(), key: note.key.to_owned(), value: note.value.clone() }
}

/// Which model each subject runs.
fn models(scenario: &Scenario) -> Vec<(String, String)> {
    let models = scenario.notes.iter().filter(|note| note.key == "model");
    models.map(|note| (note.subject.clone(), note.value.clone())).collect()
}
