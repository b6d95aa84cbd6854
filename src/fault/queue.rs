//! The failures of the nodes that a job holds: one absolute next-failure time for each, earliest first.

use super::draws::NodeDraws;
use super::law::FailureLaw;
use super::lemons::Lemons;
use super::lifetime::Lifetime;
use crate::engine::{Calendar, Entity, EventKey, Seed};
use crate::units::SimTime;

/// Class of a failure in event keys; one calendar holds nothing else.
const FAILURE: u8 = 0;

/// Next failures of a changing set of nodes, on the failure clock of their job.
///
/// Ages are kept: a node's next failure moves only when the node itself is renewed, never because the job around it restarts
/// (redrawing turns 417 failures into 10,858 at shape 0.7; models/training.md section 1). A node that joins late continues the
/// life that it began at time zero, each failure before that taken as repaired at once.
#[derive(Debug, Clone)]
pub struct FaultQueue {
    /// Of the mean node.
    lifetime: Option<Lifetime>,
    /// Where nodes differ.
    lemons: Option<Lemons>,
    horizon: SimTime,
    /// Draws above it are first lives that outlast the horizon: four nodes in five of a two-month run need no inverse.
    failed_by_horizon: f64,
    draws: NodeDraws,
    /// Next failure of each node met so far, by node.
    next: Vec<SimTime>,
    pending: Calendar,
}

impl FaultQueue {
    /// A queue without nodes, for the nodes of `cluster` (`cluster.<name>`). Failures after `horizon` are not kept.
    #[must_use]
    pub fn new(law: FailureLaw, seed: Seed, cluster: Entity, horizon: SimTime) -> FaultQueue {
        let lifetime = Lifetime::new(law);
        FaultQueue {
            lifetime,
            lemons: law.mixture().map(|mixture| Lemons::new(mixture, seed, cluster)),
            horizon,
            failed_by_horizon: lifetime.map_or(0.0, |lifetime| lifetime.failed_by(horizon)),
            draws: NodeDraws::new(seed, cluster, "failure"),
            next: Vec::new(),
            pending: Calendar::default(),
        }
    }

    /// Makes room for `nodes` more, so that joining them allocates once.
    pub fn reserve(&mut self, nodes: u32) {
        self.pending.reserve(nodes as usize);
    }

    /// `node` begins to count at `at`: its next failure is the first of its own life after `at`.
    pub fn join(&mut self, node: u32, at: SimTime) {
        let Some(lifetime) = self.lifetime_of(node) else { return };
        let mut next = if self.draws.is_fresh(node) { self.first(lifetime, node) } else { self.next[node as usize] };
        while next <= at {
            next += lifetime.whole(self.draws.next(node));
        }
        self.set(node, next);
        if next <= self.horizon {
            self.pending.push(EventKey::new(next, FAILURE, node, 0), ());
        }
    }

    /// `node`, which has left through [`pop`](FaultQueue::pop), is as good as new at `at`. It counts again once it joins.
    pub fn renew(&mut self, node: u32, at: SimTime) {
        let lifetime = self.lifetime_of(node).expect("a node that failed has a lifetime");
        let next = at + lifetime.whole(self.draws.next(node));
        self.set(node, next);
    }

    /// When the next failure is due; [`SimTime::NEVER`] where none is before the horizon.
    #[must_use]
    pub fn next_time(&self) -> SimTime {
        self.pending.peek().map_or(SimTime::NEVER, |(key, ())| key.time())
    }

    /// Takes the next failure and its node out.
    pub fn pop(&mut self) -> Option<(SimTime, u32)> {
        self.pending.pop().map(|(key, ())| (key.time(), key.entity()))
    }

    fn first(&mut self, lifetime: Lifetime, node: u32) -> SimTime {
        let uniform = self.draws.first(node);
        let failed_by_horizon = match self.lemons {
            Some(_) => lifetime.failed_by(self.horizon),
            None => self.failed_by_horizon,
        };
        if uniform > failed_by_horizon { SimTime::NEVER } else { SimTime::ZERO + lifetime.first(uniform) }
    }

    fn lifetime_of(&mut self, node: u32) -> Option<Lifetime> {
        let lifetime = self.lifetime?;
        Some(match &mut self.lemons {
            Some(lemons) => lifetime.at_rate(lemons.factor(node)),
            None => lifetime,
        })
    }

    fn set(&mut self, node: u32, next: SimTime) {
        let slot = node as usize;
        if slot >= self.next.len() {
            self.next.resize(slot + 1, SimTime::NEVER);
        }
        self.next[slot] = next;
    }
}

#[cfg(test)]
mod tests {
    use super::super::law::{InitialAge, Mixture};
    use super::*;
    use crate::units::{PerSecond, Span};

    /// Llama 3's 419 failures of 2,048 nodes in 54 days.
    const RATE: PerSecond = PerSecond::per_day(419.0 / (2_048.0 * 54.0));

    fn queue(shape: f64, initial_age: InitialAge, seed: u64, nodes: u32) -> FaultQueue {
        let law = FailureLaw::Weibull { rate: RATE, shape, initial_age };
        let seed = Seed { seed, replication: 0 };
        let mut queue = FaultQueue::new(law, seed, Entity::named("cluster.main"), SimTime::ZERO + Span::DAY * 54);
        (0..nodes).for_each(|node| queue.join(node, SimTime::ZERO));
        queue
    }

