//! `[workload.<name>]` as written.

use super::Kalos;
use crate::units::{Ratio, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Many jobs on one cluster.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkloadSection {
    /// The cluster they run on.
    pub cluster: String,
    /// Where they come from.
    pub jobs: JobsSection,
    /// The higher, the sooner they get nodes and the later they lose them, on a cluster whose scheduler ranks by priority.
    #[serde(default)]
    pub priority: i32,
    /// What a job says that it will run, over what it will; at least 1. The scheduler knows no better.
    #[serde(default = "exact")]
    pub estimate: Ratio,
    /// Work between two checkpoints of a job, which cost it nothing; unset, a job that loses its nodes starts over.
    pub checkpoint: Option<Span>,
    /// Time before a job works again on new nodes after it lost its own.
    #[serde(default = "restart")]
    pub restart: Span,
    /// Mean time to repair a node that failed under one of them; unset, as `repair` of the cluster says, which says the rest too.
    pub repair: Option<Span>,
    /// Whether `queue.csv` has a row for each of them.
    #[serde(default)]
    pub listing: Listing,
}

fn exact() -> Ratio {
    Ratio::new(1.0)
}

fn restart() -> Span {
    // ByteRobust, arXiv:2509.16293v4 Table 7: at least 120 s at any size.
    Span::from_secs(120)
}

/// `jobs = …`: where the jobs come from.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum JobsSection {
    /// A mix like that of the Acme cluster Kalos: most jobs tiny, most GPU time in a few large ones.
    Kalos(Kalos),
    /// A trace, from its first job on.
    Trace(JobTraceSection),
}

/// `trace = …`: the format of a job trace.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum JobTraceSection {
    /// Acme: one row a job with its submission, start and end.
    Acme {
        /// The file, from this scenario's folder.
        path: String,
    },
    /// Philly as TitanSched lists it.
    Philly {
        /// The file, from this scenario's folder.
        path: String,
    },
}

/// Which jobs `queue.csv` lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Listing {
    /// Every one.
    #[default]
    All,
    /// None: a million jobs make a file of 100 MB.
    None,
}
