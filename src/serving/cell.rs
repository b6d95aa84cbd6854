//! A service cell: a router and at most 64 replicas, one logical process. Routing is exact: every replica stands where it is
//! at the instant of each arrival. A service with more replicas is several cells, which never meet inside a window.
//!
//! There is no queue of events. Replicas do not interact between arrivals, so each arrival first brings every replica whose
//! planned stretch ends before it up to date, in index order ([`due`](super::due)). Failures and replicas that become ready are
//! rare, and stop this at their own instants, before arrivals.
//!
//! Where the router ignores loads, [`AHEAD`] requests at a time are handed out first, and each replica then serves its own in
//! one go: what it does depends on nothing else, what it enters adds up in any order, and its state stays in the nearest cache.

mod relay;

use super::account::{Account, Tally};
use super::desk::{Desk, Home};
use super::due::{Due, WIDE};
use super::hazard::Hazard;
use super::job::{Job, give_way, line_up, line_up_in_front};
use super::loads::{CLOSED, Loads};
use super::pools::{Fetching, Role};
use super::prefix::{Names, Prefixes};
use super::replica::{BLOCK, Done, Replica, Rules};
use super::router::Routing;
use super::step::Pace;
use super::{ArrivalPlan, OnFailure, ServicePlan, Source, Telemetry};
use crate::engine::{Entity, Process, Seed};
use crate::ledger::{Attempts, Book, Draw, Event, EventKind, Grid, Miss, RequestLog, ServiceFacts, Use};
use crate::trace::Request;
use crate::units::{BytesPerSecond, GpuTime, SimTime, Span, Tokens};
use crate::world::NodeSet;
use relay::Relay;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

/// Time of each request outside the replicas. Assumed.
pub const API_TIME: Span = Span::from_nanos(3_000_000);

/// From a node's failure to the moment the service knows: a health check that fails a few times.
// Assumed: Kubernetes liveness defaults are 3 failures 10 s apart; a hung collective adds its own time-out.
pub(super) const DETECT: Span = Span::from_secs(60);

/// Requests that a router which ignores loads hands out before replicas serve them: some 30 for each of 64 replicas.
const AHEAD: usize = 2_048;

/// What a replica's place in the cell is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Loads its model until then.
    Loading(SimTime),
    /// Takes requests.
    Ready,
    /// Takes no more requests, and leaves with the last.
    Draining,
    /// Has failed, which is known then.
    Failed(SimTime),
    /// Nobody is there.
    Vacant,
}

/// What a replica's place holds beside the replica.
#[derive(Debug, Clone)]
struct Place {
    standing: Standing,
    nodes: NodeSet,
    /// Its energy is entered up to here.
    spent_to: SimTime,
    /// It loads its model because a failure took it.
    reloads: bool,
}

/// A cell of a service.
#[derive(Debug, Clone)]
pub struct Cell {
    rules: Rules,
    /// When each replica's planned stretch ends.
    due: Due,
    /// Outstanding requests of each replica.
    loads: Loads,
    replicas: Vec<Replica>,
    places: Vec<Place>,
    routing: Routing,
    /// What each replica holds in its key-value memory, where the router weighs that.
    memory: Vec<u32>,
    source: Source,
    /// The next arrival.
    arriving: Option<Request>,
    /// All requests are alike: without classes, patience, or names of their prompts, and routed by counts.
    alike: bool,
    /// Arrivals follow from answers, or replicas hand over to each other: stretches are ended one by one, in order of time.
    in_order: bool,
    /// What lies between its pools, where it has two.
    relay: Option<Box<Relay>>,
    /// Requests of each replica that were handed out ahead; empty between calls.
    ahead: Vec<Vec<Job>>,
    account: Account,
    done: Vec<Done>,
    /// When the next replica fails or becomes ready.
    rare: SimTime,
    hazard: Hazard,
    /// Classes, deadlines and retries of requests.
    desk: Desk,
    /// Requests that wait for a replica to be ready.
    door: VecDeque<Job>,
    /// Nodes given up since control last asked.
    released: Vec<NodeSet>,
    draining: u32,
    events: u64,
    facts: ServiceFacts,
    plan: Arc<ServicePlan>,
}