    /// All failures to the horizon, each node repaired at once.
    fn failures(mut queue: FaultQueue) -> Vec<(SimTime, u32)> {
        std::iter::from_fn(|| {
            let (at, node) = queue.pop()?;
            queue.renew(node, at);
            queue.join(node, at);
            Some((at, node))
        })
        .collect()
    }

    #[test]
    fn an_aged_fleet_fails_as_often_whatever_its_shape_and_a_new_one_does_not() {
        // 40 seeds: three standard errors of a Poisson mean of 419 are 9.7; 846 +- 2 %.
        for (shape, age, expected, tolerance) in [
            (0.7, InitialAge::Stationary, 419.0, 10.0),
            (1.0, InitialAge::Stationary, 419.0, 10.0),
            (1.5, InitialAge::Stationary, 419.0, 10.0),
            (0.7, InitialAge::New, 846.0, 17.0),
        ] {
            let seeds = 40;
            let count = (0..seeds).map(|seed| failures(queue(shape, age, seed, 2_048)).len()).sum::<usize>();
            let mean = count as f64 / seeds as f64;
            assert!((mean - expected).abs() < tolerance, "shape {shape}, {age:?}: {mean} failures, not {expected}");
        }
    }

    #[test]
    fn lemons_hold_the_published_share_of_the_faults() {
        // StepFun: 400 nodes, 1.46 faults each, shape 0.93 (models/training.md section 3). Negative binomial: variance 3.75, 166
        // nodes without a fault, the worst 5 and 10 % of the nodes hold 25.0 and 40.6 % of the faults.
        let (fleets, nodes) = (200, 400_u32);
        let year = SimTime::ZERO + Span::DAY * 365;
        let (rate, mixture) = (PerSecond::per_day(1.46 / 365.0), Mixture { shape: 0.93 });
        let law = FailureLaw::Mixed { rate, shape: 1.0, initial_age: InitialAge::Stationary, mixture };
        let [mut sum, mut squares, mut none, mut worst_5, mut worst_10] = [0.0; 5];
        for seed in 0..fleets {
            let mut queue = FaultQueue::new(law, Seed { seed, replication: 0 }, Entity::named("cluster.main"), year);
            (0..nodes).for_each(|node| queue.join(node, SimTime::ZERO));
            let mut counts = vec![0.0; nodes as usize];
            failures(queue).iter().for_each(|&(_, node)| counts[node as usize] += 1.0);
            counts.sort_by(|a, b| f64::total_cmp(b, a));
            let faults: f64 = counts.iter().sum();
            sum += faults;
            squares += counts.iter().map(|count| count * count).sum::<f64>();
            none += counts.iter().filter(|count| **count == 0.0).count() as f64;
            worst_5 += counts[..20].iter().sum::<f64>() / faults;
            worst_10 += counts[..40].iter().sum::<f64>() / faults;
        }
        let drawn = fleets as f64 * f64::from(nodes);
        let mean = sum / drawn;
        // Three standard errors or a little more.
        for (what, value, expected, tolerance) in [
            ("mean", mean, 1.46, 0.021),
            ("variance", squares / drawn - mean * mean, 3.75, 0.12),
            ("nodes without a fault", none / fleets as f64, 166.0, 2.2),
            ("share of the worst 5 %", worst_5 / fleets as f64, 0.250, 0.01),
            ("share of the worst 10 %", worst_10 / fleets as f64, 0.406, 0.01),
        ] {
            assert!((value - expected).abs() < tolerance, "{what}: {value}, not {expected}");
        }
    }

    #[test]
    fn another_node_moves_no_failure() {
        let few = failures(queue(0.7, InitialAge::Stationary, 1, 100));
        let many = failures(queue(0.7, InitialAge::Stationary, 1, 120));
        let same: Vec<_> = many.into_iter().filter(|&(_, node)| node < 100).collect();
        assert!(few.len() > 10);
        assert_eq!(few, same);
    }

    #[test]
    fn a_node_that_joins_late_continues_its_own_life() {
        let early = failures(queue(1.5, InitialAge::Stationary, 3, 500));
        let mut late = queue(1.5, InitialAge::Stationary, 3, 0);
        let day_20 = SimTime::ZERO + Span::DAY * 20;
        (0..500).for_each(|node| late.join(node, day_20));
        let expected: Vec<_> = early.into_iter().filter(|&(at, _)| at > day_20).collect();
        assert!(expected.len() > 20);
        assert_eq!(failures(late), expected);
    }

    #[test]
    fn nothing_breaks_without_a_law_or_a_rate() {
        let seed = Seed { seed: 1, replication: 0 };
        let never = FailureLaw::Weibull { rate: PerSecond::new(0.0), shape: 1.0, initial_age: InitialAge::New };
        for law in [FailureLaw::None, never] {
            let mut queue = FaultQueue::new(law, seed, Entity::named("cluster.main"), SimTime::NEVER);
            queue.join(0, SimTime::ZERO);
            assert_eq!(queue.next_time(), SimTime::NEVER);
        }
    }
}
