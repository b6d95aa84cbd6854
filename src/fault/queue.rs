//! The failures of the nodes that a job holds: one absolute next-failure time for each node and domain, earliest first.

use super::burst::{Burst, Fault};
use super::law::{FailureLaw, InitialAge};
use super::lives::Lives;
use super::modulation::Clock;
use super::plan::FaultPlan;
use super::replay::Replay;
use super::symptom::{Symptom, Symptoms};
use crate::engine::{Calendar, Entity, EventKey, Seed};
use crate::units::{SimTime, Span};
use crate::world::{Domain, DomainTree};
use std::collections::{BTreeMap, BTreeSet};

/// Class in event keys of a node's own failure; the `i`-th kind of burst has class `i` + 1.
const OWN: u8 = 0;

/// Class of a node that falls to a burst that began earlier.
const VICTIM: u8 = u8::MAX;

/// Class of a fault of a file.
const REPLAYED: u8 = u8::MAX - 1;

/// Next failures of a changing set of nodes, on the failure clock of their job: an operational time that passes faster in bad times
/// ([`inner`](FaultQueue::inner)) and, as its job says, stands still while that recovers.
///
/// Ages are kept: a node's next failure moves only when the node itself is renewed, never because the job around it restarts
/// (redrawing turns 417 failures into 10,858 at shape 0.7). A node that joins late continues the
/// life that it began at time zero, each failure before that taken as repaired at once. So does one that comes back from a
/// fault of its domain: only what broke is renewed.
#[derive(Debug, Clone)]
pub struct FaultQueue {
    tree: DomainTree,
    nodes: Lives,
    /// By node: whether its own failure is in the calendar.
    counts: Vec<bool>,
    /// By node: whether its own failure was the last, so that its repair renews it.
    broken: Vec<bool>,
    /// Nodes that were not fixed, and the mean time until they fail again.
    relapses: BTreeMap<u32, Span>,
    /// Those of them that count: their next failure is the relapse.
    relapsing: BTreeSet<u32>,
    bursts: Vec<Bursts>,
    replay: Option<Replay>,
    /// Whether its next fault is in the calendar.
    replaying: bool,
    symptoms: Symptoms,
    /// By node: failures of its own so far, where their symptoms differ.
    past: Vec<u32>,
    seed: Seed,
    owner: Entity,
    clock: Clock,
    horizon: SimTime,
    pending: Calendar,
    victims: u32,
}

/// The bursts of one kind of domain.
#[derive(Debug, Clone)]
struct Bursts {
    domain: Domain,
    burst: Burst,
    lives: Lives,
    seed: Seed,
    owner: Entity,
    /// By instance: bursts so far.
    past: Vec<u32>,
    /// By instance: whether its next burst is in the calendar.
    watched: Vec<bool>,
}

impl FaultQueue {
    /// A queue without nodes, for the nodes of `cluster` (`cluster.<name>`). Failures after `horizon` are not kept.
    #[must_use]
    pub fn new(plan: &FaultPlan, seed: Seed, cluster: &str, horizon: SimTime) -> FaultQueue {
        let owner = Entity::named(cluster);
        let clock = Clock::new(&plan.modulation, plan.first_hour, seed, owner, horizon);
        let horizon = clock.inner(horizon);
        let bursts = plan.bursts.iter().enumerate().map(|(index, &(domain, burst))| {
            let before = plan.bursts[..index].iter().filter(|(other, _)| *other == domain).count();
            let owner = match before {
                0 => format!("{cluster}.{}", domain.name()),
                _ => format!("{cluster}.{}.{before}", domain.name()),
            };
            Bursts::new(domain, burst, seed, Entity::named(&owner), horizon)
        });
        FaultQueue {
            tree: plan.tree,
            nodes: Lives::new(plan.law, seed, owner, horizon).aged(plan.ages.clone()),
            counts: Vec::new(),
            broken: Vec::new(),
            relapses: BTreeMap::new(),
            relapsing: BTreeSet::new(),
            bursts: bursts.collect(),
            replay: plan.replay.clone(),
            replaying: false,
            symptoms: plan.symptoms,
            past: Vec::new(),
            seed,
            owner,
            clock,
            horizon,
            pending: Calendar::default(),
            victims: 0,
        }
    }

