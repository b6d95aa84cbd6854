//! `tollway sweep`: check every cell, run, write, print.

use super::repeat::Repeat;
use super::run::{input, record, requests_of_all};
use super::shards::{self, Step};
use super::{BAD_INPUT, INCOMPLETE, OUR_FAULT, OWN_UP, interrupt, print};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use std::num::{NonZeroU64, NonZeroUsize};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;
use tollway::engine::RunStats;
use tollway::ledger::Goal;
use tollway::report::{self, AxisRecord, OutputError, ReplicationsRecord, RunRecord, SweepManifest, SweepTables};
use tollway::scenario::Change;
use tollway::sweep::{
    Axis, CellResult, Done, Every, Listen, Pick, Plan, RunError, Standing, Store, StoreError, SweepError, Vary, read,
};
use tollway::{Stopping, simulate};

/// What to sweep and where to.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct SweepArguments {
    #[command(subcommand)]
    step: Option<Step>,
    #[command(flatten)]
    swept: Swept,
    /// Write the results to this folder instead of output/<file's name>-sweep.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Threads; all cores by default. The results are the same on any number.
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// Give runs.csv a column for every parameter of the scenario, defaults included.
    #[arg(long)]
    all_parameters: bool,
    /// Check all cells, print them with an estimate of the time, and run nothing but one run to measure.
    #[arg(long)]
    dry_run: bool,
}

/// What to sweep.
#[derive(Debug, Args)]
pub(super) struct Swept {
    /// A sweep file, or a scenario.
    #[arg(required = true, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Vary a value over a list, path=a,b,c, or a range with both ends, path=1..7/4; may be repeated.
    #[arg(long, value_name = "PATH=VALUES")]
    vary: Vec<String>,
    /// Change a value in all cells; may be repeated.
    #[arg(long = "set", value_name = "PATH=VALUE")]
    sets: Vec<String>,
    #[command(flatten)]
    repeat: Repeat,
    /// Compare with the cell that has this value; by default the first of each axis. May be repeated, once an axis.
    #[arg(long, value_name = "PATH=VALUE")]
    baseline: Vec<String>,
}

impl Swept {
    /// The sweep file or scenario.
    fn file(&self) -> &Path {
        self.file.as_deref().expect("it is required where no step is named")
    }

    /// Name of the sweep.
    pub(super) fn name(&self) -> String {
        self.file().file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned())
    }
}

/// Runs a sweep.
pub(crate) fn sweep(arguments: &SweepArguments) -> u8 {
    // While runs may fail alone a panic of our own is as silent as theirs.
    let sweep = || arguments.step.as_ref().map_or_else(|| all(arguments), shards::step);
    std::panic::catch_unwind(sweep).unwrap_or_else(|_| {
        eprintln!("error: the sweep ended with an internal error. {OWN_UP}");
        OUR_FAULT
    })
}

fn all(arguments: &SweepArguments) -> u8 {
    let threads = arguments.threads.map_or(0, NonZeroUsize::get);
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().expect("no pool was built before");
    let plan = match plan(&arguments.swept) {
        Ok(plan) => plan,
        Err(errors) => {
            let words: Vec<String> = errors.iter().map(SweepError::to_string).collect();
            eprintln!("{}", words.join("\n\n"));
            return BAD_INPUT;
        }
    };
    let name = arguments.swept.name();
    let out = arguments.out.clone().unwrap_or_else(|| Path::new("output").join(format!("{name}-sweep")));
    if let Err(error) = report::check(&out) {
        eprintln!("error: {error}");
        return BAD_INPUT;
    }
    let records = beside(&out, "records");
    let store = match Store::open(&records, RECORDS, true, plan.keys().as_ref()) {
        Ok(store) => Arc::new(store),
        Err(error) => return refuse(&error),
    };
    if arguments.dry_run {
        return print(&dry_run(&plan, &store, &out));
    }
    match run(plan, &store, &name) {
        Ok(ran) => write(&ran, Every::asked(arguments.all_parameters), &name, &out, Some(&records.join(NOTE))),
        Err(error) => give_up(&error),
    }
}

/// The file to which a sweep on one machine adds its records.
const RECORDS: &str = "runs.jsonl";
/// The file beside it that says what the results were made of.
const NOTE: &str = "results.json";

/// A sibling of `out`, named after it.
fn beside(out: &Path, what: &str) -> PathBuf {
    let mut name = out.file_name().map_or_else(|| "sweep".into(), std::ffi::OsStr::to_owned);
    name.push(format!(".{what}"));
    out.with_file_name(name)
}

