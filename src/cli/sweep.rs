//! `tollway sweep`: check every cell, run, write, print.

use super::run::{input, record, requests_of_all};
use super::shards::{self, Step};
use super::{BAD_INPUT, INCOMPLETE, OUR_FAULT, OWN_UP, interrupt, print};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;
use tollway::engine::RunStats;
use tollway::report::{self, AxisRecord, RunRecord, SweepManifest};
use tollway::scenario::Change;
use tollway::simulate;
use tollway::sweep::{Axis, Pick, Plan, Results, Store, StoreError, SweepError, Vary, read};

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
    /// Runs of each cell, instead of the sweep file's; 1 where neither says.
    #[arg(long, value_name = "N")]
    replications: Option<NonZeroU64>,
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
    let store = match Store::open(&records, RECORDS, true, Some(&plan.keys())) {
        Ok(store) => Arc::new(store),
        Err(error) => return refuse(&error),
    };
    if arguments.dry_run {
        return print(&dry_run(&plan, &store, &out));
    }
    match run(&plan, &store, &name) {
        Ok(ran) => write(&plan, &ran, &name, &out),
        Err(error) => refuse(&error),
    }
}

/// The file to which a sweep on one machine adds its records.
const RECORDS: &str = "runs.jsonl";

/// A sibling of `out`, named after it.
fn beside(out: &Path, what: &str) -> PathBuf {
    let mut name = out.file_name().map_or_else(|| "sweep".into(), std::ffi::OsStr::to_owned);
    name.push(format!(".{what}"));
    out.with_file_name(name)
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
    let replications = arguments.replications.or(swept.replications).unwrap_or(NonZeroU64::MIN);
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
    let known = plan.on_record(store);
    let missing = plan.runs() - known;
    let seconds = began.elapsed().as_secs_f64() * missing as f64 / rayon::current_num_threads() as f64;
    text.push_str(&format!(
        "{}, about {seconds:.1} s on {} threads\nWould write {} to {}\n",
        size(plan, known),
        rayon::current_num_threads(),
        report::SWEEP_FILES.join(", "),
        out.display()
    ));
    text
}

/// How many runs, and how many of them are on record.
pub(super) fn size(plan: &Plan, known: u64) -> String {
    let known = match known {
        0 => String::new(),
        known => format!(", {known} of them on record"),
    };
    format!("{} cells x {} replications = {} runs{known}", plan.cells.len(), plan.replications, plan.runs())
}

/// What a sweep gave now, and how many of its runs were on record before.
pub(super) struct Ran {
    results: Results,
    record: RunRecord,
    known: u64,
}

/// Runs what is not on record, under a progress bar that only a terminal sees.
#[expect(clippy::disallowed_methods, reason = "the run record is the one place for wall-clock facts")]
pub(super) fn run(plan: &Plan, store: &Arc<Store>, name: &str) -> Result<Ran, StoreError> {
    let began = Instant::now();
    let known = plan.on_record(store);
    let bar = ProgressBar::new(plan.runs() - known);
    let style = ProgressStyle::with_template("{msg} {wide_bar} {pos} of {len}, {eta} left");
    bar.set_style(style.expect("the template is ours"));
    bar.set_message(name.to_owned());
    interrupt::watch(store, &bar, plan.runs(), "The same command goes on from there.".to_owned());
    let results = plan.run(store, || bar.inc(1))?;
    store.sync()?;
    bar.finish_and_clear();
    let stats = RunStats { events: results.events, windows: results.windows };
    let requests = results.cells.iter().map(|cell| requests_of_all(&cell.replications)).sum();
    let mut record = record(began.elapsed(), stats, requests);
    // What was on record took no time.
    record.requests_per_cpu_s = record.requests_per_cpu_s.filter(|_| known == 0);
    Ok(Ran { results, record, known })
}

/// Writes the results and says where.
pub(super) fn write(plan: &Plan, Ran { results, record, known }: &Ran, name: &str, out: &Path) -> u8 {
    let writing = interrupt::not_now();
    let written = report::write_sweep(out, &plan.tables(results), &manifest(plan, name), record);
    // The program ends soon: an interruption has nothing left to stop.
    std::mem::forget(writing);
    if let Err(error) = written {
        eprintln!("error: {error}");
        return OUR_FAULT;
    }
    let told = print(&format!("{}\n\nResults: {}\n", size(plan, *known), out.display()));
    match results.failed() {
        0 => told,
        failed => {
            eprintln!("{failed} of {} runs failed; the column error of runs.csv says why. {OWN_UP}", plan.runs());
            INCOMPLETE
        }
    }
}

fn manifest(plan: &Plan, name: &str) -> SweepManifest {
    let baseline = &plan.cells[plan.baseline];
    let axis = |axis: &Axis| AxisRecord {
        path: axis.path.clone(),
        values: axis.values.iter().map(|value| value.label.clone()).collect(),
    };
    SweepManifest {
        program: "tollway",
        version: env!("CARGO_PKG_VERSION").to_owned(),
        name: name.to_owned(),
        replications: plan.replications.get(),
        axes: plan.axes.iter().map(axis).collect(),
        baseline: baseline.values.clone(),
        inputs: baseline.scenario.inputs.iter().map(input).collect(),
        scenario: baseline.scenario.manifest.lines().map(str::to_owned).collect(),
    }
}