    /// Makes room for `nodes` more, so that joining them allocates once.
    pub fn reserve(&mut self, nodes: u32) {
        self.pending.reserve(nodes as usize);
    }

    /// From `at` on, the domains of `nodes` can take them, until all is cleared; so can the faults of a file.
    pub fn watch(&mut self, nodes: impl Iterator<Item = u32> + Clone, at: SimTime) {
        if !std::mem::replace(&mut self.replaying, true) {
            let replayed = self.replay.as_ref().map(|replay| replay.faults.partition_point(|fault| fault.at < at));
            replayed.into_iter().for_each(|first| self.plan_replayed(first as u32));
        }
        for kind in 0..self.bursts.len() {
            for node in nodes.clone() {
                for instance in self.tree.instances_at(self.bursts[kind].domain, node) {
                    let watched = &mut self.bursts[kind].watched;
                    if watched.get(instance as usize) != Some(&true) {
                        set(watched, instance, true);
                        self.plan_burst(kind, instance, at);
                    }
                }
            }
        }
    }

    /// `node` begins to count at `at`: its next failure is the first of its own life after `at`, or its relapse.
    pub fn join(&mut self, node: u32, at: SimTime) {
        if let Some(within) = self.relapses.remove(&node) {
            self.nodes.relapse(node, at, within);
            self.relapsing.insert(node);
        }
        if let Some(next) = self.nodes.after(node, at) {
            set(&mut self.counts, node, true);
            self.pending.push(EventKey::new(next, OWN, node, 0), ());
        }
    }

    /// No node counts any more, and no domain is watched.
    pub fn clear(&mut self) {
        self.pending = Calendar::default();
        self.replaying = false;
        self.bursts.iter_mut().for_each(|bursts| bursts.watched.fill(false));
        self.counts.fill(false);
        self.broken.fill(false);
    }

    /// `node`, which a burst took, counts no more until it joins again.
    pub fn leave(&mut self, node: u32) {
        set(&mut self.counts, node, false);
        self.drop_stale();
    }

    /// `node`, which has left, is mended at `at`: as good as new where it failed by itself. It counts again once it joins.
    pub fn mend(&mut self, node: u32, at: SimTime) {
        if self.is_broken(node) {
            set(&mut self.broken, node, false);
            self.nodes.mend(node, at);
        }
    }

    /// Whether `node`, which has left, failed by itself.
    #[must_use]
    pub fn is_broken(&self, node: u32) -> bool {
        self.broken.get(node as usize) == Some(&true)
    }

    /// `node`, which has left, comes back unmended: it fails again after a time of mean `within` from when it joins.
    pub fn relapse(&mut self, node: u32, within: Span) {
        if self.is_broken(node) {
            set(&mut self.broken, node, false);
            self.relapses.insert(node, within);
        }
    }

    /// `node`, which somebody else had, was not fixed there: it fails after a time of mean `within` from when it joins.
    pub fn inherit(&mut self, node: u32, within: Span) {
        self.relapses.insert(node, within);
    }

    /// Forgets those nodes that were not fixed and that `leave`, and says which they are.
    pub fn hand_over(&mut self, leave: impl Fn(u32) -> bool) -> Vec<u32> {
        let mut unfixed: Vec<u32> =
            self.relapses.extract_if(.., |&node, _| leave(node)).map(|(node, _)| node).collect();
        unfixed.extend(self.relapsing.extract_if(.., |&node| leave(node)));
        unfixed
    }

