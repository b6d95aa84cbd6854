//! What the jobs of a workload are doing and what they have spent. Control moves them; nothing happens here by itself.

use super::WorkloadPlan;
use super::plan::JobStream;
use crate::engine::Seed;
use crate::ledger::{Book, Draw, Event, EventKind, Grid, JobRecord, JobStatus, Use, WorkloadFacts};
use crate::power::State;
use crate::trace::{JobEnd, TraceJob};
use crate::units::{SimTime, Span};
use crate::world::{Need, NodeSet};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The jobs of one workload, by number in order of submission.
#[derive(Debug)]
pub struct Jobs {
    plan: Arc<WorkloadPlan>,
    stream: JobStream,
    /// The next to be submitted.
    ahead: Option<TraceJob>,
    records: Vec<JobRecord>,
    /// How each ends.
    fates: Vec<JobEnd>,
    /// Work that jobs have kept which lost their nodes, and what starting again goes to: the use of why they lost them.
    kept: BTreeMap<u32, (Span, Use)>,
    running: BTreeMap<u32, Held>,
    ends: BTreeSet<(SimTime, u32)>,
    /// Nodes that failed under a job, by when.
    repairs: BTreeMap<u32, SimTime>,
    book: Book,
    interruptions: u64,
    preemptions: u64,
}

/// Nodes in a job's hands.
#[derive(Debug)]
struct Held {
    nodes: NodeSet,
    since: SimTime,
    ends: SimTime,
    /// Until when it restarts, before it works, and what that time goes to.
    ready: SimTime,
    restarting: Use,
}

/// Why a job loses its nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// This node of them failed.
    NodeFailed(u32),
    /// A gang of higher priority takes them; the job saves first if it saves at all.
    Preempted,
}

impl Jobs {
    /// The jobs of `plan`, none submitted.
    #[must_use]
    pub fn new(plan: Arc<WorkloadPlan>, seed: Seed, grid: Grid) -> Jobs {
        let mut stream = plan.stream(seed);
        Jobs {
            ahead: stream.next_job(),
            stream,
            plan,
            records: Vec::new(),
            fates: Vec::new(),
            kept: BTreeMap::new(),
            running: BTreeMap::new(),
            ends: BTreeSet::new(),
            repairs: BTreeMap::new(),
            book: Book::new(grid),
            interruptions: 0,
            preemptions: 0,
        }
    }

    /// What they are jobs of.
    #[must_use]
    pub fn plan(&self) -> &WorkloadPlan {
        &self.plan
    }

    /// When the next job is submitted or ends.
    #[must_use]
    pub fn next_time(&self) -> SimTime {
        let submit = self.ahead.map_or(SimTime::NEVER, |job| job.submit);
        submit.min(self.ends.first().map_or(SimTime::NEVER, |&(ends, _)| ends))
    }

    /// Takes in the next job that is due at `now`; its number.
    pub fn submit_due(&mut self, now: SimTime) -> Option<u32> {
        let job = self.ahead.filter(|job| job.submit <= now)?;
        self.ahead = self.stream.next_job();
        let number = u32::try_from(self.records.len()).expect("a run submits fewer than four billion jobs");
        self.records.push(JobRecord {
            submitted: job.submit,
            started: None,
            finished: None,
            run: job.run,
            held: Span::ZERO,
            gpus: job.gpus,
            class: job.class,
            owner: job.owner,
            starts: 0,
            status: JobStatus::Waiting,
        });
        self.fates.push(job.end);
        Some(number)
    }

    /// When `job` was submitted.
    #[must_use]
    pub fn submitted(&self, job: u32) -> SimTime {
        self.record(job).submitted
    }

    /// What `job` wants.
    #[must_use]
    pub fn need(&self, job: u32) -> Need {
        Need::of(self.record(job).gpus, self.plan.gpus_per_node)
    }

    /// How long `job` says that it will hold its nodes.
    #[must_use]
    pub fn estimate(&self, job: u32) -> Span {
        self.length(job).scale(self.plan.estimate.as_f64()).max(self.length(job))
    }

    /// `job` gets `nodes` at `at`.
    pub fn start(&mut self, job: u32, at: SimTime, nodes: NodeSet) {
        let ends = at + self.length(job);
        let ready = if self.record(job).starts > 0 { at + self.plan.restart } else { at };
        let restarting = self.kept.get(&job).map_or(Use::Restart, |&(_, why)| why);
        let record = &mut self.records[job as usize];
        record.started.get_or_insert(at);
        record.starts += 1;
        record.status = JobStatus::Running;
        self.ends.insert((ends, job));
        let before = self.running.insert(job, Held { nodes, since: at, ends, ready, restarting });
        assert!(before.is_none(), "a job runs once at a time");
    }

    /// The next job that has ended by `now`, with its nodes.
    pub fn end_due(&mut self, now: SimTime) -> Option<(u32, NodeSet)> {
        let &(ends, job) = self.ends.first().filter(|&&(ends, _)| ends <= now)?;
        let held = self.leave(job);
        self.spend(job, held.restarting, held.since, held.ready);
        self.spend(job, Use::Productive, held.ready, ends);
        self.kept.remove(&job);
        let record = &mut self.records[job as usize];
        record.finished = Some(ends);
        record.status = status(self.fates[job as usize]);
        Some((job, held.nodes))
    }

