//! Many scenarios and their comparison; knows nothing inside one. A sweep varies values of a scenario along axes; each
//! combination is a *cell*, and each cell runs the same replications, so that replication r meets the same chance in every cell
//! and a difference between cells is theirs, not chance's.

mod adaptive;
mod axis;
mod compare;
mod design;
mod draw;
mod ensemble;
mod file;
mod frozen;
mod key;
mod parameters;
mod record;
mod rounds;
mod script;
mod search;
mod shard;
mod sobol;
mod standing;
mod store;

pub use axis::{Axis, Vary};
pub use compare::{Difference, Interval, Side, compare};
pub use design::{Design, Drawn, Pick};
pub use ensemble::{Task, catches_panics, run};
pub use file::{SweepFile, read};
pub use frozen::Frozen;
pub use key::{Key, MODEL};
pub use parameters::{Every, Parameters};
pub use record::{Record, Told};
pub use rounds::{Listen, RunError};
pub use script::{Engine, Submission};
pub use search::Search;
pub use shard::Shard;
pub use standing::Standing;
pub use store::{Sealed, Store, StoreError};

use crate::Stopping;
use crate::ledger::Replications;
use crate::report::{CellRows, Goals, SweepTables};
use crate::scenario::{self, Change, Scenario};
use rayon::prelude::*;
use rounds::Ran;
use std::collections::BTreeSet;
use std::fmt;
use std::ops::RangeInclusive;
use std::path::PathBuf;
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
    /// When each cell has runs enough.
    pub replications: Stopping,
    /// The cell that the others are compared with.
    pub baseline: usize,
    /// What is searched for between each two cells, and how the cells between them come to be.
    search: Option<(Search, Recipe)>,
}

/// What the cells of a sweep are made of.
#[derive(Debug)]
struct Recipe {
    scenario: PathBuf,
    sets: Vec<Change>,
}

/// A sweep that has run.
#[derive(Debug)]
pub struct Done {
    /// The sweep, with all cells that a search looked at.
    pub plan: Plan,
    /// What its cells give.
    pub results: Results,
    /// What the search found.
    pub goals: Option<Goals>,
}

impl Plan {
    /// Checks every cell of `swept`.
    ///
    /// # Errors
    /// All that is wrong, each thing once.
    pub fn new(swept: SweepFile, replications: Stopping) -> Result<Plan, Vec<SweepError>> {
        let SweepFile { scenario, sets, mut varies, design, excludes, baseline, goal, .. } = swept;
        let recipe = Recipe { scenario, sets };
        let paths: Vec<String> = varies.iter().map(|vary| vary.path.clone()).collect();
        let refuse = |words| vec![SweepError::Sweep(words)];
        let layout = match &goal {
            Some(goal) if paths.contains(&goal.path) => {
                Err(format!("an axis varies `{}`, which the goal searches; take one of them out", goal.path))
            }
            Some(_) if varies.is_empty() => design::lone(&excludes, &baseline),
            _ => design::lay_out(std::mem::take(&mut varies), design, &excludes, &baseline),
        };
        let layout = layout.map_err(refuse)?;
        let design::Layout { axes, points, baseline } = match &goal {
            Some(goal) => layout.crossed(&goal.path, goal.ends()),
            None => layout,
        };
        let paths: Vec<String> = axes.iter().map(|axis| axis.path.clone()).collect();
        recipe.names_exist(&paths).map_err(refuse)?;
        let cell = |point: &Vec<usize>| {
            let values = axes.iter().zip(point).map(|(axis, &at)| &axis.values[at]);
            recipe.cell(&axes, &values.collect::<Vec<_>>())
        };
        let cells: Vec<_> = points.par_iter().map(cell).collect();
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
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let search = goal.map(|goal| (goal, recipe));
        Ok(Plan { axes, cells: sound, replications, baseline, search })
    }

    /// What is searched for.
    #[must_use]
    pub fn search(&self) -> Option<&Search> {
        self.search.as_ref().map(|(search, _)| search)
    }

    /// How many cells, at least and at most.
    #[must_use]
    pub fn size(&self) -> RangeInclusive<u64> {
        let cells = self.cells.len() as u64;
        cells..=self.search().map_or(cells, |search| cells / 2 * search.cells_max())
    }

    /// How many runs, at least and at most.
    #[must_use]
    pub fn runs(&self) -> RangeInclusive<u64> {
        let cells = self.size();
        cells.start() * self.replications.first()..=cells.end() * self.replications.most()
    }

    /// Names of all runs; none where results decide which runs there are.
    #[must_use]
    pub fn keys(&self) -> Option<BTreeSet<Key>> {
        let is_fixed = self.replications.goals.is_empty() && self.search.is_none();
        is_fixed.then(|| self.first_runs().collect())
    }

    /// How many of the runs that there are in any case `store` has on record; cells may share runs.
    #[must_use]
    pub fn on_record(&self, store: &Store) -> u64 {
        self.first_runs().filter(|key| store.get(*key).is_some()).count() as u64
    }

    /// The first batch of each cell.
    fn first_runs(&self) -> impl Iterator<Item = Key> {
        self.cells
            .iter()
            .flat_map(|cell| (0..self.replications.first()).map(|replication| cell.key.of_run(replication)))
    }

    /// Runs everything that `store` has not on record, on the pool of the caller, whole runs side by side. The figures of each cell
    /// come back in the order of the cells, the same on any number of threads.
    ///
    /// # Errors
    /// A record cannot be written, or there is no figure that a goal or the replications are to settle.
    pub fn run(mut self, store: &Store, listen: &impl Listen) -> Result<Done, RunError> {
        if let Some((search, recipe)) = self.search.take() {
            return search::run(self, &search, &recipe, store, listen);
        }
        let cells: Vec<&Cell> = self.cells.iter().collect();
        let Ran { records, known } = rounds::run_all(&cells, &self.replications, store, listen)?;
        // The figures hold all that the records do.
        store.let_go();
        let results = Results { known, ..Results::gather(records) };
        Ok(Done { plan: self, results, goals: None })
    }