    /// Another node takes the place of `node`, which has left, at `at`.
    pub fn replace(&mut self, node: u32, at: SimTime) {
        set(&mut self.broken, node, false);
        self.nodes.replace(node, at);
    }

    /// The operational time at `wall`.
    #[must_use]
    pub fn inner(&self, wall: SimTime) -> SimTime {
        self.clock.inner(wall)
    }

    /// When operational time reaches `inner`.
    #[must_use]
    pub fn wall(&self, inner: SimTime) -> SimTime {
        self.clock.wall(inner)
    }

    /// The operational time at which the next failure is due; [`SimTime::NEVER`] where none is before the horizon.
    #[must_use]
    pub fn next_time(&self) -> SimTime {
        self.pending.peek().map_or(SimTime::NEVER, |(key, ())| key.time())
    }

    /// Takes the next fault out, and its node where that failed by itself.
    pub fn pop(&mut self) -> Option<Fault> {
        let (key, ()) = self.pending.pop()?;
        let (at, index) = (key.time(), key.entity());
        let fault = match key.class() {
            OWN => {
                set(&mut self.counts, index, false);
                set(&mut self.broken, index, true);
                self.relapsing.remove(&index);
                let symptom = self.symptom_of(index);
                Fault { at, domain: Domain::Node, nodes: vec![index], repair: None, repairs: Vec::new(), symptom }
            }
            VICTIM => {
                let symptom = Symptom::Explicit;
                Fault { at, domain: Domain::Node, nodes: vec![index], repair: None, repairs: Vec::new(), symptom }
            }
            REPLAYED => {
                self.plan_replayed(index + 1);
                let replay = self.replay.as_ref().expect("only a replay plans its faults");
                replay.faults[index as usize].clone()
            }
            kind => self.burst(usize::from(kind) - 1, index, at),
        };
        self.drop_stale();
        Some(fault)
    }

    /// The fault of a burst that begins at `at`: the nodes that it takes at once. Those that fall later are planned.
    fn burst(&mut self, kind: usize, instance: u32, at: SimTime) -> Fault {
        let bursts = &mut self.bursts[kind];
        let domain = bursts.domain;
        let (victims, repair) = bursts.strike(self.tree.nodes_of(domain, instance), instance);
        self.plan_burst(kind, instance, at);
        let (now, later): (Vec<_>, Vec<_>) = victims.into_iter().partition(|&(after, _)| after == Span::ZERO);
        for (after, node) in later {
            self.victims = (self.victims + 1) % (1 << 24);
            let at = self.clock.inner(self.clock.wall(at) + after);
            if at <= self.horizon {
                self.pending.push(EventKey::new(at, VICTIM, node, self.victims), ());
            }
        }
        let nodes = now.into_iter().map(|(_, node)| node).collect();
        Fault { at, domain, nodes, repair, repairs: Vec::new(), symptom: Symptom::Explicit }
    }

    fn symptom_of(&mut self, node: u32) -> Symptom {
        if self.symptoms.are_explicit() {
            return Symptom::Explicit;
        }
        let slot = node as usize;
        if slot >= self.past.len() {
            self.past.resize(slot + 1, 0);
        }
        self.past[slot] += 1;
        self.symptoms.draw(self.seed, self.owner, node, self.past[slot])
    }

    fn plan_replayed(&mut self, index: u32) {
        let fault = self.replay.as_ref().and_then(|replay| replay.faults.get(index as usize));
        if let Some(at) = fault.map(|fault| fault.at).filter(|&at| at <= self.horizon) {
            self.pending.push(EventKey::new(at, REPLAYED, index, 0), ());
        }
    }

    fn plan_burst(&mut self, kind: usize, instance: u32, at: SimTime) {
        if let Some(next) = self.bursts[kind].lives.after(instance, at) {
            self.pending.push(EventKey::new(next, kind as u8 + 1, instance, 0), ());
        }
    }

