//! What a job enters into its book: stretches when their fate is known, stalls step by step.

use super::{Fate, Job, Loss, Transfers};
use crate::ledger::{Draw, Event, EventKind, Use};
use crate::power::State;
use crate::training::GivenBack;
use crate::training::copies::{Copy, Stretch};
use crate::training::pace::Pace;
use crate::training::warp::share;
use crate::units::{SimTime, Span};

impl Job {
    /// Books the stretch from `since` to `at` and returns the useful time lost.
    pub(super) fn end_stretch(&mut self, since: SimTime, at: SimTime, fate: Fate) -> Span {
        let elapsed = self.warp.work_at(at);
        let stored = self.transfers.as_mut().map_or(Span::ZERO, |transfers| transfers.end_writes(at));
        let dragged = self.dragged(since, at) + stored;
        self.tally.slowed += at.since(since).saturating_sub(elapsed).saturating_sub(dragged);
        let (from, useful) = (self.tally.position, self.pace.work(self.schedule.useful(self.origin, elapsed)));
        let again = match self.tally.done.saturating_sub(from) {
            Span::ZERO => Span::ZERO,
            again => self.schedule.elapsed(self.origin, self.pace.time_for(again)).min(elapsed),
        };
        self.tally.position = from + useful;
        self.tally.checkpoints += self.schedule.saves(self.origin, elapsed);
        if fate != Fate::Kept {
            self.copies.add(
                &self.schedule,
                Stretch { began: since, position: from, origin: self.origin, pace: self.pace },
                elapsed,
                self.transfers.iter().flat_map(Transfers::written),
            );
        }
        let (standing, lost) = match fate {
            Fate::Kept | Fate::Halted => (elapsed, Span::ZERO),
            Fate::RolledBack(loss) => {
                let lost = self.lose_copies(loss);
                (self.copies.newest(&self.schedule).map_or(Span::ZERO, |copy| copy.taken.since(since)), lost)
            }
        };
        self.tally.done = self.tally.done.max(self.tally.position);
        // Copies, too, count in time at full speed.
        let wall = |work: Span| if work == elapsed { at } else { self.warp.wall_of(work).min(at) };
        let (again, standing) = (wall(again), wall(standing.max(again)));
        self.book_running(Use::Recomputed, since, again);
        self.book_running(Use::Productive, again, standing);
        self.book_running(Use::Recomputed, standing, at);
        lost
    }

    /// What of the stretch slow members took.
    fn dragged(&mut self, since: SimTime, at: SimTime) -> Span {
        let Some(stragglers) = &mut self.stragglers else { return Span::ZERO };
        let dragged = self.warp.pieces(since, at).map(|piece| piece.dragged()).sum();
        stragglers.add_dragged(dragged);
        dragged
    }

    /// The job stands where the newest copy that `loss` leaves stood. Returns the useful time lost.
    pub(super) fn lose_copies(&mut self, loss: Loss) -> Span {
        match loss {
            Loss::Domain(domain) => self.copies.lose(domain),
            Loss::Since(onset) => {
                self.copies.lose_since(&self.schedule, onset);
                if self.tally.floor.1 > onset {
                    self.tally.floor = Default::default();
                }
            }
        }
        let Copy { position, reload, .. } = self.copies.newest(&self.schedule).unwrap_or_else(|| self.nothing());
        self.reload = reload;
        let lost = self.tally.position.saturating_sub(position);
        self.tally.position = position;
        lost
    }

    /// What a job without a copy starts from.
    pub(super) fn nothing(&self) -> Copy {
        let (position, taken) = self.tally.floor;
        let reload = if position > Span::ZERO { self.schedule.quickest_reload() } else { Span::ZERO };
        Copy { position, taken, reload, tier: None }
    }

    /// A planned stop saves to every tier before it begins.
    pub(super) fn drain(&mut self, at: SimTime) {
        self.copies.drain(at, self.tally.position);
        self.reload = self.schedule.quickest_reload();
        if self.schedule.tiers() == 0 {
            self.tally.floor = (self.tally.position, at);
        }
    }

