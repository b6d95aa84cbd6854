//! Checkpoints as arithmetic: a stretch of undisturbed running is cycles of useful time and a blocking save.

use super::{Checkpoint, Every, JobPlan, Transfer};
use crate::units::{Bytes, BytesPerSecond, Span};
use crate::world::Domain;
use std::ops::Range;

/// When a running job saves, when a save counts, and which copy a restart reads.
///
/// Useful time and saves alternate from the beginning of each stretch; the last save falls on the end of the work where the work
/// is a whole number of intervals. A save is durable once its background write has ended; one write at a time in each tier.
///
/// Writing in the background may slow training. In the time W after a save, of which that takes the share x, `(1 - x) W` is done: as
/// though the job stood still for `x W` and then went on at full speed, which is how it is counted. After W both agree.
///
/// Tiers nest: a slower one saves right after a save of the next faster one, the first at or after its own interval, so that each
/// interval is a whole multiple of the one before. A restart reads a copy of one of them and goes on in the round of all: a
/// slower tier's next save comes when it would have come without the failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// The shortest interval first.
    tiers: Vec<Tier>,
}

/// One tier of a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Tier {
    every: Span,
    /// What a save takes of the job's time: it stops for it, and then for `drag`.
    blocking: Span,
    /// What the background write takes of it.
    drag: Span,
    /// From then on until the copy is written.
    background: Span,
    reload: Span,
    survives: Domain,
    retention: Option<u64>,
    /// What one copy holds, and which store of the cluster it lies in, where it shares one.
    bytes: Bytes,
    store: Option<usize>,
    /// From one save's end to the next one's, the saves of faster tiers included.
    cycle: Span,
}

/// Where in the round of saves a stretch begins: at a save of the fastest tier, the one that its copy is or the last before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Origin {
    /// Useful time since the round began.
    useful: Span,
    /// Time since the round began, had nothing broken.
    elapsed: Span,
}

/// Why a job's checkpoints cannot be simulated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// A fixed interval of zero.
    #[error("a checkpoint every 0 s leaves no time to train")]
    NoInterval,
    /// `auto` where a save costs nothing.
    #[error("\"auto\" weighs the cost of a save against lost work, and this save costs nothing: give an interval")]
    FreeSave,
    /// The next save would begin before the last one is written.
    #[error("writing takes {background} in the background, longer than the {every} between checkpoints")]
    SlowWrite {
        /// Useful time between saves.
        every: Span,
        /// Background write.
        background: Span,
    },
}

impl Schedule {
    /// The checkpoints of `plan`; without a tier, or at `auto` without failures, there are none.
    ///
    /// # Errors
    /// [`CheckpointError`] where a tier cannot be simulated.
    pub fn new(plan: &JobPlan) -> Result<Schedule, CheckpointError> {
        let tiers: Result<Vec<_>, _> = plan.checkpoint.iter().map(|(_, tier)| Tier::new(plan, tier)).collect();
        Ok(Schedule::nested(tiers?.into_iter().flatten().collect()))
    }

    fn nested(mut tiers: Vec<Tier>) -> Schedule {
        tiers.sort_by_key(|tier| (tier.every, tier.reload));
        for slower in 1..tiers.len() {
            let (faster, tier) = (tiers[slower - 1], &mut tiers[slower]);
            let times = tier.every.nanos().div_ceil(faster.every.nanos());
            tier.every = faster.every * times;
            tier.cycle = faster.cycle * times + tier.blocking;
        }
        Schedule { tiers }
    }

    /// Useful time between saves of the fastest tier; zero where there are none.
    #[must_use]
    pub fn every(&self) -> Span {
        self.tiers.first().map_or(Span::ZERO, |tier| tier.every)
    }

    /// Time for which a save to every tier stops the job.
    #[must_use]
    pub fn blocking(&self) -> Span {
        self.tiers.iter().map(|tier| tier.blocking.saturating_sub(tier.drag)).sum()
    }

    /// True where saves take time of the job, be it that it stops or that writing slows it.
    #[must_use]
    pub fn takes_time(&self) -> bool {
        self.tiers.iter().any(|tier| tier.blocking > Span::ZERO)
    }

