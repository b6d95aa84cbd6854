//! One service as control sees it: its processes, its doors, its autoscaler.

use super::Lp;
use crate::ledger::{Book, Event, EventKind, SampleFacts, ServiceFacts};
use crate::serving::{Autoscaler, Fidelity, Front, Kept, ServicePlan, Telemetry, cells, slo_share};
use crate::units::SimTime;
use crate::world::{Hall, NodeSet};
use std::ops::Range;
use std::sync::Arc;

/// Where a service stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doors {
    /// Waits for a job or for its time.
    Closed,
    /// Its first replicas load until then.
    Opening(SimTime),
    /// Takes requests since then.
    Open(SimTime),
}

/// One service under control.
#[derive(Debug)]
pub(super) struct Service {
    index: usize,
    plan: Arc<ServicePlan>,
    /// Its processes in the run's list.
    processes: Range<usize>,
    /// The cells that its processes are, and stand for.
    kept: Vec<Kept>,
    /// Replicas of each process, loading ones included.
    replicas: Vec<u32>,
    /// What the replicas hold that those of a kept cell stand for, by the nodes of the latter.
    beside: Vec<(NodeSet, Vec<NodeSet>)>,
    /// Replicas that the hall had no room for, when it last asked.
    short: u32,
    /// Replicas sent away whose nodes have not come back.
    leaving: u32,
    doors: Doors,
    autoscaler: Autoscaler,
    next_tick: SimTime,
    /// Outstanding requests of each process as last reported to the front router, and when it reports next.
    reported: Vec<u64>,
    next_report: SimTime,
    events: Vec<Event>,
}

impl Service {
    /// The `index`-th service, whose processes begin at `first` in the run's list and are the cells `kept`.
    pub(super) fn new(index: usize, plan: Arc<ServicePlan>, first: usize, kept: Vec<Kept>) -> Service {
        Service {
            index,
            autoscaler: Autoscaler::new(&plan),
            replicas: vec![0; kept.len()],
            reported: vec![0; kept.len()],
            next_report: SimTime::NEVER,
            plan,
            processes: first..first + kept.len(),
            beside: Vec::new(),
            kept,
            short: 0,
            leaving: 0,
            doors: Doors::Closed,
            next_tick: SimTime::NEVER,
            events: Vec::new(),
        }
    }

    /// The next instant at which control must see this service, given whether what it waits for has come.
    pub(super) fn next_edge(&self, now: SimTime) -> SimTime {
        let opens = SimTime::ZERO + self.plan.opens_at;
        match self.doors {
            Doors::Closed if opens > now => opens,
            Doors::Closed => SimTime::NEVER,
            Doors::Opening(ready) => ready,
            Doors::Open(_) => self.next_tick.min(self.next_report),
        }
    }

    /// GPUs that it wants and does not get.
    pub(super) fn lacks(&self) -> u32 {
        self.short * self.plan.gpus
    }

    /// Gives up replicas, down to the fewest that it may have, for `taker` that lacks so many GPUs, as far as those that leave already
    /// do not suffice; returns what is still lacking.
    pub(super) fn give(&mut self, lacking: u32, now: SimTime, taker: &str, processes: &mut [Lp]) -> u32 {
        let mut lacking = lacking.saturating_sub(self.leaving * self.plan.gpus);
        let before = self.count();
        let mut count = before;
        while lacking > 0 {
            let target = position_of_least(self.replicas.iter().map(|&replicas| -i64::from(replicas)));
            let step = self.kept[target].stands_for;
            if count < self.plan.scale.min + step {
                break;
            }
            self.remove(target, now, &mut processes[self.processes.clone()]);
            count -= step;
            lacking = lacking.saturating_sub(step * self.plan.gpus);
        }
        if count < before {
            self.log(now, EventKind::Scaled, format!("{before} to {count} replicas, for service.{taker}"));
        }
        lacking
    }

