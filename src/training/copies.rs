//! The copies of a job's state that a restart could read, in every tier and across all stretches.

use super::pace::Pace;
use super::schedule::{Origin, Schedule};
use crate::units::{SimTime, Span};
use crate::world::Domain;
use std::collections::VecDeque;

/// The durable copies of one job.
///
/// A failure leaves the copies of the tiers that survive what broke; a restart reads the newest of them, of equally new ones the
/// one that is read soonest. Copies are arithmetic: a run of them for each stretch and tier.
#[derive(Debug, Clone)]
pub(super) struct Copies {
    tiers: Vec<Held>,
}

/// How many copies of a tier can matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// The newest: nothing asks for an older one.
    Newest,
    /// All that the tier keeps: corruption rolls back to before it began.
    Retained,
}

/// What one tier holds, the oldest first.
#[derive(Debug, Clone)]
struct Held {
    survives: Domain,
    reload: Span,
    /// The most copies that are kept.
    retention: u64,
    runs: VecDeque<Run>,
}

/// Where a stretch began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stretch {
    /// When.
    pub began: SimTime,
    /// The work behind it.
    pub position: Span,
    /// Where in the round of saves.
    pub origin: Origin,
    /// How fast it went.
    pub pace: Pace,
}

/// Copies that one stretch left in one tier: its saves `first` to `last`, counted from the origin of its round. A drain, which is
/// no part of the round, is save 0 of a stretch that begins with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    stretch: Stretch,
    first: u64,
    last: u64,
}

/// One copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Copy {
    /// The work that it holds, in useful time since the job began.
    pub position: Span,
    /// When the job had been stopped for it for long enough.
    pub taken: SimTime,
    /// What reading it takes, beyond the restart itself.
    pub reload: Span,
    /// Where it lies; in none where it is kept apart for good.
    pub tier: Option<usize>,
}

impl Copies {
    /// None yet, in the tiers of `schedule`, remembered to `depth`.
    pub(super) fn new(schedule: &Schedule, depth: Depth) -> Copies {
        let held = |tier: usize| Held {
            survives: schedule.survives(tier),
            reload: schedule.reload(tier),
            retention: match depth {
                Depth::Newest => 1,
                Depth::Retained => schedule.retention(tier).unwrap_or(u64::MAX),
            },
            runs: VecDeque::new(),
        };
        Copies { tiers: (0..schedule.tiers()).map(held).collect() }
    }

    /// `stretch` ends after `elapsed`: what it left is durable.
    /// Of the tiers in `written`, that is those saves and no others.
    pub(super) fn add<'a>(
        &mut self,
        schedule: &Schedule,
        stretch: Stretch,
        elapsed: Span,
        written: impl Iterator<Item = (usize, &'a [u64])>,
    ) {
        let mut apart = vec![];
        for (tier, saves) in written {
            apart.push(tier);
            for run in saves.chunk_by(|one, next| one + 1 == *next) {
                self.tiers[tier].push(Run { stretch, first: run[0], last: run[run.len() - 1] });
            }
        }
        for (tier, held) in self.tiers.iter_mut().enumerate() {
            let saves = schedule.durable(tier, stretch.origin, elapsed);
            if !saves.is_empty() && !apart.contains(&tier) {
                held.push(Run { stretch, first: saves.start, last: saves.end - 1 });
            }
        }
    }

    /// The job has drained to every tier at `at` with `position` behind it.
    pub(super) fn drain(&mut self, at: SimTime, position: Span) {
        let stretch = Stretch { began: at, position, origin: Origin::default(), pace: Pace::FULL };
        self.tiers.iter_mut().for_each(|held| held.push(Run { stretch, first: 0, last: 0 }));
    }

    /// `domain` breaks: the copies that do not survive it are gone.
    pub(super) fn lose(&mut self, domain: Domain) {
        self.tiers.iter_mut().filter(|held| held.survives < domain).for_each(|held| held.runs.clear());
    }

    /// Every copy taken after `onset` is worthless.
    pub(super) fn lose_since(&mut self, schedule: &Schedule, onset: SimTime) {
        for (tier, held) in self.tiers.iter_mut().enumerate() {
            while let Some(run) = held.runs.back_mut() {
                let Stretch { began, origin, .. } = run.stretch;
                if began <= onset {
                    run.last = run.last.min(schedule.last_save(tier, origin, onset.since(began)));
                    if run.first <= run.last {
                        break;
                    }
                }
                held.runs.pop_back();
            }
        }
    }

    /// The copy that a restart reads; `None` where it starts from nothing.
    pub(super) fn newest(&self, schedule: &Schedule) -> Option<Copy> {
        let newest = |(tier, held): (usize, &Held)| {
            let Run { stretch: Stretch { began, position, origin, pace }, last, .. } = *held.runs.back()?;
            let (work, taken) = schedule.save(tier, origin, last);
            let (position, taken) = (position + pace.work(work), began + taken);
            Some(Copy { position, taken, reload: held.reload, tier: Some(tier) })
        };
        let all = self.tiers.iter().enumerate().filter_map(newest);
        all.min_by_key(|copy| (std::cmp::Reverse(copy.position), copy.reload))
    }
}

impl Held {
    fn push(&mut self, run: Run) {
        self.runs.push_back(run);
        if self.retention == u64::MAX {
            return;
        }
        let mut most = self.retention;
        for index in (0..self.runs.len()).rev() {
            let run = &mut self.runs[index];
            let kept = (run.last - run.first + 1).min(most);
            run.first = run.last + 1 - kept;
            most -= kept;
        }
        self.runs.retain(|run| run.first <= run.last);
    }
}
