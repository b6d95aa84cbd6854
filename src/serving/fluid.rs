//! A whole service as a fluid: response tables of steady cells, integrated over time. For years, or for more than ten
//! thousand requests a second, where [`Cell`](super::Cell) would take too long.
//!
//! In each step of the control tick, cut where a replica becomes ready or fails, the expected arrivals are the exact integral
//! of [`RateCurve`](super::RateCurve). They and the backlog flow through the ready replicas up to the saturated throughput; the load that this makes, equal in all
//! cells, gives power, batch and latencies from the tables; what does not fit waits, and its wait is backlog over
//! throughput; what finds the queue full is turned away. The weekly profile, slow noise, failures and loading act here, and
//! so does what an autoscaler sees: the tables' fluctuation of the requests inside, as a noise with their turnover time.
//!
//! Assumes that a cell settles within a tick, that requests which a failure throws back cost nothing but their replica's
//! capacity, and that a replica drains at once. Measured against exact cells: `tests/fluid.rs`.

use super::cell::DETECT;
use super::hazard::Hazard;
use super::response::{Response, Spot, Table};
use super::{MeanLengths, RateCurve, ServicePlan, Telemetry, autoscaler, cells};
use crate::engine::{Entity, Process, Seed, Stream};
use crate::ledger::{Book, Count, Draw, Event, EventKind, Grid, Latencies, ServiceFacts, Use};
use crate::units::{SimTime, Span, Tokens, Watts};
use crate::world::NodeSet;
use std::sync::Arc;

/// A service, integrated.
#[derive(Debug, Clone)]
pub struct Fluid {
    plan: Arc<ServicePlan>,
    table: Table,
    curve: RateCurve,
    hazard: Hazard,
    fluctuation: Fluctuation,
    /// Integrated up to here.
    now: SimTime,
    ready: Vec<NodeSet>,
    unready: Vec<Unready>,
    released: Vec<NodeSet>,
    /// Requests that wait because more come than flow.
    backlog: f64,
    /// Requests inside replicas.
    inside: f64,
    flows: Flows,
    weights: Weights,
    book: Book,
    facts: ServiceFacts,
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
    delayed: Latencies,
}

/// Weight of one request: fine enough to split it between four points.
const WEIGHT: f64 = 65_536.0;