    /// Takes back what has drained, opens the doors when it is time, and lets the autoscaler decide; more replicas only where it
    /// `may_grow`.
    pub(super) fn at_edge(
        &mut self,
        now: SimTime,
        job_done: bool,
        may_grow: bool,
        hall: &mut Hall,
        processes: &mut [Lp],
    ) {
        let processes = &mut processes[self.processes.clone()];
        self.take_back(hall, processes);
        match self.doors {
            Doors::Closed if job_done && SimTime::ZERO + self.plan.opens_at <= now => {
                let initial = self.autoscaler.initial();
                self.scale_to(if may_grow { initial } else { 0 }, now, hall, processes);
                self.doors = Doors::Opening(now + self.plan.start_up);
            }
            Doors::Opening(ready) if ready <= now => {
                self.doors = Doors::Open(now);
                self.report(now, processes);
                self.share(now, processes);
                processes.iter_mut().for_each(|process| process.open(now));
                self.log(now, EventKind::Opened, format!("{} replicas", self.count()));
                self.next_tick = now + self.plan.tick;
            }
            Doors::Open(_) if self.next_tick > now && self.next_report <= now => {
                self.report(now, processes);
                self.share(now, processes);
            }
            Doors::Open(_) if self.next_tick <= now => {
                if self.next_report <= now {
                    self.report(now, processes);
                }
                let desired = self.autoscaler.desired(now, telemetry(processes));
                self.scale_to(if may_grow { desired } else { desired.min(self.count()) }, now, hall, processes);
                self.share(now, processes);
                self.next_tick = now + self.plan.tick;
            }
            _ => {}
        }
    }

    /// Gives the nodes of replicas that have gone back to the hall.
    fn take_back(&mut self, hall: &mut Hall, processes: &mut [Lp]) {
        for process in processes {
            for nodes in process.released() {
                let beside = self.beside.iter().position(|(of, _)| *of == nodes);
                let beside = beside.map_or(Vec::new(), |index| self.beside.swap_remove(index).1);
                for nodes in beside.into_iter().chain([nodes]) {
                    self.leaving -= 1;
                    hall.release_replica(self.index, self.plan.gpus, nodes);
                }
            }
        }
    }

    /// How many replicas there are, those included that nobody simulates.
    fn count(&self) -> u32 {
        self.replicas.iter().zip(&self.kept).map(|(replicas, kept)| replicas * kept.stands_for).sum()
    }

    /// Adds replicas to the emptiest process, or drains them from the fullest, until there are `desired` or the hall is full. Where a
    /// process stands for several cells they come and go together, to the nearest number to be had.
    fn scale_to(&mut self, desired: u32, now: SimTime, hall: &mut Hall, processes: &mut [Lp]) {
        let before = self.count();
        let mut count = before;
        loop {
            let target = position_of_least(self.replicas.iter().map(|&replicas| i64::from(replicas)));
            let step = self.kept[target].stands_for;
            self.short = 0;
            if !self.may_add(count, desired, step) {
                break;
            }
            if !self.add(target, now, hall, processes) {
                self.short = desired - count;
                break;
            }
            count += step;
        }
        loop {
            let target = position_of_least(self.replicas.iter().map(|&replicas| -i64::from(replicas)));
            let step = self.kept[target].stands_for;
            if !self.may_remove(count, desired, step) {
                break;
            }
            self.remove(target, now, processes);
            count -= step;
        }
        if count != before {
            let short = if count < desired { format!(", {desired} wanted") } else { String::new() };
            self.log(now, EventKind::Scaled, format!("{before} to {count} replicas{short}"));
        }
    }

    /// True where `step` more of `count` replicas come nearer to `desired`, or lead up to the fewest that there may be.
    fn may_add(&self, count: u32, desired: u32, step: u32) -> bool {
        let scale = self.plan.scale;
        let nearer = 2 * count + step <= 2 * desired || count < scale.min.max(1);
        count < desired && count + step <= scale.max && nearer
    }

    /// True where `step` fewer of `count` replicas come nearer to `desired`, and are not fewer than there may be.
    fn may_remove(&self, count: u32, desired: u32, step: u32) -> bool {
        let least = self.plan.scale.min.max(desired.min(1));
        2 * count > 2 * desired + step && count >= least + step
    }

    /// Sends a replica of the process at `target` away, and those that it stands for.
    fn remove(&mut self, target: usize, now: SimTime, processes: &mut [Lp]) {
        processes[target].remove_replica(now);
        self.replicas[target] -= 1;
        self.leaving += self.kept[target].stands_for;
    }

    /// Grants a replica to the process at `target`, and one to each cell that it stands for beside itself; false, and nothing done,
    /// where the hall has no room for all of them.
    fn add(&mut self, target: usize, now: SimTime, hall: &mut Hall, processes: &mut [Lp]) -> bool {
        let Some(nodes) = hall.grant_replica(self.index, self.plan.gpus) else { return false };
        let others = 1..self.kept[target].stands_for;
        let beside: Vec<NodeSet> =
            others.clone().map_while(|_| hall.grant_replica(self.index, self.plan.gpus)).collect();
        if beside.len() < others.len() {
            let granted = beside.into_iter().chain([nodes]);
            granted.for_each(|nodes| hall.release_replica(self.index, self.plan.gpus, nodes));
            return false;
        }
        if !beside.is_empty() {
            self.beside.push((nodes.clone(), beside));
        }
        processes[target].add_replica(now, now + self.plan.start_up, nodes);
        self.replicas[target] += 1;
        true
    }

