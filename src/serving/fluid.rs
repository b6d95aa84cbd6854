//! A whole service as a fluid: response tables of steady cells, integrated over time. For years, or for more than ten
//! thousand requests a second, where [`Cell`](super::Cell) would take too long.
//!
//! In each step of the control tick, cut where a replica becomes ready or fails, the expected arrivals are the exact integral
//! of [`RateCurve`]. Requests held change by what comes less what goes, `L' = L + arrivals - flow(L')`
//! (implicit Euler of the pointwise stationary fluid flow approximation; Wang, Tipper and Banerjee, INFOCOM 1996), where the
//! tables say how much flows when that much is held. The load that this makes, equal in all cells, gives power and latencies
//! from the tables; what ready replicas cannot hold inside waits, backlog over throughput; what finds the queue full is
//! turned away. The weekly profile, slow noise, failures and loading act here, and so does what an autoscaler sees: requests
//! held, with the tables' fluctuation about the mean.
//!
//! Assumes that power and latencies follow load at once, that requests which a failure throws back cost nothing but their
//! replica's capacity, and that a replica drains at once. Measured against exact cells: `tests/fluid.rs`.

use super::cell::DETECT;
use super::hazard::Hazard;
use super::response::{Response, Spot, Table};
use super::{MeanLengths, RateCurve, ServicePlan, Telemetry, autoscaler, cells};
use crate::engine::{Entity, Process, Seed, Stream};
use crate::ledger::{Book, Count, Draw, Event, EventKind, Grid, Latencies, ServiceFacts, Use};
use crate::units::{SimTime, Span, Tokens, Watts};
use crate::world::NodeSet;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A service, integrated.
#[derive(Debug, Clone)]
pub struct Fluid {
    plan: Arc<ServicePlan>,
    seed: Seed,
    /// Tables of the levels of power control, each measured when it is first met, and how often their points were met.
    measured: Vec<Option<Measured>>,
    level: usize,
    curve: RateCurve,
    hazard: Hazard,
    held: Held,
    /// Integrated up to here.
    now: SimTime,
    ready: Vec<NodeSet>,
    unready: Vec<Unready>,
    released: Vec<NodeSet>,
    flows: Flows,
    /// What the replicas drew in the last step, and whether they served.
    drew: (Draw, bool),
    book: Book,
    facts: ServiceFacts,
}

/// The tables of a level and the weights of their points.
#[derive(Debug, Clone)]
struct Measured {
    table: Table,
    weights: Weights,
}

impl Measured {
    fn new(plan: &ServicePlan, seed: Seed) -> Measured {
        let table = Table::measure(plan, seed);
        Measured { weights: Weights { points: vec![0; table.len()], delayed: BTreeMap::new() }, table }
    }
}

/// A replica that does not serve yet, or not again yet.
#[derive(Debug, Clone)]
struct Unready {
    /// What it spends its time on.
    what: Use,
    until: SimTime,
    nodes: NodeSet,
}

/// Running totals, expected and counted: what is counted follows what is expected, and never runs back.
#[derive(Debug, Clone)]
struct Flows {
    lengths: MeanLengths,
    expected: f64,
    arrived: u64,
    turned_away: f64,
    rejected: u64,
    completed: u64,
    within: f64,
    within_slo: u64,
}

/// How often each point of the table was met, and latencies met only in overload.
#[derive(Debug, Clone)]
struct Weights {
    points: Vec<u64>,
    /// By point and the wait in front, the latter in steps of [`WAIT_STEP`] of itself.
    delayed: BTreeMap<(usize, i32), u64>,
}

/// Waits are kept to 5 %.
const WAIT_STEP: f64 = 0.05;

/// Weight of one request: fine enough to split it between four points.
const WEIGHT: f64 = 65_536.0;

impl Fluid {
    /// The service, with no replica and closed doors. Measures its tables: about a million requests, in parallel. Panics for
    /// a trace, which only exact cells can serve.
    #[must_use]
    pub fn new(plan: Arc<ServicePlan>, seed: Seed, grid: Grid) -> Fluid {
        let entity = Entity::named(&format!("service.{}", plan.name));
        let mut measured = vec![None; plan.levels()];
        measured[0] = Some(Measured::new(&plan.held_at(0), seed));
        Fluid {
            curve: RateCurve::new(&plan, seed),
            hazard: Hazard::new(plan.failures, plan.nodes, seed.stream(entity.part(0), "failure")),
            held: Held { mean: 0.0, excess: 0.0, stream: seed.stream(entity, "fluctuation") },
            now: SimTime::ZERO,
            ready: Vec::new(),
            unready: Vec::new(),
            released: Vec::new(),
            flows: Flows::new(autoscaler::mean_lengths(&plan.arrivals)),
            drew: (Draw::default(), false),
            book: Book::new(grid),
            facts: ServiceFacts { fidelity: "fluid", ..ServiceFacts::default() },
            measured,
            level: 0,
            seed,
            plan,
        }
    }

