//! One cluster as control runs it: its hall, who waits for nodes there and who runs.

use crate::scheduler::{Decision, Gang, Queue, Run, Running, Scheduler, View, Waiting, victim};
use crate::training::GivenBack;
use crate::units::SimTime;
use crate::world::{ClusterPlan, Hall, NodeSet};
use std::collections::BTreeSet;
use std::ops::Range;

/// Hall, queue and running gangs of one cluster.
#[derive(Debug)]
pub(super) struct Floor {
    pub(super) hall: Hall,
    pub(super) running: Running,
    scheduler: Scheduler,
    queue: Queue,
    /// Nodes in repair that their jobs have given back, by when they are whole again.
    repairs: BTreeSet<(SimTime, u32)>,
    /// Nodes that training jobs gave back and that are not fixed: whoever of them gets one next sees it fail again before long.
    unfixed: BTreeSet<u32>,
    /// Hall and queue as the scheduler last left them: it is not asked again before one of them changes.
    settled: Option<(u64, u64)>,
}

/// A gang that gets its nodes, or gives them back.
#[derive(Debug)]
pub(super) enum Move {
    Start(Gang, NodeSet),
    Preempt(Gang),
}

impl Floor {
    pub(super) fn new(plan: &ClusterPlan, scheduler: Scheduler) -> Floor {
        Floor {
            hall: Hall::new(plan.nodes, plan.node.gpus, plan.domains.switch.min(plan.nodes)),
            queue: Queue::new(&scheduler),
            running: Running::default(),
            repairs: BTreeSet::new(),
            unfixed: BTreeSet::new(),
            scheduler,
            settled: None,
        }
    }

    pub(super) fn submit(&mut self, waiting: Waiting) {
        self.queue.push(waiting);
    }

    /// The next move of the scheduler at `now`, its nodes already granted; none before something has changed.
    pub(super) fn next_move(&mut self, now: SimTime) -> Option<Move> {
        if self.queue.is_empty() || self.settled == Some((self.hall.changes(), self.queue.changes())) {
            return None;
        }
        let view = View { now, hall: &self.hall, queue: &self.queue, running: &self.running };
        match self.scheduler.next(&view) {
            Some(Decision::Start(waiting)) => Some(self.start(waiting, now)),
            Some(Decision::Preempt(gang)) => Some(Move::Preempt(gang)),
            None => {
                self.settled = Some((self.hall.changes(), self.queue.changes()));
                None
            }
        }
    }

    fn start(&mut self, waiting: Waiting, now: SimTime) -> Move {
        self.queue.remove(&waiting);
        let nodes = self.hall.grant_gang(waiting.need).expect("the scheduler counts free nodes");
        let node = nodes.iter().next().expect("a gang has a node");
        let Waiting { gang, priority, need, estimate, .. } = waiting;
        self.running.start(gang, Run { priority, started: now, ends: now + estimate, need, node });
        Move::Start(gang, nodes)
    }

    /// Takes the nodes of a training job that ends, or is preempted; those in repair are nobody's until they are whole again.
    pub(super) fn take_back(&mut self, gang: Gang, back: GivenBack) {
        self.end(gang, back.nodes);
        self.unfixed.extend(back.unfixed);
        for (whole, node) in back.in_repair {
            self.hall.withdraw(node);
            self.repairs.insert((whole, node));
        }
    }

    /// Takes back what a running training job has beyond what it asked for.
    pub(super) fn take_back_part(&mut self, part: GivenBack) {
        self.unfixed.extend(part.unfixed);
        self.hall.release(part.nodes);
    }

    /// Those of `nodes`, which a training job gets, that are not fixed.
    pub(super) fn unfixed_among(&mut self, nodes: &NodeSet) -> Vec<u32> {
        if self.unfixed.is_empty() {
            return Vec::new();
        }
        nodes.iter().filter(|node| self.unfixed.remove(node)).collect()
    }

    /// Those of `nodes` that nobody holds go out until `ends`.
    pub(super) fn take_out(&mut self, nodes: Range<u32>, ends: SimTime) {
        for node in nodes {
            if self.hall.is_free(node) {
                self.hall.withdraw(node);
                self.repairs.insert((ends, node));
            }
        }
    }

    /// When the next of those nodes is whole.
    pub(super) fn next_repaired(&self) -> SimTime {
        self.repairs.first().map_or(SimTime::NEVER, |&(whole, _)| whole)
    }

    /// Those that are whole at `now` are free.
    pub(super) fn take_back_repaired(&mut self, now: SimTime) {
        while self.next_repaired() <= now {
            let (_, node) = self.repairs.pop_first().expect("a repair is due");
            self.hall.restore(node);
        }
    }

    /// The gang of a priority below `priority` to preempt first so that `nodes` nodes are free; none where enough are, or where that
    /// would not help.
    pub(super) fn victim(&self, priority: i32, nodes: u32) -> Option<Gang> {
        let missing = nodes.checked_sub(self.hall.free()).filter(|&missing| missing > 0)?;
        victim(&self.running, priority, missing)
    }

    /// Takes the nodes of a gang that ends, or is preempted.
    pub(super) fn end(&mut self, gang: Gang, nodes: NodeSet) {
        let run = self.running.end(gang);
        self.hall.release_gang(run.need, nodes);
    }
}