    /// Drops failures that come first and are no longer meant, so that what comes first is meant.
    fn drop_stale(&mut self) {
        while let Some((key, ())) = self.pending.peek() {
            let node = key.entity();
            let stale = key.class() == OWN && !(self.counts[node as usize] && self.nodes.next(node) == key.time());
            if !stale {
                return;
            }
            self.pending.pop();
        }
    }
}

impl Bursts {
    fn new(domain: Domain, burst: Burst, seed: Seed, owner: Entity, horizon: SimTime) -> Bursts {
        let law = FailureLaw::Weibull { rate: burst.rate, shape: 1.0, initial_age: InitialAge::Stationary };
        Bursts {
            domain,
            burst,
            lives: Lives::new(law, seed, owner, horizon),
            seed,
            owner,
            past: Vec::new(),
            watched: Vec::new(),
        }
    }

    /// What one more burst of `instance`, which has `nodes`, takes, and until when all of it is gone.
    fn strike(&mut self, nodes: std::ops::Range<u32>, instance: u32) -> (Vec<(Span, u32)>, Option<Span>) {
        let slot = instance as usize;
        if slot >= self.past.len() {
            self.past.resize(slot + 1, 0);
        }
        self.past[slot] += 1;
        let mut chance = self.seed.stream(self.owner.part(instance).part(self.past[slot]), "burst");
        let repair = self.burst.repair.map(|mean| mean.scale(chance.exponential()));
        (self.burst.victims(nodes, &mut chance), repair)
    }
}

fn set(flags: &mut Vec<bool>, node: u32, to: bool) {
    let slot = node as usize;
    if slot >= flags.len() {
        flags.resize(slot + 1, false);
    }
    flags[slot] = to;
}

#[cfg(test)]
mod tests {
    use super::super::burst::Blast;
    use super::super::law::Mixture;
    use super::*;
    use crate::units::{PerSecond, Share};
    use crate::world::Domains;

    /// Llama 3's 419 failures of 2,048 nodes in 54 days.
    const RATE: PerSecond = PerSecond::per_day(419.0 / (2_048.0 * 54.0));

    fn queue(shape: f64, initial_age: InitialAge, seed: u64, nodes: u32) -> FaultQueue {
        let law = FailureLaw::Weibull { rate: RATE, shape, initial_age };
        let seed = Seed { seed, replication: 0 };
        let mut queue = FaultQueue::new(&law.into(), seed, "cluster.main", SimTime::ZERO + Span::DAY * 54);
        (0..nodes).for_each(|node| queue.join(node, SimTime::ZERO));
        queue
    }

