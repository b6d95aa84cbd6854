//! Many scenarios and their comparison; knows nothing inside one. A sweep varies values of a scenario along axes; each
//! combination is a *cell*, and each cell runs the same replications, so that replication r meets the same chance in every cell
//! and a difference between cells is theirs, not chance's.

mod axis;
mod design;
mod draw;
mod ensemble;
mod file;
mod frozen;
mod key;
mod record;
mod script;
mod shard;
mod sobol;
mod store;

pub use axis::{Axis, Vary};
pub use design::{Design, Drawn, Pick};
pub use ensemble::{Task, catches_panics, run};
pub use file::{SweepFile, read};
pub use frozen::Frozen;
pub use key::{Key, MODEL};
pub use record::{Record, Told};
pub use script::{Engine, Submission};
pub use shard::Shard;
pub use store::{Sealed, Store, StoreError};

use crate::ledger::Replications;
use crate::report::{CellRows, SweepTables};
use crate::scenario::{self, Change, Scenario};
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
    /// The sweep file, each thing with its place.
    File(String),
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
            SweepError::File(words) => f.write_str(words),
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
    /// The combinations, in the order of the design.
    pub cells: Vec<Cell>,
    /// Runs of each cell.
    pub replications: NonZeroU64,
    /// The cell that the others are compared with.
    pub baseline: usize,
}

impl Plan {
    /// Checks every cell of `swept`.
    ///
    /// # Errors
    /// All that is wrong, each thing once.
    pub fn new(swept: SweepFile, replications: NonZeroU64) -> Result<Plan, Vec<SweepError>> {
        let SweepFile { scenario: file, sets, varies, design, excludes, baseline, .. } = swept;
        let paths: Vec<String> = varies.iter().map(|vary| vary.path.clone()).collect();
        let refuse = |words| vec![SweepError::Sweep(words)];
        let design::Layout { axes, points, baseline } =
            design::lay_out(varies, design, &excludes, &baseline).map_err(refuse)?;
        names_exist(&file, &sets, &paths).map_err(refuse)?;
        let cells: Vec<_> = points.par_iter().map(|point| cell(&file, &sets, &axes, point)).collect();
        let (mut sound, mut wrong) = (Vec::with_capacity(points.len()), Vec::new());
        let mut said = BTreeSet::new();
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

    /// How many of the runs `store` has on record; cells may share runs.
    #[must_use]
    pub fn on_record(&self, store: &Store) -> u64 {
        let tasks = self.tasks();
        tasks.iter().filter(|task| store.get(task.cell.of_run(task.replication)).is_some()).count() as u64
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

/// The cell at `point`; else its values and what is wrong with its scenario.
fn cell(file: &Path, sets: &[Change], axes: &[Axis], point: &[usize]) -> Result<Cell, (String, String)> {
    let values = || axes.iter().zip(point).map(|(axis, &at)| (axis, &axis.values[at]));
    let change = |(axis, value): (&Axis, &axis::Value)| Change {
        text: format!("{}={}", axis.path, value.toml),
        origin: "--vary".to_owned(),
        folder: value.folder.clone(),
    };
    let changes: Vec<Change> = sets.iter().cloned().chain(values().map(change)).collect();
    match scenario::load_changed(file, &changes) {
        Ok(scenario) => {
            let labels = values().map(|(_, value)| value.label.clone()).collect();
            Ok(Cell { values: labels, key: Key::of_cell(&scenario), scenario })
        }
        Err(complaints) => {
            let pairs = values().map(|(axis, value)| format!("{}={}", axis.path, value.label));
            Err((pairs.collect::<Vec<_>>().join(", "), complaints.to_string()))
        }
    }
}

/// Whether the sections that `paths` name exist in the scenario as it stands: a value of a job that is not there would make a new
/// one, of which everything else is missing. A scenario that is wrong by itself is left to the check of its cells.
fn names_exist(file: &Path, sets: &[Change], paths: &[String]) -> Result<(), String> {
    let Ok(base) = scenario::load_changed(file, sets) else { return Ok(()) };
    let section = |path: &str| path.splitn(3, '.').map(str::to_owned).collect::<Vec<_>>();
    let written: BTreeSet<(String, String)> = base.manifest.lines().filter_map(|line| named(&section(line))).collect();
    for path in paths {
        let Some((kind, name)) = named(&section(path)) else { continue };
        let known: Vec<&str> = written.iter().filter(|(of, _)| *of == kind).map(|(_, name)| name.as_str()).collect();
        if !known.is_empty() && !known.contains(&name.as_str()) {
            let help = scenario::instead(&name, &known, "there are").unwrap_or_default();
            return Err(format!("`{path}`: the scenario has no {kind} named `{name}`; {help}"));
        }
    }
    Ok(())
}

/// Kind and name of a section that a key below it is said of.
fn named(path: &[String]) -> Option<(String, String)> {
    match path {
        [kind, name, _] => Some((kind.clone(), name.clone())),
        _ => None,
    }
}
