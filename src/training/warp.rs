//! The work clock of a stretch: how much a job that power control or a slow member slows has done by an instant.
//!
//! A [`Schedule`](super::Schedule) counts in time at full speed. While a lever holds the job, each nanosecond of work takes
//! `slow` of wall time, `slow >= 1` in fixed point, so that both ways are exact integers: work done by an instant is rounded down,
//! the instant at which work is done is rounded up, and the one undoes the other. A stretch keeps the few instants at which its
//! speed changed. Saves take as much longer as the work between them, which for saves of seconds is nothing.

use crate::units::{SimTime, Span};

/// Wall time of a nanosecond of work, in units of 2^-32.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slow(u64);

const BITS: u32 = 32;

impl Slow {
    /// Full speed.
    pub(super) const NONE: Slow = Slow(1 << BITS);

    /// Work takes `factor` of its time; no less than 1.
    pub(super) fn new(factor: f64) -> Slow {
        Slow(((factor.max(1.0) * f64::from(1_u32 << 31) * 2.0).round() as u64).max(1 << BITS))
    }

    /// Wall time that `work` takes, rounded up.
    fn wall(self, work: Span) -> Span {
        let product = u128::from(work.nanos()) * u128::from(self.0);
        Span::from_nanos(u64::try_from((product + (1 << BITS) - 1) >> BITS).unwrap_or(u64::MAX / 2))
    }

    /// Work done in `wall`, rounded down.
    fn work(self, wall: Span) -> Span {
        Span::from_nanos(((u128::from(wall.nanos()) << BITS) / u128::from(self.0)) as u64)
    }
}

/// The part of the time that waiting for a slow member takes, in units of 2^-32.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Drag(u64);

impl Drag {
    /// Nobody is slow.
    pub(super) const NONE: Drag = Drag(0);

    /// The slowest member leaves `speed` of the whole.
    pub(super) fn new(speed: f64) -> Drag {
        Drag(((1.0 - speed) * f64::from(1_u32 << 31) * 2.0).round() as u64)
    }
}

/// How a job goes: how slowly, under which lever, and what of it a slow member takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gait {
    pub(super) slow: Slow,
    pub(super) level: u8,
    pub(super) drag: Drag,
}

impl Gait {
    /// At full speed.
    pub(super) const FREE: Gait = Gait { slow: Slow::NONE, level: 0, drag: Drag::NONE };
}

/// A part of a stretch at one speed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) from: SimTime,
    pub(super) to: SimTime,
    turn: Turn,
}

impl Piece {
    /// Work done in the stretch at `at`, inside the piece.
    pub(super) fn work_at(&self, at: SimTime) -> Span {
        self.turn.work_at(at)
    }

    /// Which lever holds.
    pub(super) fn level(&self) -> u8 {
        self.turn.gait.level
    }

    /// What a slow member leaves of the speed.
    pub(super) fn speed(&self) -> f64 {
        1.0 - self.turn.gait.drag.0 as f64 / f64::from(1_u32 << 31) / 2.0
    }

    /// The part of it that a slow member takes.
    pub(super) fn dragged(&self) -> Span {
        let wall = u128::from(self.to.since(self.from).nanos());
        Span::from_nanos(((wall * u128::from(self.turn.gait.drag.0)) >> BITS) as u64)
    }
}

/// Of `wall`, in which `whole` work was done, the time that `part` of it took; all of it where nothing was done.
pub(super) fn share(wall: Span, part: Span, whole: Span) -> Span {
    match u128::from(whole.nanos()) {
        0 => wall,
        whole => Span::from_nanos((u128::from(wall.nanos()) * u128::from(part.nanos()) / whole) as u64),
    }
}

/// When the speed of a stretch changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Turn {
    at: SimTime,
    done: Span,
    gait: Gait,
}

impl Turn {
    fn work_at(&self, at: SimTime) -> Span {
        self.done + self.gait.slow.work(at.since(self.at))
    }
}

/// The work clock of the stretch under way.
#[derive(Debug, Clone)]
pub(super) struct Warp {
    /// The first is the beginning of the stretch.
    turns: Vec<Turn>,
}

impl Warp {
    /// A stretch that begins at `at`.
    pub(super) fn new(at: SimTime, gait: Gait) -> Warp {
        Warp { turns: vec![Turn { at, done: Span::ZERO, gait }] }
    }