/// Writes the results unless they stand as `note` says.
fn write_noted(
    done: &Done,
    every: Every,
    tables: &SweepTables<'_>,
    (manifest, record): (&SweepManifest, &RunRecord),
    out: &Path,
    note: &Path,
) -> Result<(), OutputError> {
    let text = serde_json::to_string(manifest).expect("a manifest is JSON");
    let made_of = done.made_of(&text, every);
    let standing = || Standing::of(out, made_of.clone(), done.goals.is_some());
    if standing().is_some_and(|standing| standing.is_noted(note)) {
        return Ok(());
    }
    report::write_sweep(out, tables, manifest, record)?;
    // Without a note the next time writes again, which harms nobody.
    let _ = standing().map(|standing| standing.note(note));
    Ok(())
}

/// Says why a sweep ended early.
fn give_up(error: &RunError) -> u8 {
    match error {
        RunError::Store(error) => refuse(error),
        RunError::Figure(words) => {
            eprintln!("error: {words}");
            BAD_INPUT
        }
    }
}

/// Says why records cannot be kept or used.
fn refuse(error: &StoreError) -> u8 {
    eprintln!("error: {error}");
    if matches!(error, StoreError::Busy(_)) { BAD_INPUT } else { OUR_FAULT }
}

/// The checked sweep; the command line adds axes and changes to those of the file and wins over it.
pub(super) fn plan(arguments: &Swept) -> Result<Plan, Vec<SweepError>> {
    let words = |words| vec![SweepError::Sweep(words)];
    let mut swept = read(arguments.file()).map_err(|error| vec![error])?;
    let varied = arguments.vary.iter().map(|vary| Vary::parse(vary)).collect::<Result<Vec<_>, _>>().map_err(words)?;
    swept.varies.retain(|vary| varied.iter().all(|other| other.path != vary.path));
    swept.varies.extend(varied);
    swept.sets.extend(arguments.sets.iter().map(|set| Change::set(set)));
    let picks =
        arguments.baseline.iter().map(|pick| Pick::parse(pick)).collect::<Result<Vec<_>, _>>().map_err(words)?;
    if !picks.is_empty() {
        swept.baseline = picks;
    }
    let asked = arguments.repeat.stopping().map_err(|why| words(why.to_owned()))?;
    let replications = asked.or(swept.replications.take()).unwrap_or(Stopping::at(NonZeroU64::MIN));
    Plan::new(swept, replications)
}

/// All cells, and how long they would take, by one run of the baseline.
#[expect(clippy::disallowed_methods, reason = "an estimate of time needs a clock")]
fn dry_run(plan: &Plan, store: &Store, out: &Path) -> String {
    let mut text = String::new();
    for (number, cell) in plan.cells.iter().enumerate() {
        let pairs = plan.axes.iter().zip(&cell.values).map(|(axis, value)| format!("{}={value}", axis.path));
        let mark = if number == plan.baseline { "  (baseline)" } else { "" };
        text.push_str(&format!("cell {number}: {}{mark}\n", pairs.collect::<Vec<_>>().join(", ")));
    }
    let began = Instant::now();
    let _ = simulate(&plan.cells[plan.baseline].scenario, |_| ());
    let one = began.elapsed().as_secs_f64() / rayon::current_num_threads() as f64;
    let (known, runs) = (plan.on_record(store), plan.runs());
    let [least, most] = [runs.start(), runs.end()].map(|runs| format!("{:.1}", one * (runs - known) as f64));
    text.push_str(&format!(
        "{}, about {} s on {} threads\nWould write {} to {}\n",
        size(plan, &runs, known),
        if runs.start() == runs.end() { least } else { format!("{least} to {most}") },
        rayon::current_num_threads(),
        report::sweep_files(plan.search().is_some()).collect::<Vec<_>>().join(", "),
        out.display()
    ));
    text
}

/// How many runs, and how many of them are on record.
pub(super) fn size(plan: &Plan, runs: &RangeInclusive<u64>, known: u64) -> String {
    let known = match known {
        0 => String::new(),
        known => format!(", {known} of them on record"),
    };
    let range = |least: u64, most: u64| if least == most { least.to_string() } else { format!("{least} to {most}") };
    let replications = range(plan.replications.first(), plan.replications.most());
    let runs = range(*runs.start(), *runs.end());
    let cells = range(*plan.size().start(), *plan.size().end());
    format!("{cells} cells x {replications} replications = {runs} runs{known}")
}

/// How many cells reached what their replications were to settle; nothing where these were a number.
fn settled(Done { plan, results, .. }: &Done) -> String {
    let words = plan.replications.goals.iter().map(|goal| {
        let reached = |cell: &&CellResult| cell.replications.excess(goal).is_some_and(|excess| excess <= 1.0);
        format!("\n{goal}: reached in {} of {} cells", results.cells.iter().filter(reached).count(), plan.cells.len())
    });
    words.collect()
}

