//! When a replica of a cell fails: a unit-exponential threshold against the failures to be expected so far.
//!
//! With `n` replicas up, each on `m` nodes that fail at rate `r`, failures come at rate `n m r`: the superposition of many
//! renewal processes tends to Poisson (Palm-Khintchine), so only the long-run rate of the law counts here.

use crate::engine::Stream;
use crate::fault::FailureLaw;
use crate::units::{SimTime, Span};

/// Accumulated hazard of the replicas of one cell.
#[derive(Debug, Clone)]
pub(crate) struct Hazard {
    stream: Stream,
    /// Failures of one replica in a second.
    per_replica: f64,
    /// Expected failures until the next.
    left: f64,
    /// Up to when `left` holds.
    since: SimTime,
    up: u32,
}

impl Hazard {
    /// Of replicas of `nodes` nodes under `law`, none of them up.
    pub(crate) fn new(law: FailureLaw, nodes: u32, mut stream: Stream) -> Hazard {
        let left = stream.exponential();
        Hazard { stream, per_replica: law.rate().as_f64() * f64::from(nodes), left, since: SimTime::ZERO, up: 0 }
    }

    /// From `at` on, `up` replicas can fail.
    pub(crate) fn expose(&mut self, at: SimTime, up: u32) {
        self.left = (self.left - self.rate() * at.since(self.since).as_secs_f64()).max(0.0);
        self.since = self.since.max(at);
        self.up = up;
    }

    /// When the next failure comes, if nothing changes; [`SimTime::NEVER`] where none can.
    pub(crate) fn next(&self) -> SimTime {
        // At least a nanosecond, so that time moves.
        let wait = Span::from_secs_f64(self.left / self.rate()) + Span::from_nanos(1);
        if self.rate() > 0.0 { self.since + wait } else { SimTime::NEVER }
    }

    /// A failure happens at `at`: which of the replicas that are up it hits.
    pub(crate) fn strike(&mut self, at: SimTime) -> u32 {
        self.expose(at, self.up);
        self.left = self.stream.exponential();
        (self.stream.uniform() * f64::from(self.up)) as u32
    }

    fn rate(&self) -> f64 {
        self.per_replica * f64::from(self.up)
    }
}