impl Cell {
    /// The `index`-th cell of the service, with no replica and closed doors.
    #[must_use]
    pub fn new(plan: Arc<ServicePlan>, index: u32, seed: Seed, grid: Grid) -> Cell {
        let source = Source::new(&plan, index, seed);
        Cell::fed(plan, index, seed, grid, source, API_TIME)
    }

    /// A cell whose requests come from `source`, each of which spends `api` outside the replicas.
    pub(super) fn fed(plan: Arc<ServicePlan>, index: u32, seed: Seed, grid: Grid, source: Source, api: Span) -> Cell {
        let entity = Entity::named(&format!("service.{}", plan.name)).part(index);
        let mut account = Account::new(&plan, grid, api);
        account.log = plan.record.map(|share| {
            let key = seed.stream(entity, "record").uniform().to_bits();
            RequestLog::new(share, key)
        });
        let (rules, routing) = (rules(&plan), Routing::new(plan.router, seed.stream(entity, "router")));
        let anonymous = rules.prefixes.is_none() && !routing.knows_origins() && !routing.weighs_memory();
        Cell {
            alike: anonymous && plan.clientele.classes.is_empty() && !plan.clientele.tells_attempts(),
            rules,
            due: Due::default(),
            loads: Loads::new(routing.ranks()),
            replicas: Vec::new(),
            places: Vec::new(),
            routing,
            memory: Vec::new(),
            in_order: source.listens() || plan.options.pools.is_some(),
            relay: plan.options.pools.map(|pools| Box::new(Relay::new(pools.section, entity, seed))),
            source,
            arriving: None,
            ahead: Vec::new(),
            account,
            done: Vec::new(),
            rare: SimTime::NEVER,
            hazard: Hazard::new(plan.failures, plan.nodes, seed.stream(entity, "failure")),
            desk: Desk::new(&plan.clientele, entity, seed),
            door: VecDeque::new(),
            released: Vec::new(),
            draining: 0,
            events: 0,
            facts: ServiceFacts {
                fidelity: "requests",
                attempts: plan.clientele.tells_attempts().then(Attempts::default),
                ..ServiceFacts::default()
            },
            plan,
        }
    }

    /// What the cell serves.
    #[must_use]
    pub fn plan(&self) -> &ServicePlan {
        &self.plan
    }

    /// Opens the doors at `at`: arrivals begin. Opening again resumes arrivals that had stopped because the cell's share was
    /// zero, and does nothing else.
    pub fn open(&mut self, at: SimTime) {
        if self.facts.opened.is_none() {
            self.facts.opened = Some(at);
        }
        self.source.open(at);
        if self.arriving.is_none() {
            self.arriving = self.source.next();
        }
    }

    /// Adds a replica on `nodes`, granted at `at`, the edge being handled, that loads its model until `ready`.
    pub fn add_replica(&mut self, at: SimTime, ready: SimTime, nodes: NodeSet) {
        let place = Place { standing: Standing::Loading(ready.max(at)), nodes, spent_to: at, reloads: false };
        match self.places.iter().position(|place| place.standing == Standing::Vacant) {
            Some(vacant) => {
                self.places[vacant] = place;
                // Another's memory holds nothing of what this one had.
                self.replicas[vacant] = self.replicas[vacant].emptied(&self.rules);
            }
            None => {
                self.places.push(place);
                let role = self.relay.as_ref().map_or(Role::All, |relay| relay.role(self.replicas.len()));
                self.replicas.push(Replica::in_pool(&self.rules, role));
                self.relay.iter_mut().for_each(|relay| relay.push());
                self.loads.push();
                self.ahead.push(Vec::new());
                self.due.resize(self.places.len());
            }
        }
        self.settle(at);
    }

