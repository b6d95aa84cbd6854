//! The repair shop: broken nodes wait there until they are as good as new, or believed to be.

use super::draws::NodeDraws;
use crate::engine::{Calendar, Entity, EventKey, Seed};
use crate::units::{Share, SimTime, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Classes in event keys: a crew has done its work, a node has passed or failed its test, a node comes back as it is.
const REPAIRED: u8 = 0;
const TESTED: u8 = 1;
const RETURNED: u8 = 2;

/// `repair = { … }` of a cluster: how its nodes are repaired, for all that run there. A training job's `recovery` and a workload's
/// `repair` go before it where they are given; each has crews of its own.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RepairSection {
    /// Mean time to repair a node and return it.
    pub mean: Span,
    /// Weibull shape of that time: 1 is exponential, 0.45 fits StepFun's down times with their long tail.
    pub shape: f64,
    /// Nodes that are repaired at once; unset, as many as are broken.
    pub crews: Option<u32>,
    /// Share of the repairs that do not fix the node; AIReSim assumes 0.24.
    pub unfixed: Share,
    /// Test of a node after its repair, which finds those that are not fixed and sends them back; zero, there is none.
    pub requalify: Span,
    /// Mean time until a node fails again that came back without being fixed.
    pub relapse: Span,
}

impl Default for RepairSection {
    fn default() -> RepairSection {
        RepairSection {
            // StepFun down times, mean (stepfun-ai/InfiniteHBD-Trace, own fit): 5.67 d; Weibull 0.45, 2.13 d has mean 5.3 d.
            mean: Span::from_secs(457_920),
            shape: 1.0,
            crews: None,
            unfixed: Share::new(0.0),
            requalify: Span::ZERO,
            // StepFun: 37 % of the repeat faults come within a day of the return (stepfun-ai/InfiniteHBD-Trace, own statistics).
            relapse: Span::DAY,
        }
    }
}

impl RepairSection {
    /// What the repair shop does by it.
    #[must_use]
    pub fn policy(&self) -> RepairPolicy {
        let RepairSection { mean, shape, crews, unfixed, requalify, .. } = *self;
        RepairPolicy { mean, shape, crews, unfixed, requalify }
    }
}

/// How nodes are repaired.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RepairPolicy {
    /// Mean time that a repair takes.
    pub mean: Span,
    /// Weibull shape of that time; 1 is exponential, below 1 a few repairs take very long.
    pub shape: f64,
    /// Nodes repaired at once; the rest waits in order. `None`: as many as there are.
    pub crews: Option<u32>,
    /// Share of the repairs that do not fix the node.
    pub unfixed: Share,
    /// Test after a repair, which finds a node that is not fixed and sends it back; zero, there is none.
    pub requalify: Span,
}

/// Nodes in repair. What a repair takes and whether it fixes anything is drawn from the node's own streams.
#[derive(Debug, Clone)]
pub struct RepairShop {
    policy: RepairPolicy,
    /// Weibull scale over the mean.
    scale: f64,
    lengths: NodeDraws,
    outcomes: NodeDraws,
    pending: Calendar,
    /// Crews at work.
    busy: u32,
    /// Nodes that wait for a crew.
    waiting: VecDeque<u32>,
}

/// A node that comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Returned {
    /// Which.
    pub node: u32,
    /// Whether it is.
    pub fixed: bool,
}

impl RepairShop {
    /// An empty shop for the nodes of `cluster` (`cluster.<name>`).
    #[must_use]
    pub fn new(policy: RepairPolicy, seed: Seed, cluster: Entity) -> RepairShop {
        assert!((0.2..=20.0).contains(&policy.shape), "a Weibull shape lies between 0.2 and 20");
        RepairShop {
            policy,
            scale: 1.0 / libm::tgamma(1.0 + 1.0 / policy.shape),
            lengths: NodeDraws::new(seed, cluster, "repair"),
            outcomes: NodeDraws::new(seed, cluster, "outcome"),
            pending: Calendar::default(),
            busy: 0,
            waiting: VecDeque::new(),
        }
    }

    /// True where a failure leaves the node whole: a reboot in place, inside the job's own restart.
    #[must_use]
    pub fn is_instant(&self) -> bool {
        self.policy.mean == Span::ZERO && self.policy.requalify == Span::ZERO
    }

    /// Takes `node` in at `at`.
    pub fn admit(&mut self, node: u32, at: SimTime) {
        if self.policy.crews.is_some_and(|crews| self.busy >= crews) {
            return self.waiting.push_back(node);
        }
        self.busy += 1;
        let RepairPolicy { mean, shape, .. } = self.policy;
        let exponential = -libm::log(self.lengths.next(node));
        let length = if shape == 1.0 { exponential } else { self.scale * libm::pow(exponential, 1.0 / shape) };
        self.pending.push(EventKey::new(at + mean.scale(length), REPAIRED, node, 0), ());
    }

