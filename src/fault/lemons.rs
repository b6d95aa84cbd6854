//! Nodes that differ: a rate of its own for each node of a fleet, which it keeps until another one, or a cured one, stands in its place.

use super::draws::NodeDraws;
use super::gamma;
use super::law::{Mixture, TwoClass};
use crate::engine::{Entity, Seed};

/// How the nodes of a fleet differ; the mean of their rates is that of the law.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Difference {
    /// Gamma variates, so that the faults of identical exposure are negative binomial.
    Gamma(Mixture),
    /// Lemons, and the rest.
    TwoClass(TwoClass),
}

/// The rates of a fleet's nodes over their mean.
#[derive(Debug, Clone)]
pub(super) struct Lemons {
    difference: Difference,
    draws: NodeDraws,
    /// By node; zero where the node has not been met.
    factors: Vec<f64>,
}

impl Lemons {
    /// The nodes of `cluster` (`cluster.<name>`).
    pub(super) fn new(difference: Difference, seed: Seed, cluster: Entity) -> Lemons {
        Lemons { difference, draws: NodeDraws::new(seed, cluster, "rate"), factors: Vec::new() }
    }

    /// How much more often than the mean `node` fails.
    pub(super) fn factor(&mut self, node: u32) -> f64 {
        // Once in the age of the universe is never, and keeps a lifetime finite.
        const LEAST: f64 = 1e-12;
        let slot = node as usize;
        if slot >= self.factors.len() {
            self.factors.resize(slot + 1, 0.0);
        }
        if self.factors[slot] == 0.0 {
            let draw = if self.draws.is_fresh(node) { self.draws.first(node) } else { self.draws.next(node) };
            let factor = match self.difference {
                Difference::Gamma(Mixture { shape }) => gamma::quantile(shape, draw) / shape,
                Difference::TwoClass(lemons) if draw < lemons.share.as_f64() => lemons.factor * lemons.rest(),
                Difference::TwoClass(lemons) => lemons.rest(),
            };
            self.factors[slot] = factor.max(LEAST);
        }
        self.factors[slot]
    }

    /// What a repair that fixes makes of `node`.
    pub(super) fn cure(&mut self, node: u32) {
        if let Difference::TwoClass(lemons @ TwoClass { cured: true, .. }) = self.difference {
            self.factors[node as usize] = lemons.rest();
        }
    }

    /// Whether a repair that does not fix leaves a node what it was.
    pub(super) fn are_cured(&self) -> bool {
        matches!(self.difference, Difference::TwoClass(TwoClass { cured: true, .. }))
    }

    /// Another node takes the place of `node`.
    pub(super) fn redraw(&mut self, node: u32) {
        if let Some(factor) = self.factors.get_mut(node as usize) {
            *factor = 0.0;
        }
    }
}

impl TwoClass {
    /// The rate of a node that is no lemon over the mean: `1 / (1 + share (factor - 1))`, 0.625 of AIReSim's 15 % at 5 times.
    fn rest(&self) -> f64 {
        1.0 / (1.0 + self.share.as_f64() * (self.factor - 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Share;

    #[test]
    fn lemons_are_as_many_and_as_bad_as_given_until_they_are_cured() {
        let two = TwoClass { share: Share::new(0.15), factor: 5.0, cured: true };
        let seed = Seed { seed: 1, replication: 0 };
        let mut lemons = Lemons::new(Difference::TwoClass(two), seed, Entity::named("cluster.main"));
        let factors: Vec<f64> = (0..20_000).map(|node| lemons.factor(node)).collect();
        let bad: Vec<u32> = (0..20_000).filter(|&node| factors[node as usize] > 1.0).collect();
        assert!((bad.len() as f64 / 20_000.0 - 0.15).abs() < 0.0076, "three standard errors: {}", bad.len());
        let mean = factors.iter().sum::<f64>() / 20_000.0;
        assert!((mean - 1.0).abs() < 0.02, "the mean node has the rate given: {mean}");
        assert_eq!(factors[bad[0] as usize], 3.125);
        lemons.cure(bad[0]);
        assert_eq!(lemons.factor(bad[0]), 0.625);
    }
}
