//! Checkpoints as arithmetic: a stretch of undisturbed running is cycles of useful time and a blocking save.

use super::{Checkpoint, Every, JobPlan};
use crate::units::{Bytes, Span};

/// When a running job saves, and when a save counts.
///
/// Useful time and saves alternate from the beginning of each stretch; the last save falls on the end of the work where the work
/// is a whole number of intervals. A save is durable once its background write has ended; one write at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    every: Span,
    blocking: Span,
    background: Span,
}

/// Why a job's checkpoints cannot be simulated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// More than one tier. While failures take single nodes, which every tier survives, further tiers would change nothing but
    /// the interval; they come with failures of racks and sites.
    #[error("{0} checkpoint tiers are given, and one is simulated: keep the one that a restart reads")]
    SeveralTiers(usize),
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
    /// [`CheckpointError`] where the tiers cannot be simulated.
    pub fn new(plan: &JobPlan) -> Result<Schedule, CheckpointError> {
        match plan.checkpoint.as_slice() {
            [] => Ok(Schedule::never()),
            [(_, tier)] => Schedule::of_tier(plan, tier),
            tiers => Err(CheckpointError::SeveralTiers(tiers.len())),
        }
    }

    fn of_tier(plan: &JobPlan, tier: &Checkpoint) -> Result<Schedule, CheckpointError> {
        let background = tier.background.unwrap_or_else(|| tier.bandwidth.time_for(size(plan, tier)));
        let every = match (tier.every, plan.mean_time_between_failures()) {
            (Every::Fixed(Span::ZERO), _) => return Err(CheckpointError::NoInterval),
            (Every::Fixed(every), _) => every,
            (Every::Auto, None) => return Ok(Schedule::never()),
            (Every::Auto, Some(between)) => daly(tier.blocking, between).max(background),
        };
        if every == Span::ZERO {
            return Err(CheckpointError::FreeSave);
        }
        if background > every {
            return Err(CheckpointError::SlowWrite { every, background });
        }
        Ok(Schedule { every, blocking: tier.blocking, background })
    }

    fn never() -> Schedule {
        Schedule { every: Span::from_nanos(u64::MAX), blocking: Span::ZERO, background: Span::ZERO }
    }

    /// Useful time between saves; zero where there are none.
    #[must_use]
    pub fn every(&self) -> Span {
        if *self == Schedule::never() { Span::ZERO } else { self.every }
    }

    /// Time for which each save stops the job.
    #[must_use]
    pub fn blocking(&self) -> Span {
        self.blocking
    }

    /// Length of a stretch that does `useful` of work.
    #[must_use]
    pub fn elapsed(&self, useful: Span) -> Span {
        useful + self.blocking * (useful.nanos() / self.every.nanos())
    }

    /// Useful time in the first `elapsed` of a stretch.
    #[must_use]
    pub fn useful(&self, elapsed: Span) -> Span {
        let (cycles, rest) = (elapsed.nanos() / self.cycle(), elapsed.nanos() % self.cycle());
        self.every * cycles + Span::from_nanos(rest).min(self.every)
    }

    /// Saves whose blocking part ends in the first `elapsed` of a stretch.
    #[must_use]
    pub fn saves(&self, elapsed: Span) -> u64 {
        elapsed.nanos() / self.cycle()
    }

    /// The first part of a stretch that a failure after `elapsed` leaves standing: up to the newest durable save.
    #[must_use]
    pub fn durable(&self, elapsed: Span) -> Span {
        Span::from_nanos(self.saves(elapsed.saturating_sub(self.background)) * self.cycle())
    }

    /// Nanoseconds from one save's end to the next one's.
    fn cycle(&self) -> u64 {
        (self.every + self.blocking).nanos()
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
        let schedule = Schedule { every: minutes(10.0), blocking: minutes(1.0), background: minutes(3.0) };
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
            assert_eq!(schedule.durable(at), minutes(standing), "standing after {elapsed} min");
        }
        assert_eq!(schedule.elapsed(minutes(20.0)), minutes(22.0));
        assert_eq!(schedule.elapsed(minutes(29.0)), minutes(31.0));
    }
}
