//! What a job writes to and reads from stores that it shares with others of its cluster.
//!
//! Its saves come when they come without sharing; what is shared is how fast bytes go. A write in the background that takes longer is
//! durable later, and a save that finds the one before still being written there is not written. A write for which training stops, one
//! without a background, stops it for longer; a restart reads for longer. Shares change at edges only, and each event of such a job is one.

use super::{Happening, Job, Phase};
use crate::ledger::StorageFacts;
use crate::training::Schedule;
use crate::training::warp::{Gait, Slow, Warp};
use crate::units::{BytesPerSecond, SimTime, Span};

/// A transfer under way.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Transfer {
    /// Which store of the cluster.
    pub store: usize,
    /// How fast it goes alone.
    pub rate: BytesPerSecond,
}

/// All transfers of one job.
#[derive(Debug)]
pub(super) struct Transfers {
    writers: Vec<Writer>,
    reading: Option<Going>,
    /// Time of the stretch under way for which writes stopped training longer than they would alone.
    stopped: Span,
    facts: StorageFacts,
}

/// The writes of one tier.
#[derive(Debug)]
struct Writer {
    tier: usize,
    transfer: Transfer,
    /// What a write takes alone.
    alone: Span,
    /// Whether training stops meanwhile.
    stops: bool,
    /// The next save of the stretch, numbered through the round.
    next: u64,
    going: Option<(u64, Going)>,
    /// Saves of the stretch that are written.
    written: Vec<u64>,
}

/// A transfer on its own clock, which goes at full speed where it is alone.
#[derive(Debug)]
struct Going {
    transfer: Transfer,
    began: SimTime,
    slow: f64,
    clock: Warp,
}

impl Going {
    fn new(transfer: Transfer, at: SimTime) -> Going {
        Going { transfer, began: at, slow: 1.0, clock: Warp::new(at, Gait::FREE) }
    }

    /// Takes `slow` times as long from `at` on; false where it did before.
    fn turn(&mut self, at: SimTime, slow: f64) -> bool {
        let turns = slow.to_bits() != self.slow.to_bits();
        if turns {
            self.slow = slow;
            self.clock.turn(at, Gait { slow: Slow::new(slow), ..Gait::FREE });
        }
        turns
    }

    /// How much longer it has taken by `at` than it would have alone.
    fn waited(&self, at: SimTime) -> Span {
        at.since(self.began).saturating_sub(self.clock.work_at(at))
    }
}

impl Transfers {
    /// Those of a job that saves by `schedule`; none where no tier of it lies in a store.
    pub(super) fn new(schedule: &Schedule) -> Option<Transfers> {
        let tiers = 0..schedule.tiers();
        let writer = |tier: usize| {
            let (transfer, alone, stops) = schedule.write_of(tier)?;
            Some(Writer { tier, transfer, alone, stops, next: 0, going: None, written: Vec::new() })
        };
        tiers.clone().any(|tier| schedule.is_stored(tier)).then(|| Transfers {
            writers: tiers.filter_map(writer).collect(),
            reading: None,
            stopped: Span::ZERO,
            facts: StorageFacts::default(),
        })
    }

    pub(super) fn facts(&self) -> StorageFacts {
        self.facts
    }

    /// With the tiers of another schedule, the facts kept.
    pub(super) fn moved_to(self, schedule: &Schedule) -> Option<Transfers> {
        let facts = self.facts;
        Transfers::new(schedule).map(|transfers| Transfers { facts, ..transfers })
    }

    /// What writes that stop training multiply its time by.
    pub(super) fn slow(&self) -> f64 {
        let stopping = self.writers.iter().filter(|writer| writer.stops).filter_map(|writer| writer.going.as_ref());
        stopping.map(|(_, going)| going.slow).product()
    }

    /// The saves of the stretch that are written, of each tier whose writes are in the background.
    pub(super) fn written(&self) -> impl Iterator<Item = (usize, &[u64])> {
        self.writers.iter().filter(|writer| !writer.stops).map(|writer| (writer.tier, &writer.written[..]))
    }

    /// Reading is over, or broken off.
    pub(super) fn end_read(&mut self, at: SimTime) {
        if let Some(reading) = self.reading.take() {
            self.facts.waited += reading.waited(at);
        }
    }

    /// A stretch ends: what it was still writing is lost. For how long it stopped training beyond what it would have alone.
    pub(super) fn end_writes(&mut self, at: SimTime) -> Span {
        for writer in &mut self.writers {
            let going = writer.going.take().filter(|_| writer.stops);
            let waited = going.map_or(Span::ZERO, |(_, going)| going.waited(at));
            self.stopped += waited;
            self.facts.waited += waited;
        }
        std::mem::take(&mut self.stopped)
    }
}

