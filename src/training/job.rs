//! A training job as one logical process: it runs, a node fails, it recovers, it runs on. Start reading at [`Job`].

mod booking;
mod clocks;
mod corruption;
mod hours;
mod resize;
mod speed;
mod suspects;
mod trade;
mod transfers;
mod upkeep;

use super::copies::{Copies, Depth};
use super::pace::Pace;
use super::roster::{Back, Cause, GivenBack, How, PerNode, Place, Roster, cluster_of};
use super::schedule::Origin;
use super::warp::{Gait, Warp};
use super::{FailureClock, JobPlan, Schedule, Short};
use crate::engine::{Entity, Process, Seed, Stream};
use crate::fault::{Fault, FaultQueue, Symptom};
use crate::ledger::{Book, EventKind, Grid, JobFacts, Outage, Use};
use crate::units::{GpuTime, PerSecond, Share, SimTime, Span};
use crate::world::{Domain, NodeSet};
use corruption::Corruption;
use hours::Hours;
use speed::Stragglers;
use std::collections::{BTreeMap, VecDeque};
use suspects::Verdict;
pub use transfers::Transfer;
use transfers::Transfers;
use upkeep::Upkeep;

/// A training job.
///
/// Progress is fluid and checkpoints are arithmetic (see [`Schedule`]), so that only failures, the steps of recovery, repairs and
/// planned stops are events: about six for each failure, whatever the length of the run.
///
/// A *stretch* is running without a break. When it ends its fate is known, and it is booked whole: up to the newest durable copy
/// that survives what broke, or all of it after a planned stop, which drains first, as productive; the rest as recomputed. Where
/// that copy is older than the stretch, the work between them is booked as recomputed when it is done again. Without a checkpoint
/// tier a failure throws everything away since the start or the last planned stop. A *stall* is everything else.
///
/// A node that fails goes to repair at that instant. Spares neither fail nor age while they stand by, but go with their domain.
///
/// A job that is preempted saves, gives all its nodes back and waits; on the next ones it restarts as after a planned stop. So does one
/// whose next phase is for another number of nodes.
#[derive(Debug)]
pub struct Job {
    plan: JobPlan,
    schedule: Schedule,
    copies: Copies,
    /// Where in the round of saves the stretch began.
    origin: Origin,
    /// Work done in a unit of useful time.
    pace: Pace,
    clocks: Clocks,
    /// What reading the copy takes that the job would restart from.
    reload: Span,
    /// Time of the work, undisturbed, up to where its nodes suffice: all of it, or to the next phase on another number of nodes.
    goal: Span,
    /// After that: how many nodes compute until when.
    sizes: VecDeque<(u32, Span)>,
    seed: Seed,
    grid: Grid,
    book: Book,
    hours: Hours,
    per_node: PerNode,
    faults: FaultQueue,
    maintenance: Maintenance,
    pauses: Pauses,
    roster: Option<Roster>,
    phase: Phase,
    /// Work done in the stretch under way.
    warp: Warp,
    level: u8,
    stragglers: Option<Stragglers>,
    /// With stores that it shares, where it has some.
    transfers: Option<Transfers>,
    upkeep: Upkeep,
    /// Chance of localisation.
    suspicion: Stream,
    corruptions: Vec<Corruption>,
    /// By node in repair: its outage in the book.
    outages: BTreeMap<u32, usize>,
    /// The last thing that happened.
    now: SimTime,
    tally: Tally,
}

/// Lengths of the steps of a stall.
#[derive(Debug, Clone, Copy)]
struct Clocks {
    detect: Span,
    detect_hang: Span,
    localise: Span,
    restart: Span,
    warm_up: Span,
    planned: Span,
}

/// What the job is doing.
#[derive(Debug)]
enum Phase {
    /// Without nodes: before the start, or after a preemption.
    Queued,
    /// In a stretch since then.
    Running(SimTime),
    Stalled(Stall),
    Finished(SimTime),
}

/// A stall: its steps in order, the first one under way.
#[derive(Debug)]
struct Stall {
    /// When the job stopped running.
    began: SimTime,
    /// When the step under way began.
    since: SimTime,
    /// Until when the computing nodes are in the book.
    booked: SimTime,
    steps: VecDeque<Step>,
}

/// One step of a stall. A wait for spares has no length of its own: it ends when the roster is complete.
#[derive(Debug, Clone, Copy)]
struct Step {
    what: Use,
    length: Span,
    /// Whether it reads a copy.
    reads: bool,
}

