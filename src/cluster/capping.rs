//! Power control at the edges: reads what every node behind a meter draws, and holds tenants down where a limit asks for it.
//!
//! A meter is a site's (nodes, losses and cooling), a row's or a rack's (nodes). Each has a controller of the site's policy, and a
//! node obeys the hardest of those that it stands behind; a training job runs at the speed of its slowest node. A job is taken to
//! draw alike on all nodes granted to it. What is seen is the instant, as a meter that is read every tick shows it.

use super::Lp;
use crate::catalog::NodeSheet;
use crate::ledger::{CapFacts, Event, EventKind, SitePlan};
use crate::power::{Controller, Ladder, Priority, Seen};
use crate::units::{GpuTime, SimTime, Span, Watts};
use crate::world::{ClusterPlan, NodeSet};
use std::ops::Range;

/// The power control of a site, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct CappingPlan {
    /// The policy made ready.
    pub ladder: Ladder,
    /// Time between looks.
    pub tick: Span,
    /// What the site's meter may show at all; none where only racks or rows are limited.
    pub limit: Option<Watts>,
    /// From when on it may show how much, in order of time; before the first, `limit`.
    pub steps: Vec<(SimTime, Watts)>,
    /// Of what accelerators draw unheld, what they draw at each level; by cluster.
    pub factors: Vec<Vec<f64>>,
    /// Watts that the hosts of each cluster draw more for each watt of its accelerators.
    pub hosts: Vec<f64>,
}

impl CappingPlan {
    /// What the site's meter may show at `at`.
    fn limit_at(&self, at: SimTime) -> Option<Watts> {
        let step = self.steps.partition_point(|&(from, _)| from <= at).checked_sub(1);
        step.map(|step| self.steps[step].1).or(self.limit)
    }

    /// When that changes next after `at`.
    fn next_step(&self, at: SimTime) -> SimTime {
        self.steps.iter().map(|&(from, _)| from).find(|&from| from > at).unwrap_or(SimTime::NEVER)
    }
}

/// What some nodes of a tenant draw at a control instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// GPUs held.
    pub gpus: u32,
    /// What they and their hosts draw.
    pub power: Watts,
    /// What those accelerators draw that a lever can hold.
    pub held: Watts,
    /// The lever that holds them.
    pub level: u8,
}

/// Somebody behind the meters.
#[derive(Debug, Clone)]
pub(super) struct Holder {
    pub(super) cluster: usize,
    pub(super) priority: Priority,
    /// Its processes in the run's list.
    pub(super) processes: Range<usize>,
}

/// The power control of all sites.
#[derive(Debug)]
pub(super) struct Capping<'a> {
    sites: Vec<Site<'a>>,
}

/// What a controller watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Site,
    /// Nodes of a cluster, from and up to.
    Nodes(usize, u32, u32),
}

/// One controller and what it watches.
#[derive(Debug)]
struct Meter {
    name: String,
    place: Place,
    /// Watts of its nodes; of a site, the plan says.
    limit: Watts,
    control: Controller,
    over: bool,
    tally: Tally,
}

/// What the nodes behind a meter draw.
#[derive(Debug, Clone, Default)]
struct Tally {
    it: f64,
    /// Watts that levers hold if they stood at each level, by priority.
    held: [Vec<f64>; 2],
    held_now: f64,
    /// GPUs held on nodes of it.
    gpus: f64,
}

/// The power control of one site.
#[derive(Debug)]
struct Site<'a> {
    plan: &'a CappingPlan,
    site: &'a SitePlan,
    clusters: Vec<(usize, &'a ClusterPlan)>,
    /// What a node draws that nobody holds, by the site's clusters.
    idle: Vec<Watts>,
    holders: Vec<Holder>,
    meters: Vec<Meter>,
    next: SimTime,
    now: SimTime,
    /// GPUs that a lever holds now.
    held_gpus: u32,
    facts: CapFacts,
}

impl<'a> Capping<'a> {
    /// The control of those `sites` that have a plan; `idle` is the power of a node that nobody holds.
    pub(super) fn new(
        sites: &'a [SitePlan],
        plans: &'a [Option<CappingPlan>],
        clusters: &'a [ClusterPlan],
        holders: &[Holder],
        idle: impl Fn(&ClusterPlan) -> Watts,
    ) -> Capping<'a> {
        let planned = plans.iter().enumerate().filter_map(|(index, plan)| Some((index, plan.as_ref()?)));
        let site = |(index, plan): (usize, &'a CappingPlan)| {
            let here: Vec<(usize, &ClusterPlan)> =
                clusters.iter().enumerate().filter(|(_, cluster)| cluster.site == index).collect();
            Site {
                plan,
                site: &sites[index],
                idle: here.iter().map(|(_, cluster)| idle(cluster)).collect(),
                holders: holders.iter().filter(|holder| clusters[holder.cluster].site == index).cloned().collect(),
                meters: meters(plan, &here),
                clusters: here,
                next: SimTime::ZERO,
                now: SimTime::ZERO,
                held_gpus: 0,
                facts: CapFacts::of(index),
            }
        };
        Capping { sites: planned.map(site).collect() }
    }

    /// The next instant at which a meter is read, a lever acts, or a limit changes.
    pub(super) fn next_edge(&self) -> SimTime {
        self.sites.iter().map(Site::next_edge).min().unwrap_or(SimTime::NEVER)
    }

    /// Acts at `now`, after all others.
    pub(super) fn at_edge(&mut self, now: SimTime, processes: &mut [Lp]) {
        self.sites.iter_mut().for_each(|site| site.at_edge(now, processes));
    }

    /// What happened, up to `horizon`.
    pub(super) fn close(self, horizon: SimTime) -> Vec<CapFacts> {
        let close = |mut site: Site<'_>| {
            site.settle(horizon);
            site.facts
        };
        self.sites.into_iter().map(close).collect()
    }
}