    /// Sends one replica away at `at`: one that does not serve yet, the newest first, else the emptiest, which finishes what
    /// it has. Its nodes come back through [`released`](Cell::released), in the same edge where it was idle: call this first.
    /// Panics where every replica is already on its way out.
    pub fn remove_replica(&mut self, at: SimTime) {
        let unready = |place: &Place| matches!(place.standing, Standing::Loading(_) | Standing::Failed(_));
        if let Some(index) = self.places.iter().rposition(unready) {
            self.release(index, at);
        } else {
            let emptiest = (0..self.loads.len()).rev().min_by_key(|&index| self.load(index));
            let index = emptiest.filter(|&index| self.load(index) != CLOSED).expect("a replica is left to remove");
            self.loads_of(index).close(index);
            self.places[index].standing = Standing::Draining;
            self.draining += 1;
            self.let_go(at);
        }
        self.settle(at);
    }

    /// Nodes of replicas that have gone since the last call. They count as held up to the edge at which this is called.
    pub fn released(&mut self) -> Vec<NodeSet> {
        std::mem::take(&mut self.released)
    }

    /// This cell's part of its service's arrivals, from the requests drawn next.
    pub fn set_share(&mut self, share: f64) {
        self.source.set_share(share);
    }

    /// This cell's part of its service's arrivals as a slice of 0..1; the slices of all cells tile it. Needed for traces, of
    /// which each request must come to exactly one cell.
    pub fn set_slice(&mut self, edge: SimTime, slice: Range<f64>) {
        self.arriving = self.source.reslice(edge, slice, self.arriving.take());
    }

    /// Holds each replica at the level of power control that `level` gives for its nodes, from its next step boundary on. `at` is
    /// the edge being handled.
    pub fn hold(&mut self, at: SimTime, level: &dyn Fn(&NodeSet) -> u8) {
        for index in 0..self.places.len() {
            if self.places[index].standing != Standing::Vacant {
                self.replicas[index].hold(at, level(&self.places[index].nodes));
                self.note(index);
            }
        }
    }

    /// What each replica draws at this instant: its nodes, the draw, the level of power control, and whether a lever can hold it.
    pub fn draws(&self, visit: &mut dyn FnMut(&NodeSet, Draw, u8, bool)) {
        for (place, replica) in self.places.iter().zip(&self.replicas) {
            let working = replica.under_way(SimTime::ZERO, SimTime::ZERO).filter(|_| place.is_up());
            let draw = working.map_or(self.account.resident(), |stretch| self.account.draw(&stretch));
            if place.standing != Standing::Vacant {
                visit(&place.nodes, draw, replica.ordered(), working.is_some());
            }
        }
    }

    /// What control may know at an edge.
    #[must_use]
    pub fn telemetry(&self) -> Telemetry {
        let (mut seen, mut waiting) = (Telemetry::default(), self.door.len());
        for (place, replica) in self.places.iter().zip(&self.replicas) {
            seen.ready += u32::from(place.standing == Standing::Ready);
            seen.loading += u32::from(matches!(place.standing, Standing::Loading(_) | Standing::Failed(_)));
            seen.running += replica.running();
            waiting += replica.waiting();
        }
        waiting += self.relay.as_ref().map_or(0, |relay| relay.waiting().len());
        seen.queued = waiting as u64;
        let account = &self.account;
        seen.output = Tokens::new(account.completed.output);
        seen.ended = account.completed.requests + account.rejected.requests + account.failed.requests;
        seen.within_slo = account.within;
        seen
    }

    /// Ends the run at `horizon`: enters what was spent up to it, and checks that every request and token is somewhere.
    #[must_use]
    pub fn close(mut self, horizon: SimTime) -> (Book, ServiceFacts) {
        for index in 0..self.places.len() {
            self.spend_to(index, horizon);
        }
        let mut inside = Tally::default();
        let handed_over = self.relay.iter().flat_map(|relay| relay.waiting());
        for job in self.replicas.iter().flat_map(Replica::held).chain(&self.door).chain(handed_over) {
            inside.add(job);
            self.account.book.stays(job.class);
        }
        if let Some(attempts) = &self.facts.attempts {
            let ended = self.account.completed.requests + attempts.rejected + attempts.timed_out + attempts.broken;
            assert!(attempts.made == ended + inside.requests, "each attempt is answered, fails once, or is under way");
        }
        for job in self.desk.pausing() {
            inside.add(job);
            self.account.book.stays(job.class);
        }
        let accounted = self.account.completed + self.account.rejected + self.account.failed + inside;
        assert!(
            self.account.arrived == accounted,
            "arrived = completed + rejected + failed + in flight, in requests and tokens"
        );
        self.facts.in_flight = inside.requests;
        self.facts.pools = self.relay.as_ref().map(|relay| relay.facts());
        for prefix in self.replicas.iter().filter_map(Replica::prefix_facts) {
            *self.facts.prefix.get_or_insert_default() += prefix;
        }
        if let Some(log) = self.account.log {
            self.account.book.keep(log);
        }
        (self.account.book, self.facts)
    }