    /// `job` loses its nodes at `at`, which are returned, and waits again: with the work of its checkpoints, or from the start.
    pub fn cut(&mut self, job: u32, at: SimTime, why: Cut) -> NodeSet {
        let held = self.leave(job);
        let ready = held.ready.min(at);
        let before = self.kept.get(&job).map_or(Span::ZERO, |&(kept, _)| kept);
        let work = before + at.since(ready);
        let kept = match (self.plan.checkpoint, why) {
            (None, _) => Span::ZERO,
            (Some(_), Cut::Preempted) => work,
            (Some(every), Cut::NodeFailed(_)) => (every * (work.nanos() / every.nanos())).max(before),
        };
        let lost = work.saturating_sub(kept);
        // What earlier starts had kept is in the book as productive; a job without checkpoints has kept nothing.
        let turn = ready + kept.saturating_sub(before);
        let (thrown_away, restarting) = match why {
            Cut::NodeFailed(_) => (Use::Recomputed, Use::Restart),
            Cut::Preempted => (Use::Preempted, Use::Preempted),
        };
        self.spend(job, held.restarting, held.since, ready);
        self.spend(job, Use::Productive, ready, turn);
        self.spend(job, thrown_away, turn, at);
        self.kept.insert(job, (kept, restarting));
        self.records[job as usize].status = JobStatus::Waiting;
        let lost = lost.as_secs_f64().round();
        match why {
            Cut::NodeFailed(node) => {
                self.interruptions += 1;
                self.log(at, EventKind::Failure, node.to_string(), format!("job {job} lost {lost} s of work"));
            }
            Cut::Preempted => {
                self.preemptions += 1;
                self.log(at, EventKind::Preempted, held.nodes.to_string(), format!("job {job} lost {lost} s of work"));
            }
        }
        held.nodes
    }

    /// `node`, which failed under one of the jobs at `at`, is in repair from then on.
    pub fn begin_repair(&mut self, node: u32, at: SimTime) {
        self.repairs.insert(node, at);
    }

    /// `node` comes back from repair at `at`.
    pub fn end_repair(&mut self, node: u32, at: SimTime) {
        let since = self.repairs.remove(&node).expect("a node that comes back was in repair");
        self.book_repair(since, at);
    }

    /// Closes the books at `horizon`; work under way counts.
    #[must_use]
    pub fn close(mut self, horizon: SimTime) -> (Book, WorkloadFacts) {
        for job in self.running.keys().copied().collect::<Vec<_>>() {
            let held = self.leave(job);
            self.spend(job, held.restarting, held.since, held.ready.min(horizon));
            self.spend(job, Use::Productive, held.ready.min(horizon), horizon);
        }
        for since in std::mem::take(&mut self.repairs).into_values() {
            self.book_repair(since, horizon);
        }
        let facts = WorkloadFacts {
            classes: self.plan.classes.clone(),
            owners: self.plan.owners.clone(),
            records: self.records,
            interruptions: self.interruptions,
            preemptions: self.preemptions,
            is_listed: self.plan.listing == super::Listing::All,
        };
        (self.book, facts)
    }

    fn record(&self, job: u32) -> &JobRecord {
        &self.records[job as usize]
    }

    /// How long `job` will hold its nodes if nothing breaks: what is left of its work, and a restart where it ran before.
    fn length(&self, job: u32) -> Span {
        let record = self.record(job);
        let kept = self.kept.get(&job).map_or(Span::ZERO, |&(kept, _)| kept);
        let restart = if record.starts > 0 { self.plan.restart } else { Span::ZERO };
        restart + record.run.saturating_sub(kept)
    }

    fn leave(&mut self, job: u32) -> Held {
        let held = self.running.remove(&job).expect("a job that loses its nodes runs");
        self.ends.remove(&(held.ends, job));
        held
    }

    fn spend(&mut self, job: u32, what: Use, from: SimTime, to: SimTime) {
        self.records[job as usize].held += to.since(from);
        if to > from {
            let draw = self.draw(job);
            self.book.spend(what, from, to, draw);
        }
    }

    /// Its GPUs train; those of its last node that it did not ask for stand idle.
    fn draw(&self, job: u32) -> Draw {
        let gpus = self.record(job).gpus;
        let held = match self.need(job) {
            Need::Nodes(nodes) => nodes * self.plan.gpus_per_node,
            Need::Share(gpus) => gpus,
        };
        let (busy, idle) = (self.plan.power.draw(State::Training), self.plan.power.draw(State::Idle));
        let each = |gpus: u32, of: crate::power::PerGpu| Draw::new(gpus, of.accelerator, of.host);
        let (busy, idle) = (each(gpus, busy), each(held - gpus, idle));
        Draw { gpus: held, accelerator: busy.accelerator + idle.accelerator, host: busy.host + idle.host }
    }

    fn book_repair(&mut self, from: SimTime, to: SimTime) {
        let off = self.plan.power.draw(State::Off);
        self.book.spend(Use::Repair, from, to, Draw::new(self.plan.gpus_per_node, off.accelerator, off.host));
    }

    fn log(&mut self, at: SimTime, kind: EventKind, nodes: String, detail: String) {
        self.book.log(Event { at, kind, nodes, detail });
    }
}

const fn status(end: JobEnd) -> JobStatus {
    match end {
        JobEnd::Completed => JobStatus::Completed,
        JobEnd::Cancelled => JobStatus::Cancelled,
        JobEnd::Failed => JobStatus::Failed,
        JobEnd::TimedOut => JobStatus::TimedOut,
        JobEnd::NodeFailed => JobStatus::NodeFailed,
    }
}