/// One meter for the site, and one for each row and rack that has a limit.
fn meters(plan: &CappingPlan, clusters: &[(usize, &ClusterPlan)]) -> Vec<Meter> {
    let levels = plan.ladder.levers().len() + 1;
    let tally = Tally { held: [vec![0.0; levels], vec![0.0; levels]], ..Tally::default() };
    let meter = |name: String, place, limit| Meter {
        name,
        place,
        limit,
        control: Controller::new(),
        over: false,
        tally: tally.clone(),
    };
    let mut all = Vec::new();
    if let Some(limit) = plan.limit {
        all.push(meter("the site".to_owned(), Place::Site, limit));
    }
    for &(index, cluster) in clusters {
        let kinds = [
            ("row", cluster.domains.power_unit, cluster.power.row_limit),
            ("rack", cluster.domains.rack, cluster.power.rack_limit),
        ];
        for (kind, size, limit) in kinds {
            let Some(limit) = limit else { continue };
            for (number, from) in (0..cluster.nodes).step_by(size as usize).enumerate() {
                let place = Place::Nodes(index, from, from.saturating_add(size).min(cluster.nodes));
                all.push(meter(format!("{kind} {number} of cluster.{}", cluster.name), place, limit));
            }
        }
    }
    all
}

impl Site<'_> {
    fn next_edge(&self) -> SimTime {
        let due = self.meters.iter().map(|meter| meter.control.due()).min().unwrap_or(SimTime::NEVER);
        self.next.min(due).min(self.plan.next_step(self.now)).max(self.now + Span::from_nanos(1))
    }

    fn at_edge(&mut self, now: SimTime, processes: &mut [Lp]) {
        let changed = self.plan.next_step(self.now) <= now;
        self.settle(now);
        for meter in &mut self.meters {
            let before = meter.control.notch();
            if meter.control.act(now) {
                let detail = format!("{}: notch {before} to {}", meter.name, meter.control.notch());
                self.facts.events.push(event(now, EventKind::Capped, detail));
            }
        }
        // Before looking, so that what is seen stands at the levels in force; again next time, for those who come.
        self.hold(now, processes);
        if now >= self.next || changed {
            self.look(now, processes, changed);
            self.next = now + self.plan.tick;
        }
    }

    /// Enters the time since the last edge.
    fn settle(&mut self, now: SimTime) {
        let span = now.since(self.now);
        if self.meters.iter().any(|meter| meter.control.notch() > 0) {
            self.facts.at_limit += span;
        }
        if self.meters.iter().any(|meter| meter.over) {
            self.facts.over_limit += span;
        }
        self.facts.held += GpuTime::new(self.held_gpus, span);
        self.now = now;
    }

    /// Sends every tenant the levels that its nodes stand at.
    fn hold(&mut self, now: SimTime, processes: &mut [Lp]) {
        let free = self.meters.iter().all(|meter| meter.control.notch() == 0);
        if free && self.held_gpus == 0 {
            return;
        }
        let mut held = 0;
        for holder in &self.holders {
            let level = |nodes: &NodeSet| self.level_of(holder, nodes);
            for process in &mut processes[holder.processes.clone()] {
                process.hold(now, &level);
                process.loads(&mut |_, load| held += if load.level > 0 { load.gpus } else { 0 });
            }
        }
        self.held_gpus = held;
    }

    /// The hardest level of the meters that `nodes` of `holder` stand behind.
    fn level_of(&self, holder: &Holder, nodes: &NodeSet) -> u8 {
        let behind = |meter: &&Meter| match meter.place {
            Place::Site => true,
            Place::Nodes(cluster, from, to) => cluster == holder.cluster && nodes.part_in(from..to) > 0.0,
        };
        let level = |meter: &Meter| self.plan.ladder.level(meter.control.notch(), holder.priority);
        self.meters.iter().filter(|meter| meter.control.notch() > 0).filter(behind).map(level).max().unwrap_or(0)
    }

    /// Reads every meter and lets its controller decide.
    fn look(&mut self, now: SimTime, processes: &[Lp], limit_changed: bool) {
        self.read(processes);
        let hour = (now.nanos() / Span::HOUR.nanos()) as usize;
        let site_limit = self.plan.limit_at(now);
        if let Some(limit) = site_limit.filter(|_| limit_changed) {
            self.facts.events.push(event(now, EventKind::LimitChanged, format!("the site may draw {limit}")));
        }
        for meter in &mut self.meters {
            let nodes = Watts::from_f64(meter.tally.it);
            let (power, limit) = match meter.place {
                Place::Site => (self.site.facility.meter(nodes, hour), site_limit.unwrap_or(meter.limit)),
                Place::Nodes(..) => (nodes, meter.limit),
            };
            if meter.place == Place::Site {
                self.facts.peak_seen = self.facts.peak_seen.max(power);
            }
            meter.over = power > limit;
            let seen = Seen {
                power,
                limit,
                hard: meter.limit,
                it: meter.tally.it,
                held: meter.tally.held.clone(),
                rest: meter.tally.it - meter.tally.held_now,
            };
            if meter.control.look(now, &self.plan.ladder, &seen) {
                self.facts.brakes += 1;
                let detail = format!("{} draws {power} of {}", meter.name, meter.limit);
                self.facts.events.push(event(now, EventKind::Brake, detail));
            }
        }
    }

    /// Adds up what stands behind each meter.
    fn read(&mut self, processes: &[Lp]) {
        for meter in &mut self.meters {
            let [low, high] = std::mem::take(&mut meter.tally.held);
            let zero = |mut levels: Vec<f64>| {
                levels.fill(0.0);
                levels
            };
            meter.tally = Tally { held: [zero(low), zero(high)], ..Tally::default() };
        }
        let Site { meters, holders, plan, .. } = self;
        let mut held_gpus = vec![0_u32; plan.factors.len()];
        for holder in holders.iter() {
            let (factors, host) = (&plan.factors[holder.cluster], plan.hosts[holder.cluster]);
            for process in &processes[holder.processes.clone()] {
                process.loads(&mut |nodes, load| {
                    held_gpus[holder.cluster] += load.gpus;
                    for meter in meters.iter_mut() {
                        let part = match meter.place {
                            Place::Site => 1.0,
                            Place::Nodes(cluster, ..) if cluster != holder.cluster => continue,
                            Place::Nodes(_, from, to) => nodes.part_in(from..to),
                        };
                        if part > 0.0 {
                            meter.tally.hold(&load, part * (1.0 + host), factors, holder.priority);
                            meter.tally.it += load.power.as_f64() * part;
                            meter.tally.gpus += f64::from(load.gpus) * part;
                        }
                    }
                });
            }
        }
        for ((index, cluster), idle) in self.clusters.iter().zip(&self.idle) {
            let per_gpu = idle.as_f64() / f64::from(cluster.node.gpus);
            for meter in &mut self.meters {
                let free = match meter.place {
                    Place::Site => f64::from(cluster.gpus().saturating_sub(held_gpus[*index])),
                    Place::Nodes(at, from, to) if at == *index => free_gpus(&cluster.node, to - from, meter.tally.gpus),
                    Place::Nodes(..) => 0.0,
                };
                meter.tally.it += free * per_gpu;
            }
        }
    }
}

