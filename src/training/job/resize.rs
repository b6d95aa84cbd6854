//! Phases on different numbers of nodes: at a border the job saves, gives its nodes back and asks for those of the next phase.

use super::{Clocks, Job, Phase};
use crate::ledger::{SizedFacts, Use};
use crate::training::copies::{Copies, Depth};
use crate::training::{GivenBack, Schedule};
use crate::units::{GpuTime, SimTime};

impl Job {
    /// True where its phase is done and the next one is for another number of nodes.
    #[must_use]
    pub fn is_at_border(&self) -> bool {
        matches!(self.phase, Phase::Finished(_)) && !self.sizes.is_empty()
    }

    /// Saves and gives all nodes back at `at`, the instant of the border; [`plan`](Job::plan) says how many it needs now. The copy of a
    /// border is kept for good: nothing takes the job back behind it.
    pub fn regroup(&mut self, at: SimTime) -> GivenBack {
        assert!(self.is_at_border(), "a job changes its number of nodes between two phases");
        self.hours = self.settled();
        self.tally.earlier = Some((self.computing_until(at), at));
        self.tally.planned += 1;
        let back = self.leave(at, Use::Planned);
        let (nodes, until) = self.sizes.pop_front().expect("a border has a phase after it");
        (self.plan.nodes, self.goal) = (nodes, until);
        self.schedule = Schedule::new(&self.plan).expect("checkpoints were checked on all numbers of nodes");
        self.clocks = Clocks::new(&self.plan, &self.schedule);
        self.copies = Copies::new(&self.schedule, Depth::Newest);
        self.transfers = self.transfers.take().and_then(|transfers| transfers.moved_to(&self.schedule));
        self.drain(at);
        self.tally.floor = (self.tally.position, at);
        back
    }

    /// What computed until `at`, nodes that it lacked at times included; of a job whose phases differ in their nodes.
    pub(super) fn sized(&self, horizon: SimTime) -> Option<SizedFacts> {
        let is_sized = !self.sizes.is_empty() || self.tally.earlier.is_some();
        is_sized.then(|| SizedFacts {
            elapsed: self.computing_until(self.finished().unwrap_or(horizon)),
            ideal: self.plan.gpu_time_of(self.tally.position),
        })
    }

    fn computing_until(&self, at: SimTime) -> GpuTime {
        let (mut time, since) = self.tally.earlier.unwrap_or((GpuTime::ZERO, self.tally.started.unwrap_or(at)));
        time += GpuTime::new(self.plan.gpus(), at.since(since));
        time
    }
}
