//! `bursts.<domain> = …` of a cluster: faults that take more than one node, because the nodes share something.

use super::symptom::Symptom;
use crate::engine::Stream;
use crate::units::{PerSecond, Share, SimTime, Span};
use crate::world::Domain;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// `bursts` as written: one point process for each kind of failure domain.
pub type BurstsSection = ByDomain<Burst>;

/// Something for each kind of failure domain.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ByDomain<T> {
    /// Of each GPU; it is its node's.
    pub gpu: Option<T>,
    /// Of each node.
    pub node: Option<T>,
    /// Of each rack.
    pub rack: Option<T>,
    /// Of each power distribution unit.
    pub power_unit: Option<T>,
    /// Of each leaf switch.
    pub switch: Option<T>,
    /// Of each cooling loop.
    pub cooling_loop: Option<T>,
    /// Of the whole site.
    pub site: Option<T>,
}

impl<T> Default for ByDomain<T> {
    fn default() -> ByDomain<T> {
        ByDomain { gpu: None, node: None, rack: None, power_unit: None, switch: None, cooling_loop: None, site: None }
    }
}

impl<T: Copy> ByDomain<T> {
    /// The kinds that were given, the smallest domain first.
    #[must_use]
    pub fn given(&self) -> Vec<(Domain, T)> {
        let all = [self.gpu, self.node, self.rack, self.power_unit, self.switch, self.cooling_loop, self.site];
        Domain::ALL.into_iter().zip(all).filter_map(|(domain, one)| Some((domain, one?))).collect()
    }
}

/// Faults of one kind of domain: memoryless, each domain by itself.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Burst {
    /// How often, for each such domain.
    pub rate: PerSecond,
    /// Which of the domain's nodes it takes.
    #[serde(default)]
    pub hits: Blast,
    /// Over how long they fail: each at a moment of its own, uniform in this time; zero, all at once.
    #[serde(default)]
    pub spread: Span,
    /// Mean time until the domain is back with all that it took, exponential; unset, each node is repaired by itself.
    pub repair: Option<Span>,
}

/// The nodes that a burst takes.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Blast {
    /// All of the domain.
    Whole {},
    /// Each with this probability.
    Share(Share),
    /// `least` of them and a geometric number more, at random.
    Batch {
        /// The fewest.
        least: u32,
        /// Mean of what comes on top, geometric from zero.
        extra: f64,
    },
}

impl Default for Blast {
    fn default() -> Blast {
        Blast::Whole {}
    }
}

impl Burst {
    /// The nodes among `domain` that one burst takes, and how long after it began each fails.
    pub(super) fn victims(&self, domain: Range<u32>, chance: &mut Stream) -> Vec<(Span, u32)> {
        let nodes: Vec<u32> = match self.hits {
            Blast::Whole {} => domain.collect(),
            Blast::Share(share) => domain.filter(|_| chance.uniform() < share.as_f64()).collect(),
            Blast::Batch { least, extra } => batch(domain, least.saturating_add(geometric(extra, chance)), chance),
        };
        let spread = self.spread;
        let after = |node| (if spread > Span::ZERO { spread.scale(chance.uniform()) } else { Span::ZERO }, node);
        nodes.into_iter().map(after).collect()
    }

    /// The mean number of nodes that it takes of `nodes` that share a domain of `size`.
    #[must_use]
    pub fn mean_hits(&self, nodes: u32, size: u32) -> f64 {
        let (held, size) = (f64::from(nodes.min(size)), f64::from(size));
        match self.hits {
            Blast::Whole {} => held,
            Blast::Share(share) => held * share.as_f64(),
            Blast::Batch { least, extra } => held * ((f64::from(least) + extra) / size).min(1.0),
        }
    }

    /// How likely it is to take any of `nodes` that share a domain of `size`; batches as if drawn with replacement.
    #[must_use]
    pub fn chance_of_a_hit(&self, nodes: u32, size: u32) -> f64 {
        let held = f64::from(nodes.min(size));
        match self.hits {
            Blast::Whole {} => 1.0,
            Blast::Share(share) => 1.0 - libm::pow(1.0 - share.as_f64(), held),
            Blast::Batch { least, extra } => 1.0 - libm::pow(1.0 - held / f64::from(size), f64::from(least) + extra),
        }
    }
}

