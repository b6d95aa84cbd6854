//! Checkpoints as arithmetic: a stretch of undisturbed running is cycles of useful time and a blocking save.

use super::{Checkpoint, Every, JobPlan};
use crate::units::{Bytes, Span};

/// When a running job saves, when a save counts, and which copy a restart reads.
///
/// Useful time and saves alternate from the beginning of each stretch; the last save falls on the end of the work where the work
/// is a whole number of intervals. A save is durable once its background write has ended; one write at a time in each tier.
///
/// Tiers nest: a slower one saves right after a save of the next faster one, the first at or after its own interval, so that each
/// interval is a whole multiple of the one before. Failures take single nodes, which every tier survives: a restart reads the
/// newest durable copy, of equally new ones that of the faster tier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// The shortest interval first.
    tiers: Vec<Tier>,
}

/// One tier of a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Tier {
    every: Span,
    blocking: Span,
    background: Span,
    reload: Span,
    /// From one save's end to the next one's, the saves of faster tiers included.
    cycle: Span,
}

/// The copy that a restart reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Saved {
    /// The first part of the stretch, which the copy holds.
    pub standing: Span,
    /// What reading it takes, beyond the restart itself.
    pub reload: Span,
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
        self.tiers.iter().map(|tier| tier.blocking).sum()
    }

    /// What reading the quickest tier takes: after a drain, which saves to every tier, all copies are equally new.
    #[must_use]
    pub fn quickest_reload(&self) -> Span {
        self.tiers.iter().map(|tier| tier.reload).min().unwrap_or_default()
    }

    /// Length of a stretch that does `useful` of work.
    #[must_use]
    pub fn elapsed(&self, useful: Span) -> Span {
        self.tiers.iter().fold(useful, |elapsed, tier| elapsed + tier.blocking * tier.times(useful))
    }

    /// Useful time in the first `elapsed` of a stretch.
    #[must_use]
    pub fn useful(&self, elapsed: Span) -> Span {
        let (mut useful, mut rest) = (Span::ZERO, elapsed);
        for tier in self.tiers.iter().rev() {
            let cycle = tier.cycle.nanos();
            useful += tier.every * (rest.nanos() / cycle);
            rest = Span::from_nanos(rest.nanos() % cycle).min(tier.cycle.saturating_sub(tier.blocking));
        }
        useful + rest
    }

    /// Saves, of any tier, whose blocking part ends in the first `elapsed` of a stretch.
    #[must_use]
    pub fn saves(&self, elapsed: Span) -> u64 {
        (0..self.tiers.len()).map(|tier| self.saves_of(tier, elapsed)).sum()
    }

    /// The newest copy that is durable after `elapsed` of a stretch; `None` before the first one of the stretch.
    #[must_use]
    pub fn newest(&self, elapsed: Span) -> Option<Saved> {
        let mut newest = None;
        let mut held = Span::ZERO;
        for (index, tier) in self.tiers.iter().enumerate() {
            let saves = self.saves_of(index, elapsed.saturating_sub(tier.background));
            if tier.every * saves > held {
                held = tier.every * saves;
                newest = Some(Saved { standing: self.end_of(index, saves), reload: tier.reload });
            }
        }
        newest
    }

    fn saves_of(&self, index: usize, elapsed: Span) -> u64 {
        let saves = self.tiers[index].times(self.useful(elapsed));
        // The last one may still block.
        if saves > 0 && self.end_of(index, saves) > elapsed { saves - 1 } else { saves }
    }

    /// Time into the stretch at which the blocking part of a tier's save number `save`, from 1, ends.
    fn end_of(&self, index: usize, save: u64) -> Span {
        let useful = self.tiers[index].every * save;
        let before = useful.saturating_sub(Span::from_nanos(1));
        let (faster, slower) = self.tiers.split_at(index + 1);
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
        let every = match (checkpoint.every, plan.mean_time_between_failures()) {
            (Every::Fixed(Span::ZERO), _) => return Err(CheckpointError::NoInterval),
            (Every::Fixed(every), _) => every,
            (Every::Auto, None) => return Ok(None),
            (Every::Auto, Some(between)) => daly(blocking, between).max(background),
        };
        if every == Span::ZERO {
            return Err(CheckpointError::FreeSave);
        }
        if background > every {
            return Err(CheckpointError::SlowWrite { every, background });
        }
        let read = checkpoint.read_bandwidth.map(|bandwidth| bandwidth.time_for(size));
        let reload = checkpoint.restore.or(read).unwrap_or_default();
        Ok(Some(Tier { every, blocking, background, reload, cycle: every + blocking }))
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
        // models/training.md section 6: M, d, optimum, in minutes.
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
            reload: Span::ZERO,
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
            assert_eq!(schedule.useful(at), minutes(useful), "useful after {elapsed} min");
            assert_eq!(schedule.saves(at), saves, "saves after {elapsed} min");
            let saved = schedule.newest(at).map_or(Span::ZERO, |saved| saved.standing);
            assert_eq!(saved, minutes(standing), "standing after {elapsed} min");
        }
        assert_eq!(schedule.elapsed(minutes(20.0)), minutes(22.0));
        assert_eq!(schedule.elapsed(minutes(29.0)), minutes(31.0));
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
            Tier { every, blocking, background, reload, cycle: every + blocking }
        });
        prop::collection::vec(tier, 0..4)
    }

    proptest! {
        #[test]
        fn arithmetic_agrees_with_stepping_through_the_saves(tiers in tiers()) {
            let schedule = Schedule::nested(tiers);
            let (useful_after, saves) = stepped(&schedule, 150);
            for (elapsed, &useful) in useful_after.iter().enumerate() {
                let at = Span::from_nanos(elapsed as u64);
                prop_assert_eq!(schedule.useful(at).nanos(), useful);
                let ended = saves.iter().filter(|(_, end, _)| *end <= at.nanos());
                prop_assert_eq!(schedule.saves(at), ended.count() as u64);
                let durable = saves.iter().filter(|(tier, end, _)| {
                    end + schedule.tiers[*tier].background.nanos() <= at.nanos()
                });
                let newest = durable.max_by_key(|(tier, _, useful)| (*useful, std::cmp::Reverse(*tier)));
                let expected = newest.map(|&(tier, end, _)| {
                    Saved { standing: Span::from_nanos(end), reload: schedule.tiers[tier].reload }
                });
                prop_assert_eq!(schedule.newest(at), expected);
            }
            prop_assert_eq!(schedule.elapsed(Span::from_nanos(150)).nanos(), useful_after.len() as u64 - 1);
        }
    }
}