    /// Ends the planned stretch of the replica at `index`.
    #[inline]
    fn turn(&mut self, index: usize) {
        let stretch = self.replicas[index].turn(&self.rules, &mut self.done);
        let place = &mut self.places[index];
        self.account.stand(Use::WarmIdle, place.spent_to, stretch.from);
        self.account.serve(stretch);
        place.spent_to = stretch.to;
        self.events += 1;
        if self.relay.is_some() {
            self.pass_on(index);
        } else if !self.done.is_empty() {
            self.complete(index);
        }
    }

    /// Enters what the replica at `index` has completed.
    #[inline]
    fn complete(&mut self, index: usize) {
        if self.loads.is_open(index) {
            self.loads.take(index, self.done.len() as u32);
        }
        for done in &self.done {
            self.account.complete(done);
            self.desk.ended(done.job.ticket);
            if self.in_order {
                self.source.answered(done.at, false);
            }
        }
        self.done.clear();
    }

    /// Ends every stretch that is planned to end before `at`.
    #[inline]
    fn bring_to(&mut self, at: u64) {
        for row in 0..self.due.rows() {
            for block in self.due.blocks_before(row, at) {
                let block = row * WIDE + block;
                for place in self.due.places_before(block, at) {
                    self.bring_one_to(block * WIDE + place, at);
                }
                self.due.renew(block);
            }
        }
    }

    /// Ends the stretches of the replica at `index` that end before `at`, one at least.
    #[inline]
    fn bring_one_to(&mut self, index: usize, at: u64) {
        let mut next = 0;
        while next < at {
            self.turn(index);
            next = self.replicas[index].next().nanos();
        }
        self.due.put(index, next);
    }

    /// Takes note of a new plan of the replica at `index`.
    #[inline]
    fn note(&mut self, index: usize) {
        self.due.set(index, self.replicas[index].next().nanos());
    }

    /// Lets in the requests that arrive by `last`, before which nothing else changes, one by one.
    fn receive_each<const ALIKE: bool>(&mut self, last: SimTime) {
        while let Some(request) = self.arriving.filter(|request| request.at <= last) {
            self.bring_to(request.at.nanos());
            self.receive::<ALIKE>(request);
        }
    }

    /// Lets `request` in, and draws the next.
    #[inline]
    fn receive<const ALIKE: bool>(&mut self, request: Request) {
        if let Some((index, job)) = self.admit::<ALIKE>(request) {
            self.seat::<ALIKE>(index, request.at, job);
        }
    }

    /// Queues `job` at the replica at `index`, where it has room.
    #[inline]
    fn seat<const ALIKE: bool>(&mut self, index: usize, at: SimTime, job: Job) {
        if self.replicas[index].waiting() < self.plan.queue.max(1) as usize {
            self.deliver::<ALIKE>(index, at, job);
        } else {
            self.squeeze_in(index, at, job);
        }
    }

    /// Queues `job` at the full replica at `index` in the place of one of a lower rank, if there is one.
    #[cold]
    fn squeeze_in(&mut self, index: usize, at: SimTime, job: Job) {
        if let Some(other) = self.replicas[index].give_way(job.rank) {
            self.loads.take(index, 1);
            self.miss(at, &other, Miss::Rejected);
            self.deliver::<false>(index, at, job);
        } else {
            self.miss(at, &job, Miss::Rejected);
        }
    }

    /// An attempt has ended at `at` without an answer: its client asks again later, or gives up.
    #[cold]
    fn miss(&mut self, at: SimTime, job: &Job, why: Miss) {
        if let Some(attempts) = &mut self.facts.attempts {
            attempts.miss(why);
        }
        let retries = self.desk.ended(job.ticket);
        if !self.desk.asks_again(at, job, retries) {
            self.give_up(at, job, why);
        }
    }