/// What a failure takes from the copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loss {
    /// Those that do not survive the loss of that domain.
    Domain(Domain),
    /// Those taken later: what they hold is wrong.
    Since(SimTime),
}

/// What has happened so far.
#[derive(Debug, Default)]
struct Tally {
    started: Option<SimTime>,
    /// When it got the nodes that it holds.
    granted: Option<SimTime>,
    /// Nodes that it holds, and since when.
    holding: (u32, SimTime),
    /// Node-nanoseconds that it held before that.
    held: u128,
    /// Nodes taken out that had nothing, and broken ones that stayed.
    suspects: u64,
    missed: u64,
    /// Nodes that it took from the cluster for want of spares.
    taken: u64,
    /// When it last gave its nodes up, and what restarting after that counts as.
    left: Option<(SimTime, Use)>,
    /// Time without nodes between phases.
    regrouped: Span,
    /// GPUs times time of earlier phases on another number of them, and when the last of those ended.
    earlier: Option<(GpuTime, SimTime)>,
    preemptions: u64,
    /// Time without nodes after preemptions.
    requeued: Span,
    /// Useful time behind the job: where it stands.
    position: Span,
    /// The furthest that it ever stood and later work builds on: what lies between is being done again.
    done: Span,
    /// What stands without any tier: the last drain, and when it was.
    floor: (Span, SimTime),
    /// Operational time of all stalls that have ended.
    stalled: Span,
    /// Time that power control added to running.
    slowed: Span,
    interruptions: u64,
    planned: u64,
    checkpoints: u64,
}

/// Planned stops: Poisson in wall time. One that falls into a stall follows it at once.
#[derive(Debug)]
struct Maintenance {
    stream: Stream,
    rate: PerSecond,
    next: SimTime,
}

/// Waiting for cleaner or cheaper hours.
#[derive(Debug)]
struct Pauses {
    /// When the next dear hour begins.
    next: SimTime,
    /// Time paused so far.
    taken: Span,
}

/// What happens next; on the same instant in this order, so that a step that ends counts as ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Happening {
    /// The work, or the step of a stall, is done.
    Done,
    /// A write to a store that it shares begins or ends.
    Transfer,
    /// A node comes back from repair.
    Repaired,
    /// A planned stop is due.
    Planned,
    /// A dear hour begins, through which the job waits.
    Pause,
    /// Somebody sees that what the job computes is wrong.
    Uncovered,
    /// A computing node fails.
    Failure,
    /// Something becomes slow, or is slow no more, or a slow node is found.
    Straggling,
    /// Maintenance is announced, or the job drains for it.
    Upkeep,
}

/// What becomes of a stretch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Everything counts.
    Kept,
    /// Everything counts, though nothing more is saved.
    Halted,
    /// What follows the newest durable copy that the loss leaves is lost.
    RolledBack(Loss),
}

impl Job {
    /// The job of `plan`, queued. Its checkpoints must have passed [`Schedule::new`].
    #[must_use]
    pub fn new(mut plan: JobPlan, seed: Seed, grid: Grid) -> Job {
        let mut sizes: VecDeque<(u32, Span)> = plan.sizes().collect();
        let (first, goal) = sizes.pop_front().expect("a job has work to do");
        plan.nodes = first;
        let schedule = Schedule::new(&plan).expect("checkpoints were checked with the scenario");
        let stream = seed.stream(Entity::named(&format!("training.{}", plan.name)), "planned");
        let suspicion = seed.stream(Entity::named(&format!("training.{}", plan.name)), "localise");
        let silent = plan.failures.symptoms.silent > Share::new(0.0);
        let depth = if silent { Depth::Retained } else { Depth::Newest };
        Job {
            clocks: Clocks::new(&plan, &schedule),
            copies: Copies::new(&schedule, depth),
            origin: Origin::default(),
            pace: Pace::FULL,
            transfers: Transfers::new(&schedule),
            schedule,
            reload: Span::ZERO,
            goal,
            sizes,
            seed,
            grid,
            book: Book::new(grid),
            hours: Hours::default(),
            per_node: PerNode::new(&plan),
            faults: FaultQueue::new(&plan.failures, seed, &cluster_of(&plan), grid.horizon),
            maintenance: Maintenance { stream, rate: plan.planned.rate, next: SimTime::NEVER },
            pauses: Pauses { next: SimTime::NEVER, taken: Span::ZERO },
            roster: None,
            phase: Phase::Queued,
            warp: Warp::new(SimTime::ZERO, Gait::FREE),
            level: 0,
            stragglers: Stragglers::new(&plan, seed, grid.horizon),
            upkeep: Upkeep::default(),
            suspicion,
            corruptions: Vec::new(),
            outages: BTreeMap::new(),
            now: SimTime::ZERO,
            tally: Tally::default(),
            plan,
        }
    }

