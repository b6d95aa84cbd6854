//! A training job once checked: every name resolved, every number in range.

use super::{Checkpoint, Planned, Progress, Recovery, Spares};
use crate::catalog::ModelSheet;
use crate::fault::FailureLaw;
use crate::power::NodePower;
use crate::units::{FlopsPerSecond, Ratio, Span, Tokens};

/// A checked training job.
#[derive(Debug, Clone, PartialEq)]
pub struct JobPlan {
    /// Name in the scenario, without the `training.` in front.
    pub name: String,
    /// Index of its cluster.
    pub cluster: usize,
    /// Name of its cluster, for random streams: `cluster.<name>` owns the faults.
    pub cluster_name: String,
    /// What it trains.
    pub model: ModelSheet,
    /// Nodes that compute; spares come on top.
    pub nodes: u32,
    /// GPUs of a node.
    pub gpus_per_node: u32,
    /// Dense 16-bit peak of one GPU.
    pub peak: FlopsPerSecond,
    /// Power of the node by state.
    pub power: NodePower,
    /// How its nodes fail.
    pub failures: FailureLaw,
    /// Tokens to train on.
    pub tokens: Tokens,
    /// Speed.
    pub progress: Progress,
    /// When it is submitted, after the scenario's start.
    pub submit: Span,
    /// Spare nodes that it reserves.
    pub spares: Spares,
    /// What follows a failure.
    pub recovery: Recovery,
    /// Checkpoint tiers, by name.
    pub checkpoint: Vec<(String, Checkpoint)>,
    /// Planned interruptions.
    pub planned: Planned,
    /// Development over the final run, in the comparison only.
    pub research_multiplier: Ratio,
}