    /// The client of `job` gives up.
    fn give_up(&mut self, at: SimTime, job: &Job, why: Miss) {
        if let Some(attempts) = &mut self.facts.attempts {
            attempts.gave_up(why);
        }
        self.account.lose(job, at, why);
        self.source.answered(at, true);
    }

    /// Clients whose patience ends by `at` hang up, and those who are to ask again do.
    fn attend(&mut self, at: SimTime) {
        while let Some((ticket, home, unless_begun)) = self.desk.hangs_up(at) {
            let job = match home {
                Home::Nowhere => None,
                Home::Door => {
                    let place = self.door.iter().position(|job| job.ticket == ticket);
                    place
                        .filter(|&place| !unless_begun || self.door[place].first == SimTime::NEVER)
                        .and_then(|place| self.door.remove(place))
                }
                Home::Replica(index) => {
                    let job = self.replicas[index].hang_up(at, ticket, unless_begun, &self.rules);
                    if job.is_some() && self.loads.is_open(index) {
                        self.loads.take(index, 1);
                    }
                    self.note(index);
                    job
                }
            };
            if let Some(job) = job {
                self.miss(at, &job, Miss::TimedOut);
            }
        }
        while let Some((job, retries)) = self.desk.asking(at) {
            if let Some((index, job)) = self.ask(at, job, retries) {
                self.seat::<false>(index, at, job);
            }
        }
    }

    /// Lets in up to [`AHEAD`] requests that arrive by `last`, before which nothing else changes, and has replicas serve them.
    fn receive_ahead<const ALIKE: bool>(&mut self, last: SimTime) {
        for _ in 0..AHEAD {
            let Some(request) = self.arriving.filter(|request| request.at <= last) else { break };
            if let Some((index, job)) = self.admit::<ALIKE>(request) {
                self.ahead[index].push(job);
            }
        }
        for index in 0..self.ahead.len() {
            if !self.ahead[index].is_empty() {
                self.serve_ahead(index);
            }
        }
    }

    /// Brings the requests that were handed to the replica at `index` to it, each in its time.
    fn serve_ahead(&mut self, index: usize) {
        let mut jobs = std::mem::take(&mut self.ahead[index]);
        for job in jobs.drain(..) {
            while self.replicas[index].next() < job.arrived {
                self.turn(index);
            }
            if self.replicas[index].waiting() < self.plan.queue.max(1) as usize {
                self.replicas[index].arrive(job.arrived, job, &self.rules);
                self.loads.add(index);
            } else {
                self.squeeze_in(index, job.arrived, job);
            }
        }
        self.ahead[index] = jobs;
        self.note(index);
    }

    /// Ends the stretches that end first, if they end before `at`, and asks the source what comes next now; false where none does.
    fn hear_before(&mut self, at: SimTime) -> bool {
        self.arriving = self.source.renew(self.arriving.take());
        if self.arriving.is_some_and(|request| request.at < at) {
            return true;
        }
        let (first, relayed) = (self.due.first(), self.relays_next());
        if first.min(relayed) >= at.nanos() {
            return false;
        }
        if relayed <= first {
            self.let_loose();
        } else {
            self.bring_to(first + 1);
        }
        self.arriving = self.source.renew(self.arriving.take());
        true
    }

    /// Counts `request`, draws the next, and chooses a replica for it; none where it is turned away or waits at the door.
    #[inline]
    fn admit<const ALIKE: bool>(&mut self, request: Request) -> Option<(usize, Job)> {
        let mut job = Job::from(request);
        if !ALIKE {
            self.desk.classify(&mut job);
            if self.rules.prefixes.is_some() || self.routing.knows_origins() {
                job.prefix = self.source.origin().prefix();
            }
        }
        self.account.arrive(&job);
        self.events += 1;
        self.arriving = self.source.next();
        if !self.rules.can_hold(&request) {
            self.refuse(&job);
            return None;
        }
        if !ALIKE {
            return self.ask(request.at, job, 0);
        }
        let chosen = self.routing.choose_by(&self.loads, None);
        if chosen.is_none() {
            self.wait_at_the_door(request.at, job);
        }
        chosen.map(|index| (index, job))
    }