/// GPUs that nobody holds on `nodes` nodes.
fn free_gpus(node: &NodeSheet, nodes: u32, held: f64) -> f64 {
    (f64::from(nodes * node.gpus) - held).max(0.0)
}

impl Tally {
    /// Adds what levers hold of `load`, hosts included, `part` times.
    fn hold(&mut self, load: &Load, part: f64, factors: &[f64], priority: Priority) {
        let held = load.held.as_f64() * part;
        self.held_now += held;
        let unheld = held / factors[usize::from(load.level)];
        let levels = self.held[priority as usize].iter_mut().zip(factors);
        levels.for_each(|(watts, factor)| *watts += unheld * factor);
    }
}

fn event(at: SimTime, kind: EventKind, detail: String) -> Event {
    Event { at, kind, nodes: String::new(), detail }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::power::{CappingSection, Polca};

    #[test]
    fn a_limit_changes_when_its_steps_say() {
        let at = |seconds| SimTime::ZERO + Span::from_secs(seconds);
        let plan = CappingPlan {
            ladder: Ladder::new(&CappingSection::Polca(Polca::default())),
            tick: Span::from_secs(2),
            limit: Some(Watts::new(100)),
            steps: vec![(at(10), Watts::new(60)), (at(20), Watts::new(100))],
            factors: Vec::new(),
            hosts: Vec::new(),
        };
        let limits = [0, 10, 19, 20].map(|second| plan.limit_at(at(second)).map_or(0.0, Watts::as_f64));
        assert_eq!(limits, [100.0, 60.0, 60.0, 100.0]);
        assert_eq!([0, 10, 20].map(|second| plan.next_step(at(second))), [at(10), at(20), SimTime::NEVER]);
    }
}
