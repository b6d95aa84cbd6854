//! Text to checked values: the only room that names TOML and words complaints. [`load`] reads a scenario file, the bases it
//! extends and `--set` arguments into a tree that remembers where each value was written (`read`, `node`), deserializes the
//! sections from it (`de`, `typed`, `file`), checks them against each other and the catalog, and builds the plans of the
//! other rooms (`check`). Every problem found on the way is a [`Complaints`] entry; with none left, nothing can fail later.

mod check;
mod complaint;
mod de;
mod document;
mod essence;
mod file;
mod list;
mod node;
mod parameters;
mod parts;
mod read;
mod schema;
mod typed;

pub use complaint::{Complaints, instead};
pub use document::{Places, document};
pub use file::Kind;
pub use list::{LISTS, Row, list};
pub use parameters::{Parameter, ParameterValue, Sections};
pub use read::{Change, DataFile, Input};
pub use schema::schema;

use crate::batch::WorkloadPlan;
use crate::cluster::CappingPlan;
use crate::fault::Maintenance;
use crate::ledger::{Factor, SitePlan, Timeline};
use crate::scheduler::Scheduler;
use crate::serving::{DevicePlan, ServicePlan};
use crate::training::JobPlan;
use crate::units::{SimTime, Span};
use crate::world::ClusterPlan;
use std::collections::BTreeSet;
use std::num::NonZeroU64;
use std::path::Path;
use std::sync::Arc;

/// A checked scenario. Plans are in the order of their names and refer to each other by index.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Its name, which is its output folder's too: letters, digits, `-` and `_`.
    pub name: String,
    /// Root of all chance.
    pub seed: u64,
    /// Which replication of it, from 0.
    pub replication: u64,
    /// First instant, on a whole hour.
    pub start: jiff::Timestamp,
    /// Where the run ends.
    pub horizon: SimTime,
    /// Width of a timeline's rows; divides an hour or is a multiple of it.
    pub step: Span,
    /// Which timelines are written.
    pub timelines: BTreeSet<Timeline>,
    /// Where energy is bought.
    pub sites: Vec<SitePlan>,
    /// Power control of each site; none where nothing caps it.
    pub capping: Vec<Option<CappingPlan>>,
    /// Halls of identical nodes.
    pub clusters: Vec<ClusterPlan>,
    /// Who gets nodes when, for each cluster.
    pub schedulers: Vec<Scheduler>,
    /// Announced work on the nodes of each cluster.
    pub maintenance: Vec<Vec<Maintenance>>,
    /// Training jobs.
    pub jobs: Vec<JobPlan>,
    /// Workloads of many jobs.
    pub workloads: Vec<Arc<WorkloadPlan>>,
    /// Services.
    pub services: Vec<Arc<ServicePlan>>,
    /// Devices that only do inference.
    pub devices: Vec<DevicePlan>,
    /// Published figures that it should give.
    pub published: Vec<Published>,
    /// What the comparison is to be run again for, and at which value.
    pub reruns: Vec<(Factor, f64)>,
    /// The resolved scenario: one TOML assignment a line, sorted, without comments or absolute paths.
    pub manifest: String,
    /// Its sections, every default filled in.
    pub sections: Sections,
    /// The files read.
    pub inputs: Vec<Input>,
    /// Which of them are data, and the values that name them.
    pub data: Vec<DataFile>,
    /// What the reader of a figure should know: which model a subject runs, where its step time comes from.
    pub notes: Vec<Note>,
}

/// One thing to know about a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Whom it is about, as in `summary.csv`.
    pub subject: String,
    /// What it is about: `model`, `failure_clock`, `fidelity`, `step_source`, `power_source`, `capping`, `trace_format` or `trace_rows`.
    pub key: &'static str,
    /// What there is to know.
    pub value: String,
}

/// A published figure that a scenario should give.
#[derive(Debug, Clone, PartialEq)]
pub struct Published {
    /// Its row in the fact files.
    pub id: String,
    /// Subject in `summary.csv`.
    pub subject: String,
    /// Metric in `summary.csv`.
    pub metric: String,
    /// Boundary in `summary.csv`, `B1` to `B4`; empty where the metric has none.
    pub boundary: String,
    /// The published value.
    pub value: f64,
    /// Its unit.
    pub unit: String,
    /// Half-width of the pass band, in percent of the value.
    pub band_pct: f64,
    /// Replications whose mean has to lie in the band.
    pub replications: NonZeroU64,
    /// Where it was published.
    pub source: String,
    /// What agreement shows.
    pub kind: Kind,
}

/// Reads and checks `file` with `sets` (`path=value`) laid over it.
///
/// # Errors
/// Everything that is wrong with it, not only the first.
pub fn load(file: &Path, sets: &[String]) -> Result<Scenario, Complaints> {
    let changes: Vec<Change> = sets.iter().map(|set| Change::set(set)).collect();
    load_changed(file, &changes)
}

/// Reads and checks `file` with `changes` laid over it, of which a later one wins.
///
/// # Errors
/// As [`load`].
pub fn load_changed(file: &Path, changes: &[Change]) -> Result<Scenario, Complaints> {
    let mut complaints = Complaints::default();
    let content = read::content(file, None, &mut complaints);
    build(file, content, changes, complaints)
}

/// Checks a scenario whose text is at hand, called `name` in messages; files that it names start from the working directory.
///
/// # Errors
/// As [`load`].
pub fn parse(name: &str, text: &str) -> Result<Scenario, Complaints> {
    parse_at(Path::new(name), text)
}

/// As [`parse`], as if the text stood in `file`, so that files that it names start from its folder.
///
/// # Errors
/// As [`load`].
pub fn parse_at(file: &Path, text: &str) -> Result<Scenario, Complaints> {
    build(file, Some(text.as_bytes().to_vec()), &[], Complaints::default())
}

fn build(
    file: &Path,
    content: Option<Vec<u8>>,
    changes: &[Change],
    mut complaints: Complaints,
) -> Result<Scenario, Complaints> {
    let read = content.and_then(|content| read::read(file, content, changes, &mut complaints));
    let scenario = read.and_then(|(tree, inputs)| {
        let typed = typed::Typed::read(tree, &mut complaints);
        check::check(&typed, inputs, &mut complaints)
    });
    match scenario {
        Some(scenario) if complaints.is_empty() => Ok(scenario),
        _ => {
            assert!(!complaints.is_empty(), "a scenario that cannot be built has something wrong with it");
            Err(complaints)
        }
    }
}
