//! A cluster: identical nodes at one site.

use super::{ClusterPower, DomainTree, Domains};
use crate::catalog::{CapSheet, GpuSheet, NodeSheet};
use crate::units::{DollarsPerHour, GramsPerHour};

/// What a node costs whoever holds it, energy apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cost {
    /// A price for each GPU-hour held; energy is inside it.
    Rented(DollarsPerHour),
    /// Annuity of server, network and building, and maintenance, for each GPU-hour; energy is billed on top.
    Owned(DollarsPerHour),
}

/// A checked cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct ClusterPlan {
    /// Name in the scenario.
    pub name: String,
    /// Index of its site.
    pub site: usize,
    /// How many nodes.
    pub nodes: u32,
    /// What each node is.
    pub node: NodeSheet,
    /// Its accelerator, resolved.
    pub gpu: GpuSheet,
    /// Domain sizes.
    pub domains: Domains,
    /// Cost of holding a GPU.
    pub cost: Cost,
    /// Carbon of making the hardware, for each GPU-hour of its life.
    pub embodied: GramsPerHour,
    /// Its limits, and what nodes do that nobody holds.
    pub power: ClusterPower,
    /// How its accelerators answer a cap, resolved.
    pub response: CapSheet,
}

impl ClusterPlan {
    /// GPUs in the cluster.
    #[must_use]
    pub fn gpus(&self) -> u32 {
        self.nodes * self.node.gpus
    }

    /// What breaks together.
    #[must_use]
    pub fn domain_tree(&self) -> DomainTree {
        DomainTree { nodes: self.nodes, gpus_per_node: self.node.gpus, sizes: self.domains }
    }
}
