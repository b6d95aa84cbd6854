//! Accounts to files and to the printed table. Formats, computes nothing: every figure comes from the ledger. A result folder
//! is written aside and renamed when complete, so that one that exists is whole.

mod folder;
mod goals;
mod json;
mod number;
#[cfg(feature = "xlsx")]
mod page;
mod sentence;
mod sheets;
mod sweep;
mod table;
mod tables;
mod timelines;
#[cfg(feature = "xlsx")]
mod workbook;
#[cfg(not(feature = "xlsx"))]
#[path = "no_workbook.rs"]
mod workbook;
#[cfg(feature = "xlsx")]
mod zip;

pub use folder::{OutputError, check};
pub use goals::{Found, Goals, Probed, Verdict};
pub use json::json;
pub use number::number;
pub use sentence::{sentence, welch_sentence};
pub use sweep::{
    AxisColumn, AxisRecord, CellRows, ParameterColumn, ReplicationsRecord, SweepManifest, SweepTables, sweep_files,
    write_sweep,
};
pub use table::table;
pub use tables::column_name;
pub use timelines::ROWS_MAX;

use crate::ledger::{Accounts, Replications, Timeline};
use crate::units::Span;
use folder::Folder;
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::Path;

/// What `manifest.json` says: with the program's version, all that a run depends on. Same inputs, same bytes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Manifest {
    /// Always `tollway`: by this a folder is known to be ours.
    pub program: &'static str,
    /// Version of the program.
    pub version: String,
    /// Name of the scenario.
    pub name: String,
    /// Root of all chance.
    pub seed: u64,
    /// Which replication, from 0.
    pub replication: u64,
    /// First instant, in UTC.
    pub start: String,
    /// Length of the run, in seconds.
    pub duration_s: f64,
    /// Width of a timeline's rows, in seconds.
    pub step_s: f64,
    /// Files read.
    pub inputs: Vec<InputFile>,
    /// What a reader has to know: fidelity of each service, where coefficients come from, which model a subject runs.
    pub notes: Vec<Note>,
    /// The resolved scenario, one assignment a line, without absolute paths.
    pub scenario: Vec<String>,
}

/// A file that was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InputFile {
    /// Its path, relative to the scenario's folder.
    pub path: String,
    /// BLAKE3 of its bytes, in hexadecimal.
    pub blake3: String,
}

/// One thing to know about a subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Note {
    /// Whom it is about, as in `summary.csv`.
    pub subject: String,
    /// What it is about, such as `model`, `fidelity` or `step_source`.
    pub key: String,
    /// What there is to know.
    pub value: String,
}

/// What `run.json` says: wall-clock facts, the only ones that differ between two runs of the same inputs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunRecord {
    /// Wall time, in seconds.
    pub wall_s: f64,
    /// Processor time of all threads, in seconds, where the system tells.
    pub cpu_s: Option<f64>,
    /// Peak resident memory, in bytes, where the system tells.
    pub peak_memory_bytes: Option<u64>,
    /// Threads.
    pub threads: usize,
    /// Events handled.
    pub events: u64,
    /// Windows of the engine.
    pub windows: u64,
    /// Requests that arrived.
    pub requests: u64,
    /// Requests for each second of processor time, where the system tells.
    pub requests_per_cpu_s: Option<f64>,
}

/// What is told interval by interval.
#[derive(Debug, Clone, Copy)]
pub struct Timelines<'a> {
    /// Width of a row, a multiple of the accounts' bin.
    pub step: Span,
    /// Which files are written.
    pub files: &'a BTreeSet<Timeline>,
}

/// Writes all files of a run to `dir`. They appear together or not at all: see [`check`] for which folders are refused.
pub fn write(
    dir: &Path,
    accounts: &Accounts,
    timelines: Timelines<'_>,
    manifest: &Manifest,
    record: &RunRecord,
) -> Result<(), OutputError> {
    fill(dir, accounts, timelines, manifest, record, None)
}

/// As [`write()`], with `replications.csv` beside the files of replication 0.
pub fn write_replicated(
    dir: &Path,
    accounts: &Accounts,
    replications: &Replications,
    timelines: Timelines<'_>,
    manifest: &Manifest,
    record: &RunRecord,
) -> Result<(), OutputError> {
    fill(dir, accounts, timelines, manifest, record, Some(replications))
}