    /// Books a part of the stretch: its useful time as `what`, its saves as checkpoints. Between two edges of the book's bins the
    /// order within does not show, so that a bin costs few entries however many saves it holds; what background writes took of the
    /// job's time is apart. Where something slows the job all
    /// along, the part of kept work that full speed would not have taken is apart.
    pub(super) fn book_running(&mut self, what: Use, from: SimTime, to: SimTime) {
        if from >= to {
            return;
        }
        let saving = self.per_node.draw(self.roster().computing(), State::Checkpoint);
        for turn in 0..self.warp.turns() {
            let Some(piece) = self.warp.piece(turn, from, to) else { continue };
            let slow = if what == Use::Productive { 1.0 - self.plan.rate() * piece.speed() } else { 0.0 };
            let training = self.training_draw(piece.level());
            if !self.schedule.takes_time() && slow == 0.0 {
                self.spend_running(what, piece.from, piece.to, training);
                continue;
            }
            let (mut from, mut work) = (piece.from, piece.work_at(piece.from));
            let mut done = self.schedule.useful(self.origin, work);
            let mut interfered = self.schedule.dragged(self.origin, work);
            let mut edge = self.bin_end(from);
            while from < piece.to {
                let next = edge.min(piece.to);
                let reached = piece.work_at(next);
                let useful = self.schedule.useful(self.origin, reached);
                let part = share(next.since(from), useful.saturating_sub(done), reached.saturating_sub(work));
                let dragged = part.scale(slow);
                self.spend_running(Use::Slow, from, from + dragged, training);
                self.spend_running(what, from + dragged, from + part, training);
                // What a write took counts once it is whole, and never more than what was not training.
                let saved = reached.saturating_sub(work).saturating_sub(useful.saturating_sub(done));
                let drag = self.schedule.dragged(self.origin, reached).saturating_sub(interfered).min(saved);
                interfered += drag;
                let written = next.since(from).saturating_sub(part);
                let drag = if drag == Span::ZERO { drag } else { share(written, drag, saved) };
                self.spend_running(Use::Interference, from + part, from + part + drag, training);
                self.spend_running(Use::Checkpoint, from + part + drag, next, saving);
                (from, work, done) = (next, reached, useful);
                edge += self.grid.bin;
            }
        }
    }

    fn spend_running(&mut self, what: Use, from: SimTime, to: SimTime, draw: Draw) {
        self.book.spend(what, from, to, draw);
        if self.pace != Pace::FULL {
            self.enter_degraded(what, to.since(from), draw.gpus);
        }
    }

    pub(super) fn bin_end(&self, at: SimTime) -> SimTime {
        SimTime::ZERO + self.grid.bin * (at.nanos() / self.grid.bin.nanos() + 1)
    }

    /// Books the computing nodes of the stall until `at`. Called before the step or their number changes.
    pub(super) fn book_stall(&mut self, at: SimTime) {
        let nodes = self.roster().computing();
        let step = *self.stall().steps.front().expect("a stall has a step");
        let draw = match step.what {
            Use::Paused if self.plan.shift.as_ref().is_some_and(|shift| shift.power_down) => {
                Draw { gpus: nodes * self.plan.gpus_per_node, ..Draw::default() }
            }
            Use::Paused => self.per_node.draw(nodes, State::Idle),
            Use::Checkpoint => self.per_node.draw(nodes, State::Checkpoint),
            _ => self.per_node.draw(nodes, State::Resident),
        };
        let stall = self.stall();
        let from = std::mem::replace(&mut stall.booked, at);
        self.book.spend(step.what, from, at, draw);
        self.hours.enter(step.what, at.since(from), draw.gpus);
    }

    pub(super) fn book_roster(&mut self, at: SimTime) {
        if let Some(roster) = &mut self.roster {
            roster.book(&mut self.book, at);
        }
    }

    pub(super) fn log(&mut self, at: SimTime, kind: EventKind, nodes: String, detail: String) {
        self.book.log(Event { at, kind, nodes, detail });
    }

    /// Until when nodes in repair would be down is known where they are given `back`; one that was given up stays down `to` the end.
    pub(super) fn end_outages(&mut self, back: &GivenBack, to: SimTime) {
        for &(at, node) in &back.in_repair {
            if let Some(place) = self.outages.remove(&node) {
                self.book.end_outage(place, at);
            }
        }
        for place in std::mem::take(&mut self.outages).into_values() {
            self.book.end_outage(place, to);
        }
    }

    pub(super) fn assert_time_is_whole(&self, horizon: SimTime) {
        let until = self.finished().unwrap_or(horizon).min(horizon);
        let (nodes, since) = self.tally.holding;
        let held = self.tally.held + u128::from(nodes) * u128::from(until.since(since).nanos());
        let granted = u128::from(self.plan.gpus_per_node) * held;
        let booked: u128 = Use::ALL.iter().map(|&what| self.book.spent(what).time.nanos()).sum();
        assert!(booked == granted, "each GPU-nanosecond of a job lies in exactly one use");
    }
}
