//! A cluster: identical nodes at one site.

use super::ClusterPower;
use crate::catalog::{CapSheet, GpuSheet, NodeSheet};
use crate::units::DollarsPerHour;
use schemars::JsonSchema;
use serde::Deserialize;

/// Sizes of the failure and power domains, in nodes; consecutive nodes share a domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Domains {
    /// Nodes that share a rack.
    pub rack: u32,
    /// Nodes that share a row of racks and its power feed.
    pub row: u32,
    /// Nodes that share a leaf switch.
    pub pod: u32,
}

impl Default for Domains {
    fn default() -> Domains {
        // Llama 3's cluster: 2 servers a rack, 3,072 GPUs a pod (arXiv:2407.21783 section 3.3.1); 4 is what 40 kW racks hold.
        // A row of 40 servers: POLCA (arXiv:2308.12908).
        Domains { rack: 4, row: 40, pod: 128 }
    }
}

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
}