    /// Time that background writes have taken of the first `elapsed` of a stretch from `origin`: of whole saves.
    #[must_use]
    pub fn dragged(&self, origin: Origin, elapsed: Span) -> Span {
        let dragging = self.tiers.iter().enumerate().filter(|(_, tier)| tier.drag > Span::ZERO);
        let dragged = |(index, tier): (usize, &Tier)| {
            tier.drag * (self.saves_of(index, origin.elapsed + elapsed) - tier.times(origin.useful))
        };
        dragging.map(dragged).sum()
    }

    /// What reading the quickest tier takes: after a drain, which saves to every tier, all copies are equally new.
    #[must_use]
    pub fn quickest_reload(&self) -> Span {
        self.tiers.iter().map(|tier| tier.reload).min().unwrap_or_default()
    }

    /// The origin of a stretch that begins with `position` behind it.
    #[must_use]
    pub fn origin(&self, position: Span) -> Origin {
        let (Some(fastest), Some(slowest)) = (self.tiers.first(), self.tiers.last()) else { return Origin::default() };
        let useful = fastest.every * (position.nanos() % slowest.every.nanos() / fastest.every.nanos());
        Origin { useful, elapsed: self.round(useful) }
    }

    /// Length of a stretch from `origin` that does `useful` of work.
    #[must_use]
    pub fn elapsed(&self, origin: Origin, useful: Span) -> Span {
        self.round(origin.useful + useful).saturating_sub(origin.elapsed)
    }

    /// Useful time in the first `elapsed` of a stretch from `origin`.
    #[must_use]
    pub fn useful(&self, origin: Origin, elapsed: Span) -> Span {
        self.work(origin.elapsed + elapsed).saturating_sub(origin.useful)
    }

    /// Saves, of any tier, whose blocking part ends in the first `elapsed` of a stretch from `origin`.
    #[must_use]
    pub fn saves(&self, origin: Origin, elapsed: Span) -> u64 {
        let saves = |tier: usize| self.saves_of(tier, origin.elapsed + elapsed) - self.tiers[tier].times(origin.useful);
        (0..self.tiers.len()).map(saves).sum()
    }

    /// True where `tier` lies in a store that is shared.
    #[must_use]
    pub fn is_stored(&self, tier: usize) -> bool {
        self.tiers[tier].store.is_some()
    }

    /// How a save of `tier` is written to its store: what it takes alone, and whether training stops for it, which it does where nothing
    /// is left for the background. None where it lies in no store, or a write takes no time.
    #[must_use]
    pub fn write_of(&self, tier: usize) -> Option<(Transfer, Span, bool)> {
        let Tier { store, bytes, background, blocking, .. } = self.tiers[tier];
        let stops = background == Span::ZERO;
        let alone = if stops { blocking } else { background };
        let transfer =
            Transfer { store: store?, rate: BytesPerSecond::new(bytes.count() as f64 / alone.as_secs_f64()) };
        (alone > Span::ZERO).then_some((transfer, alone, stops))
    }

    /// How a copy of `tier`, which takes `alone`, is read from its store; none where it lies in no store.
    #[must_use]
    pub fn read_of(&self, tier: usize, alone: Span) -> Option<Transfer> {
        let Tier { store, bytes, .. } = self.tiers[tier];
        Some(Transfer { store: store?, rate: BytesPerSecond::new(bytes.count() as f64 / alone.as_secs_f64()) })
    }

    /// How many tiers there are.
    #[must_use]
    pub fn tiers(&self) -> usize {
        self.tiers.len()
    }

    /// The largest domain whose loss the copies of `tier` survive.
    #[must_use]
    pub fn survives(&self, tier: usize) -> Domain {
        self.tiers[tier].survives
    }

    /// How many copies `tier` keeps; `None` where all.
    #[must_use]
    pub fn retention(&self, tier: usize) -> Option<u64> {
        self.tiers[tier].retention
    }

    /// What reading a copy of `tier` takes, beyond the restart itself.
    #[must_use]
    pub fn reload(&self, tier: usize) -> Span {
        self.tiers[tier].reload
    }

