//! Deferrable training: a job that waits for cleaner or cheaper hours. In each window the hours with the highest signal are dear;
//! through them the job pauses at a checkpoint, on GPUs that it keeps, and resumes after.
//!
//! The signal is known ahead, as a day-ahead price or a perfect forecast of carbon is: what is saved is an upper bound. In a
//! window of w hours the floor(share x w) highest are dear, the earlier of equals; an hour no higher than the window's lowest
//! never is. Worked value: a window of 1, 5, 3, 5 with a share of 0.5 pauses in its second and fourth hour.

use crate::units::{Share, SimTime, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// `shift = { carbon = { pause = 0.25 } }` or `shift = { price = { pause = 0.25 } }`
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ShiftSection {
    /// Waits for hours in which the site's grid emits less.
    Carbon(Shift),
    /// Waits for hours in which one kilowatt-hour more makes the grid emit less, by the site's `marginal` series.
    Marginal(Shift),
    /// Waits for hours in which the site's energy costs less.
    Price(Shift),
}

/// How a job waits.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Shift {
    /// Part of each window in which it pauses.
    pub pause: Share,
    /// Hours that are compared with each other; the first window begins with the run.
    pub window: Span,
    /// Most that it pauses in all; unset, as long as it runs.
    pub at_most: Option<Span>,
    /// Switch its nodes off while it pauses: they draw nothing, and `recovery.attach_cold` comes on top of the restart. Else they
    /// stay at bare idle.
    pub power_down: bool,
}

impl Default for Shift {
    fn default() -> Shift {
        // Assumed: a quarter of each day, of which the dirtiest hours follow each other on most grids.
        Shift { pause: Share::new(0.25), window: Span::DAY, at_most: None, power_down: false }
    }
}

/// When a job waits, once its site's hours are known.
#[derive(Debug, Clone, PartialEq)]
pub struct ShiftPlan {
    /// Which hours of the run are dear.
    dear: Arc<[bool]>,
    /// Most that it pauses in all.
    pub(super) at_most: Span,
    /// Whether its nodes are off meanwhile.
    pub(super) power_down: bool,
}

impl ShiftPlan {
    /// The plan of `shift` for the signal of each hour of the run.
    #[must_use]
    pub fn new(shift: &Shift, signal: &[f64]) -> ShiftPlan {
        let window = (shift.window.nanos() / Span::HOUR.nanos()).max(1) as usize;
        let dear = signal.chunks(window).flat_map(|hours| dear_hours(hours, shift.pause)).collect();
        ShiftPlan { dear, at_most: shift.at_most.unwrap_or(Span::from_nanos(u64::MAX)), power_down: shift.power_down }
    }

    /// When the dear hours end that hold `at`; none where its hour is not dear.
    pub(super) fn clear_at(&self, at: SimTime) -> Option<SimTime> {
        let hour = (at.nanos() / Span::HOUR.nanos()) as usize;
        let dear = self.dear.iter().skip(hour).take_while(|dear| **dear).count();
        (dear > 0).then(|| SimTime::ZERO + Span::HOUR * (hour + dear) as u64)
    }

    /// When the first dear hour begins after the hour that holds `at`.
    pub(super) fn next_dear(&self, at: SimTime) -> SimTime {
        let next = (at.nanos() / Span::HOUR.nanos()) as usize + 1;
        let wait = self.dear.iter().skip(next).position(|dear| *dear);
        wait.map_or(SimTime::NEVER, |wait| SimTime::ZERO + Span::HOUR * (next + wait) as u64)
    }
}

/// Which hours of one window are dear.
fn dear_hours(hours: &[f64], pause: Share) -> Vec<bool> {
    let most = (pause.as_f64() * hours.len() as f64 + 1e-9) as usize;
    let lowest = hours.iter().copied().fold(f64::INFINITY, f64::min);
    let mut order: Vec<usize> = (0..hours.len()).collect();
    order.sort_by(|&one, &other| hours[other].total_cmp(&hours[one]).then(one.cmp(&other)));
    let mut dear = vec![false; hours.len()];
    order.into_iter().take(most).for_each(|hour| dear[hour] = hours[hour] > lowest);
    dear
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(pause: f64, hours: u64, signal: &[f64]) -> ShiftPlan {
        let shift = Shift { pause: Share::new(pause), window: Span::HOUR * hours, ..Shift::default() };
        ShiftPlan::new(&shift, signal)
    }

    #[test]
    fn the_highest_hours_of_each_window_are_dear() {
        assert_eq!(*plan(0.5, 4, &[1.0, 5.0, 3.0, 5.0, 9.0, 9.0]).dear, [false, true, false, true, false, false]);
        // Equals: the earlier; negative prices are as good as others.
        assert_eq!(*plan(0.25, 4, &[2.0, 2.0, -7.0, 1.0]).dear, [true, false, false, false]);
        assert_eq!(*plan(1.0, 3, &[4.0, 2.0, 3.0]).dear, [true, false, true], "the lowest hour always runs");
        assert_eq!(*plan(0.0, 3, &[4.0, 2.0, 3.0]).dear, [false; 3]);
    }

    #[test]
    fn dear_hours_are_found_from_any_moment() {
        let plan = plan(0.5, 4, &[1.0, 5.0, 5.0, 2.0, 3.0, 1.0, 1.0, 4.0]);
        let at = |minutes: u64| SimTime::ZERO + Span::MINUTE * minutes;
        assert_eq!(
            [plan.clear_at(at(59)), plan.clear_at(at(60)), plan.clear_at(at(130))],
            [None, Some(at(180)), Some(at(180))]
        );
        assert_eq!(
            [at(0), at(61), at(200), at(430)].map(|from| plan.next_dear(from)),
            [at(60), at(120), at(240), SimTime::NEVER]
        );
        assert_eq!(plan.clear_at(at(9_999)), None, "past the last hour nothing is dear");
    }
}