fn fill(
    dir: &Path,
    accounts: &Accounts,
    timelines: Timelines<'_>,
    manifest: &Manifest,
    record: &RunRecord,
    replications: Option<&Replications>,
) -> Result<(), OutputError> {
    let folder = Folder::aside(dir)?;
    let (jobs, services) = (tables::jobs(accounts), tables::services(accounts));
    folder.csv("summary.csv", |to| tables::summary(accounts, to))?;
    folder.csv("comparison.csv", |to| tables::comparison(accounts, to))?;
    folder.csv("sensitivity.csv", |to| tables::sensitivity(accounts, to))?;
    folder.csv("attribution.csv", |to| tables::attribution(accounts, to))?;
    folder.csv("events.csv", |to| tables::events(accounts, to))?;
    folder.csv("faults.csv", |to| tables::faults(accounts, to))?;
    folder.csv("buckets.csv", |to| tables::buckets(accounts, to))?;
    folder.csv("jobs.csv", |to| jobs.write(to))?;
    folder.csv("services.csv", |to| services.write(to))?;
    let files: Vec<Timeline> = timelines.files.iter().copied().collect();
    let names: Vec<&str> = files.iter().map(|file| timelines::sheet(*file).file).collect();
    folder.csvs(&names, |to| timelines::write(accounts, timelines.step, &files, to))?;
    let fixed = [sheets::SUMMARY, sheets::COMPARISON, sheets::SENSITIVITY, sheets::ATTRIBUTION];
    let mut sheets: Vec<_> = fixed
        .into_iter()
        .chain(files.into_iter().map(timelines::sheet))
        .chain([sheets::EVENTS, sheets::FAULTS, sheets::BUCKETS, jobs.sheet.clone(), services.sheet.clone()])
        .collect();
    if tables::listed(accounts).next().is_some() {
        folder.csv(sheets::QUEUE.file, |to| tables::queue(accounts, to))?;
        sheets.push(sheets::QUEUE);
    }
    if accounts.tenants().iter().any(|tenant| !tenant.book.requests().is_empty()) {
        folder.csv(sheets::REQUESTS.file, |to| tables::requests(accounts, to))?;
        sheets.push(sheets::REQUESTS);
    }
    if let Some(replications) = replications {
        folder.csv(sheets::REPLICATIONS.file, |to| tables::replications(replications, to))?;
        sheets.push(sheets::REPLICATIONS);
    }
    folder.json("datapackage.json", &sheets::datapackage(&manifest.name, &sheets))?;
    folder.json("run.json", record)?;
    folder.json("manifest.json", manifest)?;
    folder.publish()
}

/// What to tell somebody whose timelines have more rows than a spreadsheet opens; none where they all fit.
#[must_use]
pub fn too_long_for_a_spreadsheet(accounts: &Accounts, timelines: Timelines<'_>) -> Option<String> {
    let rows = accounts.timeline_rows(timelines.step);
    let files: Vec<&str> = timelines.files.iter().map(|file| timelines::sheet(*file).file).collect();
    let names = match files.as_slice() {
        [] => return None,
        [one] => format!("{one} has up to {rows} rows"),
        [first @ .., last] => format!("{} and {last} have up to {rows} rows each", first.join(", ")),
    };
    (rows > ROWS_MAX).then(|| {
        let wider = suggested_step(accounts);
        format!(
            "{names} and spreadsheets open the first {ROWS_MAX}; \
             for one that holds them all, run with --set timeline.step=\"{wider}\""
        )
    })
}

/// The shortest round step with which the timelines fit a spreadsheet.
fn suggested_step(accounts: &Accounts) -> Span {
    let minutes = [1, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1_440, 10_080, 43_200, 525_600];
    let steps = minutes.into_iter().map(|minutes| Span::MINUTE * minutes);
    let fits = |step: &Span| accounts.timeline_rows(*step) <= ROWS_MAX;
    steps.into_iter().find(fits).unwrap_or(accounts.grid().bin * accounts.grid().bins() as u64)
}
