//! A scenario file as written. The sections of policies and sheets stand in the rooms that own them; here is what joins them.

use crate::batch::WorkloadSection;
use crate::catalog::{Named, NodeSheet};
use crate::facility::FacilitySection;
use crate::fault::{
    BurstsSection, FailureSection, Maintenance, Modulation, RepairSection, StragglersSection, Symptoms,
};
use crate::ledger::Timeline;
use crate::market::{ContractsSection, GridSection, MarginalSeries, TariffSection};
use crate::power::{CappingSection, DemandResponse};
use crate::scheduler::Scheduler;
use crate::serving::{DeviceSection, ServiceSection};
use crate::training::{StoreSection, TrainingSection};
use crate::units::{DollarsPerHour, GramsPerHour, Ratio, Span, Watts};
use crate::world::{ClusterPower, Domains, Ownership};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A whole scenario. What a file leaves out may come from the base it extends.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ScenarioFile {
    /// Another scenario file that this one changes: its tables merge into that file's, everything else replaces. The path
    /// starts from this file's folder.
    #[allow(dead_code, reason = "read before the sections; here for the schema")]
    pub extends: Option<String>,
    /// Name of the scenario and of its output folder.
    pub name: Option<String>,
    /// Root of all chance.
    #[serde(default = "first_seed")]
    pub seed: u64,
    /// First instant: an RFC 3339 date and time on a whole hour, such as "2026-01-01T00:00:00Z".
    pub start: Option<String>,
    /// How long to simulate, from `start` to the horizon.
    pub duration: Option<Span>,
    /// Timelines.
    #[serde(default)]
    pub timeline: TimelineSection,
    /// Where energy is bought.
    #[serde(default)]
    pub site: BTreeMap<String, SiteSection>,
    /// Halls of identical nodes.
    #[serde(default)]
    pub cluster: BTreeMap<String, ClusterSection>,
    /// Training jobs.
    #[serde(default)]
    pub training: BTreeMap<String, TrainingSection>,
    /// Workloads of many jobs.
    #[serde(default)]
    pub workload: BTreeMap<String, WorkloadSection>,
    /// Services.
    #[serde(default)]
    pub service: BTreeMap<String, ServiceSection>,
    /// Devices that only do inference.
    #[serde(default)]
    pub device: BTreeMap<String, DeviceSection>,
    /// What else the comparison of training against inference should look at.
    #[serde(default)]
    pub comparison: ComparisonSection,
    /// Published figures that this scenario reproduces (`tollway validate`).
    #[serde(default)]
    pub published: BTreeMap<String, PublishedSection>,
}

fn first_seed() -> u64 {
    1
}

/// `timeline = { step = "1 min", files = ["power"] }`
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TimelineSection {
    /// Width of a timeline's rows: divides an hour, or is a multiple of it.
    pub step: Span,
    /// Which timelines are written; by default all.
    pub files: BTreeSet<Timeline>,
}

impl Default for TimelineSection {
    fn default() -> TimelineSection {
        TimelineSection { step: Span::HOUR, files: Timeline::ALL.into() }
    }
}

/// `comparison = { traffic = [0.5, 2], utilisation = [0.5, 1.3] }`: where the crossover would be then. Each value is a run of its
/// own.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ComparisonSection {
    /// So many times the requests of every service.
    pub traffic: Vec<Ratio>,
    /// Replicas so many times as full: times the autoscaler's target load; a fixed number of replicas is divided by it.
    pub utilisation: Vec<Ratio>,
}

/// `[site.<name>]`
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SiteSection {
    /// Carbon and water of its electricity: a catalog grid, or `{ flat = "380 gCO2e/kWh" }`.
    pub grid: GridSection,
    /// Price of its electricity: a catalog tariff, or `{ flat = "$0.0826/kWh" }`.
    pub tariff: TariffSection,
    /// What the market-based carbon ledger counts with; without contracts it is not kept.
    pub contracts: Option<ContractsSection>,
    /// What one kilowatt-hour more makes the grid emit, by the hour; a ledger of its own beside the grid's mean.
    pub marginal: Option<MarginalSeries>,
    /// Losses and cooling.
    #[serde(default)]
    pub facility: FacilitySection,
    /// Most that the meter may show. Without `capping`, a site whose nameplate could pass it is refused.
    pub power_limit: Option<Watts>,
    /// Who holds the site, its rows and its racks to their limits.
    pub capping: Option<CappingSection>,
    /// When the meter may show less than `power_limit`.
    pub demand_response: Option<DemandResponse>,
}