    /// Turns away a request that fits no replica, nor would another time.
    #[cold]
    fn refuse(&mut self, job: &Job) {
        if let Some(attempts) = &mut self.facts.attempts {
            attempts.made += 1;
            attempts.miss(Miss::Rejected);
        }
        self.give_up(job.arrived, job, Miss::Rejected);
    }

    /// Chooses a replica for an attempt that comes after `retries` others; none where it is turned away or waits at the door.
    #[inline]
    fn ask(&mut self, at: SimTime, mut job: Job, retries: u8) -> Option<(usize, Job)> {
        if let Some(attempts) = &mut self.facts.attempts {
            attempts.made += 1;
        }
        if self.desk.is_patient() && !self.desk.register(at, &mut job, retries) {
            self.turn_away(at, &job, retries);
            return None;
        }
        let chosen = self.choose(at, &job);
        if chosen.is_none() {
            self.wait_at_the_door(at, job);
        }
        chosen.map(|index| (index, job))
    }

    /// The replica for `job` at `at`, up to which all replicas were brought; none where no one is ready.
    #[inline]
    fn choose(&mut self, at: SimTime, job: &Job) -> Option<usize> {
        let key = if self.routing.knows_origins() { self.routing.key(&self.plan.arrivals, job) } else { None };
        if !self.routing.weighs_memory() {
            return self.routing.choose_by(&self.loads, key);
        }
        let held = |(replica, &load): (&Replica, &u32)| match load {
            CLOSED => CLOSED,
            _ => replica.weight(at, &self.rules).min(u64::from(CLOSED - 1)) as u32,
        };
        self.memory.clear();
        self.memory.extend(self.replicas.iter().zip(self.loads.each()).map(held));
        self.routing.choose(&self.memory, key)
    }

    /// Turns away an attempt that got no ticket.
    #[cold]
    fn turn_away(&mut self, at: SimTime, job: &Job, retries: u8) {
        if let Some(attempts) = &mut self.facts.attempts {
            attempts.miss(Miss::Rejected);
        }
        if !self.desk.asks_again(at, job, retries) {
            self.give_up(at, job, Miss::Rejected);
        }
    }

    /// Lets `job` wait for a replica to be ready, where the door has room.
    #[cold]
    fn wait_at_the_door(&mut self, at: SimTime, job: Job) {
        let limit = self.plan.queue.max(1) as usize * self.places.len().max(1);
        if self.door.len() >= limit {
            match give_way(&mut self.door, job.rank) {
                Some(other) => self.miss(at, &other, Miss::Rejected),
                None => return self.miss(at, &job, Miss::Rejected),
            }
        }
        line_up(&mut self.door, job);
    }

    #[inline]
    fn deliver<const ALIKE: bool>(&mut self, index: usize, at: SimTime, job: Job) {
        if !ALIKE {
            self.desk.moved(job.ticket, Home::Replica(index));
        }
        self.replicas[index].arrive(at, job, &self.rules);
        self.loads.add(index);
        self.note(index);
    }

    /// Handles the failure and the ends of loading that are due at `at`.
    fn change(&mut self, at: SimTime) {
        if self.hazard.next() <= at {
            self.fail(at);
        }
        self.settle(at);
    }

    /// Moves the standings on to `at`, plans the next rare event, and lets in whoever waits at the door.
    fn settle(&mut self, at: SimTime) {
        for index in 0..self.places.len() {
            match self.places[index].standing {
                Standing::Failed(known) if known <= at => {
                    self.spend_to(index, known);
                    self.places[index].standing = Standing::Loading(known + self.plan.start_up);
                    self.places[index].reloads = true;
                }
                Standing::Loading(ready) if ready <= at => {
                    self.spend_to(index, ready);
                    self.places[index].standing = Standing::Ready;
                    self.places[index].reloads = false;
                    self.loads_of(index).open(index);
                    self.events += 1;
                }
                _ => {}
            }
        }
        let up = self.places.iter().filter(|place| place.is_up()).count();
        self.hazard.expose(at, up as u32);
        let changes = self.places.iter().map(|place| place.changes());
        self.rare = changes.fold(self.hazard.next(), SimTime::min);
        self.let_in(at);
        self.open_gate(at);
    }

