//! How long the steps of a stall take.

use super::{Clocks, Step};
use crate::ledger::Use;
use crate::training::{JobPlan, Schedule};
use crate::units::Span;

impl Clocks {
    pub(super) fn new(plan: &JobPlan, schedule: &Schedule) -> Clocks {
        Clocks {
            detect: plan.recovery.detect,
            detect_hang: plan.recovery.detect_hang,
            localise: plan.recovery.localise,
            restart: plan.restart(),
            // A drain saves, so that a planned stop is no shorter than a save.
            planned: plan
                .planned
                .length
                .unwrap_or_else(|| plan.restart() + schedule.quickest_reload() + plan.recovery.warm_up)
                .max(schedule.blocking()),
            warm_up: plan.recovery.warm_up,
        }
    }

    pub(super) fn recovery(&self, detect: Span, reload: Span) -> [Step; 6] {
        let [restart, reload, warm_up] = self.restarting(Span::ZERO, reload);
        let before = [(Use::Detect, detect), (Use::Localise, self.localise), (Use::SpareWait, Span::ZERO)];
        let [detect, localise, spares] = before.map(|(what, length)| Step::new(what, length));
        [detect, localise, spares, restart, reload, warm_up]
    }

    /// The steps of a start that is not the first, after `boot`.
    pub(super) fn restarting(&self, boot: Span, reload: Span) -> [Step; 3] {
        let steps = [(Use::Restart, boot + self.restart), (Use::Reload, reload), (Use::WarmUp, self.warm_up)];
        steps.map(|(what, length)| Step::new(what, length))
    }
}

impl Step {
    pub(super) fn new(what: Use, length: Span) -> Step {
        Step { what, length, reads: what == Use::Reload }
    }
}
