//! Who waits for nodes, in the order of the policy.

use super::Scheduler;
use crate::units::{SimTime, Span};
use crate::world::Need;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Anything that gets its nodes all at once: a training job, or a job of a workload. A number of control's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Gang(pub u64);

/// One that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// Who.
    pub gang: Gang,
    /// The higher, the sooner, where the policy asks.
    pub priority: i32,
    /// When it was submitted; one that was preempted or lost its nodes keeps its place.
    pub submitted: SimTime,
    /// What it wants.
    pub need: Need,
    /// How long it says that it will run.
    pub estimate: Span,
}

/// Those that wait, first to last.
#[derive(Debug, Default)]
pub struct Queue {
    by_priority: bool,
    order: BTreeMap<(Reverse<i32>, SimTime, Gang), Waiting>,
    changes: u64,
}

impl Queue {
    /// An empty queue in the order of `scheduler`.
    #[must_use]
    pub fn new(scheduler: &Scheduler) -> Queue {
        Queue { by_priority: scheduler.ranks_by_priority(), ..Queue::default() }
    }

    /// Puts one in its place.
    pub fn push(&mut self, waiting: Waiting) {
        let before = self.order.insert(self.rank(&waiting), waiting);
        assert!(before.is_none(), "a gang waits once");
        self.changes += 1;
    }

    /// Takes one out that is to start.
    pub fn remove(&mut self, waiting: &Waiting) {
        self.order.remove(&self.rank(waiting)).expect("who starts has waited");
        self.changes += 1;
    }

    /// The first.
    #[must_use]
    pub fn first(&self) -> Option<&Waiting> {
        self.order.first_key_value().map(|(_, waiting)| waiting)
    }

    /// All, first to last.
    pub fn iter(&self) -> impl Iterator<Item = &Waiting> {
        self.order.values()
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// True for none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Counts every arrival and departure: the same number, the same queue.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.changes
    }

    fn rank(&self, waiting: &Waiting) -> (Reverse<i32>, SimTime, Gang) {
        let priority = if self.by_priority { waiting.priority } else { 0 };
        (Reverse(priority), waiting.submitted, waiting.gang)
    }
}