    /// Sends those who wait at the door to replicas, where one is ready.
    fn let_in(&mut self, at: SimTime) {
        while let Some(job) = self.door.pop_front() {
            match self.choose(at, &job) {
                Some(index) => self.deliver::<false>(index, at, job),
                None => return self.door.push_front(job),
            }
        }
    }

    /// A node fails at `at`: its replica loses its cache, and its requests start over elsewhere, before all others of their rank, or
    /// break.
    fn fail(&mut self, at: SimTime) {
        let victim = self.hazard.strike(at) as usize;
        let mut up = (0..self.places.len()).filter(|&index| self.places[index].is_up());
        let index = up.nth(victim).expect("the victim is one of those that are up");
        self.spend_to(index, at);
        let waiting = self.replicas[index].waiting();
        let jobs = self.replicas[index].lose(at, &self.rules);
        let begun = jobs.len() - waiting;
        self.note(index);
        self.loads_of(index).close(index);
        if self.places[index].standing == Standing::Ready {
            self.places[index].standing = Standing::Failed(at + DETECT);
        }
        self.facts.replica_failures += 1;
        self.events += 1;
        let nodes = self.places[index].nodes.to_string();
        let breaks = self.plan.clientele.on_failure == OnFailure::Fail;
        let what = if breaks { "break" } else { "start over" };
        self.log(at, EventKind::ReplicaFailure, nodes, format!("{} requests {what}", jobs.len()));
        if self.relay.is_some() {
            return self.lose_in_pool(at, index, jobs, begun);
        }
        if breaks {
            return jobs.iter().for_each(|job| self.miss(at, job, Miss::Broken));
        }
        self.facts.restarted += begun as u64;
        self.facts.restarted_tokens += jobs[..begun].iter().map(|job| Tokens::new(job.to_compute())).sum();
        for job in jobs.into_iter().rev() {
            self.start_over(at, job);
        }
    }

    /// Sends `job`, which a failure has thrown out, to another replica.
    fn start_over(&mut self, at: SimTime, job: Job) {
        match self.choose(at, &job) {
            Some(index) => {
                self.desk.moved(job.ticket, Home::Replica(index));
                self.replicas[index].arrive_in_front(at, job);
                self.loads.add(index);
                self.note(index);
            }
            None => {
                self.desk.moved(job.ticket, Home::Door);
                line_up_in_front(&mut self.door, job);
            }
        }
    }

    /// Lets draining replicas that are empty go at `edge`; they were held, warm, up to it.
    fn let_go(&mut self, edge: SimTime) {
        for index in 0..self.places.len() {
            if self.places[index].standing == Standing::Draining && self.replicas[index].is_empty() {
                self.draining -= 1;
                self.release(index, edge);
            }
        }
    }

    fn release(&mut self, index: usize, at: SimTime) {
        self.spend_to(index, at);
        self.places[index].standing = Standing::Vacant;
        self.released.push(std::mem::take(&mut self.places[index].nodes));
    }

    /// Enters what the replica at `index` spent up to `at`, which no planned stretch ends before.
    fn spend_to(&mut self, index: usize, at: SimTime) {
        let place = &mut self.places[index];
        let from = std::mem::replace(&mut place.spent_to, at);
        match place.standing {
            Standing::Vacant => {}
            Standing::Loading(_) => {
                if place.reloads {
                    self.facts.reloading += GpuTime::new(self.plan.gpus, at.since(from));
                }
                self.account.stand(Use::Loading, from, at);
            }
            Standing::Failed(_) => self.account.stand(Use::Detect, from, at),
            Standing::Ready | Standing::Draining => match self.replicas[index].under_way(from, at) {
                Some(stretch) => self.account.serve(stretch),
                None => self.account.stand(Use::WarmIdle, from, at),
            },
        }
    }

    fn log(&mut self, at: SimTime, kind: EventKind, nodes: String, detail: String) {
        self.account.book.log(Event { at, kind, nodes, detail });
    }
}

