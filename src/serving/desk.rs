//! The front desk of a cell: which class a request is of, when its client hangs up, and when it asks again.
//!
//! An attempt of a patient client has a ticket, under which the desk knows where it is. All clients of a service are equally
//! patient, so deadlines come in the order of attempts, and two queues hold them; entries of attempts that have ended are
//! passed over when their time comes. What is inside is bounded by the rate times the patience, never by the number of requests.

use super::job::Job;
use super::{Clientele, Patience};
use crate::engine::{Entity, Seed, Stream};
use crate::units::{SimTime, Span};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// Where an attempt is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Home {
    /// It has ended.
    Nowhere,
    /// No replica is ready for it.
    Door,
    /// In the replica of that index.
    Replica(usize),
}

/// One attempt.
#[derive(Debug, Clone, Copy)]
struct Attempt {
    /// When it was made.
    at: SimTime,
    home: Home,
    /// How many were made before it.
    retries: u8,
}

/// The desk of one cell.
#[derive(Debug, Clone)]
pub(super) struct Desk {
    /// Upper edges of the classes in 0..1, and their ranks; none where all requests are alike.
    classes: Vec<(f64, u8)>,
    class: Stream,
    patience: Option<Patience>,
    jitter: Stream,
    attempts: Vec<Attempt>,
    vacant: Vec<u16>,
    /// Attempts by when their clients stop to wait for the first token, and for the last.
    deadlines: [Deadlines; 2],
    /// Retries to come, and how many came before each.
    retries: BinaryHeap<Reverse<(SimTime, u64, Job, u8)>>,
    /// Retries planned so far: equal times go in that order.
    planned: u64,
}

/// Attempts whose clients wait equally long.
#[derive(Debug, Clone)]
struct Deadlines {
    limit: Option<Span>,
    entries: VecDeque<(SimTime, u16)>,
}

impl Desk {
    pub(super) fn new(clientele: &Clientele, entity: Entity, seed: Seed) -> Desk {
        let mut edge = 0.0;
        let mut upper = |share: f64| {
            edge += share;
            edge
        };
        let deadlines = |limit| Deadlines { limit, entries: VecDeque::new() };
        let patience = clientele.patience;
        Desk {
            classes: clientele.classes.iter().map(|class| (upper(class.share.as_f64()), class.priority)).collect(),
            class: seed.stream(entity, "class"),
            patience,
            jitter: seed.stream(entity, "jitter"),
            attempts: Vec::new(),
            vacant: Vec::new(),
            deadlines: [patience.and_then(|it| it.first_token), patience.map(|it| it.answer)].map(deadlines),
            retries: BinaryHeap::new(),
            planned: 0,
        }
    }

    /// Gives a request that arrives its class.
    #[inline]
    pub(super) fn classify(&mut self, job: &mut Job) {
        if !self.classes.is_empty() {
            let drawn = self.class.uniform();
            // Shares add up to 1 but for rounding: what lies above all edges is of the last class.
            let found = self.classes.iter().position(|class| drawn < class.0).unwrap_or(self.classes.len() - 1);
            (job.class, job.rank) = (found as u8, self.classes[found].1);
        }
    }

    /// True where clients may hang up or ask again.
    #[inline]
    pub(super) fn is_patient(&self) -> bool {
        self.patience.is_some()
    }

    /// When a client hangs up or asks again next, entries of ended attempts included.
    pub(super) fn next(&self) -> SimTime {
        let retry = self.retries.peek().map_or(SimTime::NEVER, |Reverse(retry)| retry.0);
        self.deadlines.iter().map(Deadlines::next).fold(retry, SimTime::min)
    }

    /// Gives an attempt made at `at`, after `retries` others, its ticket; false where the cell holds as many as there are tickets.
    pub(super) fn register(&mut self, at: SimTime, job: &mut Job, retries: u8) -> bool {
        let attempt = Attempt { at, home: Home::Door, retries };
        let ticket = match self.vacant.pop() {
            Some(ticket) => ticket,
            None if self.attempts.len() > usize::from(u16::MAX) => return false,
            None => {
                self.attempts.push(attempt);
                (self.attempts.len() - 1) as u16
            }
        };
        self.attempts[usize::from(ticket)] = attempt;
        job.ticket = ticket;
        let limited = self.deadlines.iter_mut().filter(|deadlines| deadlines.limit.is_some());
        limited.for_each(|deadlines| deadlines.entries.push_back((at, ticket)));
        true
    }

    /// The attempt with that ticket is there now.
    #[inline]
    pub(super) fn moved(&mut self, ticket: u16, home: Home) {
        if self.is_patient() {
            self.attempts[usize::from(ticket)].home = home;
        }
    }

    /// The attempt with that ticket has ended; how many were made before it.
    #[inline]
    pub(super) fn ended(&mut self, ticket: u16) -> u8 {
        if !self.is_patient() {
            return 0;
        }
        let attempt = &mut self.attempts[usize::from(ticket)];
        attempt.home = Home::Nowhere;
        self.vacant.push(ticket);
        attempt.retries
    }

    /// The client of `job`, whose attempt after `retries` others has failed at `at`, asks again later; false where it gives up.
    pub(super) fn asks_again(&mut self, at: SimTime, job: &Job, retries: u8) -> bool {
        let Some(patience) = self.patience.filter(|patience| retries < patience.retries) else { return false };
        // At least a nanosecond, so that time moves.
        let again = at + patience.wait(retries, self.jitter.uniform()) + Span::from_nanos(1);
        self.planned += 1;
        let job = Job { first: SimTime::NEVER, produced: 0, ticket: 0, source: Job::HERE, ..*job };
        self.retries.push(Reverse((again, self.planned, job, retries + 1)));
        true
    }

    /// An attempt whose client stops waiting by `at`: its ticket and where it is, and whether only the first token is too late.
    pub(super) fn hangs_up(&mut self, at: SimTime) -> Option<(u16, Home, bool)> {
        for (kind, deadlines) in self.deadlines.iter_mut().enumerate() {
            while deadlines.next() <= at {
                let (made, ticket) = deadlines.entries.pop_front().expect("one is due");
                let attempt = self.attempts[usize::from(ticket)];
                if attempt.at == made && attempt.home != Home::Nowhere {
                    return Some((ticket, attempt.home, kind == 0));
                }
            }
        }
        None
    }

    /// A retry that comes by `at`, and how many attempts came before.
    pub(super) fn asking(&mut self, at: SimTime) -> Option<(Job, u8)> {
        self.retries.peek().filter(|Reverse(retry)| retry.0 <= at)?;
        self.retries.pop().map(|Reverse((_, _, job, retries))| (job, retries))
    }

    /// Requests whose clients are about to ask again.
    pub(super) fn pausing(&self) -> impl Iterator<Item = &Job> {
        self.retries.iter().map(|Reverse(retry)| &retry.2)
    }
}

impl Deadlines {
    fn next(&self) -> SimTime {
        match (self.limit, self.entries.front()) {
            (Some(limit), Some(&(at, _))) => at + limit,
            _ => SimTime::NEVER,
        }
    }
}