    /// All failures to the horizon, each node repaired at once.
    fn failures(mut queue: FaultQueue) -> Vec<(SimTime, u32)> {
        std::iter::from_fn(|| {
            let Fault { at, nodes, .. } = queue.pop()?;
            let node = nodes[0];
            queue.mend(node, at);
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
        // StepFun: 400 nodes, 1.46 faults each, shape 0.93. Negative binomial: variance 3.75, 166
        // nodes without a fault, the worst 5 and 10 % of the nodes hold 25.0 and 40.6 % of the faults.
        let (fleets, nodes) = (200, 400_u32);
        let year = SimTime::ZERO + Span::DAY * 365;
        let (rate, mixture) = (PerSecond::per_day(1.46 / 365.0), Mixture { shape: 0.93 });
        let law = FailureLaw::Mixed { rate, shape: 1.0, initial_age: InitialAge::Stationary, mixture };
        let [mut sum, mut squares, mut none, mut worst_5, mut worst_10] = [0.0; 5];
        for seed in 0..fleets {
            let mut queue = FaultQueue::new(&law.into(), Seed { seed, replication: 0 }, "cluster.main", year);
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
            let mut queue = FaultQueue::new(&law.into(), seed, "cluster.main", SimTime::NEVER);
            queue.join(0, SimTime::ZERO);
            assert_eq!(queue.next_time(), SimTime::NEVER);
        }
    }

    /// A year of a cluster of 64 nodes whose only faults are those of `bursts`.
    fn bursting(bursts: Vec<(Domain, Burst)>, seed: u64, nodes: u32) -> FaultQueue {
        let tree = DomainTree { nodes: 64, gpus_per_node: 8, sizes: Domains::default() };
        let plan = FaultPlan { bursts, tree, ..FailureLaw::None.into() };
        let year = SimTime::ZERO + Span::DAY * 365;
        let mut queue = FaultQueue::new(&plan, Seed { seed, replication: 0 }, "cluster.main", year);
        queue.watch(0..nodes, SimTime::ZERO);
        (0..nodes).for_each(|node| queue.join(node, SimTime::ZERO));
        queue
    }

    fn burst(per_day: f64, hits: Blast) -> Burst {
        Burst { rate: PerSecond::per_day(per_day), hits, spread: Span::ZERO, repair: None }
    }

    #[test]
    fn each_domain_bursts_at_its_own_rate_and_takes_its_own_nodes() {
        for (domain, instances, size) in [
            (Domain::Gpu, 512, 1),
            (Domain::Node, 64, 1),
            (Domain::Rack, 16, 4),
            (Domain::PowerUnit, 4, 16),
            (Domain::Switch, 2, 32),
            (Domain::CoolingLoop, 1, 64),
            (Domain::Site, 1, 64),
        ] {
            let mut queue = bursting(vec![(domain, burst(1.0, Blast::Whole {}))], 1, 64);
            let faults: Vec<Fault> = std::iter::from_fn(|| queue.pop()).collect();
            let expected = f64::from(instances) * 365.0;
            assert!((faults.len() as f64 - expected).abs() < 4.0 * expected.sqrt(), "{domain:?}: {}", faults.len());
            for fault in faults {
                assert_eq!((fault.domain, fault.nodes.len()), (domain, size));
                assert_eq!(fault.nodes[0] as usize % size, 0, "domains are of consecutive nodes");
                assert!(fault.nodes.windows(2).all(|pair| pair[0] + 1 == pair[1]));
            }
        }
    }

    #[test]
    fn more_nodes_move_no_burst() {
        let of = |nodes| {
            let mut queue = bursting(vec![(Domain::Rack, burst(0.1, Blast::Share(Share::new(0.5))))], 7, nodes);
            let faults = std::iter::from_fn(move || queue.pop());
            faults.filter(|fault| fault.nodes.first().is_some_and(|&node| node < 16)).collect::<Vec<_>>()
        };
        assert!(of(16).len() > 100);
        assert_eq!(of(16), of(64));
    }

    #[test]
    fn a_node_that_a_burst_took_keeps_its_own_life() {
        let mut queue = queue(0.7, InitialAge::Stationary, 3, 500);
        let due = queue.next_time();
        let alone = failures(queue.clone());
        let first = alone[0].1;
        queue.leave(first);
        assert!(queue.next_time() > due, "it no longer counts");
        queue.mend(first, SimTime::ZERO + Span::SECOND);
        queue.join(first, SimTime::ZERO + Span::SECOND);
        assert_eq!(failures(queue), alone, "only what broke is renewed");
    }

    #[test]
    fn a_spread_burst_falls_node_by_node() {
        let spread = Span::from_secs(600);
        let hits = Blast::Batch { least: 3, extra: 0.0 };
        let mut queue = bursting(vec![(Domain::Site, Burst { spread, ..burst(0.05, hits) })], 2, 64);
        let faults: Vec<Fault> = std::iter::from_fn(|| queue.pop()).collect();
        let victims = faults.iter().filter(|fault| !fault.nodes.is_empty()).count();
        let bursts = faults.iter().filter(|fault| fault.domain == Domain::Site).count();
        assert!(bursts > 5);
        assert_eq!(victims, 3 * bursts);
    }
}
