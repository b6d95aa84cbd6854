//! The repair shop: broken nodes wait there until they are as good as new.

use super::draws::NodeDraws;
use crate::engine::{Calendar, Entity, EventKey, Seed};
use crate::units::{SimTime, Span};

/// Class of an ended repair in event keys; one calendar holds nothing else.
const REPAIRED: u8 = 0;

/// Nodes in repair. Each repair takes an exponential time of one mean, drawn from the node's own stream; crews are unlimited.
#[derive(Debug, Clone)]
pub struct RepairShop {
    mean: Span,
    draws: NodeDraws,
    pending: Calendar,
}

impl RepairShop {
    /// An empty shop for the nodes of `cluster` (`cluster.<name>`).
    #[must_use]
    pub fn new(mean: Span, seed: Seed, cluster: Entity) -> RepairShop {
        RepairShop { mean, draws: NodeDraws::new(seed, cluster, "repair"), pending: Calendar::default() }
    }

    /// True where a failure leaves the node whole: a reboot in place, inside the job's own restart.
    #[must_use]
    pub fn is_instant(&self) -> bool {
        self.mean == Span::ZERO
    }

    /// Takes `node` in at `at`.
    pub fn admit(&mut self, node: u32, at: SimTime) {
        let length = self.mean.scale(-libm::log(self.draws.next(node)));
        self.admit_for(length, node, at);
    }

    /// Takes `node` in at `at`, with a repair of its domain that takes `length`.
    pub fn admit_for(&mut self, length: Span, node: u32, at: SimTime) {
        self.pending.push(EventKey::new(at + length, REPAIRED, node, 0), ());
    }

    /// How many nodes are in repair.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.pending.len() as u32
    }

    /// True where no node is in repair.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// When the next node comes back; [`SimTime::NEVER`] where none is in repair.
    #[must_use]
    pub fn next_time(&self) -> SimTime {
        self.pending.peek().map_or(SimTime::NEVER, |(key, ())| key.time())
    }

    /// Takes the next repaired node out.
    pub fn pop(&mut self) -> Option<(SimTime, u32)> {
        self.pending.pop().map(|(key, ())| (key.time(), key.entity()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repairs_take_their_mean() {
        let mut shop = RepairShop::new(Span::DAY, Seed { seed: 1, replication: 0 }, Entity::named("cluster.main"));
        (0..20_000).for_each(|node| shop.admit(node, SimTime::ZERO));
        let total: f64 = std::iter::from_fn(|| shop.pop()).map(|(at, _)| at.as_secs_f64() / 86_400.0).sum();
        // Three standard errors: 3 / sqrt(20,000).
        assert!((total / 20_000.0 - 1.0).abs() < 0.0213, "mean repair of {} d", total / 20_000.0);
    }
}