    /// What it was asked to do.
    #[must_use]
    pub fn plan(&self) -> &JobPlan {
        &self.plan
    }

    /// Begins at `at` on `nodes`, exactly [`JobPlan::granted_nodes`] many; or goes on there after a preemption.
    pub fn start(&mut self, at: SimTime, nodes: NodeSet) {
        assert!(matches!(self.phase, Phase::Queued), "a job without nodes starts");
        self.log(at, EventKind::Started, nodes.to_string(), String::new());
        let roster = match self.roster.take() {
            None => Roster::new(&self.plan, nodes, at, self.seed),
            Some(before) => before.moved_to(&self.plan, nodes, at),
        };
        self.tally.granted = Some(at);
        self.tally.hold(roster.held(), at);
        self.tally.started.get_or_insert(at);
        if let Some((left, _)) = self.tally.left {
            self.tally.wait_for_nodes(at);
            self.tally.stalled += self.faults.inner(at).since(self.faults.inner(left));
        }
        self.now = at;
        let clock = self.failure_clock(at);
        self.faults.reserve(self.plan.nodes);
        self.faults.watch(roster.granted(), clock);
        if let Some(stragglers) = &mut self.stragglers {
            stragglers.watch(roster.granted(), at);
        }
        roster.first().for_each(|node| self.faults.join(node, clock));
        self.roster = Some(roster);
        self.begin_upkeep(at);
        self.maintenance.plan_next(at);
        match self.tally.left {
            None => self.run_or_pause(at),
            Some((_, Use::Planned)) => {
                self.stop(at, VecDeque::from([Step::new(Use::Planned, self.clocks.planned)]));
            }
            Some((_, what)) => {
                let steps = self.clocks.restarting(Span::ZERO, self.reload);
                self.stop(at, steps.map(|step| Step { what, ..step }).into());
            }
        }
    }

    /// Saves and gives all nodes back at `at`. What it had left of a stall is dropped: it restarts on other nodes.
    pub fn preempt(&mut self, at: SimTime) -> GivenBack {
        match self.phase {
            Phase::Running(since) => {
                self.end_stretch(since, at, Fate::Kept);
                self.drain(at);
            }
            Phase::Stalled(_) => {
                self.book_stall(at);
                let began = self.stall().began;
                self.tally.stalled += self.faults.inner(at).since(self.faults.inner(began));
            }
            Phase::Queued | Phase::Finished(_) => unreachable!("only a running job is preempted"),
        }
        self.book_roster(at);
        self.log(at, EventKind::Preempted, String::new(), String::new());
        self.tally.preemptions += 1;
        self.leave(at, Use::Preempted)
    }

    /// Gives all nodes up at `at`; restarting on others counts as `what`.
    fn leave(&mut self, at: SimTime, what: Use) -> GivenBack {
        self.transfers.iter_mut().for_each(|transfers| transfers.end_read(at));
        self.faults.clear();
        self.stragglers.iter_mut().for_each(Stragglers::clear);
        self.upkeep.clear();
        self.corruptions.retain_mut(|corruption| {
            corruption.node = None;
            corruption.onset < SimTime::NEVER
        });
        self.phase = Phase::Queued;
        self.tally.left = Some((at, what));
        self.tally.granted = None;
        self.tally.hold(0, at);
        let mut back = self.roster.as_mut().expect("a running job has nodes").give_up();
        self.end_outages(&back, at);
        back.unfixed.extend(self.faults.hand_over(|_| true));
        back
    }

    /// How long it will run from its start if nothing breaks: what it tells the scheduler.
    #[must_use]
    pub fn estimate(&self) -> Span {
        let restart = self.clocks.restarting(Span::ZERO, self.reload).map(|step| step.length).into_iter().sum();
        let restart: Span = if self.tally.left.is_some() { restart } else { Span::ZERO };
        restart + self.work_left()
    }

