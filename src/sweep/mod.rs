//! Many scenarios and their comparison; knows nothing inside one. A sweep varies values of a scenario along axes; each
//! combination is a *cell*, and each cell runs the same replications, so that replication r meets the same chance in every cell
//! and a difference between cells is theirs, not chance's.

mod axis;
mod ensemble;
mod file;
mod key;
mod record;
mod store;

pub use axis::Axis;
pub use ensemble::{Task, catches_panics, run};
pub use file::{SweepFile, read};
pub use key::{Key, MODEL};
pub use record::{Record, Told};
pub use store::{Sealed, Store, StoreError};

use crate::ledger::Replications;
use crate::report::{CellRows, SweepTables};
use crate::scenario::{self, Scenario};
use rayon::prelude::*;
use std::collections::BTreeSet;
use std::fmt;
use std::num::NonZeroU64;
use std::path::Path;
use std::sync::Arc;

/// What is wrong with a sweep, in a sentence for each thing.
#[derive(Debug)]
pub enum SweepError {
    /// The sweep itself.
    Sweep(String),
    /// The scenario of a cell.
    Cell {
        /// The values that make the cell.
        cell: String,
        /// What is wrong with its scenario, as `scenario::load` says it.
        words: String,
    },
}

impl fmt::Display for SweepError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SweepError::Sweep(words) => write!(f, "error: {words}"),
            SweepError::Cell { cell, words } => write!(f, "{words}\n(in the cell {cell})"),
        }
    }
}

impl std::error::Error for SweepError {}

/// One combination of values.
#[derive(Debug)]
pub struct Cell {
    /// Its value on each axis, as written.
    pub values: Vec<String>,
    /// Its checked scenario.
    pub scenario: Scenario,
    /// Name of that scenario.
    pub key: Key,
}

/// A sweep of which every cell is checked: nothing can fail later but file I/O.
#[derive(Debug)]
pub struct Plan {
    /// What varies.
    pub axes: Vec<Axis>,
    /// All combinations; the last axis varies fastest.
    pub cells: Vec<Cell>,
    /// Runs of each cell.
    pub replications: NonZeroU64,
    /// The cell that the others are compared with.
    pub baseline: usize,
}

impl Plan {
    /// Checks every cell of `axes` over the scenario `file` with `sets`. `baseline` picks values of the cell to compare with, each
    /// as `path=value`; an axis that it leaves out takes its first.
    ///
    /// # Errors
    /// All that is wrong, each thing once.
    pub fn new(
        file: &Path,
        sets: &[String],
        axes: Vec<Axis>,
        replications: NonZeroU64,
        baseline: &[String],
    ) -> Result<Plan, Vec<SweepError>> {
        if axes.is_empty() {
            let words = "the sweep varies nothing; add --vary path=a,b,c or an [[axis]] to the sweep file";
            return Err(vec![SweepError::Sweep(words.to_owned())]);
        }
        for (index, axis) in axes.iter().enumerate() {
            if axes[..index].iter().any(|before| before.path == axis.path) {
                return Err(vec![SweepError::Sweep(format!("two axes vary `{}`; join their values", axis.path))]);
            }
        }
        let count = axes.iter().try_fold(1_usize, |count, axis| count.checked_mul(axis.values.len()));
        let Some(count) = count.filter(|&count| count <= CELLS_MAX) else {
            return Err(vec![SweepError::Sweep(format!("the axes make more than {CELLS_MAX} cells"))]);
        };
        let baseline = baseline_of(&axes, baseline).map_err(|words| vec![SweepError::Sweep(words)])?;
        let cells: Vec<_> = (0..count).into_par_iter().map(|index| cell(file, sets, &axes, index)).collect();
        let (mut sound, mut wrong) = (Vec::with_capacity(count), Vec::new());
        let mut said = std::collections::BTreeSet::new();
        for cell in cells {
            match cell {
                Ok(cell) => sound.push(cell),
                Err((cell, words)) => {
                    // What is wrong with every cell is said of the first.
                    let new: Vec<&str> = words.split("\n\n").filter(|words| said.insert((*words).to_owned())).collect();
                    if !new.is_empty() {
                        wrong.push(SweepError::Cell { cell, words: new.join("\n\n") });
                    }
                }
            }
        }
        if wrong.is_empty() { Ok(Plan { axes, cells: sound, replications, baseline }) } else { Err(wrong) }
    }

    /// How many runs.
    #[must_use]
    pub fn runs(&self) -> u64 {
        self.cells.len() as u64 * self.replications.get()
    }

    /// Names of all runs.
    #[must_use]
    pub fn keys(&self) -> BTreeSet<Key> {
        self.tasks().iter().map(|task| task.cell.of_run(task.replication)).collect()
    }