/// `count` different nodes of `domain`, at random, ascending; all of them where it has no more.
fn batch(domain: Range<u32>, count: u32, chance: &mut Stream) -> Vec<u32> {
    let size = domain.end - domain.start;
    if count >= size {
        return domain.collect();
    }
    let mut nodes = Vec::with_capacity(count as usize);
    while nodes.len() < count as usize {
        let node = domain.start + chance.below(size);
        if !nodes.contains(&node) {
            nodes.push(node);
        }
    }
    nodes.sort_unstable();
    nodes
}

/// Geometric from zero with that mean, by inversion.
fn geometric(mean: f64, chance: &mut Stream) -> u32 {
    if mean <= 0.0 {
        return 0;
    }
    (libm::log(chance.uniform()) / libm::log(mean / (1.0 + mean))) as u32
}

/// One fault: at one instant, of nodes that share a cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// When, on the failure clock.
    pub at: SimTime,
    /// What broke: a copy of the checkpoint that does not survive it is gone.
    pub domain: Domain,
    /// All nodes that it takes, ascending, whoever holds them.
    pub nodes: Vec<u32>,
    /// Until all of them are back together; `None` where each is repaired by itself.
    pub repair: Option<Span>,
    /// The same for each of them, in their order, where they differ; else empty.
    pub repairs: Vec<Option<Span>>,
    /// How it shows.
    pub symptom: Symptom,
}

impl Fault {
    /// Until `node`, one that it takes, is back; `None` where it is repaired by itself.
    #[must_use]
    pub fn repair_of(&self, node: u32) -> Option<Span> {
        if self.repairs.is_empty() {
            return self.repair;
        }
        self.nodes.iter().position(|&other| other == node).and_then(|place| self.repairs[place])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Entity, Seed};

    fn burst(hits: Blast) -> Burst {
        Burst { rate: PerSecond::new(1e-6), hits, spread: Span::ZERO, repair: None }
    }

    #[test]
    fn bursts_take_the_nodes_that_they_say() {
        let mut chance = Seed { seed: 1, replication: 0 }.stream(Entity::named("test"), "burst");
        // StepFun's batches: 2 + geometric of mean 1.57. Three standard errors.
        for (hits, mean, tolerance) in [
            (Blast::Whole {}, 400.0, 0.0),
            (Blast::Share(Share::new(0.25)), 100.0, 0.3),
            (Blast::Batch { least: 2, extra: 1.57 }, 3.57, 0.07),
        ] {
            let burst = burst(hits);
            let bursts = 10_000;
            let hit: usize = (0..bursts)
                .map(|_| {
                    let victims = burst.victims(400..800, &mut chance);
                    assert!(victims.iter().all(|&(after, node)| after == Span::ZERO && (400..800).contains(&node)));
                    victims.len()
                })
                .sum();
            let found = hit as f64 / f64::from(bursts);
            assert!((found - mean).abs() <= tolerance, "{hits:?}: {found}, not {mean}");
            assert!((burst.mean_hits(400, 400) - mean).abs() < 1e-9);
        }
    }

    #[test]
    fn a_spread_burst_takes_its_nodes_one_after_the_other() {
        let mut chance = Seed { seed: 1, replication: 0 }.stream(Entity::named("test"), "burst");
        let spread = Span::from_secs(600);
        let victims = Burst { spread, ..burst(Blast::Whole {}) }.victims(0..1_000, &mut chance);
        assert!(victims.iter().all(|&(after, _)| after < spread));
        let mean = victims.iter().map(|(after, _)| after.as_secs_f64()).sum::<f64>() / 1_000.0;
        // Three standard errors: 3 x 600 / sqrt(12 x 1,000).
        assert!((mean - 300.0).abs() < 16.5, "{mean} s");
    }

    #[test]
    fn the_chance_of_a_hit_grows_with_what_is_held() {
        for (hits, nodes, chance) in [
            (Blast::Whole {}, 1, 1.0),
            (Blast::Share(Share::new(0.5)), 2, 0.75),
            (Blast::Batch { least: 2, extra: 0.0 }, 50, 0.75),
            (Blast::Batch { least: 2, extra: 0.0 }, 500, 1.0),
        ] {
            assert!((burst(hits).chance_of_a_hit(nodes, 100) - chance).abs() < 1e-12, "{hits:?}");
        }
    }
}