    /// What it serves.
    #[must_use]
    pub fn plan(&self) -> &ServicePlan {
        &self.plan
    }

    /// Opens the doors at `at`: arrivals begin.
    pub fn open(&mut self, at: SimTime) {
        self.integrate_to(at);
        self.facts.opened = Some(self.facts.opened.unwrap_or(at));
    }

    /// Adds a replica on `nodes`, granted at `at`, that loads its model until `ready`.
    pub fn add_replica(&mut self, at: SimTime, ready: SimTime, nodes: NodeSet) {
        self.integrate_to(at);
        self.unready.push(Unready { what: Use::Loading, until: ready, nodes });
        if ready <= at {
            self.settle();
        }
    }

    /// Sends one replica away at `at`: one that does not serve yet, the newest first, else a ready one, which drains at once.
    /// Panics where there is none.
    pub fn remove_replica(&mut self, at: SimTime) {
        self.integrate_to(at);
        if let Some(unready) = self.unready.pop() {
            return self.released.push(unready.nodes);
        }
        self.released.push(self.ready.pop().expect("a replica is left to remove"));
        self.hazard.expose(self.now, self.ready.len() as u32);
    }

    /// Nodes of replicas that have gone since the last call.
    pub fn released(&mut self) -> Vec<NodeSet> {
        std::mem::take(&mut self.released)
    }

    /// Holds the service at `level` of power control from `at` on.
    pub fn hold(&mut self, at: SimTime, level: u8) {
        let level = usize::from(level);
        if level == self.level {
            return;
        }
        self.integrate_to(at);
        self.level = level;
        if self.measured[level].is_none() {
            self.measured[level] = Some(Measured::new(&self.plan.held_at(level), self.seed));
        }
    }

    /// What its replicas drew in the last step, ready ones and others, the level of power control, and whether a lever can hold
    /// the first.
    pub fn draws(&self, visit: &mut dyn FnMut(Draw, u8, bool)) {
        let standing = self.standing(self.unready.len());
        visit(self.drew.0, self.level as u8, self.drew.1);
        visit(standing, self.level as u8, false);
    }

    /// Draw of replicas with a resident model that serve nobody.
    fn standing(&self, replicas: usize) -> Draw {
        let each = self.plan.power.resident();
        Draw::new(replicas as u32 * self.plan.gpus, each.accelerator, each.host)
    }

    fn table(&self) -> &Table {
        &self.measured[self.level].as_ref().expect("a level is measured when it is met").table
    }

    /// What control may know at an edge.
    #[must_use]
    pub fn telemetry(&self) -> Telemetry {
        let waiting = (self.held.mean - self.room()).max(0.0);
        Telemetry {
            ready: self.ready.len() as u32,
            loading: self.unready.len() as u32,
            running: (self.held.mean - waiting + self.held.excess).max(0.0).round() as u64,
            queued: waiting.round() as u64,
            output: Tokens::new(self.flows.output()),
            // What single requests met is for those who look at single requests.
            ended: 0,
            within_slo: 0,
        }
    }

    /// Ends the run at `horizon`.
    #[must_use]
    pub fn close(mut self, horizon: SimTime) -> (Book, ServiceFacts) {
        self.integrate_to(horizon);
        self.facts.in_flight = self.flows.in_flight();
        for Measured { table, weights } in self.measured.iter().flatten() {
            weights.enter(table, self.book.latencies_mut());
        }
        (self.book, self.facts)
    }

    /// Integrates up to `to`, step by step; returns how many steps that took.
    fn integrate_to(&mut self, to: SimTime) -> u64 {
        let mut steps = 0;
        while self.now < to {
            let change = self.unready.iter().map(|unready| unready.until).fold(self.hazard.next(), SimTime::min);
            let tick = self.plan.tick.nanos();
            let edge = SimTime::from_nanos((self.now.nanos() / tick + 1) * tick);
            let until = to.min(edge).min(change.max(self.now + Span::from_nanos(1)));
            self.step(until);
            self.now = until;
            if change <= until {
                self.change();
            }
            steps += 1;
        }
        steps
    }