    /// All runs, cell by cell.
    fn tasks(&self) -> Vec<Task<'_>> {
        let tasks = self.cells.iter().flat_map(|cell| {
            (0..self.replications.get()).map(|replication| Task {
                scenario: &cell.scenario,
                cell: cell.key,
                replication,
            })
        });
        tasks.collect()
    }

    /// Runs everything that `store` has not on record, on the pool of the caller, whole runs side by side; `done` is called after
    /// each. The figures of each cell come back in the order of the cells, the same on any number of threads.
    ///
    /// # Errors
    /// A record cannot be written.
    pub fn run(&self, store: &Store, done: impl Fn() + Sync) -> Result<Results, StoreError> {
        let records = run(&self.tasks(), store, done)?;
        let per_cell = usize::try_from(self.replications.get()).expect("the records of a cell are in memory");
        Ok(Results::gather(records.chunks(per_cell)))
    }

    /// What the files of the sweep show, from what [`Plan::run`] returned.
    #[must_use]
    pub fn tables<'a>(&'a self, results: &'a Results) -> SweepTables<'a> {
        assert!(results.cells.len() == self.cells.len(), "each cell has its results");
        let rows = self.cells.iter().zip(&results.cells);
        SweepTables {
            axes: self.axes.iter().map(|axis| axis.path.as_str()).collect(),
            cells: rows
                .map(|(cell, result)| CellRows {
                    values: &cell.values,
                    replications: &result.replications,
                    errors: &result.errors,
                })
                .collect(),
            baseline: self.baseline,
        }
    }
}

/// What a sweep gives.
#[derive(Debug)]
pub struct Results {
    /// What each cell gives.
    pub cells: Vec<CellResult>,
    /// Events of all runs.
    pub events: u64,
    /// Windows of all runs.
    pub windows: u64,
}

/// What the runs of a cell give.
#[derive(Debug)]
pub struct CellResult {
    /// Its figures; a run that failed has none.
    pub replications: Replications,
    /// Why each of its runs failed, if it did.
    pub errors: Vec<Option<String>>,
}

impl Results {
    /// What the records of each cell say, in the order of its replications.
    #[must_use]
    pub fn gather<'a>(cells: impl IntoIterator<Item = &'a [Arc<Record>]>) -> Results {
        let mut results = Results { cells: Vec::new(), events: 0, windows: 0 };
        for records in cells {
            let told = || records.iter().filter_map(|record| record.outcome.as_ref().ok());
            results.events += told().map(|told| told.events).sum::<u64>();
            results.windows += told().map(|told| told.windows).sum::<u64>();
            let figures =
                records.iter().map(|record| record.outcome.as_ref().map_or_else(|_| Vec::new(), Told::figures));
            let errors = records.iter().map(|record| record.outcome.as_ref().err().cloned());
            results.cells.push(CellResult { replications: Replications::gather(figures), errors: errors.collect() });
        }
        results
    }

    /// How many runs failed.
    #[must_use]
    pub fn failed(&self) -> usize {
        self.cells.iter().flat_map(|cell| &cell.errors).filter(|error| error.is_some()).count()
    }
}

/// Cells that a sweep may have: rows of `cells.csv` and a checked scenario in memory for each.
const CELLS_MAX: usize = 100_000;

/// The `index`-th cell, the last axis varying fastest; else its values and what is wrong with its scenario.
fn cell(file: &Path, sets: &[String], axes: &[Axis], index: usize) -> Result<Cell, (String, String)> {
    let mut rest = index;
    let mut values: Vec<&axis::Value> = axes
        .iter()
        .rev()
        .map(|axis| {
            let value = &axis.values[rest % axis.values.len()];
            rest /= axis.values.len();
            value
        })
        .collect();
    values.reverse();
    let own = axes.iter().zip(&values).map(|(axis, value)| format!("{}={}", axis.path, value.toml));
    let all: Vec<String> = sets.iter().cloned().chain(own).collect();
    let labels: Vec<String> = values.iter().map(|value| value.label.clone()).collect();
    match scenario::load(file, &all) {
        Ok(scenario) => Ok(Cell { values: labels, key: Key::of_cell(&scenario), scenario }),
        Err(complaints) => {
            let pairs = axes.iter().zip(&labels).map(|(axis, label)| format!("{}={label}", axis.path));
            Err((pairs.collect::<Vec<_>>().join(", "), complaints.to_string()))
        }
    }
}

/// The index of the cell that `picks` name.
fn baseline_of(axes: &[Axis], picks: &[String]) -> Result<usize, String> {
    let mut chosen = vec![0; axes.len()];
    for pick in picks {
        let (path, label) =
            pick.split_once('=').ok_or_else(|| format!("the baseline takes path=value, found {pick:?}"))?;
        let at = axes.iter().position(|axis| axis.path == path.trim());
        let at = at.ok_or_else(|| {
            let known: Vec<_> = axes.iter().map(|axis| axis.path.as_str()).collect();
            format!("the baseline names `{}`, which no axis varies; there are {}", path.trim(), known.join(", "))
        })?;
        let value = axes[at].values.iter().position(|value| value.label == label.trim());
        chosen[at] = value.ok_or_else(|| {
            let known: Vec<_> = axes[at].values.iter().map(|value| value.label.as_str()).collect();
            format!("the baseline's {pick} is no value of its axis; there are {}", known.join(", "))
        })?;
    }
    Ok(axes.iter().zip(chosen).fold(0, |index, (axis, value)| index * axis.values.len() + value))
}