    /// The saves of `tier`, numbered through the round from 1, that are durable after `elapsed` of a stretch from `origin`.
    #[must_use]
    pub fn durable(&self, tier: usize, origin: Origin, elapsed: Span) -> Range<u64> {
        let first = self.tiers[tier].times(origin.useful) + 1;
        let written = (origin.elapsed + elapsed).saturating_sub(self.tiers[tier].background);
        first..(self.saves_of(tier, written) + 1).max(first)
    }

    /// The last save of `tier`, numbered through the round, whose blocking part has ended after `elapsed` of a stretch from `origin`.
    #[must_use]
    pub fn last_save(&self, tier: usize, origin: Origin, elapsed: Span) -> u64 {
        self.saves_of(tier, origin.elapsed + elapsed)
    }

    /// What save number `save` of `tier` holds of a stretch from `origin`, in useful time, and when its blocking part ends. Save 0
    /// is the drain before the stretch.
    #[must_use]
    pub fn save(&self, tier: usize, origin: Origin, save: u64) -> (Span, Span) {
        let (useful, elapsed) = (self.tiers[tier].every * save, self.end_of(tier, save));
        (useful.saturating_sub(origin.useful), elapsed.saturating_sub(origin.elapsed))
    }

    /// Time from the beginning of a round until `useful` is done.
    fn round(&self, useful: Span) -> Span {
        self.tiers.iter().fold(useful, |elapsed, tier| elapsed + tier.blocking * tier.times(useful))
    }

    /// Useful time in the first `elapsed` of a round.
    fn work(&self, elapsed: Span) -> Span {
        let (mut useful, mut rest) = (Span::ZERO, elapsed);
        for tier in self.tiers.iter().rev() {
            let cycle = tier.cycle.nanos();
            useful += tier.every * (rest.nanos() / cycle);
            rest = Span::from_nanos(rest.nanos() % cycle).min(tier.cycle.saturating_sub(tier.blocking));
        }
        useful + rest
    }

    fn saves_of(&self, tier: usize, elapsed: Span) -> u64 {
        let saves = self.tiers[tier].times(self.work(elapsed));
        // The last one may still block.
        if saves > 0 && self.end_of(tier, saves) > elapsed { saves - 1 } else { saves }
    }

    /// Time into the round at which the blocking part of save number `save` of `tier`, from 1, ends.
    fn end_of(&self, tier: usize, save: u64) -> Span {
        let useful = self.tiers[tier].every * save;
        let before = useful.saturating_sub(Span::from_nanos(1));
        let (faster, slower) = self.tiers.split_at(tier + 1);
        let blocked = faster.iter().map(|tier| tier.blocking * tier.times(useful)).sum::<Span>();
        useful + blocked + slower.iter().map(|tier| tier.blocking * tier.times(before)).sum::<Span>()
    }
}

impl Tier {
    /// The tier `checkpoint`; `None` where `auto` finds nothing to save for.
    fn new(plan: &JobPlan, checkpoint: &Checkpoint) -> Result<Option<Tier>, CheckpointError> {
        let size = size(plan, checkpoint);
        let blocking = checkpoint.blocking;
        let background = checkpoint.background.unwrap_or_else(|| checkpoint.bandwidth.time_for(size));
        let drag = background.scale(checkpoint.interference.as_f64());
        let every = match (checkpoint.every, plan.mean_time_between_failures()) {
            (Every::Fixed(Span::ZERO), _) => return Err(CheckpointError::NoInterval),
            (Every::Fixed(every), _) => every,
            (Every::Auto, None) => return Ok(None),
            (Every::Auto, Some(between)) => daly(blocking + drag, between).max(background),
        };
        if every == Span::ZERO {
            return Err(CheckpointError::FreeSave);
        }
        if background > every {
            return Err(CheckpointError::SlowWrite { every, background });
        }
        let read = checkpoint.read_bandwidth.map(|bandwidth| bandwidth.time_for(size));
        let reload = checkpoint.restore.or(read).unwrap_or_default();
        let Checkpoint { survives, retention, .. } = *checkpoint;
        let (blocking, background) = (blocking + drag, background.saturating_sub(drag));
        let store = checkpoint.store.as_ref().and_then(|name| plan.stores.iter().position(|store| store.name == *name));
        let (bytes, cycle) = (size, every + blocking);
        Ok(Some(Tier { every, blocking, drag, background, reload, survives, retention, bytes, store, cycle }))
    }

