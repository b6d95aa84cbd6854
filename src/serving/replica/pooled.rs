//! What a replica of a pool does beyond others: it keeps the caches of prompts until they have been fetched, or fetches them.

use super::{Replica, Sequence, blocks_of, coarse};
use crate::serving::job::Job;
use crate::serving::pools::Role;
use crate::serving::rules::Rules;
use crate::units::SimTime;

/// A cache on its way to this replica, whose blocks it has taken.
#[derive(Debug, Clone, Copy)]
pub(super) struct Coming {
    pub(super) job: Job,
    /// When it is there.
    pub(super) at: SimTime,
    pub(super) admission: u64,
}

/// A cache that a replica has begun to fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fetch {
    /// Whose it is, and from where it comes.
    pub(crate) job: Job,
    /// When it was asked for.
    pub(crate) from: SimTime,
    /// When it is there.
    pub(crate) at: SimTime,
}

impl Replica {
    /// An idle replica of a pool.
    pub(crate) fn in_pool(rules: &Rules, role: Role) -> Replica {
        Replica { role, ..Replica::new(rules) }
    }

    /// Its part of the work.
    pub(crate) fn role(&self) -> Role {
        self.role
    }

    /// True where it has nothing to do, and nobody will fetch anything from it.
    pub(crate) fn is_empty(&self) -> bool {
        self.next == SimTime::NEVER && self.held == 0
    }

    /// What it began to fetch since the last call.
    pub(crate) fn take_asked(&mut self) -> Vec<Fetch> {
        std::mem::take(&mut self.asked)
    }

    /// Somebody has fetched the cache of `job` from it, at `at`, or nobody will.
    pub(crate) fn let_loose(&mut self, at: SimTime, job: &Job) {
        let blocks = blocks_of(job.fetched());
        self.held -= blocks;
        self.free += blocks;
        if !self.waiting.is_empty() {
            self.cut(at);
        }
    }

    /// Sends away those whose caches were to come from the replica `source`, which fails at `at`.
    pub(crate) fn orphans(&mut self, at: SimTime, source: u16) -> Vec<Job> {
        let lost = |coming: &Coming| coming.job.source == source && coming.at > at;
        let mut jobs: Vec<Job> = self.coming.iter().filter(|coming| lost(coming)).map(|coming| coming.job).collect();
        self.free += jobs.iter().map(|job| blocks_of(job.fetched())).sum::<u64>();
        self.coming.retain(|coming| !lost(coming));
        jobs.extend(self.waiting.iter().filter(|job| job.source == source));
        self.waiting.retain(|job| job.source != source);
        if !jobs.is_empty() {
            self.cut(at);
        }
        jobs
    }

    /// The sequences whose caches have come decode from now on.
    pub(super) fn welcome(&mut self) {
        let now = coarse(self.start);
        while let Some(place) = self.coming.iter().position(|coming| coming.at <= now) {
            let Coming { mut job, admission, .. } = self.coming.remove(place);
            job.source = Job::HERE;
            let offset = job.fetched().wrapping_sub(self.clock);
            let slot = self.place(Sequence { job, offset, admission, shared: 0 });
            self.decode_from_now(slot, job, offset);
        }
    }

    /// Asks for the cache of `job`, the first that waits, if its blocks are free beside those that are reserved.
    pub(super) fn fetch(&mut self, rules: &Rules, job: Job, reserved: u64) -> bool {
        let blocks = blocks_of(job.fetched());
        let Some(fetching) = rules.fetching.as_ref().filter(|_| blocks + reserved <= self.free) else { return false };
        self.waiting.pop_front();
        self.free -= blocks;
        self.admissions += 1;
        let from = coarse(self.start);
        let at = from + fetching.time(job.fetched());
        self.coming.push(Coming { job, at, admission: self.admissions });
        self.asked.push(Fetch { job, from, at });
        true
    }

    /// When the first of the caches under way is there.
    pub(super) fn comes(&self) -> SimTime {
        self.coming.iter().map(|coming| coming.at).fold(SimTime::NEVER, SimTime::min)
    }
}
