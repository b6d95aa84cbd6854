//! Sites and clusters.

use super::Check;
use super::header::Header;
use crate::catalog::{GPUS, GpuSheet, NODES, NodeSheet};
use crate::facility::{Facility, FacilitySection};
use crate::ledger::SitePlan;
use crate::scenario::file::{ClusterSection, CostSection, SiteSection};
use crate::units::{Bytes, PerSecond, Watts};
use crate::world::{ClusterPlan, Cost};

/// More than any operator has; with 256 GPUs each the count of GPUs stays inside 32 bits.
const MOST_NODES: u32 = 10_000_000;

/// More than any server draws; keeps sums over all nodes inside the clock's and the meter's integers.
const MOST_POWER: Watts = Watts::new(1_000_000);

/// More than any accelerator has.
const LARGEST_MEMORY: Bytes = Bytes::new(100_000_000_000_000);

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
            self.is_positive(&["cluster", name, "domains", "power_unit"], section.domains.power_unit),
            self.is_positive(&["cluster", name, "domains", "switch"], section.domains.switch),
            self.is_positive(&["cluster", name, "domains", "cooling_loop"], section.domains.cooling_loop),
            section.nodes <= MOST_NODES || self.no(&["cluster", name, "nodes"], "is more than ten million nodes"),
        ];
        let paid = self.cost_is_sound(name, &section.cost);
        let response = self.response(name, section);
        if !named || !paid || counts.contains(&false) || !self.typed.sound(&path) {
            return None;
        }
        let (node, gpu) = (node?, gpu?);
        let response = response?;
        if !self.limits_are_sound(name, section, &gpu, &response) {
            return None;
        }
        let node = section.power.with_network(&node, &gpu, section.nodes);
        let cost = cost(&section.cost, &node);
        let (name, nodes, domains) = (name.to_owned(), section.nodes, section.domains);
        let (power, embodied) = (section.power.clone(), section.embodied);
        Some(ClusterPlan { name, site: site?, nodes, node, gpu, domains, cost, embodied, power, response })
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
            gpu.memory <= LARGEST_MEMORY || self.no(&path, "has more than 100 TB of memory"),
            draws(&gpu).iter().all(|&draw| draw <= MOST_POWER) || self.no(&path, "draws more than a megawatt"),
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
            node.gpus <= 256 || self.no(&gpus, "is more than 256 accelerators in one server"),
            node.rated.max(node.host_busy) <= MOST_POWER || self.no(path, "draws more than a megawatt"),
            node.host_idle <= node.host_busy || self.no(path, "has a host that draws more when idle than when busy"),
            node.rated > Watts::ZERO || self.no(path, "has a nameplate of zero watts"),
        ];
        !sound.contains(&false)
    }

    /// The checked sites; one that is wrong is `None`.
    pub(super) fn sites(&mut self, header: Option<&Header>, clusters: &[Option<ClusterPlan>]) -> Vec<Option<SitePlan>> {
        self.at_each_site(clusters, |check, (name, section), here| check.site(name, section, header, here))
    }

    /// What `look` finds at each site, given its name, its section and the sound clusters that stand there.
    pub(super) fn at_each_site<T>(
        &mut self,
        clusters: &[Option<ClusterPlan>],
        mut look: impl FnMut(&mut Self, (&str, &SiteSection), &[&ClusterPlan]) -> T,
    ) -> Vec<T> {
        let typed = self.typed;
        let sites = typed.file.site.iter().enumerate();
        let found = sites.map(|(index, (name, section))| {
            let here: Vec<_> = clusters.iter().flatten().filter(|cluster| cluster.site == index).collect();
            look(self, (name, section), &here)
        });
        found.collect()
    }

    fn site(
        &mut self,
        name: &str,
        section: &SiteSection,
        header: Option<&Header>,
        here: &[&ClusterPlan],
    ) -> Option<SitePlan> {
        let plain = self.is_plain_name(&["site", name], name);
        let (nameplate, nodes) = here.iter().fold((Watts::ZERO, 0_u32), |(watts, nodes), cluster| {
            (watts + nameplate(cluster) * u64::from(cluster.nodes), nodes.saturating_add(cluster.nodes))
        });
        let facility = self.facility(name, &section.facility, (nameplate, nodes), header);
        let market = self.market(name, section, header);
        if !plain || !self.typed.sound(&["site", name]) {
            return None;
        }
        let (facility, power_limit) = (facility?, section.power_limit);
        if let Some(limit) = power_limit.filter(|_| section.capping.is_none()) {
            self.is_within_limit(name, &facility, nameplate, limit);
        }
        Some(SitePlan { name: name.to_owned(), facility, market: market?, power_limit })
    }

    /// The facility of a site of so many watts and nodes through the hours of the run.
    fn facility(
        &mut self,
        site: &str,
        section: &FacilitySection,
        rated: (Watts, u32),
        header: Option<&Header>,
    ) -> Option<Facility> {
        match section {
            FacilitySection::Constant(constant) => {
                let why = "must be at least 1: PUE is facility energy over IT energy, which is part of it";
                let sound =
                    constant.pue.as_f64() >= 1.0 || self.no(&["site", site, "facility", "constant", "pue"], why);
                sound.then_some(Facility::Constant(*constant))
            }
            FacilitySection::Series(series) => self.measured_facility(site, series, header?),
            FacilitySection::Weather(weather) => self.weather(site, weather, rated, header?),
        }
    }

    /// Complains where a site's nameplate could pass its limit and nothing caps power.
    fn is_within_limit(&mut self, site: &str, facility: &Facility, nameplate: Watts, limit: Watts) {
        let (most, how) = match facility {
            Facility::Constant(constant) => {
                let most = Watts::from_f64(nameplate.as_f64() * constant.pue.as_f64());
                (most, format!("x PUE {}", constant.pue))
            }
            _ => (facility.worst(nameplate), "in the facility's worst hour".to_owned()),
        };
        if most > limit {
            let message = format!("is {limit}, but the site's nodes could draw {most} (nameplate {nameplate} {how})");
            let help = "add capping = { polca = {} } to hold it there, use fewer nodes, or limit them with cluster.<name>.power.gpu_limit".to_owned();
            self.refuse(&["site", site, "power_limit"], message, help);
        }
    }

    /// True where `rate` is above zero and at most `most`; else complains.
    pub(super) fn is_a_rate(&mut self, path: &[&str], rate: PerSecond, most: PerSecond) -> bool {
        let slow = rate <= most || self.no(path, &format!("must be at most {most}, found {rate}"));
        slow && (rate > PerSecond::new(0.0) || self.no(path, "must be above zero"))
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

/// What a node could draw: its nameplate, or less where its accelerators are limited.
fn nameplate(cluster: &ClusterPlan) -> Watts {
    let limited = cluster.power.gpu_limit.map(|limit| limit * u64::from(cluster.node.gpus) + cluster.node.host_busy);
    limited.map_or(cluster.node.rated, |limited| limited.min(cluster.node.rated))
}

/// Every power figure of a sheet.
fn draws(gpu: &GpuSheet) -> [Watts; 7] {
    [gpu.tdp, gpu.idle, gpu.resident, gpu.training, gpu.checkpoint, gpu.decode, gpu.prefill]
}
