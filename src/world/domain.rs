//! Failure domains: what breaks together. Consecutive nodes share a rack, a power unit, a switch, a cooling loop.

use schemars::JsonSchema;
use serde::Deserialize;
use std::ops::Range;

/// A kind of failure domain. Ordered by how much stands in it: a copy that survives the loss of a switch survives that of a rack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Domain {
    /// One GPU; takes its node with it.
    Gpu,
    /// One node.
    Node,
    /// The nodes of a rack.
    Rack,
    /// The nodes behind one power distribution unit.
    PowerUnit,
    /// The nodes on one leaf switch.
    Switch,
    /// The nodes on one cooling loop.
    CoolingLoop,
    /// Everything.
    Site,
}

impl Domain {
    /// Every kind, the smallest first.
    pub const ALL: [Domain; 7] =
        [Domain::Gpu, Domain::Node, Domain::Rack, Domain::PowerUnit, Domain::Switch, Domain::CoolingLoop, Domain::Site];

    /// Name in the scenario and the outputs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Domain::Gpu => "gpu",
            Domain::Node => "node",
            Domain::Rack => "rack",
            Domain::PowerUnit => "power_unit",
            Domain::Switch => "switch",
            Domain::CoolingLoop => "cooling_loop",
            Domain::Site => "site",
        }
    }
}

/// Sizes of the failure domains, in nodes; consecutive nodes share a domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Domains {
    /// Nodes that share a rack.
    pub rack: u32,
    /// Nodes that share a power distribution unit.
    pub power_unit: u32,
    /// Nodes that share a leaf switch.
    pub switch: u32,
    /// Nodes that share a cooling loop.
    pub cooling_loop: u32,
}

impl Default for Domains {
    fn default() -> Domains {
        Domains {
            // 4 is what 40 kW racks hold; Llama 3's have 2 (arXiv:2407.21783 section 3.3.1).
            rack: 4,
            // Assumed: 160 kW of one distribution unit carry four such racks.
            power_unit: 16,
            // A scalable unit of NVIDIA's DGX H100 SuperPOD (RA-11333): 32 nodes, each on all leaf switches of the unit.
            switch: 32,
            // Assumed: a coolant distribution unit of 1.3 MW carries 128 nodes of 10.2 kW.
            cooling_loop: 128,
        }
    }
}

/// The domains of one cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DomainTree {
    /// Nodes of the cluster.
    pub nodes: u32,
    /// GPUs of a node.
    pub gpus_per_node: u32,
    /// Sizes.
    pub sizes: Domains,
}

impl DomainTree {
    /// How many nodes a whole `domain` has; a GPU takes its node.
    #[must_use]
    pub fn size(&self, domain: Domain) -> u32 {
        match domain {
            Domain::Gpu | Domain::Node => 1,
            Domain::Rack => self.sizes.rack,
            Domain::PowerUnit => self.sizes.power_unit,
            Domain::Switch => self.sizes.switch,
            Domain::CoolingLoop => self.sizes.cooling_loop,
            Domain::Site => self.nodes,
        }
    }

    /// How many instances of `domain` there are for each group of [`size`](DomainTree::size) nodes.
    #[must_use]
    pub fn for_each_group(&self, domain: Domain) -> u32 {
        if domain == Domain::Gpu { self.gpus_per_node } else { 1 }
    }

    /// The instances of `domain` that `node` stands in.
    #[must_use]
    pub fn instances_at(&self, domain: Domain, node: u32) -> Range<u32> {
        let each = self.for_each_group(domain);
        let first = node / self.size(domain) * each;
        first..first + each
    }

    /// The nodes of the `instance`-th `domain`.
    #[must_use]
    pub fn nodes_of(&self, domain: Domain, instance: u32) -> Range<u32> {
        let size = self.size(domain);
        let first = instance / self.for_each_group(domain) * size;
        first..first.saturating_add(size).min(self.nodes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consecutive_nodes_share_domains_and_the_last_one_may_be_smaller() {
        let tree = DomainTree { nodes: 50, gpus_per_node: 8, sizes: Domains::default() };
        for (domain, node, instances, nodes) in [
            (Domain::Gpu, 3, 24..32, 3..4),
            (Domain::Node, 3, 3..4, 3..4),
            (Domain::Rack, 49, 12..13, 48..50),
            (Domain::PowerUnit, 49, 3..4, 48..50),
            (Domain::Switch, 31, 0..1, 0..32),
            (Domain::CoolingLoop, 49, 0..1, 0..50),
            (Domain::Site, 49, 0..1, 0..50),
        ] {
            assert_eq!(tree.instances_at(domain, node), instances, "{domain:?}");
            assert_eq!(tree.nodes_of(domain, instances.start), nodes, "{domain:?}");
        }
    }
}
