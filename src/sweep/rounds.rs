//! The runs of some cells, round by round: the first batch of each, then those of the cells whose intervals are still too wide.
//! What a cell runs follows from its own results alone, so that neither threads, nor interruptions, nor records that are there
//! already change which replications it ends with.

use super::store::{Store, StoreError};
use super::{Cell, CellResult, Record, Task, run};
use crate::Stopping;
use crate::ledger::{Figure, FigureName, Goal};
use crate::scenario;
use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// Who hears how the runs of a sweep go on.
pub trait Listen: Sync {
    /// So many runs that are not on record are about to begin.
    fn more(&self, runs: u64);
    /// One of them has ended.
    fn done(&self);
}

/// Nobody.
impl Listen for () {
    fn more(&self, _: u64) {}
    fn done(&self) {}
}

/// Why a sweep ends early.
#[derive(Debug)]
pub enum RunError {
    /// A record cannot be written.
    Store(StoreError),
    /// The file asks for a figure that a run does not have, or for one of several.
    Figure(String),
}

impl From<StoreError> for RunError {
    fn from(error: StoreError) -> RunError {
        RunError::Store(error)
    }
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RunError::Store(error) => error.fmt(f),
            RunError::Figure(words) => f.write_str(words),
        }
    }
}

impl std::error::Error for RunError {}

/// The records of some cells.
#[derive(Debug)]
pub(super) struct Ran {
    /// Of each cell, in the order of its replications.
    pub(super) records: Vec<Vec<Arc<Record>>>,
    /// How many of the runs were on record.
    pub(super) known: u64,
}

/// Runs `cells` until each has replications enough.
pub(super) fn run_all(
    cells: &[&Cell],
    replications: &Stopping,
    store: &Store,
    listen: &impl Listen,
) -> Result<Ran, RunError> {
    let mut ran = Ran { records: vec![Vec::new(); cells.len()], known: 0 };
    let mut wanted: Vec<(usize, Range<u64>)> = (0..cells.len()).map(|cell| (cell, 0..replications.first())).collect();
    while !wanted.is_empty() {
        let of_cell = |(cell, range): &(usize, Range<u64>)| {
            let Cell { scenario, key, .. } = cells[*cell];
            range.clone().map(move |replication| Task { scenario, cell: *key, replication })
        };
        let tasks: Vec<Task<'_>> = wanted.iter().flat_map(of_cell).collect();
        let known = tasks.iter().filter(|task| store.get(task.cell.of_run(task.replication)).is_some()).count();
        ran.known += known as u64;
        listen.more((tasks.len() - known) as u64);
        let mut found = run(&tasks, store, || listen.done())?.into_iter();
        let mut wider = Vec::new();
        for (cell, range) in wanted {
            ran.records[cell].extend(found.by_ref().take((range.end - range.start) as usize));
            let more = more(cells[cell], &ran.records[cell], replications)?;
            if !more.is_empty() {
                wider.push((cell, more));
            }
        }
        wanted = wider;
    }
    Ok(ran)
}

/// The next batch of a cell, empty where it has enough or where none of its runs gave figures to judge by.
fn more(cell: &Cell, records: &[Arc<Record>], replications: &Stopping) -> Result<Range<u64>, RunError> {
    let ran = records.len() as u64;
    if replications.goals.is_empty() || records.iter().all(|record| record.outcome.is_err()) {
        return Ok(ran..ran);
    }
    let so_far = CellResult::gather(records).replications;
    replications.more(&so_far).map_err(|Goal { figure, .. }| {
        let help = near(&figure, so_far.samples().iter().map(|sample| &sample.figure));
        RunError::Figure(format!("replications: no figure of {} is named `{figure}`; {help}", cell.scenario.name))
    })
}

/// What may be meant by a figure that none of `known` is.
pub(super) fn near<'a>(figure: &FigureName, known: impl Iterator<Item = &'a Figure>) -> String {
    let known: Vec<&Figure> = known.collect();
    let same: Vec<&Figure> = known.iter().copied().filter(|row| row.metric == figure.metric).collect();
    let (asked, names): (String, BTreeSet<String>) = match same.is_empty() {
        true => (figure.metric.clone(), known.iter().map(|row| row.metric.to_owned()).collect()),
        false => (figure.to_string(), same.iter().map(|row| FigureName::of(row).to_string()).collect()),
    };
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    scenario::instead(&asked, &names, "there are").unwrap_or_default()
}