    /// When it finishes if nothing breaks from now on: never later than it will, and exact in the last stretch. Always after
    /// the last event handled. [`SimTime::NEVER`] before the start; the finish itself once finished.
    #[must_use]
    pub fn earliest_finish(&self) -> SimTime {
        match &self.phase {
            Phase::Queued => SimTime::NEVER,
            Phase::Running(_) if self.pace == Pace::FULL && self.slowest() == 1.0 => {
                self.warp.wall_of(self.work_left())
            }
            // A node that comes back or is slow no more may speed it up, no earlier than that.
            Phase::Running(_) => self.warp.wall_of(self.work_left()).min(self.next().0),
            Phase::Stalled(stall) => {
                self.step_end(stall) + stall.steps.iter().skip(1).map(|step| step.length).sum() + self.work_at_best()
            }
            Phase::Finished(at) => *at,
        }
    }

    /// When it finished.
    #[must_use]
    pub fn finished(&self) -> Option<SimTime> {
        if let (Phase::Finished(at), true) = (&self.phase, self.sizes.is_empty()) { Some(*at) } else { None }
    }

    /// All nodes that it holds, once, after the finish.
    pub fn release(&mut self) -> GivenBack {
        assert!(self.finished().is_some(), "a job gives its nodes back when it has finished");
        let at = self.finished().expect("it has finished");
        let mut back = self.roster.take().expect("a job gives its nodes back once").give_up();
        self.end_outages(&back, at);
        back.unfixed.extend(self.faults.hand_over(|_| true));
        back
    }

    /// Closes the books at `horizon`: work under way counts, and every GPU-nanosecond granted lies in exactly one use.
    #[must_use]
    pub fn close(mut self, horizon: SimTime) -> (Book, JobFacts) {
        match self.phase {
            Phase::Running(since) => drop(self.end_stretch(since, horizon, Fate::Kept)),
            Phase::Stalled(_) => self.book_stall(horizon),
            Phase::Queued | Phase::Finished(_) => {}
        }
        if self.finished().is_none() && self.tally.granted.is_some() {
            self.book_roster(horizon);
        }
        if let Phase::Queued = &self.phase {
            self.tally.wait_for_nodes(horizon);
        }
        self.assert_time_is_whole(horizon);
        let back = self.roster.as_mut().map(Roster::give_up);
        back.into_iter().for_each(|back| self.end_outages(&back, horizon));
        let facts = self.facts(horizon);
        (self.book, facts)
    }
}

impl Process for Job {
    fn next_time(&self) -> SimTime {
        self.next().0
    }

    fn run_until(&mut self, edge: SimTime) -> u64 {
        let mut handled = 0;
        loop {
            let (at, what) = self.next();
            if at > edge || at == SimTime::NEVER {
                return handled;
            }
            self.now = at;
            match what {
                Happening::Done => self.done(at),
                Happening::Transfer => self.transfer(at),
                Happening::Repaired => self.repaired(at),
                Happening::Planned => self.planned(at),
                Happening::Pause => self.pause(at),
                Happening::Uncovered => self.uncovered(at),
                Happening::Failure => self.failure(at),
                Happening::Straggling => self.straggling(at),
                Happening::Upkeep => self.upkeep(at),
            }
            handled += 1;
        }
    }
}

/// What happens.
impl Job {
    fn next(&self) -> (SimTime, Happening) {
        let done = match &self.phase {
            Phase::Queued | Phase::Finished(_) => return (SimTime::NEVER, Happening::Done),
            Phase::Running(_) => self.warp.wall_of(self.work_left()),
            Phase::Stalled(stall) if self.is_waiting(stall) => SimTime::NEVER,
            Phase::Stalled(stall) => self.step_end(stall),
        };
        let planned = (self.maintenance.next, Happening::Planned).min(self.next_pause());
        let repaired = (self.roster().next_repaired(), Happening::Repaired);
        let due =
            self.corruptions.iter().map(|corruption| corruption.due.max(self.now)).min().unwrap_or(SimTime::NEVER);
        let found = (due, Happening::Uncovered).min((self.next_failure(), Happening::Failure));
        (done, Happening::Done)
            .min(repaired)
            .min(planned)
            .min(found)
            .min(self.next_transfer())
            .min(self.next_straggling())
            .min(self.next_upkeep())
    }

