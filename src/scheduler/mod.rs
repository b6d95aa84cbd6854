//! Looks and decides who gets which nodes; changes nothing itself. Control keeps the [`Queue`] and the [`Running`] gangs of a
//! cluster, asks [`Scheduler::next`] for one decision after another, and carries each out before it asks again.

mod backfill;
mod fifo;
mod priority;
mod queue;
mod running;

pub use backfill::Backfill;
pub use fifo::Fifo;
pub use priority::Priority;
pub use queue::{Gang, Queue, Waiting};
pub use running::{Reservation, Run, Running};

use crate::units::SimTime;
use crate::world::{Hall, Need};
use schemars::JsonSchema;
use serde::Deserialize;

/// `scheduler = …` of a cluster. Every gang gets all its nodes at once or waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Scheduler {
    /// In order of submission.
    Fifo(Fifo),
    /// The highest priority first.
    Priority(Priority),
    /// EASY: later gangs may overtake where that does not delay the first.
    Backfill(Backfill),
}

impl Default for Scheduler {
    fn default() -> Scheduler {
        Scheduler::Fifo(Fifo {})
    }
}

/// What a decision is made from.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// The instant.
    pub now: SimTime,
    /// Who holds the nodes.
    pub hall: &'a Hall,
    /// Who waits.
    pub queue: &'a Queue,
    /// Who runs.
    pub running: &'a Running,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// This gang gets its nodes.
    Start(Waiting),
    /// This gang gives its nodes back and waits again.
    Preempt(Gang),
}

impl Scheduler {
    /// The next thing to do; `None` when there is nothing left to do at this instant.
    #[must_use]
    pub fn next(&self, view: &View<'_>) -> Option<Decision> {
        match self {
            Scheduler::Fifo(_) => first_that_fits(view),
            Scheduler::Priority(policy) => policy.next(view),
            Scheduler::Backfill(policy) => policy.next(view),
        }
    }

    /// True where it asks for priorities.
    #[must_use]
    pub fn ranks_by_priority(&self) -> bool {
        !matches!(self, Scheduler::Fifo(_))
    }
}

/// Starts the first in the queue where it fits.
fn first_that_fits(view: &View<'_>) -> Option<Decision> {
    let first = view.queue.first()?;
    view.hall.fits(first.need).then_some(Decision::Start(*first))
}

/// The gang to preempt first so that, with others of a priority below `priority`, `nodes` more whole nodes come free; `None` where
/// they cannot. Lowest priority first, of equals the one that started last: it has least to lose.
#[must_use]
pub fn victim(running: &Running, priority: i32, nodes: u32) -> Option<Gang> {
    let mut freed = 0;
    let mut first = None;
    for (gang, run) in running.lowest_first().take_while(|(_, run)| run.priority < priority) {
        let Need::Nodes(held) = run.need else { continue };
        first = first.or(Some(gang));
        freed += held;
        if freed >= nodes {
            return first;
        }
    }
    None
}
