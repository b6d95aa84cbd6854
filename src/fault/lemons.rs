//! Nodes that differ: a rate of its own for each node of a fleet, which it keeps for the whole run.

use super::draws::NodeDraws;
use super::gamma;
use super::law::Mixture;
use crate::engine::{Entity, Seed};

/// The rates of a fleet's nodes over their mean: gamma variates of mean 1, so that the faults of identical exposure are negative
/// binomial (models/training.md section 3).
#[derive(Debug, Clone)]
pub(super) struct Lemons {
    mixture: Mixture,
    draws: NodeDraws,
    /// By node; zero where the node has not been met.
    factors: Vec<f64>,
}

impl Lemons {
    /// The nodes of `cluster` (`cluster.<name>`).
    pub(super) fn new(mixture: Mixture, seed: Seed, cluster: Entity) -> Lemons {
        Lemons { mixture, draws: NodeDraws::new(seed, cluster, "rate"), factors: Vec::new() }
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
            let shape = self.mixture.shape;
            self.factors[slot] = (gamma::quantile(shape, draw) / shape).max(LEAST);
        }
        self.factors[slot]
    }

    /// Another node takes the place of `node`.
    pub(super) fn redraw(&mut self, node: u32) {
        if let Some(factor) = self.factors.get_mut(node as usize) {
            *factor = 0.0;
        }
    }
}