    fn done(&mut self, at: SimTime) {
        match &mut self.phase {
            Phase::Running(since) => {
                let since = *since;
                self.finish(since, at);
            }
            Phase::Stalled(_) => {
                self.book_stall(at);
                let ended = self.stall().steps.pop_front();
                if ended.is_some_and(|step| step.what == Use::Detect) {
                    self.log(at, EventKind::Detected, String::new(), String::new());
                }
                self.enter_step(at);
            }
            Phase::Queued | Phase::Finished(_) => unreachable!("only a running job gets something done"),
        }
    }

    fn finish(&mut self, since: SimTime, at: SimTime) {
        self.end_stretch(since, at, Fate::Kept);
        assert!(self.tally.position == self.goal, "a finished job has done its work exactly once");
        self.book_roster(at);
        self.phase = Phase::Finished(at);
        if !self.is_at_border() {
            self.log(at, EventKind::Finished, String::new(), String::new());
        }
    }

    fn repaired(&mut self, at: SimTime) {
        self.book_roster(at);
        let clock = self.failure_clock(at);
        let waiting = matches!(&self.phase, Phase::Stalled(stall) if self.is_waiting(stall));
        if waiting {
            self.book_stall(at);
        }
        let roster = self.roster.as_mut().expect("a running job has nodes");
        let Some(Back { node, how }) = roster.next_back() else { return };
        if let Some(place) = self.outages.remove(&node) {
            self.book.end_outage(place, at);
        }
        if let Some(stragglers) = &mut self.stragglers {
            stragglers.watch(std::iter::once(node), at);
        }
        match how {
            How::Mended => self.faults.mend(node, clock),
            How::Unfixed => self.faults.relapse(node, self.plan.recovery.relapse),
            How::Replaced => self.faults.replace(node, clock),
        }
        if waiting {
            roster.take_place(node, at);
            self.faults.join(node, clock);
        } else {
            roster.stand_by(node);
            self.grow(at);
        }
    }

    /// Takes replicas back that were dropped for want of nodes, where there are enough again.
    fn grow(&mut self, at: SimTime) {
        let (Short::Shrink { rejoin, .. }, Phase::Running(since)) = (self.plan.spares.short, &self.phase) else {
            return;
        };
        let since = *since;
        if self.roster().replicas_to_gain() > 0 {
            self.end_stretch(since, at, Fate::Halted);
            let [wait, rejoin] = [(Use::SpareWait, Span::ZERO), (Use::Restart, rejoin)];
            self.stop(at, [wait, rejoin].map(|(what, length)| Step::new(what, length)).into());
        }
    }

    fn planned(&mut self, at: SimTime) {
        self.maintenance.plan_next(at);
        self.tally.planned += 1;
        self.log(at, EventKind::Maintenance, String::new(), String::new());
        let stop = Step::new(Use::Planned, self.clocks.planned);
        match &mut self.phase {
            Phase::Running(since) => {
                let since = *since;
                self.end_stretch(since, at, Fate::Kept);
                self.drain(at);
                self.stop(at, VecDeque::from([stop]));
            }
            Phase::Stalled(stall) => stall.steps.push_back(stop),
            Phase::Queued | Phase::Finished(_) => unreachable!("only a running job is stopped"),
        }
    }

    /// Saves, as before a planned stop, and waits.
    fn pause(&mut self, at: SimTime) {
        let Phase::Running(since) = self.phase else { unreachable!("only a running job is paused") };
        self.end_stretch(since, at, Fate::Kept);
        self.drain(at);
        self.wait_out(at, self.schedule.blocking());
    }

    /// Runs from `at` on, or waits where its hour is dear.
    fn run_or_pause(&mut self, at: SimTime) {
        let Some(shift) = &self.plan.shift else {
            return self.run(at);
        };
        let may_wait = self.pauses.taken < shift.at_most;
        if may_wait && shift.clear_at(at).is_some() {
            return self.wait_out(at, Span::ZERO);
        }
        self.pauses.next = if may_wait { shift.next_dear(at) } else { SimTime::NEVER };
        self.run(at);
    }

