//! `tollway sweep plan | run | status | collect | script`: a sweep over many machines, by way of a folder that they share or
//! that is copied between them.

use super::sweep::{self, Swept};
use super::{BAD_INPUT, INCOMPLETE, OUR_FAULT, interrupt, print};
use clap::{Args, Subcommand, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tollway::report;
use tollway::sweep::{
    Cell, Engine, Every, Frozen, Key, RunError, Shard, Store, StoreError, Submission, SweepError, Task, run,
};

/// What to do with a sweep over many machines.
#[derive(Debug, Subcommand)]
pub(crate) enum Step {
    /// Put a sweep with all that it needs into a folder, for many machines.
    Plan(PlanArguments),
    /// Run a share of a planned sweep. The same command may be started any number of times and goes on where it was.
    Run(ShardArguments),
    /// Say how much of a planned sweep is on record.
    Status(StatusArguments),
    /// Write the results of a planned sweep, if all its runs are on record.
    Collect(CollectArguments),
    /// Print what submits the shares of a planned sweep to an engine.
    Script(ScriptArguments),
}

/// What to plan.
#[derive(Debug, Args)]
pub(crate) struct PlanArguments {
    #[command(flatten)]
    swept: Swept,
    /// The folder, instead of output/<file's name>-plan.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Which share to run.
#[derive(Debug, Args)]
pub(crate) struct ShardArguments {
    /// Folder of the plan.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Share K of N; with auto, which one (and of how many) as Slurm, HyperQueue, Kubernetes or Open MPI say. All runs by
    /// default.
    #[arg(long, value_name = "K/N|auto/N|auto")]
    shard: Option<String>,
    /// Threads; all cores by default.
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
}

/// Of what to say how it stands.
#[derive(Debug, Args)]
pub(crate) struct StatusArguments {
    /// Folder of the plan, and copies of it in which shares were run.
    #[arg(required = true, value_name = "DIR")]
    folders: Vec<PathBuf>,
}

/// What to collect and where to.
#[derive(Debug, Args)]
pub(crate) struct CollectArguments {
    /// Folder of the plan, and copies of it in which shares were run.
    #[arg(required = true, value_name = "DIR")]
    folders: Vec<PathBuf>,
    /// Write the results to this folder instead of output/<sweep's name>-sweep.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Give runs.csv a column for every parameter of the scenario, defaults included.
    #[arg(long)]
    all_parameters: bool,
}

/// What to submit and how.
#[derive(Debug, Args)]
pub(crate) struct ScriptArguments {
    /// Folder of the plan, as all machines see it.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Who starts the shares.
    #[arg(long)]
    engine: EngineName,
    /// Number of shares.
    #[arg(long, value_name = "N", default_value = "16")]
    shards: NonZeroU64,
    /// Cores of each.
    #[arg(long, value_name = "N", default_value = "1")]
    cores: NonZeroU64,
    /// How to start tollway there, instead of the path of this program.
    #[arg(long, value_name = "PATH")]
    program: Option<PathBuf>,
    /// Container image with tollway, for kubernetes.
    #[arg(long, requires = "claim")]
    image: Option<String>,
    /// Persistent volume claim that is mounted at DIR, for kubernetes.
    #[arg(long, requires = "image")]
    claim: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum EngineName {
    Slurm,
    Hyperqueue,
    Kubernetes,
    Parallel,
    Ray,
}

/// Does one step.
pub(super) fn step(step: &Step) -> u8 {
    match step {
        Step::Plan(arguments) => plan(arguments),
        Step::Run(arguments) => run_shard(arguments),
        Step::Status(arguments) => status(&arguments.folders),
        Step::Collect(arguments) => collect(arguments),
        Step::Script(arguments) => script(arguments),
    }
    .unwrap_or_else(|fault| fault.tell())
}

/// Why a step ends early.
enum Fault {
    Sweep(Vec<SweepError>),
    Store(StoreError),
    Words(String),
}

impl From<SweepError> for Fault {
    fn from(error: SweepError) -> Fault {
        Fault::Sweep(vec![error])
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Fault {
        Fault::Store(error)
    }
}

impl From<RunError> for Fault {
    fn from(error: RunError) -> Fault {
        match error {
            RunError::Store(error) => Fault::Store(error),
            RunError::Figure(words) => Fault::Words(words),
        }
    }
}

impl Fault {
    fn tell(self) -> u8 {
        match self {
            Fault::Sweep(errors) => {
                let words: Vec<String> = errors.iter().map(SweepError::to_string).collect();
                eprintln!("{}", words.join("\n\n"));
                BAD_INPUT
            }
            Fault::Store(error) => {
                eprintln!("error: {error}");
                OUR_FAULT
            }
            Fault::Words(words) => {
                eprintln!("error: {words}");
                BAD_INPUT
            }
        }
    }
}

fn plan(arguments: &PlanArguments) -> Result<u8, Fault> {
    let plan = sweep::plan(&arguments.swept).map_err(Fault::Sweep)?;
    let name = arguments.swept.name();
    let folder = arguments.out.clone().unwrap_or_else(|| Path::new("output").join(format!("{name}-plan")));
    plan.freeze(&name, &folder)?;
    Ok(print(&format!("{}\n\nPlan: {}\n", sweep::size(&plan, &plan.runs(), 0), folder.display())))
}

fn run_shard(arguments: &ShardArguments) -> Result<u8, Fault> {
    let threads = arguments.threads.map_or(0, NonZeroUsize::get);
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().expect("no pool was built before");
    let shard = match &arguments.shard {
        None => Shard::ALL,
        Some(text) => Shard::parse(text, |name| std::env::var(name).ok()).map_err(Fault::Words)?,
    };
    let frozen = Frozen::open(&arguments.folder)?;
    let keys: Vec<(usize, u64, Key)> = keys(&frozen, shard.runs(frozen.runs()))?;
    let wanted: BTreeSet<Key> = keys.iter().map(|(.., key)| *key).collect();
    let store = Arc::new(Store::open(&frozen.records(), &shard.file(), false, Some(&wanted))?);
    let missing: Vec<&(usize, u64, Key)> = keys.iter().filter(|(.., key)| store.get(*key).is_none()).collect();
    let needed: BTreeSet<usize> = missing.iter().map(|(cell, ..)| *cell).collect();
    let thawed: Vec<_> = needed.par_iter().map(|&cell| (cell, frozen.cell(cell))).collect();
    let thawed = thawed.into_iter().map(|(index, cell)| Ok((index, cell?)));
    let cells: BTreeMap<usize, Cell> = thawed.collect::<Result<_, SweepError>>()?;
    let task = |&&(cell, replication, _): &&(usize, u64, Key)| {
        let cell = &cells[&cell];
        Task { scenario: &cell.scenario, cell: cell.key, replication }
    };
    let tasks: Vec<Task<'_>> = missing.iter().map(task).collect();
    let bar = ProgressBar::new(tasks.len() as u64);
    let style = ProgressStyle::with_template("{msg} {wide_bar} {pos} of {len}, {eta} left");
    bar.set_style(style.expect("the template is ours"));
    bar.set_message(format!("{} {shard}", frozen.name()));
    interrupt::watch(&store, &bar, Some(keys.len() as u64));
    run(&tasks, &store, || bar.inc(1))?;
    store.sync()?;
    bar.finish_and_clear();
    let failed = keys.iter().filter(|(.., key)| store.get(*key).is_some_and(|record| record.outcome.is_err())).count();
    let failures = if failed > 0 { format!(", {failed} failed") } else { String::new() };
    Ok(print(&format!("shard {shard}: {} runs, {} of them run now{failures}\n", keys.len(), tasks.len())))
}

/// Cell, replication and name of each run of `runs`.
fn keys(frozen: &Frozen, runs: impl Iterator<Item = u64>) -> Result<Vec<(usize, u64, Key)>, SweepError> {
    let named = |index| {
        let (cell, replication) = frozen.run(index);
        Ok((cell, replication, frozen.key(cell, replication)?))
    };
    runs.map(named).collect()
}

/// A planned sweep with what all its folders have on record.
struct Gathered {
    frozen: Frozen,
    store: Store,
    /// Cells that lack runs, and how many.
    missing: BTreeMap<usize, u64>,
    failed: u64,
}

impl Gathered {
    fn new(folders: &[PathBuf]) -> Result<Gathered, Fault> {
        let all: Vec<Frozen> = folders.iter().map(|folder| Frozen::open(folder)).collect::<Result<_, _>>()?;
        let records: Vec<PathBuf> = all.iter().map(Frozen::records).collect();
        let mut all = all.into_iter();
        let frozen = all.next().ok_or_else(|| Fault::Words("name a folder".to_owned()))?;
        if let Some(other) = all.find(|other| !other.is_same(&frozen)) {
            let (one, other) = (frozen.folder().display(), other.folder().display());
            return Err(Fault::Words(format!("{one} and {other} hold different plans; collect each alone")));
        }
        let keys = keys(&frozen, 0..frozen.runs())?;
        let store = Store::read(&records, Some(&keys.iter().map(|(.., key)| *key).collect()))?;
        let (mut missing, mut failed) = (BTreeMap::new(), 0);
        for (cell, _, key) in keys {
            match store.get(key) {
                None => *missing.entry(cell).or_default() += 1,
                Some(record) => failed += u64::from(record.outcome.is_err()),
            }
        }
        Ok(Gathered { frozen, store, missing, failed })
    }

    /// How it stands, in words.
    fn words(&self) -> String {
        let (frozen, missing) = (&self.frozen, self.missing.values().sum::<u64>());
        let (cells, runs) = (frozen.cells(), frozen.runs());
        let mut text = format!(
            "{}: {cells} cells x {} replications = {runs} runs\n{} on record, {} of them failed; {missing} missing\n",
            frozen.name(),
            frozen.replications(),
            runs - missing,
            self.failed
        );
        for (&cell, count) in self.missing.iter().take(CELLS_SHOWN) {
            text.push_str(&format!("  {count} of cell {cell}: {}\n", frozen.label(cell)));
        }
        if self.missing.len() > CELLS_SHOWN {
            text.push_str(&format!("  and some of {} more cells\n", self.missing.len() - CELLS_SHOWN));
        }
        text
    }
}

/// Cells of which status says what they lack.
const CELLS_SHOWN: usize = 10;

fn status(folders: &[PathBuf]) -> Result<u8, Fault> {
    Ok(print(&Gathered::new(folders)?.words()))
}

fn collect(arguments: &CollectArguments) -> Result<u8, Fault> {
    let gathered = Gathered::new(&arguments.folders)?;
    if !gathered.missing.is_empty() {
        eprintln!("{}Nothing was written. `sweep run` runs what is missing, with any --shard.", gathered.words());
        return Ok(INCOMPLETE);
    }
    let name = gathered.frozen.name().to_owned();
    let out = arguments.out.clone().unwrap_or_else(|| Path::new("output").join(format!("{name}-sweep")));
    report::check(&out).map_err(|error| Fault::Words(error.to_string()))?;
    let plan = gathered.frozen.thaw()?;
    let ran = sweep::run(plan, &Arc::new(gathered.store), &name)?;
    Ok(sweep::write(&ran, Every::asked(arguments.all_parameters), &name, &out, None))
}

fn script(arguments: &ScriptArguments) -> Result<u8, Fault> {
    let frozen = Frozen::open(&arguments.folder)?;
    let absolute = |path: &Path| std::path::absolute(path).map_err(|error| Fault::Words(error.to_string()));
    let folder = absolute(&arguments.folder)?;
    let program = match &arguments.program {
        Some(program) => program.clone(),
        None => std::env::current_exe().map_err(|error| Fault::Words(format!("say --program: {error}")))?,
    };
    let engine = match arguments.engine {
        EngineName::Slurm => Engine::Slurm,
        EngineName::Hyperqueue => Engine::Hyperqueue,
        EngineName::Kubernetes => Engine::Kubernetes,
        EngineName::Parallel => Engine::Parallel,
        EngineName::Ray => Engine::Ray,
    };
    let submission = Submission {
        program: &program,
        folder: &folder,
        shards: arguments.shards,
        cores: arguments.cores,
        pod: arguments.image.as_deref().zip(arguments.claim.as_deref()),
    };
    let text = engine.script(&frozen, &submission).map_err(Fault::Words)?;
    Ok(print(&text))
}
