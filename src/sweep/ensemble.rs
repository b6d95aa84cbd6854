//! Runs of a sweep, whole runs side by side: what is on record is taken from there, the rest is simulated and put on record.

use super::key::Key;
use super::record::Record;
use super::store::{Store, StoreError};
use crate::scenario::Scenario;
use crate::{Outcome, simulate_replication};
use rayon::prelude::*;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// One run: a replication of a cell.
#[derive(Debug, Clone, Copy)]
pub struct Task<'a> {
    /// The cell's scenario.
    pub scenario: &'a Scenario,
    /// The cell's name, [`Key::of_cell`] of that scenario.
    pub cell: Key,
    /// Which replication, from 0.
    pub replication: u64,
}

/// The record of each task, in their order, the same on any number of threads; `done` is called after each run that was not on
/// record. A run that fails is a record with its error.
///
/// # Errors
/// A record cannot be written.
pub fn run(tasks: &[Task<'_>], store: &Store, done: impl Fn() + Sync) -> Result<Vec<Arc<Record>>, StoreError> {
    let caught = Caught::begin();
    let run = |task: &Task<'_>| {
        let key = task.cell.of_run(task.replication);
        if let Some(record) = store.get(key) {
            return Ok(record);
        }
        let record = store.add(key, attempt(|| simulate_replication(task.scenario, task.replication, |_| ())))?;
        done();
        Ok(record)
    };
    // One run at a time is handed out, so that the last long one does not have a queue behind it.
    let records = tasks.par_iter().with_max_len(1).map(run).collect();
    drop(caught);
    records
}

/// The figures of a run with its events and windows, or the words of its panic.
fn attempt(simulate: impl FnOnce() -> Outcome) -> Result<(Vec<crate::ledger::Figure>, u64, u64), String> {
    let outcome = catch_unwind(AssertUnwindSafe(simulate)).map_err(|panic| words(panic.as_ref()))?;
    Ok((outcome.accounts.figures().to_vec(), outcome.stats.events, outcome.stats.windows))
}

/// What a panic said.
fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("it failed without a word").to_owned()
}

/// Ensembles in progress.
static CATCHING: AtomicUsize = AtomicUsize::new(0);

/// Whether a panic may be that of a run, which the sweep catches and puts on record: a panic hook then has nothing to say.
#[must_use]
pub fn catches_panics() -> bool {
    CATCHING.load(Ordering::Relaxed) > 0
}

struct Caught;

impl Caught {
    fn begin() -> Caught {
        CATCHING.fetch_add(1, Ordering::Relaxed);
        Caught
    }
}

impl Drop for Caught {
    fn drop(&mut self) {
        CATCHING.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_with_its_words() {
        assert_eq!(attempt(|| panic!("plain")).unwrap_err(), "plain");
        assert_eq!(attempt(|| panic!("{} of {}", 1, 2)).unwrap_err(), "1 of 2");
        assert_eq!(attempt(|| std::panic::panic_any(3)).unwrap_err(), "it failed without a word");
    }
}