/// What a sweep gave, and how it went.
pub(super) struct Ran {
    done: Done,
    record: RunRecord,
}

/// Answers that are printed; `goals.csv` has them all.
const ANSWERS_SHOWN: usize = 40;

/// What was searched for and found, a line each.
fn answers(tables: &SweepTables<'_>) -> String {
    let mut words: String = tables.sentences().take(ANSWERS_SHOWN).map(|sentence| format!("\n{sentence}")).collect();
    let more = tables.sentences().count().saturating_sub(ANSWERS_SHOWN);
    if more > 0 {
        words.push_str(&format!("\nand {more} more in goals.csv"));
    }
    words
}

/// The progress bar as it hears of runs.
struct Bar(ProgressBar);

impl Listen for Bar {
    fn more(&self, runs: u64) {
        self.0.inc_length(runs);
    }

    fn done(&self) {
        self.0.inc(1);
    }
}

/// Runs what is not on record, under a progress bar that only a terminal sees.
#[expect(clippy::disallowed_methods, reason = "the run record is the one place for wall-clock facts")]
pub(super) fn run(plan: Plan, store: &Arc<Store>, name: &str) -> Result<Ran, RunError> {
    let began = Instant::now();
    let bar = ProgressBar::new(0);
    let style = ProgressStyle::with_template("{msg} {wide_bar} {pos} of {len}, {eta} left");
    bar.set_style(style.expect("the template is ours"));
    bar.set_message(name.to_owned());
    let runs = plan.runs();
    interrupt::watch(store, &bar, (runs.start() == runs.end()).then_some(*runs.start()));
    let done = plan.run(store, &Bar(bar.clone()))?;
    let results = &done.results;
    store.sync()?;
    bar.finish_and_clear();
    let stats = RunStats { events: results.events, windows: results.windows };
    let requests = results.cells.iter().map(|cell| requests_of_all(&cell.replications)).sum();
    let mut record = record(began.elapsed(), stats, requests);
    // What was on record took no time.
    record.requests_per_cpu_s = record.requests_per_cpu_s.filter(|_| results.known == 0);
    Ok(Ran { done, record })
}

/// Writes the results, unless they stand as `note` says, and says where.
pub(super) fn write(Ran { done, record }: &Ran, every: Every, name: &str, out: &Path, note: Option<&Path>) -> u8 {
    let writing = interrupt::not_now();
    let Done { plan, results, .. } = done;
    let parameters = plan.parameters(every);
    let tables = done.tables(&parameters);
    let manifest = manifest(done, name);
    let written = match note {
        None => report::write_sweep(out, &tables, &manifest, record),
        Some(note) => write_noted(done, every, &tables, (&manifest, record), out, note),
    };
    // The program ends soon: an interruption has nothing left to stop.
    std::mem::forget(writing);
    if let Err(error) = written {
        eprintln!("error: {error}");
        return OUR_FAULT;
    }
    let ran = results.runs();
    let (size, settled) = (size(plan, &(ran..=ran), results.known), settled(done));
    let told = print(&format!("{size}{settled}{}\n\nResults: {}\n", answers(&tables), out.display()));
    match results.failed() {
        0 => told,
        failed => {
            eprintln!("{failed} of {ran} runs failed; the column error of runs.csv says why. {OWN_UP}");
            INCOMPLETE
        }
    }
}

fn manifest(Done { plan, goals, .. }: &Done, name: &str) -> SweepManifest {
    let baseline = &plan.cells[plan.baseline];
    let axis = |axis: &Axis| AxisRecord {
        path: axis.path.clone(),
        values: axis.values.iter().map(|value| value.label.clone()).collect(),
    };
    SweepManifest {
        program: "tollway",
        version: env!("CARGO_PKG_VERSION").to_owned(),
        name: name.to_owned(),
        replications: replications(&plan.replications),
        axes: plan.axes.iter().map(axis).collect(),
        goal: goals.as_ref().map(|goals| goals.asked.clone()),
        baseline: baseline.values.clone(),
        inputs: baseline.scenario.inputs.iter().map(input).collect(),
        scenario: baseline.scenario.manifest.lines().map(str::to_owned).collect(),
    }
}

/// How many runs a cell has, as the manifest says it.
fn replications(stopping: &Stopping) -> ReplicationsRecord {
    match stopping.goals.as_slice() {
        [] => ReplicationsRecord::Fixed(stopping.most()),
        goals => ReplicationsRecord::Until {
            min: stopping.min.get(),
            max: stopping.max.get(),
            until: goals.iter().map(Goal::to_string).collect(),
        },
    }
}
