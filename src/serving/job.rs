//! A request inside a service, and the line in which it waits.

use crate::trace::Request;
use crate::units::SimTime;
use std::collections::VecDeque;

/// A request inside the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Job {
    /// When it arrived at the service's door.
    pub(crate) arrived: SimTime,
    /// When its first token came; [`SimTime::NEVER`] before.
    pub(crate) first: SimTime,
    /// Prompt tokens.
    pub(crate) prompt: u32,
    /// Output tokens asked.
    pub(crate) output: u32,
    /// Output tokens so far. They survive the loss of its cache, and are computed again as if they were prompt.
    pub(crate) produced: u32,
    /// Its class, an index.
    pub(crate) class: u8,
    /// Higher ranks are admitted first and preempted last.
    pub(crate) rank: u8,
    /// What the cell knows its present attempt by, where clients may hang up.
    pub(crate) ticket: u16,
    /// Which replica has computed its cache, where it must still be fetched from there; [`Job::HERE`] otherwise.
    pub(crate) source: u16,
    /// What names the blocks of its prompt: a row of the trace or a session; [`Job::UNNAMED`] where nothing does.
    pub(crate) prefix: u32,
}

impl From<Request> for Job {
    fn from(request: Request) -> Job {
        let Request { at, prompt, output } = request;
        let (class, rank, ticket) = (0, 0, 0);
        Job {
            arrived: at,
            first: SimTime::NEVER,
            prompt,
            output,
            produced: 0,
            class,
            rank,
            ticket,
            source: Job::HERE,
            prefix: Job::UNNAMED,
        }
    }
}

impl Job {
    /// The name of a prompt that no cache finds.
    pub(crate) const UNNAMED: u32 = u32::MAX;

    /// The source of a request whose cache is nowhere else.
    pub(crate) const HERE: u16 = u16::MAX;

    /// Tokens in the cache that another replica has computed: all but the last token, which is to be computed next.
    pub(crate) fn fetched(self) -> u64 {
        self.to_compute() - 1
    }

    /// Tokens to compute before its next output token.
    pub(crate) fn to_compute(self) -> u64 {
        u64::from(self.prompt) + u64::from(self.produced)
    }

    /// Output tokens to go.
    pub(super) fn to_go(self) -> u64 {
        u64::from(self.output - self.produced)
    }
}

/// Puts `job` behind all of its rank in `line`, which stands by rank, the highest first; its place there.
#[inline]
pub(crate) fn line_up(line: &mut VecDeque<Job>, job: Job) -> usize {
    let place = match line.back() {
        Some(last) if last.rank < job.rank => line.partition_point(|other| other.rank >= job.rank),
        _ => line.len(),
    };
    if place == line.len() {
        line.push_back(job)
    } else {
        line.insert(place, job)
    }
    place
}

/// Puts `job` before all of its rank in `line`.
pub(crate) fn line_up_in_front(line: &mut VecDeque<Job>, job: Job) {
    let place = line.partition_point(|other| other.rank > job.rank);
    line.insert(place, job);
}

/// Takes the last of `line` out if its rank is below `rank` and it never was in a batch.
pub(crate) fn give_way(line: &mut VecDeque<Job>, rank: u8) -> Option<Job> {
    line.pop_back_if(|last| last.rank < rank && last.produced == 0)
}
