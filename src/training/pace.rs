//! How much work a job does in a unit of useful time: less where replicas are missing.

use crate::units::Span;

/// The part of a job's nodes that compute. Work is counted in the useful time that all of them would take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pace {
    active: u32,
    wanted: u32,
}

impl Pace {
    /// Everything computes.
    pub(super) const FULL: Pace = Pace { active: 1, wanted: 1 };

    /// `active` of `wanted` nodes compute.
    pub(super) fn of(active: u32, wanted: u32) -> Pace {
        assert!(0 < active && active <= wanted, "some of the nodes compute");
        if active == wanted { Pace::FULL } else { Pace { active, wanted } }
    }

    /// What is done in `useful` time.
    pub(super) fn work(self, useful: Span) -> Span {
        if self == Pace::FULL {
            return useful;
        }
        let work = u128::from(useful.nanos()) * u128::from(self.active) / u128::from(self.wanted);
        Span::from_nanos(work as u64)
    }

    /// The useful time in which `work` is done.
    pub(super) fn time_for(self, work: Span) -> Span {
        if self == Pace::FULL {
            return work;
        }
        let time = (u128::from(work.nanos()) * u128::from(self.wanted)).div_ceil(u128::from(self.active));
        Span::from_nanos(u64::try_from(time).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_for_work_does_it() {
        for (active, wanted) in [(1, 1), (3, 4), (63, 64), (7, 9)] {
            let pace = Pace::of(active, wanted);
            for nanos in [0, 1, 2, 3, 1_000_000_007] {
                let work = Span::from_nanos(nanos);
                assert_eq!(pace.work(pace.time_for(work)), work, "{nanos} ns at {active} of {wanted}");
            }
        }
        assert_eq!(Pace::of(3, 4).work(Span::from_secs(60)), Span::from_secs(45));
    }
}