    /// The processes report their loads to the front router, where it asks.
    fn report(&mut self, now: SimTime, processes: &[Lp]) {
        if let Front::StaleLoad(front) = self.plan.front {
            let loads = processes.iter().map(|process| process.telemetry());
            self.reported = loads.map(|seen| seen.running + seen.queued).collect();
            self.next_report = now + front.report_every;
        }
    }

    /// Splits arrivals among the processes in proportion to the replicas that are ready, or as the front router does by the loads that
    /// were last reported.
    fn share(&self, now: SimTime, processes: &mut [Lp]) {
        let ready: Vec<u32> = processes
            .iter()
            .zip(&self.kept)
            .map(|(process, kept)| process.telemetry().ready / kept.stands_for)
            .collect();
        // With none ready, all alike.
        let weights = if ready.iter().all(|&ready| ready == 0) { vec![1; ready.len()] } else { ready };
        let whole: u32 = weights.iter().zip(&self.kept).map(|(weight, kept)| weight * kept.stands_for).sum();
        if let Front::StaleLoad(front) = self.plan.front {
            let parts = of_the_least_loaded(&self.reported, &weights, front.choices);
            let mut before = 0.0;
            let last = parts.len() - 1;
            for (index, (process, part)) in processes.iter_mut().zip(parts).enumerate() {
                // The slices tile 0..1 to the last bit.
                let after = if index == last { 1.0 } else { before + part };
                process.set_slice(now, before..after);
                before = after;
            }
            return;
        }
        let mut before = 0;
        for ((process, weight), kept) in processes.iter_mut().zip(weights).zip(&self.kept) {
            let edge = |sum: u32| f64::from(sum) / f64::from(whole);
            // Its neighbours, which have as many ready, lie before and behind it.
            let from = before + (kept.cell - kept.first) * weight;
            process.set_slice(now, edge(from)..edge(from + weight));
            before += weight * kept.stands_for;
        }
    }

    fn log(&mut self, at: SimTime, kind: EventKind, detail: String) {
        self.events.push(Event { at, kind, nodes: String::new(), detail });
    }

    /// The processes' books and facts as one, with control's own events.
    pub(super) fn close(self, books: impl Iterator<Item = (Book, ServiceFacts)>) -> (Book, ServiceFacts) {
        let books: Vec<(Book, ServiceFacts)> = books.collect();
        let own = books.iter().map(|(book, _)| book);
        let sample = match self.plan.fidelity {
            Fidelity::Sampled(_) => Some(SampleFacts::of(own, cells(self.plan.scale.max), self.plan.gpus)),
            Fidelity::Requests {} | Fidelity::Fluid {} => None,
        };
        let (mut book, mut facts) = books
            .into_iter()
            .zip(&self.kept)
            .map(|((mut book, facts), kept)| {
                let count = u64::from(kept.stands_for);
                if count > 1 {
                    book.multiply(count);
                }
                (book, facts.times(count))
            })
            .reduce(|(mut book, mut facts), (other, more)| {
                book.merge(other);
                facts.join(more);
                (book, facts)
            })
            .expect("a service has at least one process");
        if let Doors::Open(since) = self.doors {
            facts.opened = Some(since);
        }
        if sample.is_some() {
            (facts.fidelity, facts.sample) = ("sampled", sample);
        }
        facts.slo_share = slo_share(&self.plan);
        facts.prices = self.plan.prices;
        for event in self.events {
            book.log(event);
        }
        (book, facts)
    }

    pub(super) fn processes(&self) -> Range<usize> {
        self.processes.clone()
    }
}

