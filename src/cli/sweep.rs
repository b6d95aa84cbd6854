//! `tollway sweep`: check every cell, run, write, print.

use super::run::{input, record, requests_of_all};
use super::{BAD_INPUT, OUR_FAULT, print};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::time::Instant;
use tollway::engine::RunStats;
use tollway::report::{self, AxisRecord, SweepManifest};
use tollway::scenario::Change;
use tollway::simulate;
use tollway::sweep::{Axis, Pick, Plan, SweepError, Vary, read};

/// What to sweep and where to.
#[derive(Debug, Args)]
pub(crate) struct SweepArguments {
    /// A sweep file, or a scenario.
    #[arg(value_name = "FILE")]
    file: PathBuf,
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

/// Runs a sweep.
pub(crate) fn sweep(arguments: &SweepArguments) -> u8 {
    let threads = arguments.threads.map_or(0, NonZeroUsize::get);
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().expect("no pool was built before");
    let plan = match plan(arguments) {
        Ok(plan) => plan,
        Err(errors) => {
            let words: Vec<String> = errors.iter().map(SweepError::to_string).collect();
            eprintln!("{}", words.join("\n\n"));
            return BAD_INPUT;
        }
    };
    let name = arguments.file.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    let out = arguments.out.clone().unwrap_or_else(|| Path::new("output").join(format!("{name}-sweep")));
    if let Err(error) = report::check(&out) {
        eprintln!("error: {error}");
        return BAD_INPUT;
    }
    if arguments.dry_run {
        return print(&dry_run(&plan, &out));
    }
    match run(&plan, &name, &out) {
        Ok(words) => print(&words),
        Err(error) => {
            eprintln!("error: {error}");
            OUR_FAULT
        }
    }
}

/// The checked sweep; the command line adds axes and changes to those of the file and wins over it.
fn plan(arguments: &SweepArguments) -> Result<Plan, Vec<SweepError>> {
    let words = |words| vec![SweepError::Sweep(words)];
    let mut swept = read(&arguments.file).map_err(|error| vec![error])?;
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
fn dry_run(plan: &Plan, out: &Path) -> String {
    let mut text = String::new();
    for (number, cell) in plan.cells.iter().enumerate() {
        let pairs = plan.axes.iter().zip(&cell.values).map(|(axis, value)| format!("{}={value}", axis.path));
        let mark = if number == plan.baseline { "  (baseline)" } else { "" };
        text.push_str(&format!("cell {number}: {}{mark}\n", pairs.collect::<Vec<_>>().join(", ")));
    }
    let began = Instant::now();
    let _ = simulate(&plan.cells[plan.baseline].scenario, |_| ());
    let seconds = began.elapsed().as_secs_f64() * plan.runs() as f64 / rayon::current_num_threads() as f64;
    text.push_str(&format!(
        "{}, about {seconds:.1} s on {} threads\nWould write {} to {}\n",
        size(plan),
        rayon::current_num_threads(),
        report::SWEEP_FILES.join(", "),
        out.display()
    ));
    text
}

fn size(plan: &Plan) -> String {
    format!("{} cells x {} replications = {} runs", plan.cells.len(), plan.replications, plan.runs())
}

/// Runs under a progress bar, which only a terminal sees, and writes.
#[expect(clippy::disallowed_methods, reason = "the run record is the one place for wall-clock facts")]
fn run(plan: &Plan, name: &str, out: &Path) -> Result<String, report::OutputError> {
    let began = Instant::now();
    let bar = ProgressBar::new(plan.runs());
    let style = ProgressStyle::with_template("{msg} {wide_bar} {pos} of {len}, {eta} left");
    bar.set_style(style.expect("the template is ours"));
    bar.set_message(name.to_owned());
    let results = plan.run(|| bar.inc(1));
    bar.finish_and_clear();
    let stats = RunStats { events: results.events, windows: results.windows };
    let record = record(began.elapsed(), stats, results.cells.iter().map(requests_of_all).sum());
    report::write_sweep(out, &plan.tables(&results), &manifest(plan, name), &record)?;
    Ok(format!("{}\n\nResults: {}\n", size(plan), out.display()))
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
