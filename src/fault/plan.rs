//! How the nodes of a cluster fail, once checked.

use super::burst::Burst;
use super::law::{FailureLaw, InitialAge};
use super::maintenance::Maintenance;
use super::modulation::Modulation;
use super::replay::Replay;
use super::straggler::Straggler;
use super::symptom::Symptoms;
use crate::units::{PerSecond, Span};
use crate::world::{Domain, DomainTree, Domains};
use std::sync::Arc;

/// How the nodes of a cluster fail: each by itself, and together.
#[derive(Debug, Clone, PartialEq)]
pub struct FaultPlan {
    /// Each node by itself.
    pub law: FailureLaw,
    /// How old each node is at the start, whatever the law says of all of them.
    pub ages: Option<Arc<[Span]>>,
    /// Domains that take nodes with them.
    pub bursts: Vec<(Domain, Burst)>,
    /// Domains that become slow.
    pub stragglers: Vec<(Domain, Straggler)>,
    /// Work that is announced, by name.
    pub maintenance: Vec<(String, Maintenance)>,
    /// Faults of a file, instead of or beside the laws.
    pub replay: Option<Replay>,
    /// How the nodes' own failures show.
    pub symptoms: Symptoms,
    /// When all of it happens more often, and when less.
    pub modulation: Modulation,
    /// Hour of the week, from Monday 00:00 UTC, in which the run starts.
    pub first_hour: u32,
    /// What stands in which domain.
    pub tree: DomainTree,
}

impl From<FailureLaw> for FaultPlan {
    /// Each node by itself and nothing else.
    fn from(law: FailureLaw) -> FaultPlan {
        let tree = DomainTree { nodes: u32::MAX, gpus_per_node: 1, sizes: Domains::default() };
        FaultPlan {
            law,
            ages: None,
            bursts: Vec::new(),
            stragglers: Vec::new(),
            maintenance: Vec::new(),
            replay: None,
            symptoms: Symptoms::default(),
            modulation: Modulation::default(),
            first_hour: 0,
            tree,
        }
    }
}

impl FaultPlan {
    /// How often any of `nodes` consecutive nodes fails, however many at once; factors of the time are taken as 1.
    #[must_use]
    pub fn rate_of(&self, nodes: u32) -> PerSecond {
        let replayed = self.replay.as_ref().map_or(0.0, |replay| replay.rate().as_f64());
        let alone = (self.law.rate().as_f64() + replayed) * f64::from(nodes);
        let together = self.bursts.iter().map(|(domain, burst)| {
            let size = self.tree.size(*domain);
            let instances = f64::from(nodes.div_ceil(size) * self.tree.for_each_group(*domain));
            instances * burst.rate.as_f64() * burst.chance_of_a_hit(nodes, size)
        });
        PerSecond::new(alone + together.sum::<f64>())
    }

    /// What a service sees of it: memoryless, at the long-run rate of one node, bursts included.
    #[must_use]
    pub fn of_one_node(&self) -> FailureLaw {
        let replayed = self.replay.as_ref().map_or(0.0, |replay| replay.rate().as_f64());
        if self.bursts.is_empty() && self.replay.is_none() {
            return self.law;
        }
        let together = self.bursts.iter().map(|(domain, burst)| {
            let groups = f64::from(self.tree.for_each_group(*domain));
            groups * burst.rate.as_f64() * burst.mean_hits(1, self.tree.size(*domain))
        });
        let rate = PerSecond::new(self.law.rate().as_f64() + replayed + together.sum::<f64>());
        FailureLaw::Weibull { rate, shape: 1.0, initial_age: InitialAge::Stationary }
    }
}

#[cfg(test)]
mod tests {
    use super::super::burst::Blast;
    use super::*;
    use crate::units::Share;

    #[test]
    fn rates_count_nodes_and_domains() {
        let day = PerSecond::per_day;
        let burst = |rate, hits| Burst { rate: day(rate), hits, spread: Span::ZERO, repair: None };
        let plan = FaultPlan {
            law: FailureLaw::Weibull { rate: day(0.01), shape: 1.0, initial_age: InitialAge::New },
            bursts: vec![
                (Domain::Gpu, burst(0.001, Blast::Whole {})),
                (Domain::Rack, burst(0.02, Blast::Whole {})),
                (Domain::Site, burst(0.1, Blast::Share(Share::new(0.5)))),
            ],
            tree: DomainTree { nodes: 100, gpus_per_node: 8, sizes: Domains::default() },
            ..FailureLaw::None.into()
        };
        // 8 nodes: 0.08 alone, 64 GPUs, 2 racks, and the site's burst misses all eight once in 256.
        let expected = 0.08 + 0.064 + 0.04 + 0.1 * 255.0 / 256.0;
        assert!((plan.rate_of(8).as_f64() * 86_400.0 - expected).abs() < 1e-9);
        let one = 0.01 + 0.008 + 0.02 + 0.05;
        assert!((plan.of_one_node().rate().as_f64() * 86_400.0 - one).abs() < 1e-9);
    }
}