    /// Waits from `at` until the dear hours end, `save` at first, then restarts.
    fn wait_out(&mut self, at: SimTime, save: Span) {
        let shift = self.plan.shift.as_ref().expect("a job that waits has a plan for it");
        let clear = shift.clear_at(at).expect("a job waits in dear hours").since(at);
        let length = clear.min(shift.at_most.saturating_sub(self.pauses.taken));
        let boot = if shift.power_down { self.plan.recovery.attach_cold } else { Span::ZERO };
        self.pauses.taken += length;
        self.log(at, EventKind::Paused, String::new(), format!("{} h", length.as_secs_f64() / 3_600.0));
        let save = save.min(length);
        let pause = [(Use::Checkpoint, save), (Use::Paused, length.saturating_sub(save))];
        let pause = pause.map(|(what, length)| Step::new(what, length));
        self.stop(at, pause.into_iter().chain(self.clocks.restarting(boot, self.reload)).collect());
    }

    fn failure(&mut self, at: SimTime) {
        let fault = self.faults.pop().expect("a failure was due");
        let computing = self.taken_by(&fault, Place::Computing);
        let spares = self.taken_by(&fault, Place::StandingBy);
        if !spares.is_empty() {
            self.log(at, EventKind::SpareFailure, NodeSet::of(&spares).to_string(), fault.domain.name().to_owned());
            self.lose(&fault, &spares, at);
        }
        match (computing.first(), fault.symptom) {
            (None, _) => return,
            (Some(&node), Symptom::Silent(latency)) => return self.corrupt(node, at, latency),
            (Some(_), Symptom::Explicit | Symptom::Hang | Symptom::Slow | Symptom::Planned | Symptom::Suspected) => {}
        }
        self.tally.interruptions += 1;
        let lost = match self.phase {
            Phase::Running(since) => self.end_stretch(since, at, Fate::RolledBack(Loss::Domain(fault.domain))),
            Phase::Stalled(_) => {
                self.book_stall(at);
                self.lose_copies(Loss::Domain(fault.domain))
            }
            Phase::Queued | Phase::Finished(_) => unreachable!("only a running job fails"),
        };
        self.log_failure(at, &fault, &computing, lost);
        let own = fault.repair.is_none() && computing.len() == 1 && self.faults.is_broken(computing[0]);
        match if own { self.verdict(computing[0]) } else { Verdict::Found(Vec::new()) } {
            Verdict::Found(others) => {
                self.lose(&fault, &computing, at);
                self.take_for_test(&others, at);
            }
            Verdict::Missed(others) => {
                self.overlook(computing[0], at);
                self.take_for_test(&others, at);
            }
        }
        self.heal();
        self.begin_recovery(
            at,
            if fault.symptom == Symptom::Hang { self.clocks.detect_hang } else { self.clocks.detect },
        );
    }

    /// The nodes at `place` that `fault` takes.
    fn taken_by(&self, fault: &Fault, place: Place) -> Vec<u32> {
        fault.nodes.iter().copied().filter(|&node| self.roster().place(node) == place).collect()
    }

    fn log_failure(&mut self, at: SimTime, fault: &Fault, nodes: &[u32], lost: Span) {
        let lost = lost.as_secs_f64().round();
        let detail = match fault.domain {
            Domain::Node => format!("lost {lost} s of work"),
            domain => format!("{}: lost {lost} s of work", domain.name()),
        };
        self.log(at, EventKind::Failure, NodeSet::of(nodes).to_string(), detail);
    }

    /// The `nodes` that `fault` took go to repair, or are rebooted where they stand.
    fn lose(&mut self, fault: &Fault, nodes: &[u32], at: SimTime) {
        self.book_roster(at);
        let clock = self.failure_clock(at);
        let roster = self.roster.as_mut().expect("a running job has nodes");
        for &node in nodes {
            let spoiling = self.corruptions.iter_mut().filter(|corruption| corruption.node == Some(node));
            spoiling.for_each(|corruption| corruption.node = None);
            let repair = fault.repair_of(node);
            let in_place = repair.map_or(roster.keeps_failed(), |repair| repair == Span::ZERO);
            let (class, domain) = (fault.symptom.name(), fault.domain.name());
            let end = in_place.then_some(at);
            let place = self.book.log_outage(Outage { node, start: at, end, class, domain });
            if !in_place {
                let own = repair.is_none() && self.faults.is_broken(node);
                self.faults.leave(node);
                self.stragglers.iter_mut().for_each(|stragglers| stragglers.forget(node));
                roster.lose(node, if own { Cause::Own } else { Cause::Domain(repair) }, at);
                self.outages.insert(node, place);
            } else if roster.place(node) == Place::Computing {
                self.faults.mend(node, clock);
                self.faults.join(node, clock);
            }
        }
    }