    /// Another speed from `at` on.
    pub(super) fn turn(&mut self, at: SimTime, gait: Gait) {
        let turn = Turn { at, done: self.work_at(at), gait };
        match self.turns.last_mut() {
            Some(last) if last.at == at => *last = turn,
            _ => self.turns.push(turn),
        }
    }

    /// Work done by `at`.
    pub(super) fn work_at(&self, at: SimTime) -> Span {
        self.turns[self.turns.partition_point(|turn| turn.at <= at).saturating_sub(1)].work_at(at)
    }

    /// When `work` is done, if the speed stays what it is now.
    pub(super) fn wall_of(&self, work: Span) -> SimTime {
        let turn = self.turns[self.turns.partition_point(|turn| turn.done < work).saturating_sub(1)];
        turn.at + turn.gait.slow.wall(work.saturating_sub(turn.done))
    }

    /// The parts of one speed from `begin` to `end`.
    pub(super) fn pieces(&self, begin: SimTime, end: SimTime) -> impl Iterator<Item = Piece> {
        (0..self.turns.len()).filter_map(move |index| self.piece(index, begin, end))
    }

    /// How often the speed changed, the beginning included.
    pub(super) fn turns(&self) -> usize {
        self.turns.len()
    }

    /// What lies from `begin` to `end` of the part behind the `index`-th change of speed.
    pub(super) fn piece(&self, index: usize, begin: SimTime, end: SimTime) -> Option<Piece> {
        let (turn, until) = (self.turns[index], self.turns.get(index + 1).map_or(SimTime::NEVER, |next| next.at));
        let piece = Piece { from: turn.at.max(begin), to: until.min(end), turn };
        (piece.from < piece.to).then_some(piece)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn work_takes_longer_while_a_lever_holds() {
        let second = |seconds: u64| SimTime::ZERO + Span::from_secs(seconds);
        let mut warp = Warp::new(second(10), Gait::FREE);
        warp.turn(second(20), Gait { slow: Slow::new(1.25), level: 3, drag: Drag::new(0.8) });
        warp.turn(second(45), Gait::FREE);
        // 10 s at full speed, 25 s at four fifths, 5 s at full speed.
        assert_eq!(warp.work_at(second(50)), Span::from_secs(35));
        assert_eq!(warp.wall_of(Span::from_secs(35)), second(50));
        assert_eq!(warp.wall_of(Span::from_secs(14)), second(25));
        let pieces = warp.pieces(second(18), second(46));
        let shown: Vec<_> =
            pieces.map(|piece| (piece.from, piece.to, piece.work_at(piece.from), piece.level())).collect();
        let dragged: Vec<Span> = warp.pieces(second(10), second(50)).map(|piece| piece.dragged()).collect();
        assert!(dragged[1].nanos().abs_diff(5_000_000_000) < 10, "a fifth of 25 s: {dragged:?}");
        assert_eq!([dragged[0], dragged[2]], [Span::ZERO; 2]);
        assert_eq!(share(Span::from_secs(10), Span::from_secs(3), Span::from_secs(6)), Span::from_secs(5));
        assert_eq!(
            shown,
            [
                (second(18), second(20), Span::from_secs(8), 0),
                (second(20), second(45), Span::from_secs(10), 3),
                (second(45), second(46), Span::from_secs(30), 0),
            ]
        );
    }

    proptest! {
        #[test]
        fn the_clock_runs_both_ways(turns in prop::collection::vec((0_u64..5_000, 1.0..6.0_f64), 0..8), work in 0_u64..30_000) {
            let (mut warp, mut at) = (Warp::new(SimTime::from_nanos(7), Gait::FREE), 7);
            for (gap, slow) in turns {
                at += gap;
                warp.turn(SimTime::from_nanos(at), Gait { slow: Slow::new(slow), ..Gait::FREE });
            }
            let work = Span::from_nanos(work);
            let wall = warp.wall_of(work);
            prop_assert_eq!(warp.work_at(wall).max(work), warp.work_at(wall));
            // Past the last turn, the one undoes the other exactly.
            if wall > SimTime::from_nanos(at) {
                prop_assert_eq!(warp.work_at(wall), work);
            }
            // Pieces follow each other and cover all of it, in wall time and in work.
            let (mut edge, mut done) = (SimTime::from_nanos(7), Span::ZERO);
            for piece in warp.pieces(SimTime::from_nanos(7), wall) {
                prop_assert_eq!((piece.from, piece.work_at(piece.from)), (edge, done));
                (edge, done) = (piece.to, piece.work_at(piece.to));
            }
            prop_assert_eq!((edge, done), (wall, warp.work_at(wall)));
        }
    }
}