    /// Whole intervals in `useful`.
    fn times(&self, useful: Span) -> u64 {
        useful.nanos() / self.every.nanos()
    }
}

fn size(plan: &JobPlan, tier: &Checkpoint) -> Bytes {
    // Optimizer state 8, master weights 4, weights 2 (bigscience-workshop/bigscience tr11-176B-ml/README.md: 2.3 TB).
    const BYTES_PER_PARAMETER: f64 = 14.0;
    tier.size.unwrap_or_else(|| Bytes::new((plan.model.parameters * BYTES_PER_PARAMETER) as u64))
}

/// The useful time between saves that wastes least, by Daly's higher-order form: with save time d and mean time between failures
/// M, `sqrt(2 d M) (1 + sqrt(d / 2M) / 3 + d / 18 M) - d` for d < 2M, else M. Exponential failures. For M 180 min and d 1 min
/// 18.313 min, the optimum of the renewal form (Daly, FGCS 22(3), 2006, doi 10.1016/j.future.2004.11.016).
#[must_use]
pub fn daly(save: Span, between_failures: Span) -> Span {
    let (d, m) = (save.as_secs_f64(), between_failures.as_secs_f64());
    if d >= 2.0 * m {
        return between_failures;
    }
    let part = d / (2.0 * m);
    Span::from_secs_f64(libm::sqrt(2.0 * d * m) * (1.0 + libm::sqrt(part) / 3.0 + part / 9.0) - d)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn minutes(minutes: f64) -> Span {
        Span::from_secs_f64(minutes * 60.0)
    }

    #[test]
    fn daly_finds_the_published_optima() {
        // Optima of Daly's higher-order form: M, d, optimum, in minutes.
        for (m, d, expected) in [(180.0, 1.0, 18.313), (18.0, 0.1, 1.831), (1_440.0, 5.0, 116.69), (1.0, 2.0, 1.0)] {
            let every = daly(minutes(d), minutes(m)).as_secs_f64() / 60.0;
            assert!((every - expected).abs() < 0.005, "M {m}, d {d}: {every} min");
        }
    }

    #[test]
    fn a_save_counts_once_it_is_written() {
        let tier = Tier {
            every: minutes(10.0),
            blocking: minutes(1.0),
            background: minutes(3.0),
            drag: Span::ZERO,
            reload: Span::ZERO,
            survives: Domain::Site,
            retention: None,
            bytes: Bytes::new(0),
            store: None,
            cycle: minutes(11.0),
        };
        let schedule = Schedule::nested(vec![tier]);
        // After (elapsed): useful, saves, standing, in minutes.
        for (elapsed, useful, saves, standing) in [
            (0.0, 0.0, 0, 0.0),
            (10.0, 10.0, 0, 0.0),
            (10.5, 10.0, 0, 0.0),
            (11.0, 10.0, 1, 0.0),
            (13.9, 12.9, 1, 0.0),
            (14.0, 13.0, 1, 11.0),
            (24.9, 20.0 + 2.9, 2, 11.0),
            (25.0, 20.0 + 3.0, 2, 22.0),
        ] {
            let at = minutes(elapsed);
            assert_eq!(schedule.useful(Origin::default(), at), minutes(useful), "useful after {elapsed} min");
            assert_eq!(schedule.saves(Origin::default(), at), saves, "saves after {elapsed} min");
            let saved = schedule.end_of(0, schedule.durable(0, Origin::default(), at).end - 1);
            assert_eq!(saved, minutes(standing), "standing after {elapsed} min");
        }
        assert_eq!(schedule.elapsed(Origin::default(), minutes(20.0)), minutes(22.0));
        assert_eq!(schedule.elapsed(Origin::default(), minutes(29.0)), minutes(31.0));
    }

    #[test]
    fn a_write_that_slows_training_has_slowed_it_when_it_ends() {
        let tier = Tier {
            every: minutes(10.0),
            blocking: minutes(1.5),
            drag: minutes(0.5),
            background: minutes(4.5),
            reload: Span::ZERO,
            survives: Domain::Site,
            retention: None,
            bytes: Bytes::new(0),
            store: None,
            cycle: minutes(11.5),
        };
        // 10 min of work, 1 min stopped, 5 min of writing at nine tenths, in 11.5 min rounds.
        let schedule = Schedule::nested(vec![tier]);
        assert_eq!(schedule.blocking(), minutes(1.0));
        for (elapsed, useful, durable, dragged) in [
            (11.0, 10.0, 0, 0.0),
            (11.5, 10.0, 0, 0.5),
            (15.9, 14.4, 0, 0.5),
            (16.0, 14.5, 1, 0.5),
            (23.0, 20.0, 1, 1.0),
        ] {
            let at = minutes(elapsed);
            assert_eq!(schedule.useful(Origin::default(), at), minutes(useful), "useful after {elapsed} min");
            assert_eq!(schedule.durable(0, Origin::default(), at).end - 1, durable, "written after {elapsed} min");
            assert_eq!(schedule.dragged(Origin::default(), at), minutes(dragged), "taken after {elapsed} min");
        }
        assert_eq!(schedule.elapsed(Origin::default(), minutes(24.5)), minutes(27.5));
    }

    /// Every save of a schedule in order, nanosecond by nanosecond of work: tier, end of its blocking part, work it holds.
    fn stepped(schedule: &Schedule, work: u64) -> (Vec<u64>, Vec<(usize, u64, u64)>) {
        let (mut useful_after, mut saves) = (vec![0], Vec::new());
        for useful in 1..=work {
            useful_after.push(useful);
            for (index, tier) in schedule.tiers.iter().enumerate() {
                if useful % tier.every.nanos() == 0 {
                    useful_after.extend((0..tier.blocking.nanos()).map(|_| useful));
                    saves.push((index, useful_after.len() as u64 - 1, useful));
                }
            }
        }
        (useful_after, saves)
    }

    fn tiers() -> impl Strategy<Value = Vec<Tier>> {
        let tier = (1..20_u64, 0..5_u64, 0..10_u64, 0..3_u64).prop_map(|(every, blocking, background, reload)| {
            let [every, blocking, background, reload] = [every, blocking, background, reload].map(Span::from_nanos);
            Tier {
                every,
                blocking,
                background,
                drag: Span::ZERO,
                reload,
                survives: Domain::Site,
                retention: None,
                bytes: Bytes::new(0),
                store: None,
                cycle: every + blocking,
            }
        });
        prop::collection::vec(tier, 0..4)
    }

    proptest! {
        #[test]
        fn arithmetic_agrees_with_stepping_through_the_saves(tiers in tiers(), position in 0..60_u64) {
            let schedule = Schedule::nested(tiers);
            let origin = schedule.origin(Span::from_nanos(position));
            // Long enough for a round of four tiers of 20 or less.
            let (useful_after, saves) = stepped(&schedule, 150 + origin.useful.nanos());
            let before = origin.elapsed.nanos();
            prop_assert_eq!(useful_after[before as usize], origin.useful.nanos());
            for (elapsed, &useful) in useful_after.iter().enumerate().skip(before as usize) {
                let at = Span::from_nanos(elapsed as u64 - before);
                prop_assert_eq!(schedule.useful(origin, at).nanos(), useful - origin.useful.nanos());
                let mine = saves.iter().filter(|(_, end, work)| *work > origin.useful.nanos() && *end <= elapsed as u64);
                prop_assert_eq!(schedule.saves(origin, at), mine.count() as u64);
                for (tier, Tier { background, .. }) in schedule.tiers.iter().enumerate() {
                    let durable = saves.iter().filter(|(of, end, work)| {
                        *of == tier && *work > origin.useful.nanos() && end + background.nanos() <= elapsed as u64
                    });
                    let found = schedule.durable(tier, origin, at);
                    prop_assert_eq!(found.end - found.start, durable.clone().count() as u64);
                    for (save, &(_, end, work)) in found.zip(durable) {
                        let (holds, taken) = schedule.save(tier, origin, save);
                        prop_assert_eq!((holds.nanos(), taken.nanos()), (work - origin.useful.nanos(), end - before));
                    }
                }
            }
            let all = Span::from_nanos(150);
            prop_assert_eq!(schedule.elapsed(origin, all).nanos(), useful_after.len() as u64 - 1 - before);
        }
    }
}