    /// Replicas fail, are known to have failed, or become ready, now.
    fn change(&mut self) {
        if self.hazard.next() <= self.now {
            let victim = self.hazard.strike(self.now) as usize;
            let nodes = self.ready.remove(victim);
            self.facts.replica_failures += 1;
            let lost = self.held.mean / (self.ready.len() + 1) as f64;
            let detail = format!("{lost:.0} requests start over");
            self.log(EventKind::ReplicaFailure, nodes.to_string(), detail);
            self.unready.push(Unready { what: Use::Detect, until: self.now + DETECT, nodes });
        }
        self.settle();
    }

    /// Moves the replicas on to what they are now.
    fn settle(&mut self) {
        let now = self.now;
        for mut unready in std::mem::take(&mut self.unready) {
            if unready.what == Use::Detect && unready.until <= now {
                unready.what = Use::Loading;
                unready.until += self.plan.start_up;
            }
            if unready.until <= now {
                self.ready.push(unready.nodes);
            } else {
                self.unready.push(unready);
            }
        }
        self.hazard.expose(now, self.ready.len() as u32);
    }

    /// Integrates from now to `until`, in which replicas stay as they are.
    fn step(&mut self, until: SimTime) {
        let span = until.since(self.now);
        for what in [Use::Loading, Use::Detect] {
            let count = self.unready.iter().filter(|unready| unready.what == what).count();
            self.spend_standing(what, self.now, until, count);
        }
        let arriving = if self.facts.opened.is_some() { self.curve.expected(self.now, until) } else { 0.0 };
        let replicas = self.ready.len() as f64;
        let each_cell = replicas / f64::from(cells(self.plan.scale.max));
        let full = self.table().saturated * replicas * span.as_secs_f64();
        let had = self.held.mean + arriving;
        let load =
            if replicas > 0.0 { self.table().load_after(each_cell, had / replicas, full / replicas) } else { 0.0 };
        let flowing = load * full;
        let queue = f64::from(self.plan.queue.max(1)) * (self.ready.len() + self.unready.len()).max(1) as f64;
        let holding = (had - flowing).min(self.room() + queue);
        let turned_away = had - flowing - holding;
        let waiting = (self.held.mean + holding) / 2.0 - self.room();
        self.held.mean = holding;
        if self.ready.is_empty() {
            self.held.excess = 0.0;
            self.drew = (Draw::default(), false);
            self.flows.follow(&mut self.book, until, arriving, turned_away, holding, 0.0);
            return;
        }
        let spot = self.table().spot(each_cell, load);
        let response = self.table().response(&spot);
        self.serve(until, &response);
        self.held.fluctuate(response.variance * replicas, flowing);
        let wait = span.scale((waiting / full).max(0.0));
        let within = response.within_slo * self.punctual(&response, wait);
        let completed = self.flows.follow(&mut self.book, until, arriving, turned_away, holding, within);
        let measured = self.measured[self.level].as_mut().expect("a level is measured when it is met");
        measured.weights.add(&spot, completed, wait);
    }

    /// Requests that the ready replicas can hold inside; more than that wait.
    fn room(&self) -> f64 {
        let ready = self.ready.len() as f64;
        ready * self.table().room(ready / f64::from(cells(self.plan.scale.max)))
    }

    /// Part of those that would meet the SLO that still do after `wait`.
    fn punctual(&self, response: &Response, wait: Span) -> f64 {
        let late = |limit: Span| wait.as_secs_f64() + response.ttft > limit.as_secs_f64();
        if wait > Span::ZERO && self.plan.slo.is_some_and(|slo| late(slo.ttft)) { 0.0 } else { 1.0 }
    }

    /// Enters the energy of the ready replicas: first the part of the step in which they serve, then the rest, warm.
    fn serve(&mut self, until: SimTime, response: &Response) {
        let busy = self.now + until.since(self.now).scale(response.busy.min(1.0));
        let replicas = self.ready.len() as f64;
        let draw = Draw {
            gpus: self.ready.len() as u32 * self.plan.gpus,
            accelerator: Watts::from_f64(response.accelerator * replicas),
            host: Watts::from_f64(response.host * replicas),
        };
        self.drew = (draw, response.busy > 0.0);
        self.book.spend(Use::Serving, self.now, busy, draw);
        self.spend_standing(Use::WarmIdle, busy, until, self.ready.len());
    }

    /// Enters the energy of replicas with a resident model that serve nobody.
    fn spend_standing(&mut self, what: Use, from: SimTime, to: SimTime, replicas: usize) {
        if replicas > 0 {
            self.book.spend(what, from, to, self.standing(replicas));
        }
    }

