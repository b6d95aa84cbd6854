//! Maintenance that was announced: the job drains at its next checkpoint and goes on with spares.

use super::{Fate, Happening, Job, Phase, Step};
use crate::fault::{Fault, Symptom, Work};
use crate::ledger::{EventKind, Use};
use crate::training::roster::Place;
use crate::units::{SimTime, Span};
use crate::world::NodeSet;
use std::collections::VecDeque;

/// What was announced to a job, and what will be.
#[derive(Debug, Default)]
pub(super) struct Upkeep {
    /// By kind of maintenance: the next announcement of a domain in which the job has a node.
    next: Vec<Option<Work>>,
    /// Announced and not begun, and when the job drains for it.
    ahead: Vec<(SimTime, Work)>,
}

impl Upkeep {
    pub(super) fn clear(&mut self) {
        *self = Upkeep::default();
    }
}

impl Job {
    /// From `at` on the job hears what is announced, and at once what was announced and has not begun.
    pub(super) fn begin_upkeep(&mut self, at: SimTime) {
        self.upkeep.next = self.plan.failures.maintenance.iter().map(|_| None).collect();
        for kind in 0..self.upkeep.next.len() {
            let notice = self.plan.failures.maintenance[kind].1.notice;
            let heard = SimTime::from_nanos(at.nanos().saturating_sub(notice.nanos().saturating_sub(1)));
            self.hear_next(kind, heard);
        }
    }

    /// Plans the next announcement of kind `kind` at `after` or later.
    pub(super) fn hear_next(&mut self, kind: usize, after: SimTime) {
        let roster = self.roster.as_ref().expect("a running job has nodes");
        let here = |nodes: std::ops::Range<u32>| nodes.into_iter().any(|node| roster.place(node) != Place::Elsewhere);
        let failures = &self.plan.failures;
        self.upkeep.next[kind] = failures.maintenance[kind].1.next(&failures.tree, after, here);
    }

    pub(super) fn next_upkeep(&self) -> (SimTime, Happening) {
        let heard = self.upkeep.next.iter().flatten().map(|work| work.announced);
        let drains = self.upkeep.ahead.iter().map(|&(due, _)| due);
        let drains = drains.filter(|_| matches!(self.phase, Phase::Running(_)));
        (heard.chain(drains).min().map_or(SimTime::NEVER, |at| at.max(self.now)), Happening::Upkeep)
    }

    /// The earliest instant at which maintenance could take a computing node.
    pub(super) fn next_drain(&self) -> SimTime {
        let heard = self.upkeep.next.iter().flatten().map(|work| work.announced);
        heard.chain(self.upkeep.ahead.iter().map(|&(due, _)| due)).min().unwrap_or(SimTime::NEVER)
    }

    /// Work is announced, or the job drains for it.
    pub(super) fn upkeep(&mut self, at: SimTime) {
        for kind in 0..self.upkeep.next.len() {
            while let Some(work) = self.upkeep.next[kind].clone().filter(|work| work.announced <= at) {
                self.hear_next(kind, work.announced + Span::from_nanos(1));
                self.announced(work, at);
            }
        }
        if let Phase::Running(since) = self.phase {
            self.drain_for_upkeep(since, at);
        }
    }

    /// Spares go at once; what computes goes at the next checkpoint, or when the work begins.
    fn announced(&mut self, work: Work, at: SimTime) {
        self.log(at, EventKind::Maintenance, nodes_of(work.nodes.clone()), format!("{} announced", work.domain.name()));
        let spares = self.in_place(&work, Place::StandingBy);
        self.take_out(&work, &spares, at);
        let due = match self.phase {
            Phase::Running(since) => self.next_save(since, at).min(work.begins),
            _ => work.begins,
        };
        self.upkeep.ahead.push((due, work));
    }

    fn drain_for_upkeep(&mut self, since: SimTime, at: SimTime) {
        let (due, ahead) = std::mem::take(&mut self.upkeep.ahead).into_iter().partition(|&(due, _)| due <= at);
        self.upkeep.ahead = ahead;
        let due: Vec<(SimTime, Work)> = due;
        // Work that ended while the job stood still was done on nodes that did nothing.
        let out = due.into_iter().map(|(_, work)| work).filter(|work| work.ends > at);
        let out: Vec<(Vec<u32>, Work)> = out.map(|work| (self.in_place(&work, Place::Computing), work)).collect();
        if out.iter().all(|(nodes, _)| nodes.is_empty()) {
            return;
        }
        self.tally.planned += 1;
        self.end_stretch(since, at, Fate::Kept);
        self.drain(at);
        for (nodes, work) in &out {
            // Of two kinds of work on one node the first takes it.
            let nodes: Vec<u32> =
                nodes.iter().copied().filter(|&node| self.roster().place(node) == Place::Computing).collect();
            self.take_out(work, &nodes, at);
        }
        let [wait, restart] = [(Use::SpareWait, Span::ZERO), (Use::Planned, self.clocks.planned)];
        self.stop(at, VecDeque::from([wait, restart].map(|(what, length)| Step::new(what, length))));
    }

    fn in_place(&self, work: &Work, place: Place) -> Vec<u32> {
        work.nodes.clone().filter(|&node| self.roster().place(node) == place).collect()
    }

    fn take_out(&mut self, work: &Work, nodes: &[u32], at: SimTime) {
        if nodes.is_empty() {
            return;
        }
        let repair = Some(work.ends.since(at));
        let fault = Fault {
            at,
            domain: work.domain,
            nodes: nodes.to_vec(),
            repair,
            repairs: Vec::new(),
            symptom: Symptom::Planned,
        };
        self.lose(&fault, nodes, at);
    }

    /// When the next save of the fastest tier after `at` is over, in the stretch that began at `since`.
    fn next_save(&self, since: SimTime, at: SimTime) -> SimTime {
        if self.schedule.tiers() == 0 {
            return SimTime::NEVER;
        }
        assert!(since <= at, "a stretch begins before it is asked");
        let elapsed = self.warp.work_at(at);
        let next = self.schedule.last_save(0, self.origin, elapsed) + 1;
        let (_, over) = self.schedule.save(0, self.origin, next);
        self.warp.wall_of(over)
    }
}

fn nodes_of(nodes: std::ops::Range<u32>) -> String {
    NodeSet::of_sorted([nodes]).to_string()
}
