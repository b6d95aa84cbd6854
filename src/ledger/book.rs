//! The book that a process carries: energy and accelerator time by use, counts, events. Integers, binned exactly.

use crate::units::{SimTime, Span, Watts};

/// What a GPU's time and energy went to. Each GPU-nanosecond lies in exactly one use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Use {
    /// Training progress that was kept.
    Productive,
    /// Training progress that a failure threw away, and so was done again.
    Recomputed,
    /// Waiting for a blocking checkpoint.
    Checkpoint,
    /// A failure happened and nobody knows yet.
    Detect,
    /// Looking for the broken node.
    Localise,
    /// Waiting for a replacement node.
    SpareWait,
    /// Rescheduling, initialising, reloading the checkpoint.
    Restart,
    /// A planned interruption.
    Planned,
    /// A spare that stands by, powered.
    Spare,
    /// A node in repair.
    Repair,
    /// Serving at least one request.
    Serving,
    /// A replica with its model resident and no request.
    WarmIdle,
    /// A replica loading its model.
    Loading,
    /// Held by nobody.
    Unallocated,
}

/// Power of some GPUs and of their share of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Draw {
    /// How many GPUs.
    pub gpus: u32,
    /// What they draw together.
    pub accelerator: Watts,
    /// What their share of the host draws.
    pub host: Watts,
}

/// What is counted by the bin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Count {
    /// Requests that arrived.
    Arrived,
    /// Requests that got their last token.
    Completed,
    /// Requests turned away at the door.
    Rejected,
    /// Requests lost to a failure or a time-out.
    Failed,
    /// Completed requests that met every limit of the SLO.
    WithinSlo,
    /// Prompt tokens of completed requests.
    PromptTokens,
    /// Output tokens of completed requests.
    OutputTokens,
}

/// The bins of all books of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    /// Where the run ends.
    pub horizon: SimTime,
    /// Width of a bin: one hour, or a fraction of it where the timeline is finer.
    pub bin: Span,
}

/// What a row of `events.csv` says happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventKind {
    /// A job or service began.
    Started,
    /// A job finished.
    Finished,
    /// A node failed under a job or replica and interrupted it.
    Failure,
    /// A planned interruption.
    Maintenance,
    /// The job runs again.
    Restarted,
    /// A service opened its doors.
    Opened,
    /// The autoscaler changed the number of replicas.
    Scaled,
}

/// One row of `events.csv`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub at: SimTime,
    /// What.
    pub kind: EventKind,
    /// Which nodes, as intervals; empty where no node is meant.
    pub nodes: String,
    /// A figure and its words, such as `lost 312 s of work`.
    pub detail: String,
}

/// The books of one process.
#[derive(Debug, Clone)]
pub struct Book {
    grid: Grid,
}

impl Book {
    /// An empty book.
    #[must_use]
    pub fn new(grid: Grid) -> Book {
        Book { grid }
    }

    /// Spends `draw` on `what` from `from` to `to`, cut exactly at bin edges; nothing past the horizon is entered.
    pub fn spend(&mut self, what: Use, from: SimTime, to: SimTime, draw: Draw) {
        let _ = (what, from, to, draw, self.grid);
        todo!()
    }

    /// Counts `number` of `what` at `at`.
    pub fn count(&mut self, what: Count, at: SimTime, number: u64) {
        let _ = (what, at, number);
        todo!()
    }

    /// Enters an event.
    pub fn log(&mut self, event: Event) {
        let _ = event;
        todo!()
    }
}