    fn log(&mut self, kind: EventKind, nodes: String, detail: String) {
        self.book.log(Event { at: self.now, kind, nodes, detail });
    }
}

impl Process for Fluid {
    /// Due in every window as soon as it holds a replica or its doors are open.
    fn next_time(&self) -> SimTime {
        let idle = self.facts.opened.is_none() && self.ready.is_empty() && self.unready.is_empty();
        if idle { SimTime::NEVER } else { self.now + Span::from_nanos(1) }
    }

    fn run_until(&mut self, edge: SimTime) -> u64 {
        self.integrate_to(edge)
    }
}

impl Flows {
    fn new(lengths: MeanLengths) -> Flows {
        Flows {
            lengths,
            expected: 0.0,
            arrived: 0,
            turned_away: 0.0,
            rejected: 0,
            completed: 0,
            within: 0.0,
            within_slo: 0,
        }
    }

    /// Counts the requests of a step that ends at `at` with `holding` requests waiting or inside; returns how many completed.
    fn follow(
        &mut self,
        book: &mut Book,
        at: SimTime,
        arriving: f64,
        turned_away: f64,
        holding: f64,
        within: f64,
    ) -> u64 {
        self.expected += arriving;
        self.turned_away += turned_away;
        let arrived = self.expected as u64 - self.arrived;
        self.arrived += arrived;
        // No request is turned away before it arrived, nor after it completed.
        let rejected = (self.turned_away as u64).min(self.arrived - self.completed) - self.rejected;
        self.rejected += rejected;
        let through = self.arrived - self.rejected;
        let completed = through.saturating_sub(holding.round() as u64).max(self.completed) - self.completed;
        let tokens = |requests: u64, each: f64| (requests as f64 * each) as u64;
        let (prompt, output) = (tokens(self.completed, self.lengths.prompt), self.output());
        self.completed += completed;
        self.within += completed as f64 * within;
        let within_slo = (self.within as u64).min(self.completed) - self.within_slo;
        self.within_slo += within_slo;
        for (what, number) in [
            (Count::Arrived, arrived),
            (Count::Rejected, rejected),
            (Count::Completed, completed),
            (Count::WithinSlo, within_slo),
            (Count::PromptTokens, tokens(self.completed, self.lengths.prompt) - prompt),
            (Count::OutputTokens, self.output() - output),
        ] {
            book.count(what, at, number);
        }
        completed
    }

    fn output(&self) -> u64 {
        (self.completed as f64 * self.lengths.output) as u64
    }

    fn in_flight(&self) -> u64 {
        self.arrived - self.rejected - self.completed
    }
}

impl Weights {
    /// Adds `requests` that met the latencies at `spot`, after `wait`.
    fn add(&mut self, spot: &Spot, requests: u64, wait: Span) {
        let weight = requests as f64 * WEIGHT;
        for (point, part) in spot {
            let weight = (weight * part).round() as u64;
            if wait == Span::ZERO {
                self.points[*point] += weight;
            } else if weight > 0 {
                let step = (libm::log(wait.as_secs_f64()) / WAIT_STEP).round() as i32;
                *self.delayed.entry((*point, step)).or_default() += weight;
            }
        }
    }

    /// Enters all into `latencies`, in units of 1 / [`WEIGHT`] request.
    fn enter(&self, table: &Table, latencies: &mut Latencies) {
        let mut enter = |measured: &Latencies, weight: u64| {
            latencies.merge_scaled(measured, weight / measured.e2e().count().max(1));
        };
        self.points.iter().enumerate().for_each(|(point, weight)| enter(table.latencies(point), *weight));
        for (&(point, step), weight) in &self.delayed {
            let wait = Span::from_secs_f64(libm::exp(f64::from(step) * WAIT_STEP));
            enter(&table.delayed(point, wait), *weight);
        }
    }
}

/// Requests that wait or are inside replicas.
#[derive(Debug, Clone)]
struct Held {
    mean: f64,
    /// Above the mean, now: what an autoscaler sees and nothing else feels, for the tables hold its effects.
    excess: f64,
    stream: Stream,
}

impl Held {
    /// A step in which `flow` requests pass, as a diffusion whose variance, once settled, is the table's: requests that come
    /// at a rate and settle in variance / rate, a turnover at low load, many near saturation.
    fn fluctuate(&mut self, variance: f64, flow: f64) {
        let keep = if variance > 0.0 { libm::exp(-flow / variance) } else { 0.0 };
        self.excess = keep * self.excess + ((1.0 - keep * keep) * variance).sqrt() * self.stream.normal();
    }
}
