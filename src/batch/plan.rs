//! A workload once checked.

use super::{Generator, Kalos, Listing};
use crate::engine::{Entity, Seed};
use crate::fault::{FaultPlan, RepairSection};
use crate::power::NodePower;
use crate::trace::TraceJob;
use crate::units::{Ratio, Span};
use std::sync::Arc;

/// A checked workload.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkloadPlan {
    /// Name in the scenario, without the `workload.` in front.
    pub name: String,
    /// Index of its cluster.
    pub cluster: usize,
    /// Name of its cluster, for random streams: `cluster.<name>` owns the faults.
    pub cluster_name: String,
    /// Where its jobs come from.
    pub source: Source,
    /// Names of the classes of its jobs.
    pub classes: Vec<String>,
    /// Names of their owners.
    pub owners: Vec<String>,
    /// GPUs of a node.
    pub gpus_per_node: u32,
    /// Power of the node by state.
    pub power: NodePower,
    /// How its nodes fail.
    pub failures: FaultPlan,
    /// The higher, the sooner its jobs get nodes and the later they lose them.
    pub priority: i32,
    /// What a job says that it will run, over what it will.
    pub estimate: Ratio,
    /// Work between two checkpoints of a job; none, and it starts over.
    pub checkpoint: Option<Span>,
    /// Time before a job works again on new nodes.
    pub restart: Span,
    /// How a node is repaired that failed under a job.
    pub repair: RepairSection,
    /// Which jobs are listed.
    pub listing: Listing,
}

/// Where jobs come from.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// A generator, in a run that begins so many hours after a Monday began.
    Kalos(Kalos, u32),
    /// The jobs of a trace, in order of submission.
    Trace(Arc<[TraceJob]>),
}

impl WorkloadPlan {
    /// Whose streams its jobs are drawn from.
    #[must_use]
    pub fn entity(&self) -> Entity {
        Entity::named(&format!("workload.{}", self.name))
    }

    /// Its jobs, in order of submission.
    pub(super) fn stream(&self, seed: Seed) -> JobStream {
        match &self.source {
            Source::Kalos(mix, start) => {
                JobStream::Generated(Box::new(Generator::new(*mix, *start, self.entity(), seed)))
            }
            Source::Trace(jobs) => JobStream::Recorded(Arc::clone(jobs), 0),
        }
    }
}

/// Jobs being read.
#[derive(Debug)]
pub(super) enum JobStream {
    Generated(Box<Generator>),
    Recorded(Arc<[TraceJob]>, usize),
}

impl JobStream {
    /// The next job; none after the last.
    pub(super) fn next_job(&mut self) -> Option<TraceJob> {
        match self {
            JobStream::Generated(generator) => Some(generator.next_job()),
            JobStream::Recorded(jobs, next) => {
                let job = jobs.get(*next).copied()?;
                *next += 1;
                Some(job)
            }
        }
    }
}