/// What each of several cells gets of the requests that each go to the least loaded of `choices` cells, drawn by `weights` and with
/// replacement. Loads are outstanding requests over weight; equal ones share. A cell whose own and higher loads have a part `f` of
/// the weights, of which the higher have `g`, is the least loaded of those drawn with probability `f^choices - g^choices`.
fn of_the_least_loaded(outstanding: &[u64], weights: &[u32], choices: u32) -> Vec<f64> {
    let whole: u64 = weights.iter().map(|&weight| u64::from(weight)).sum();
    // load a <= load b, without dividing; a cell of no weight gets nothing anyhow.
    let at_most = |a: usize, b: usize| {
        u128::from(outstanding[a]) * u128::from(weights[b]) <= u128::from(outstanding[b]) * u128::from(weights[a])
    };
    let part = |index: usize| {
        let of = |meant: &dyn Fn(usize) -> bool| -> u64 {
            (0..weights.len()).filter(|&other| meant(other)).map(|other| u64::from(weights[other])).sum()
        };
        let from = of(&|other| at_most(index, other));
        let above = of(&|other| at_most(index, other) && !at_most(other, index));
        let wins = |weight: u64| libm::pow(weight as f64 / whole as f64, f64::from(choices));
        (wins(from) - wins(above)) * f64::from(weights[index]) / (from - above).max(1) as f64
    };
    (0..weights.len()).map(part).collect()
}

fn telemetry(processes: &[Lp]) -> Telemetry {
    processes.iter().map(Lp::telemetry).fold(Telemetry::default(), |sum, cell| Telemetry {
        ready: sum.ready + cell.ready,
        loading: sum.loading + cell.loading,
        running: sum.running + cell.running,
        queued: sum.queued + cell.queued,
        output: sum.output + cell.output,
        ended: sum.ended + cell.ended,
        within_slo: sum.within_slo + cell.within_slo,
    })
}

/// Index of the least; the first of equals.
fn position_of_least(values: impl Iterator<Item = i64>) -> usize {
    values.enumerate().min_by_key(|&(index, value)| (value, index)).expect("at least one").0
}

/// The commands that exact and fluid services share.
impl Lp {
    fn open(&mut self, at: SimTime) {
        match self {
            Lp::Cell(cell, _) => cell.open(at),
            Lp::Fluid(fluid) => fluid.open(at),
            Lp::Job(_) | Lp::Device(_) => unreachable!("a service's processes are cells or fluid"),
        }
    }

    fn add_replica(&mut self, at: SimTime, ready: SimTime, nodes: NodeSet) {
        match self {
            Lp::Cell(cell, _) => cell.add_replica(at, ready, nodes),
            Lp::Fluid(fluid) => fluid.add_replica(at, ready, nodes),
            Lp::Job(_) | Lp::Device(_) => unreachable!("a service's processes are cells or fluid"),
        }
    }

    fn remove_replica(&mut self, at: SimTime) {
        match self {
            Lp::Cell(cell, _) => cell.remove_replica(at),
            Lp::Fluid(fluid) => fluid.remove_replica(at),
            Lp::Job(_) | Lp::Device(_) => unreachable!("a service's processes are cells or fluid"),
        }
    }

    fn released(&mut self) -> Vec<NodeSet> {
        match self {
            Lp::Cell(cell, _) => cell.released(),
            Lp::Fluid(fluid) => fluid.released(),
            Lp::Job(_) | Lp::Device(_) => unreachable!("a service's processes are cells or fluid"),
        }
    }

    fn set_slice(&mut self, at: SimTime, slice: Range<f64>) {
        if let Lp::Cell(cell, _) = self {
            cell.set_slice(at, slice);
        }
    }

    fn telemetry(&self) -> Telemetry {
        match self {
            Lp::Cell(cell, count) => cell.telemetry().times(*count),
            Lp::Fluid(fluid) => fluid.telemetry(),
            Lp::Job(_) | Lp::Device(_) => unreachable!("a service's processes are cells or fluid"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of two cells drawn from four alike, the emptiest wins 7/16, the others 5/16, 3/16 and 1/16; equal ones share.
    #[test]
    fn two_choices_by_hand() {
        let parts = |loads: &[u64], weights: &[u32], choices| of_the_least_loaded(loads, weights, choices);
        assert_eq!(parts(&[9, 0, 5, 7], &[1; 4], 2), [1.0 / 16.0, 7.0 / 16.0, 5.0 / 16.0, 3.0 / 16.0]);
        assert_eq!(parts(&[9, 0, 0, 9], &[2; 4], 2), [1.0 / 8.0, 3.0 / 8.0, 3.0 / 8.0, 1.0 / 8.0]);
        assert_eq!(parts(&[3, 1], &[3, 1], 2), [0.75, 0.25], "as loaded, by weight");
        // One choice is by weight alone; many herd.
        assert_eq!(parts(&[9, 0, 5], &[1, 1, 2], 1), [0.25, 0.25, 0.5]);
        assert!(parts(&[9, 0, 5, 7], &[1; 4], 64)[1] > 0.999_999);
        // Who has no replica gets nothing.
        assert_eq!(parts(&[0, 4], &[0, 4], 2), [0.0, 1.0]);
    }
}