    /// What the files show of each cell's scenario.
    #[must_use]
    pub fn parameters(&self, every: Every) -> Parameters {
        Parameters::of(&self.axes, &self.cells, every)
    }
}

impl Done {
    /// What the files of the sweep show, with what [`Plan::parameters`] returned.
    #[must_use]
    pub fn tables<'a>(&'a self, parameters: &'a Parameters) -> SweepTables<'a> {
        let Done { plan, results, goals } = self;
        assert!(results.cells.len() == plan.cells.len(), "each cell has its results");
        let row = |(index, (cell, result)): (usize, (&'a Cell, &'a CellResult))| {
            let (numbers, parameters) = parameters.cell(index);
            let CellResult { replications, errors } = result;
            CellRows { values: &cell.values, numbers, parameters, replications, errors }
        };
        SweepTables {
            axes: parameters.axes(),
            parameters: parameters.all(),
            cells: plan.cells.iter().zip(&results.cells).enumerate().map(row).collect(),
            baseline: plan.baseline,
            goals: goals.as_ref(),
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
    /// How many of the runs were on record before.
    pub known: u64,
}

/// What the runs of a cell give.
#[derive(Debug)]
pub struct CellResult {
    /// Its figures; a run that failed has none.
    pub replications: Replications,
    /// Why each of its runs failed, if it did.
    pub errors: Vec<Option<String>>,
}

impl CellResult {
    /// What `records` say, in the order of the replications.
    fn gather(records: &[Arc<Record>]) -> CellResult {
        let figures = records.iter().map(|record| record.outcome.as_ref().map_or_else(|_| Vec::new(), Told::figures));
        let errors = records.iter().map(|record| record.outcome.as_ref().err().cloned());
        CellResult { replications: Replications::gather(figures), errors: errors.collect() }
    }
}

impl Results {
    /// What the records of each cell say, in the order of its replications.
    #[must_use]
    pub fn gather(cells: Vec<Vec<Arc<Record>>>) -> Results {
        let gather = |records: Vec<Arc<Record>>| {
            let told = || records.iter().filter_map(|record| record.outcome.as_ref().ok());
            let (events, windows) = (told().map(|told| told.events).sum(), told().map(|told| told.windows).sum());
            (CellResult::gather(&records), events, windows)
        };
        let cells: Vec<(CellResult, u64, u64)> = cells.into_par_iter().map(gather).collect();
        let mut results = Results { cells: Vec::with_capacity(cells.len()), events: 0, windows: 0, known: 0 };
        for (cell, events, windows) in cells {
            results.cells.push(cell);
            results.events += events;
            results.windows += windows;
        }
        results
    }

    /// How many runs there are.
    #[must_use]
    pub fn runs(&self) -> u64 {
        self.cells.iter().map(|cell| cell.errors.len() as u64).sum()
    }

    /// How many runs failed.
    #[must_use]
    pub fn failed(&self) -> usize {
        self.cells.iter().flat_map(|cell| &cell.errors).filter(|error| error.is_some()).count()
    }
}

impl Recipe {
    /// The cell with `values` on `axes`; else its values and what is wrong with its scenario.
    fn cell(&self, axes: &[Axis], values: &[&axis::Value]) -> Result<Cell, (String, String)> {
        let pairs = || axes.iter().zip(values);
        let change = |(axis, value): (&Axis, &&axis::Value)| Change {
            text: format!("{}={}", axis.path, value.toml),
            origin: "--vary".to_owned(),
            folder: value.folder.clone(),
        };
        let changes: Vec<Change> = self.sets.iter().cloned().chain(pairs().map(change)).collect();
        match scenario::load_changed(&self.scenario, &changes) {
            Ok(scenario) => {
                let labels = values.iter().map(|value| value.label.clone()).collect();
                Ok(Cell { values: labels, key: Key::of_cell(&scenario), scenario })
            }
            Err(complaints) => {
                let pairs = pairs().map(|(axis, value)| format!("{}={}", axis.path, value.label));
                Err((pairs.collect::<Vec<_>>().join(", "), complaints.to_string()))
            }
        }
    }

    /// Whether the sections that `paths` name exist in the scenario as it stands: a value of a job that is not there would make a
    /// new one, of which everything else is missing. A scenario that is wrong by itself is left to the check of its cells.
    fn names_exist(&self, paths: &[String]) -> Result<(), String> {
        let Ok(base) = scenario::load_changed(&self.scenario, &self.sets) else { return Ok(()) };
        let section = |path: &str| path.splitn(3, '.').map(str::to_owned).collect::<Vec<_>>();
        let written: BTreeSet<(String, String)> =
            base.manifest.lines().filter_map(|line| named(&section(line))).collect();
        for path in paths {
            let Some((kind, name)) = named(&section(path)) else { continue };
            let known: Vec<&str> =
                written.iter().filter(|(of, _)| *of == kind).map(|(_, name)| name.as_str()).collect();
            if !known.is_empty() && !known.contains(&name.as_str()) {
                let help = scenario::instead(&name, &known, "there are").unwrap_or_default();
                return Err(format!("`{path}`: the scenario has no {kind} named `{name}`; {help}"));
            }
        }
        Ok(())
    }
}

/// Kind and name of a section that a key below it is said of.
fn named(path: &[String]) -> Option<(String, String)> {
    match path {
        [kind, name, _] => Some((kind.clone(), name.clone())),
        _ => None,
    }
}
