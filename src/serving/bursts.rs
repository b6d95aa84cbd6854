//! Requests in bursts, as code assistants send them: dense stretches between long silences, by working hours
//! (shape only, the defaults are round numbers and no fit).
//!
//! ON and OFF stretches are exponential. While ON, gaps are those of a Gamma renewal process at `rate (on + off) / on`, so that
//! the mean rate is the asked one; while OFF, nobody asks. Counts over windows w far longer than a burst have, beside the
//! renewal process's own variance, an index of dispersion of `2 rate off^2 / (on + off)`: the rate's variance, rate^2 off/on,
//! times twice its correlation time, on off / (on + off), over the rate. Worked value: 20 a second, 30 s ON, 60 s OFF: 1,600.

use super::lengths::{Lengths, Lognormal};
use crate::engine::Stream;
use crate::units::{PerSecond, Ratio, SimTime, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `arrivals = { bursts = { rate = "20 /s" } }`
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bursts {
    /// Mean requests a second, silences included.
    pub rate: PerSecond,
    /// Mean length of a burst.
    #[serde(default = "default_on")]
    pub on: Span,
    /// Mean length of a silence.
    #[serde(default = "default_off")]
    pub off: Span,
    /// Coefficient of variation of the gaps between requests inside a burst.
    #[serde(default = "default_burstiness")]
    pub burstiness: Ratio,
    /// Follow working hours (UTC); `false` keeps the mean rate.
    #[serde(default = "yes")]
    pub weekly: bool,
    /// Prompt lengths.
    #[serde(default = "default_prompt")]
    pub prompt: Lengths,
    /// Output lengths.
    #[serde(default = "default_output")]
    pub output: Lengths,
}

// Defaults: assumed, round numbers and no fit.
fn default_on() -> Span {
    Span::from_secs(30)
}
fn default_off() -> Span {
    Span::from_secs(60)
}
fn default_burstiness() -> Ratio {
    Ratio::new(1.5)
}
fn yes() -> bool {
    true
}
fn default_prompt() -> Lengths {
    Lengths::Lognormal(Lognormal { median: 1_000.0, sigma: 1.0, max: Some(8_192) })
}
fn default_output() -> Lengths {
    Lengths::Lognormal(Lognormal { median: 25.0, sigma: 1.0, max: None })
}

/// Requests by hour over the mean hour, from Sunday 00:00: 0.5 + 1.3 sin(pi (h - 8) / 12) from 08 to 20 o'clock, 0.5 at night,
/// half of that at weekends; the sine taken in the middle of the hour.
#[must_use]
pub(super) fn working_hours(hour: u64) -> f64 {
    // A day's mean is 0.5 + 1.3/24 sum of the twelve sines, 1/sin(pi/24) = 7.6613; a week's has 5 + 2/2 such days of 7.
    const MEAN: f64 = (0.5 + 1.3 / 24.0 * 7.661_297_575_540_39) * 6.0 / 7.0;
    let (day, hour) = (hour / 24 % 7, hour % 24);
    let up = match hour {
        8..20 => 1.3 * libm::sin(std::f64::consts::PI * (hour as f64 + 0.5 - 8.0) / 12.0),
        _ => 0.0,
    };
    let weekend = if day == 0 || day == 6 { 0.5 } else { 1.0 };
    (0.5 + up) * weekend / MEAN
}

/// The ON/OFF process, walked forward.
#[derive(Debug, Clone)]
pub(super) struct OnOff {
    stream: Stream,
    /// Mean lengths of ON and OFF in nanoseconds.
    on: f64,
    off: f64,
    is_on: bool,
    /// When it changes next.
    change: SimTime,
}

impl OnOff {
    /// The process at the scenario's start: as likely ON as it is at any time.
    pub(super) fn new(bursts: &Bursts, stream: Stream) -> OnOff {
        let (on, off) = (bursts.on.nanos() as f64, bursts.off.nanos() as f64);
        let mut process = OnOff { stream, on, off, is_on: false, change: SimTime::ZERO };
        process.is_on = process.stream.uniform() < on / (on + off);
        process.change = SimTime::ZERO + process.stay();
        process
    }

    fn stay(&mut self) -> Span {
        let mean = if self.is_on { self.on } else { self.off };
        Span::from_nanos((mean * self.stream.exponential()) as u64 + 1)
    }

    /// The factor on the mean rate at `at`, and how long it holds.
    pub(super) fn factor(&mut self, at: SimTime) -> (f64, SimTime) {
        while self.change <= at {
            self.is_on = !self.is_on;
            let stay = self.stay();
            self.change += stay;
        }
        (if self.is_on { (self.on + self.off) / self.on } else { 0.0 }, self.change)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn working_hours_have_mean_one_and_the_stated_shape() {
        let week: Vec<f64> = (0..168).map(working_hours).collect();
        assert!((week.iter().sum::<f64>() / 168.0 - 1.0).abs() < 1e-12);
        // Monday 13 o'clock against Monday night, and Saturday against Friday.
        assert!(
            (week[24 + 13] / week[24 + 3] - (0.5 + 1.3 * libm::sin(std::f64::consts::PI * 5.5 / 12.0)) / 0.5).abs()
                < 1e-12
        );
        assert!((week[6 * 24 + 13] / week[5 * 24 + 13] - 0.5).abs() < 1e-12);
    }
}