    /// Starts recovery, starts it again, or appends another one: as the failure clock says. A planned stop is kept.
    fn begin_recovery(&mut self, at: SimTime, detect: Span) {
        let recovery = self.clocks.recovery(detect, self.reload);
        match &mut self.phase {
            Phase::Stalled(stall) if self.plan.recovery.failure_clock == FailureClock::Serial => {
                stall.steps.extend(recovery);
                if stall.waits_for_spares() {
                    self.call_spares(at);
                }
            }
            Phase::Stalled(stall) => {
                stall.interrupt(at);
                stall.steps.extend(recovery);
                self.enter_step(at);
            }
            _ => self.stop(at, VecDeque::from(recovery)),
        }
    }

    fn stop(&mut self, at: SimTime, steps: VecDeque<Step>) {
        self.phase = Phase::Stalled(Stall { began: at, since: at, booked: at, steps });
        self.enter_step(at);
    }

    /// Begins the first step at `at`, passing over those that take no time; with none left the job runs again.
    fn enter_step(&mut self, at: SimTime) {
        loop {
            self.transfers.iter_mut().for_each(|transfers| transfers.end_read(at));
            let stall = self.stall();
            stall.since = at;
            let Some(step) = stall.steps.front() else { return self.resume(at) };
            let Step { what, length, reads } = *step;
            if what == Use::SpareWait {
                self.call_spares(at);
            } else if reads {
                self.begin_read(at, length);
            }
            let Phase::Stalled(stall) = &self.phase else { unreachable!("a step belongs to a stall") };
            if self.is_waiting(stall) || self.step_end(stall) > at {
                return;
            }
            self.stall().steps.pop_front();
        }
    }

    fn call_spares(&mut self, at: SimTime) {
        self.book_roster(at);
        let clock = self.failure_clock(at);
        let roster = self.roster.as_mut().expect("a running job has nodes");
        roster.settle_for_what_there_is().into_iter().for_each(|node| self.faults.leave(node));
        while roster.is_short() {
            let Some(node) = roster.call_spare(at) else { return };
            self.faults.join(node, clock);
        }
    }

    fn resume(&mut self, at: SimTime) {
        assert!(!self.roster().is_short(), "a job runs on all its nodes");
        let began = self.stall().began;
        self.tally.stalled += self.faults.inner(at).since(self.faults.inner(began));
        self.origin = self.schedule.origin(self.tally.position);
        self.pace = self.roster().pace();
        let waiting = self.corruptions.iter_mut().filter(|corruption| corruption.onset == SimTime::NEVER);
        waiting.for_each(|corruption| corruption.onset = at);
        self.log(at, EventKind::Restarted, String::new(), String::new());
        self.run_or_pause(at);
        self.grow(at);
    }
}

/// What is known.
impl Job {
    /// The least time in which the work can be finished from a restart.
    fn work_at_best(&self) -> Span {
        let origin = self.schedule.origin(self.tally.position);
        self.schedule.elapsed(origin, self.goal.saturating_sub(self.tally.position))
    }

    /// Length of the stretch that would finish the work.
    fn work_left(&self) -> Span {
        self.schedule.elapsed(self.origin, self.pace.time_for(self.goal.saturating_sub(self.tally.position)))
    }

    /// True while nothing but a repaired node can end the step.
    fn is_waiting(&self, stall: &Stall) -> bool {
        stall.waits_for_spares() && self.roster().is_short()
    }

    /// When the step under way ends; where it waits, the earliest that it can.
    fn step_end(&self, stall: &Stall) -> SimTime {
        match stall.steps.front() {
            Some(_) if stall.waits_for_spares() => self.roster().complete_at().max(stall.since),
            Some(step) if step.reads => self.read_until(step.length).unwrap_or(stall.since + step.length),
            Some(step) => stall.since + step.length,
            None => stall.since,
        }
    }

    /// The time that failures see: all of it, or only that in which the job ran.
    fn failure_clock(&self, at: SimTime) -> SimTime {
        if self.plan.recovery.failure_clock != FailureClock::Uptime || self.plan.failures.replay.is_some() {
            return self.faults.inner(at);
        }
        let running = if let Phase::Stalled(stall) = &self.phase { stall.began } else { at };
        SimTime::from_nanos(self.faults.inner(running).since(SimTime::ZERO + self.tally.stalled).nanos())
    }