impl Process for Cell {
    fn next_time(&self) -> SimTime {
        let stretch = self.due.first();
        let arrival = self.arriving.map_or(SimTime::NEVER, |request| request.at);
        let other = SimTime::from_nanos(stretch.min(self.relays_next()));
        arrival.min(self.rare).min(self.desk.next()).min(other)
    }

    fn run_until(&mut self, edge: SimTime) -> u64 {
        let before = self.events;
        // Where replicas hand over, what happens at the edge is ended in order as well.
        let last = if self.relay.is_some() { SimTime::from_nanos(edge.nanos().saturating_add(1)) } else { edge };
        loop {
            let arrival = self.arriving.map_or(SimTime::NEVER, |request| request.at);
            let calls = if self.desk.is_patient() { self.desk.next() } else { SimTime::NEVER };
            let at = arrival.min(self.rare).min(calls);
            if self.in_order && self.hear_before(at.min(last)) {
                continue;
            }
            if at > edge || at == SimTime::NEVER {
                break;
            }
            if arrival < self.rare && !self.in_order && !self.desk.is_patient() {
                let last = edge.min(SimTime::from_nanos(self.rare.nanos() - 1));
                match (self.routing.ignores_loads(), self.alike) {
                    (true, true) => self.receive_ahead::<true>(last),
                    (true, false) => self.receive_ahead::<false>(last),
                    (false, true) => self.receive_each::<true>(last),
                    (false, false) => self.receive_each::<false>(last),
                }
                continue;
            }
            self.bring_to(at.nanos());
            match self.arriving {
                // At the same nanosecond arrivals and failures come first.
                _ if calls < arrival.min(self.rare) => self.attend(at),
                Some(request) if arrival < self.rare => self.receive::<false>(request),
                _ => self.change(at),
            }
        }
        self.bring_to(edge.nanos().saturating_add(1));
        if self.draining > 0 {
            self.let_go(edge);
            self.settle(edge);
        }
        self.events - before
    }
}

impl Place {
    /// True where a failure can hit it: it has a model and perhaps requests to lose.
    fn is_up(&self) -> bool {
        matches!(self.standing, Standing::Ready | Standing::Draining)
    }

    /// When its standing changes by itself.
    fn changes(&self) -> SimTime {
        match self.standing {
            Standing::Loading(at) | Standing::Failed(at) => at,
            _ => SimTime::NEVER,
        }
    }
}

/// What every replica of the service obeys.
fn rules(plan: &ServicePlan) -> Rules {
    let prefixes = plan.options.prefix_cache.map(|section| {
        let own = u64::from(section.block);
        let (names, unit) = match &plan.arrivals {
            ArrivalPlan::Trace(trace) => (Names::Rows(trace.clone()), trace.block_tokens.map_or(own, u64::from)),
            ArrivalPlan::Sessions(sessions) => (Names::Sessions { system: u64::from(sessions.system) }, own),
            _ => (Names::None, own),
        };
        Prefixes { names, unit }
    });
    let checked = plan.options.speculation.map_or(1, |drafts| drafts.checked());
    Rules {
        paces: (0..plan.levels()).map(|level| pace(plan, level)).collect(),
        budget: u64::from(plan.token_budget),
        max_batch: u64::from(plan.max_batch.min((plan.token_budget / checked).max(1))),
        blocks: plan.kv_tokens / BLOCK,
        prefill: plan.options.prefill,
        speculation: plan.options.speculation,
        prefixes,
        fetching: plan.options.pools.map(|pools| Fetching {
            bandwidth: BytesPerSecond::new(pools.section.link.as_f64() * f64::from(plan.gpus)),
            latency: pools.section.latency,
            per_token: pools.per_token,
        }),
    }
}

/// How long steps take at that level of power control.
fn pace(plan: &ServicePlan, level: usize) -> Pace {
    let slow = plan.at_level(level).0;
    let pace = match &plan.options.speculation {
        None => Pace::slowed(&plan.step, slow),
        Some(drafts) => Pace::drafting(&plan.step, slow, drafts),
    };
    match &plan.options.experts {
        None => pace,
        Some(touched) => pace.touching(touched),
    }
}