impl Job {
    /// What it transfers at this instant.
    #[must_use]
    pub fn transfers(&self) -> Vec<Transfer> {
        let Some(transfers) = &self.transfers else { return Vec::new() };
        let writes = transfers.writers.iter().filter_map(|writer| writer.going.as_ref());
        let all = transfers.reading.iter().chain(writes.map(|(_, going)| going));
        all.map(|going| going.transfer).collect()
    }

    /// Its [transfers](Job::transfers) take, in their order, so many times as long as alone from `at`, the edge being handled, on.
    pub fn share(&mut self, at: SimTime, slow: &[f64]) {
        let Some(transfers) = &mut self.transfers else { return };
        let mut slow = slow.iter().copied();
        let mut next = || slow.next().expect("a share for each transfer");
        if let Some(reading) = &mut transfers.reading {
            reading.turn(at, next());
        }
        let mut turns = false;
        for writer in &mut transfers.writers {
            if let Some((_, going)) = &mut writer.going {
                turns |= going.turn(at, next()) && writer.stops;
            }
        }
        if turns && matches!(self.phase, Phase::Running(_)) {
            self.warp.turn(at, self.gait());
        }
    }

    /// A stretch begins.
    pub(super) fn begin_writes(&mut self) {
        let Some(transfers) = &mut self.transfers else { return };
        for writer in &mut transfers.writers {
            writer.written.clear();
            writer.next = self.schedule.last_save(writer.tier, self.origin, Span::ZERO) + 1;
        }
    }

    /// A restart begins to read the newest copy at `at`, which takes `alone`.
    pub(super) fn begin_read(&mut self, at: SimTime, alone: Span) {
        let Some(transfers) = &mut self.transfers else { return };
        let tier = self.copies.newest(&self.schedule).and_then(|copy| copy.tier);
        let transfer = tier.filter(|_| alone > Span::ZERO).and_then(|tier| self.schedule.read_of(tier, alone));
        transfers.reading = transfer.map(|transfer| Going::new(transfer, at));
    }

    /// When reading is over, which takes `alone`; none where nothing is read from a store.
    pub(super) fn read_until(&self, alone: Span) -> Option<SimTime> {
        Some(self.transfers.as_ref()?.reading.as_ref()?.clock.wall_of(alone))
    }

    pub(super) fn next_transfer(&self) -> (SimTime, Happening) {
        let none = (SimTime::NEVER, Happening::Transfer);
        let (Some(transfers), Phase::Running(_)) = (&self.transfers, &self.phase) else { return none };
        let ends = transfers.writers.iter().filter(|writer| !writer.stops);
        let ends = ends.filter_map(|writer| Some(writer.going.as_ref()?.1.clock.wall_of(writer.alone)));
        let turns = transfers.writers.iter().map(|writer| self.warp.wall_of(self.turn_of(writer)));
        ends.chain(turns).min().map_or(none, |at| (at.max(self.now), Happening::Transfer))
    }

    /// Work of the stretch at which the next save of a tier begins or ends.
    fn turn_of(&self, writer: &Writer) -> Span {
        let (_, over) = self.schedule.save(writer.tier, self.origin, writer.next);
        if writer.stops && writer.going.is_none() { over.saturating_sub(writer.alone) } else { over }
    }

    /// Writes begin and end at `at`.
    pub(super) fn transfer(&mut self, at: SimTime) {
        let mut transfers = self.transfers.take().expect("only a job that shares a store transfers");
        let mut turns = false;
        for writer in &mut transfers.writers {
            let is_written = |(_, going): &mut (u64, Going)| !writer.stops && going.clock.wall_of(writer.alone) <= at;
            if let Some((save, _)) = writer.going.take_if(is_written) {
                writer.written.push(save);
            }
            while self.warp.wall_of(self.turn_of(writer)) <= at {
                match writer.going.take() {
                    Some((_, going)) if writer.stops => {
                        let waited = going.waited(at);
                        transfers.stopped += waited;
                        transfers.facts.waited += waited;
                        writer.next += 1;
                        turns = true;
                    }
                    Some(going) => {
                        writer.going = Some(going);
                        transfers.facts.skipped += 1;
                        writer.next += 1;
                    }
                    None => {
                        writer.going = Some((writer.next, Going::new(writer.transfer, at)));
                        writer.next += u64::from(!writer.stops);
                    }
                }
            }
        }
        self.transfers = Some(transfers);
        if turns {
            self.warp.turn(at, self.gait());
        }
    }
}
