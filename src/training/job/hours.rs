//! The job's own time by use, beside the GPU time of its book.
//!
//! While all its nodes run the two say the same, so that those stretches are read from the book when it closes or their number changes; stalls, and stretches on
//! fewer replicas, are entered when they end. What kept progress takes longer on a of w nodes, 1 - a / w of it, is degraded.

use super::Job;
use crate::ledger::{JobTime, Use};
use crate::units::{SimTime, Span};

/// What the book does not say of a job's own time.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Hours {
    time: JobTime,
    /// The part of its productive time that fewer replicas took.
    degraded: Span,
    /// GPU-nanoseconds of the book that are in `time` already, by use.
    entered: [u128; Use::ALL.len()],
}

/// The uses of a stretch.
const RUNNING: [Use; 5] = [Use::Productive, Use::Recomputed, Use::Slow, Use::Interference, Use::Checkpoint];

impl Hours {
    /// `time` of `what` that `gpus` GPUs have in the book.
    pub(super) fn enter(&mut self, what: Use, time: Span, gpus: u32) {
        self.time.enter(what, time);
        self.entered[what as usize] += u128::from(gpus) * u128::from(time.nanos());
    }
}

impl Job {
    /// Enters `time` of a stretch on fewer replicas, which `gpus` GPUs have in the book as `what`.
    pub(super) fn enter_degraded(&mut self, what: Use, time: Span, gpus: u32) {
        self.hours.enter(what, time, gpus);
        if what == Use::Productive {
            self.hours.degraded += time.saturating_sub(self.pace.work(time));
        }
    }

    /// What the book says of its stretches so far, entered.
    pub(super) fn settled(&self) -> Hours {
        let (mut hours, gpus) = (self.hours, self.plan.gpus());
        for what in RUNNING {
            let left = self.book.spent(what).time.nanos() - hours.entered[what as usize];
            assert!(left.is_multiple_of(u128::from(gpus)), "all nodes of a job run together");
            hours.enter(what, Span::from_nanos((left / u128::from(gpus)) as u64), gpus);
        }
        hours
    }

    /// Where the job's own time went until `horizon`, all of it.
    pub(super) fn own_time(&self, horizon: SimTime) -> JobTime {
        let Hours { mut time, degraded, .. } = self.settled();
        time.move_part(Use::Productive, Use::Degraded, degraded);
        let until = self.finished().unwrap_or(horizon).min(horizon);
        let submitted = (SimTime::ZERO + self.plan.submit).min(until);
        time.enter(Use::Queued, self.tally.started.unwrap_or(until).since(submitted) + self.tally.regrouped);
        time.enter(Use::Preempted, self.tally.requeued);
        assert!(time.total() == until.since(submitted), "each nanosecond of a job lies in exactly one use");
        time
    }
}