    fn next_pause(&self) -> (SimTime, Happening) {
        let running = matches!(self.phase, Phase::Running(_)) && self.plan.shift.is_some();
        (if running { self.pauses.next } else { SimTime::NEVER }, Happening::Pause)
    }

    fn next_failure(&self) -> SimTime {
        match (self.plan.recovery.failure_clock, &self.phase) {
            // A file says at which moment of all time a fault comes.
            (FailureClock::Uptime, Phase::Stalled(_)) if self.plan.failures.replay.is_none() => SimTime::NEVER,
            (FailureClock::Uptime, _) if self.plan.failures.replay.is_none() => {
                self.faults.wall(self.faults.next_time() + self.tally.stalled).max(self.now)
            }
            // Operational time comes back to the wall's to the nearest nanosecond: never into the past.
            _ => self.faults.wall(self.faults.next_time()).max(self.now),
        }
    }

    fn roster(&self) -> &Roster {
        self.roster.as_ref().expect("a running job has nodes")
    }

    fn stall(&mut self) -> &mut Stall {
        let Phase::Stalled(stall) = &mut self.phase else { unreachable!("a step belongs to a stall") };
        stall
    }

    fn facts(&self, horizon: SimTime) -> JobFacts {
        let (kept, ideal) = self.plan.done_after(self.tally.position);
        JobFacts {
            gpus: (self.plan.most_granted_nodes() - self.plan.spares.hot - self.plan.spares.cold)
                * self.plan.gpus_per_node,
            sized: self.sized(horizon),
            submitted: SimTime::ZERO + self.plan.submit,
            started: self.tally.started,
            finished: self.finished(),
            asked: self.plan.tokens,
            kept,
            ideal,
            flops_per_token: self.plan.flops_per_token(),
            peak: self.plan.peak,
            interruptions: self.tally.interruptions,
            planned: self.tally.planned,
            preemptions: self.tally.preemptions,
            requeued: self.tally.requeued,
            checkpoints: self.tally.checkpoints,
            checkpoint_every: self.schedule.every(),
            research_multiplier: self.plan.research_multiplier,
            paused: self.plan.shift.as_ref().map(|_| self.pauses.taken),
            swing: self.plan.swing,
            training: self.plan.at_level(0).draw.accelerator,
            slowed: self.tally.slowed,
            suspects: self.plan.recovery.evict.map(|_| [self.tally.suspects, self.tally.missed]),
            stragglers: self.stragglers.as_ref().map(Stragglers::facts),
            taken: matches!(self.plan.spares.short, Short::Preempt { .. }).then_some(self.tally.taken),
            storage: self.transfers.as_ref().map(Transfers::facts),
            time: self.own_time(horizon),
            shrinks: matches!(self.plan.spares.short, Short::Shrink { .. }),
            failure_clock: self.plan.recovery.failure_clock.name(),
        }
    }
}

impl Tally {
    /// It has waited until `at` for nodes since it left its own, if it did.
    fn wait_for_nodes(&mut self, at: SimTime) {
        match self.left {
            Some((left, Use::Planned)) => self.regrouped += at.since(left),
            Some((left, _)) => self.requeued += at.since(left),
            None => {}
        }
    }

    /// It holds `nodes` from `at` on.
    fn hold(&mut self, nodes: u32, at: SimTime) {
        let (before, since) = std::mem::replace(&mut self.holding, (nodes, at));
        self.held += u128::from(before) * u128::from(at.since(since).nanos());
    }
}

impl Stall {
    fn waits_for_spares(&self) -> bool {
        self.steps.front().is_some_and(|step| step.what == Use::SpareWait)
    }

    /// Drops what recovery is left, at `at`; what is left of planned stops and of pauses stays.
    fn interrupt(&mut self, at: SimTime) {
        if let Some(step) = self.steps.front_mut() {
            step.length = step.length.saturating_sub(at.since(self.since));
        }
        self.steps.retain(|step| matches!(step.what, Use::Planned | Use::Paused));
    }
}

impl Maintenance {
    fn plan_next(&mut self, at: SimTime) {
        if self.rate > PerSecond::new(0.0) {
            let gap = Span::from_secs_f64(self.stream.exponential() / self.rate.as_f64());
            self.next = at + gap.max(Span::from_nanos(1));
        }
    }
}
