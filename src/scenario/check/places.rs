//! Sites and clusters.

use super::Check;
use super::header::Header;
use crate::catalog::{GPUS, GpuSheet, NODES, NodeSheet};
use crate::fault::{FailureLaw, FailureSection};
use crate::ledger::SitePlan;
use crate::scenario::file::{ClusterSection, CostSection};
use crate::units::{Bytes, Watts};
use crate::world::{ClusterPlan, Cost};

/// More than any operator has; keeps GPU counts far inside 32 bits.
const MOST_NODES: u32 = 10_000_000;

impl Check<'_> {
    /// The checked clusters; one that is wrong is `None`.
    pub(super) fn clusters(&mut self) -> Vec<Option<ClusterPlan>> {
        let typed = self.typed;
        typed.file.cluster.iter().map(|(name, section)| self.cluster(name, section)).collect()
    }

    fn cluster(&mut self, name: &str, section: &ClusterSection) -> Option<ClusterPlan> {
        let path = ["cluster", name];
        let named = self.is_plain_name(&path, name);
        let site = self.section(&["cluster", name, "site"], "site", &section.site);
        let node = self.sheet(&["cluster", name, "node"], &section.node, NODES, "nodes");
        let node = node.filter(|node| self.is_sound_node(&["cluster", name, "node"], node));
        let gpu = node.as_ref().and_then(|node| self.gpu(name, node));
        let counts = [
            self.is_positive(&["cluster", name, "nodes"], section.nodes),
            self.is_positive(&["cluster", name, "domains", "rack"], section.domains.rack),
            self.is_positive(&["cluster", name, "domains", "pod"], section.domains.pod),
            section.nodes <= MOST_NODES || self.no(&["cluster", name, "nodes"], "is more than ten million nodes"),
        ];
        let paid = self.cost_is_sound(name, &section.cost);
        if !named || !paid || counts.contains(&false) || !self.typed.sound(&path) {
            return None;
        }
        let (node, gpu) = (node?, gpu?);
        let cost = cost(&section.cost, &node);
        let (name, nodes, domains) = (name.to_owned(), section.nodes, section.domains);
        Some(ClusterPlan { name, site: site?, nodes, node, gpu, domains, cost })
    }

    fn cost_is_sound(&mut self, cluster: &str, section: &CostSection) -> bool {
        let CostSection::Owned(own) = section else { return true };
        let at = |key| ["cluster", cluster, "cost", "owned", key];
        let fine = [
            own.server_years.as_f64() > 0.0 || self.no(&at("server_years"), "must be above zero"),
            own.building_years.as_f64() > 0.0 || self.no(&at("building_years"), "must be above zero"),
            own.network.as_f64() < 1.0 || self.no(&at("network"), "must be below 1: the rest is the servers"),
        ];
        !fine.contains(&false)
    }

    fn gpu(&mut self, cluster: &str, node: &NodeSheet) -> Option<GpuSheet> {
        let path = ["cluster", cluster, "node", "gpu"];
        let gpu = self.sheet(&path, &node.gpu, GPUS, "gpus")?;
        let sound = [
            gpu.memory > Bytes::ZERO || self.no(&path, "has no memory"),
            gpu.bandwidth.as_f64() > 0.0 || self.no(&path, "has no bandwidth"),
            gpu.peak_16bit.as_f64() > 0.0 || self.no(&path, "has no arithmetic speed"),
            gpu.idle <= gpu.training || self.no(&path, "draws more when idle than in training"),
        ];
        (!sound.contains(&false)).then_some(gpu)
    }

    fn is_sound_node(&mut self, path: &[&str], node: &NodeSheet) -> bool {
        let gpus = [path, &["gpus"]].concat();
        let sound = [
            self.is_positive(&gpus, node.gpus),
            node.gpus <= 1_024 || self.no(&gpus, "is more than 1024 accelerators in one server"),
            node.host_idle <= node.host_busy || self.no(path, "has a host that draws more when idle than when busy"),
            node.rated > Watts::ZERO || self.no(path, "has a nameplate of zero watts"),
        ];
        !sound.contains(&false)
    }

    /// The failure law of each cluster's nodes; one that is wrong is `None`.
    pub(super) fn failures(&mut self) -> Vec<Option<FailureLaw>> {
        let typed = self.typed;
        let clusters = typed.file.cluster.iter();
        clusters.map(|(name, section)| self.failure_law(name, &section.failures)).collect()
    }

    fn failure_law(&mut self, cluster: &str, section: &FailureSection) -> Option<FailureLaw> {
        let _ = cluster;
        match section {
            FailureSection::None {} => Some(FailureLaw::None),
            _ => None,
        }
    }

    /// The checked sites; one that is wrong is `None`.
    pub(super) fn sites(&mut self, header: Option<&Header>, clusters: &[Option<ClusterPlan>]) -> Vec<Option<SitePlan>> {
        let _ = (header, clusters);
        Vec::new()
    }

    /// True where `count` is at least one; else complains.
    pub(super) fn is_positive(&mut self, path: &[&str], count: u32) -> bool {
        count > 0 || self.no(path, "must be at least 1, found 0")
    }

    /// Complains, and says no.
    pub(super) fn no(&mut self, path: &[&str], why: &str) -> bool {
        self.refuse(path, why, None);
        false
    }
}

/// What holding a GPU costs.
fn cost(section: &CostSection, node: &NodeSheet) -> Cost {
    match section {
        CostSection::Rented { gpu_hour } => Cost::Rented(*gpu_hour),
        CostSection::Owned(ownership) => Cost::Owned(ownership.hourly(node)),
    }
}