    /// Takes `node` in at `at` with a repair of its domain that takes `length`: no crew of the shop's, and it is fixed.
    pub fn admit_for(&mut self, length: Span, node: u32, at: SimTime) {
        self.pending.push(EventKey::new(at + length, RETURNED, node, 0), ());
    }

    /// Takes `node`, which is whole, in at `at` for a test.
    pub fn inspect(&mut self, node: u32, at: SimTime) {
        self.admit_for(self.policy.requalify, node, at);
    }

    /// How many nodes are here.
    #[must_use]
    pub fn len(&self) -> u32 {
        (self.pending.len() + self.waiting.len()) as u32
    }

    /// True where no node is here.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// When something happens next that may give a node back; [`SimTime::NEVER`] where no node is here.
    #[must_use]
    pub fn next_time(&self) -> SimTime {
        self.pending.peek().map_or(SimTime::NEVER, |(key, ())| key.time())
    }

    /// Lets the next thing happen; the node that comes back, if one does.
    pub fn pop(&mut self) -> Option<Returned> {
        let (key, ()) = self.pending.pop()?;
        let (at, node) = (key.time(), key.entity());
        match key.class() {
            REPAIRED => {
                self.busy -= 1;
                if let Some(next) = self.waiting.pop_front() {
                    self.admit(next, at);
                }
                if self.policy.requalify > Span::ZERO {
                    self.pending.push(EventKey::new(at + self.policy.requalify, TESTED, node, 0), ());
                    return None;
                }
                Some(Returned { node, fixed: self.is_fixed(node) })
            }
            TESTED if !self.is_fixed(node) => {
                self.admit(node, at);
                None
            }
            _ => Some(Returned { node, fixed: true }),
        }
    }

    /// All nodes leave as they are.
    pub fn clear(&mut self) {
        self.pending = Calendar::default();
        self.waiting.clear();
        self.busy = 0;
    }

    fn is_fixed(&mut self, node: u32) -> bool {
        let unfixed = self.policy.unfixed.as_f64();
        unfixed == 0.0 || self.outcomes.next(node) >= unfixed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAILY: RepairPolicy =
        RepairPolicy { mean: Span::DAY, shape: 1.0, crews: None, unfixed: Share::new(0.0), requalify: Span::ZERO };

    fn shop(policy: RepairPolicy) -> RepairShop {
        RepairShop::new(policy, Seed { seed: 1, replication: 0 }, Entity::named("cluster.main"))
    }

    /// When each of `nodes` nodes that come in together is back, in days, and how many are not fixed.
    fn days_until_back(policy: RepairPolicy, nodes: u32) -> (Vec<f64>, usize) {
        let mut shop = shop(policy);
        (0..nodes).for_each(|node| shop.admit(node, SimTime::ZERO));
        let (mut days, mut unfixed) = (Vec::new(), 0);
        while !shop.is_empty() {
            let at = shop.next_time().as_secs_f64() / 86_400.0;
            if let Some(returned) = shop.pop() {
                days.push(at);
                unfixed += usize::from(!returned.fixed);
            }
        }
        assert_eq!(days.len(), nodes as usize, "each comes back once");
        (days, unfixed)
    }

    fn mean(days: &[f64]) -> f64 {
        days.iter().sum::<f64>() / days.len() as f64
    }

    #[test]
    fn repairs_take_their_mean() {
        // Three standard errors: 3 / sqrt(20,000), times the coefficient of variation, 2.46 at shape 0.45.
        for (shape, tolerance) in [(1.0, 0.0213), (0.45, 0.054)] {
            let (days, unfixed) = days_until_back(RepairPolicy { shape, ..DAILY }, 20_000);
            assert!((mean(&days) - 1.0).abs() < tolerance, "mean repair of {} d at shape {shape}", mean(&days));
            assert_eq!(unfixed, 0);
        }
    }

    #[test]
    fn crews_are_shared_in_order() {
        let (days, _) = days_until_back(RepairPolicy { crews: Some(10), ..DAILY }, 2_000);
        // Ten crews are busy for 200 d; three standard errors of 2,000 repairs in ten crews.
        let last = days.last().expect("some");
        assert!((last - 200.0).abs() < 15.0, "the last is back after {last} d");
    }

    #[test]
    fn a_repair_that_does_not_fix_is_found_by_a_test_or_not_at_all() {
        let unfixed = Share::new(0.25);
        let (days, slipped) = days_until_back(RepairPolicy { unfixed, ..DAILY }, 20_000);
        assert!((slipped as f64 / 20_000.0 - 0.25).abs() < 0.0092, "{slipped} slip through");
        assert!((mean(&days) - 1.0).abs() < 0.0213);
        let requalify = Span::DAY.scale(0.5);
        let (days, slipped) = days_until_back(RepairPolicy { unfixed, requalify, ..DAILY }, 20_000);
        assert_eq!(slipped, 0);
        // 1 / (1 - 0.25) rounds of a day and half a day.
        assert!((mean(&days) - 2.0).abs() < 0.04, "{} d", mean(&days));
    }
}