impl Fluid {
    /// The service, with no replica and closed doors. Measures its tables: about a million requests, in parallel. Panics for
    /// a trace, which only exact cells can serve.
    #[must_use]
    pub fn new(plan: Arc<ServicePlan>, seed: Seed, grid: Grid) -> Fluid {
        let entity = Entity::named(&format!("service.{}", plan.name));
        let table = Table::measure(&plan, seed);
        Fluid {
            curve: RateCurve::new(&plan, seed),
            hazard: Hazard::new(plan.failures, plan.nodes, seed.stream(entity.part(0), "failure")),
            fluctuation: Fluctuation { stream: seed.stream(entity, "fluctuation"), level: 0.0, seen: 0.0 },
            now: SimTime::ZERO,
            ready: Vec::new(),
            unready: Vec::new(),
            released: Vec::new(),
            backlog: 0.0,
            inside: 0.0,
            flows: Flows::new(autoscaler::mean_lengths(&plan.arrivals)),
            weights: Weights { points: vec![0; table.len()], delayed: Latencies::default() },
            book: Book::new(grid),
            facts: ServiceFacts { fidelity: "fluid", ..ServiceFacts::default() },
            table,
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
        if self.facts.opened.is_none() {
            self.facts.opened = Some(at);
            self.log(EventKind::Opened, String::new(), format!("service {} opens", self.plan.name));
        }
    }

    /// Adds a replica on `nodes`, granted at `at`, that loads its model until `ready`.
    pub fn add_replica(&mut self, at: SimTime, ready: SimTime, nodes: NodeSet) {
        self.integrate_to(at);
        self.unready.push(Unready { what: Use::Loading, until: ready, nodes });
        self.settle();
    }

    /// Sends one replica away at `at`: one that does not serve yet, the newest first, else a ready one, which drains at once.
    /// Panics where there is none.
    pub fn remove_replica(&mut self, at: SimTime) {
        self.integrate_to(at);
        let nodes = self.unready.pop().map(|unready| unready.nodes).or_else(|| self.ready.pop());
        self.released.push(nodes.expect("a replica is left to remove"));
        self.settle();
    }

    /// Nodes of replicas that have gone since the last call.
    pub fn released(&mut self) -> Vec<NodeSet> {
        std::mem::take(&mut self.released)
    }

    /// What control may know at an edge.
    #[must_use]
    pub fn telemetry(&self) -> Telemetry {
        Telemetry {
            ready: self.ready.len() as u32,
            loading: self.unready.len() as u32,
            running: (self.inside + self.fluctuation.seen).max(0.0).round() as u64,
            queued: self.backlog.round() as u64,
            output: Tokens::new(self.flows.output()),
        }
    }

    /// Ends the run at `horizon`.
    #[must_use]
    pub fn close(mut self, horizon: SimTime) -> (Book, ServiceFacts) {
        self.integrate_to(horizon);
        self.facts.in_flight = self.flows.in_flight();
        self.weights.enter(&self.table, self.book.latencies_mut());
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
            let lost = self.inside / (self.ready.len() + 1) as f64;
            let detail = format!("{lost:.0} requests start over");
            self.log(EventKind::Failure, nodes.to_string(), detail);
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
        let capacity = self.table.saturated * self.ready.len() as f64 * span.as_secs_f64();
        let offered = self.backlog + arriving;
        let flowing = offered.min(capacity);
        let room = f64::from(self.plan.queue.max(1)) * (self.ready.len() + self.unready.len()).max(1) as f64;
        let waiting = (offered - flowing).min(room);
        let turned_away = offered - flowing - waiting;
        let wait = if capacity > 0.0 { (self.backlog + waiting) / 2.0 / capacity } else { 0.0 };
        self.backlog = waiting;
        if self.ready.is_empty() {
            (self.inside, self.fluctuation.seen) = (0.0, 0.0);
            self.flows.follow(&mut self.book, until, arriving, turned_away, self.backlog, 0.0);
            return;
        }
        let spot = self.table.spot(self.ready.len() as f64 / f64::from(cells(self.plan.scale.max)), flowing / capacity);
        let response = self.table.response(&spot);
        self.serve(until, &response);
        self.inside = response.outstanding * self.ready.len() as f64;
        self.fluctuation.advance(&response, self.ready.len() as f64, flowing / span.as_secs_f64(), span);
        let outside = self.backlog + self.inside;
        let wait = span.scale(wait);
        let within = response.within_slo * self.punctual(&response, wait);
        let completed = self.flows.follow(&mut self.book, until, arriving, turned_away, outside, within);
        self.weights.add(&self.table, &spot, completed, wait);
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
        self.book.spend(Use::Serving, self.now, busy, draw);
        self.spend_standing(Use::WarmIdle, busy, until, self.ready.len());
    }

    /// Enters the energy of replicas with a resident model that serve nobody.
    fn spend_standing(&mut self, what: Use, from: SimTime, to: SimTime, replicas: usize) {
        if replicas > 0 {
            let each = self.plan.power.resident();
            self.book.spend(what, from, to, Draw::new(replicas as u32 * self.plan.gpus, each.accelerator, each.host));
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
    fn add(&mut self, table: &Table, spot: &Spot, requests: u64, wait: Span) {
        let weight = requests as f64 * WEIGHT;
        if wait > Span::ZERO {
            let delayed = table.delayed(spot, wait);
            let each = weight / delayed.e2e().count() as f64;
            self.delayed.merge_scaled(&delayed, each.round() as u64);
            return;
        }
        for (point, part) in spot {
            self.points[*point] += (weight * part).round() as u64;
        }
    }

    /// Enters all into `latencies`, in units of 1 / [`WEIGHT`] request.
    fn enter(&self, table: &Table, latencies: &mut Latencies) {
        latencies.merge(&self.delayed);
        for (point, weight) in self.points.iter().enumerate() {
            let measured = table.latencies(point);
            latencies.merge_scaled(measured, weight / measured.e2e().count().max(1));
        }
    }
}

/// What an autoscaler sees beside the mean: the number of requests inside fluctuates, and is forgotten with their turnover.
#[derive(Debug, Clone)]
struct Fluctuation {
    stream: Stream,
    level: f64,
    /// Requests above the mean.
    seen: f64,
}

impl Fluctuation {
    fn advance(&mut self, response: &Response, replicas: f64, flow: f64, span: Span) {
        let turnover = response.outstanding * replicas / flow.max(f64::MIN_POSITIVE);
        let keep = libm::exp(-span.as_secs_f64() / turnover.max(f64::MIN_POSITIVE));
        self.level = keep * self.level + (1.0 - keep * keep).sqrt() * self.stream.normal();
        self.seen = self.level * (response.variance * replicas).sqrt();
    }
}