/// `[cluster.<name>]`
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ClusterSection {
    /// Its site.
    pub site: String,
    /// What each node is: a catalog name or an inline sheet.
    pub node: Named<NodeSheet>,
    /// How many nodes.
    pub nodes: u32,
    /// Sizes of the failure and power domains.
    #[serde(default)]
    pub domains: Domains,
    /// How often its nodes fail.
    pub failures: FailureSection,
    /// Faults of whole domains: several nodes at once.
    #[serde(default)]
    pub bursts: BurstsSection,
    /// Nodes and links that become slow for a while. Training jobs feel it; services and workloads do not.
    #[serde(default)]
    pub stragglers: StragglersSection,
    /// Work that is announced and takes nodes out, by name. Jobs drain first; services keep their nodes.
    #[serde(default)]
    pub maintenance: BTreeMap<String, Maintenance>,
    /// How the nodes' own failures show.
    #[serde(default)]
    pub symptoms: Symptoms,
    /// When everything here fails more often, and when less.
    #[serde(default)]
    pub modulation: Modulation,
    /// Stores that checkpoints of its training jobs share, by name.
    #[serde(default)]
    pub storage: BTreeMap<String, StoreSection>,
    /// How its nodes are repaired; unset, as each job and workload says.
    pub repair: Option<RepairSection>,
    /// Limits, network, and nodes that nobody holds.
    #[serde(default)]
    pub power: ClusterPower,
    /// What holding a GPU costs.
    #[serde(default)]
    pub cost: CostSection,
    /// Carbon of making the servers, for each GPU-hour of their life.
    #[serde(default = "embodied")]
    pub embodied: GramsPerHour,
    /// Who gets nodes when.
    #[serde(default)]
    pub scheduler: Scheduler,
}

fn embodied() -> GramsPerHour {
    // Assumed, within a half either way: 7.0 t for a server of 8 GPUs over 5 years is 20.0 g. NVIDIA's product carbon footprint of
    // an HGX H100 board alone is 1.3 t, EcoLogits counts 7.9 t over 3 years. The building is counted nowhere.
    GramsPerHour::from_f64(20.0)
}

/// `cost = { owned = {} }` or `cost = { rented = { gpu_hour = "$2.00/h" } }`
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum CostSection {
    /// Annuity of server, network and building, and maintenance; energy is billed on top.
    Owned(Ownership),
    /// A price for each GPU-hour held; energy is inside it.
    Rented {
        /// Price of one GPU for one hour.
        gpu_hour: DollarsPerHour,
    },
}

impl Default for CostSection {
    fn default() -> CostSection {
        CostSection::Owned(Ownership::default())
    }
}

/// `[published.<id>]`: a figure that somebody published and the simulator should give.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PublishedSection {
    /// Subject in `summary.csv`, such as `training.pretrain`.
    pub subject: String,
    /// Metric in `summary.csv`.
    pub metric: String,
    /// Boundary in `summary.csv`, where the metric has one.
    pub boundary: Option<String>,
    /// The published value.
    pub value: f64,
    /// Its unit, as in `summary.csv`.
    pub unit: String,
    /// Half-width of the pass band, in percent of the value.
    pub band_pct: f64,
    /// Replications whose mean has to lie in the band; unset, the scenario's own run.
    pub replications: Option<std::num::NonZeroU64>,
    /// Where it was published.
    pub source: String,
    /// Whether the figure was reproduced from mechanism, or follows from the inputs by arithmetic.
    pub kind: Kind,
}

/// What agreement with a published figure shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The simulator's mechanisms give it.
    Reproduced,
    /// It follows from the inputs by arithmetic.
    Accounting,
}
