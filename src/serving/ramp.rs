//! Rates that change by plan: a ramp through given points, and a flash crowd, which comes at once and goes slowly.
//!
//! Between two points the rate is a straight line, walked in pieces of a second at the rate in their middle, so that the
//! expected number of requests is exact. Times count from the scenario's start; before the first point and after the last the
//! rate stays.

use super::lengths::{Lengths, Measured};
use crate::units::{PerSecond, Ratio, SimTime, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// `arrivals = { ramp = { points = [{ at = "0 s", rate = "1 /s" }, { at = "1 h", rate = "50 /s" }] } }`
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ramp {
    /// The rate at some instants, in order of time.
    pub points: Vec<RampPoint>,
    /// Coefficient of variation of the gaps between requests.
    #[serde(default = "default_burstiness")]
    pub burstiness: Ratio,
    /// Prompt lengths.
    #[serde(default = "conversation")]
    pub prompt: Lengths,
    /// Output lengths.
    #[serde(default = "conversation")]
    pub output: Lengths,
}

/// `{ at = "1 h", rate = "50 /s" }`
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RampPoint {
    /// When, from the scenario's start.
    pub at: Span,
    /// Requests a second there.
    pub rate: PerSecond,
}

/// `arrivals = { flash_crowd = { rate = "10 /s", at = "1 h", times = 8 } }`
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FlashCrowd {
    /// Mean requests a second before and after.
    pub rate: PerSecond,
    /// When the crowd begins to come, from the scenario's start.
    pub at: Span,
    /// The peak over the rate before.
    pub times: Ratio,
    /// From the first of the crowd to the peak.
    #[serde(default = "default_rise")]
    pub rise: Span,
    /// How long the peak lasts.
    #[serde(default = "default_hold")]
    pub hold: Span,
    /// From the end of the peak to the rate before.
    #[serde(default = "default_fall")]
    pub fall: Span,
    /// Standard deviation of slow log-rate noise.
    #[serde(default = "default_noise")]
    pub noise: Ratio,
    /// Correlation time of the slow noise.
    #[serde(default = "default_noise_time")]
    pub noise_time: Span,
    /// Coefficient of variation of the gaps between requests.
    #[serde(default = "default_burstiness")]
    pub burstiness: Ratio,
    /// Prompt lengths.
    #[serde(default = "conversation")]
    pub prompt: Lengths,
    /// Output lengths.
    #[serde(default = "conversation")]
    pub output: Lengths,
}

fn default_burstiness() -> Ratio {
    // Our fit to Azure's conversation trace of 2023.
    Ratio::new(1.04)
}
fn conversation() -> Lengths {
    Lengths::Like(Measured::Conversation)
}
// Assumed: a link shared in public is followed within a minute, for a quarter of an hour, and forgotten within one.
fn default_rise() -> Span {
    Span::MINUTE
}
fn default_hold() -> Span {
    Span::from_secs(900)
}
fn default_fall() -> Span {
    Span::HOUR
}
fn default_noise() -> Ratio {
    // Our fit to Azure's conversation trace of 2023.
    Ratio::new(0.25)
}
fn default_noise_time() -> Span {
    Span::from_secs(600)
}

impl Ramp {
    /// The rate by time.
    pub(super) fn points(&self) -> Points {
        Points::new(self.points.iter().map(|point| (SimTime::ZERO + point.at, point.rate.as_f64())).collect())
    }
}

impl FlashCrowd {
    /// The rate by time, noise apart.
    pub(super) fn points(&self) -> Points {
        let (calm, begin) = (self.rate.as_f64(), SimTime::ZERO + self.at);
        let peak = calm * self.times.as_f64();
        let (full, ebb) = (begin + self.rise, begin + self.rise + self.hold);
        Points::new(vec![(begin, calm), (full, peak), (ebb, peak), (ebb + self.fall, calm)])
    }
}

/// Pieces of a sloping line.
const PIECE: Span = Span::SECOND;

/// A rate by time, straight between points.
#[derive(Debug, Clone)]
pub(super) struct Points(Arc<[(SimTime, f64)]>);

impl Points {
    fn new(points: Vec<(SimTime, f64)>) -> Points {
        assert!(!points.is_empty() && points.is_sorted_by_key(|point| point.0), "points come in order of time");
        Points(points.into())
    }

    /// The rate from `at` on, and how long it holds.
    pub(super) fn factor(&self, at: SimTime) -> (f64, SimTime) {
        let next = self.0.partition_point(|point| point.0 <= at);
        let Some(&(to, high)) = self.0.get(next) else { return (self.last(), SimTime::NEVER) };
        let Some(&(from, low)) = next.checked_sub(1).and_then(|before| self.0.get(before)) else { return (high, to) };
        if low == high {
            return (low, to);
        }
        let until = (at + PIECE).min(to);
        let middle = at.since(from).as_secs_f64() + until.since(at).as_secs_f64() / 2.0;
        (low + (high - low) * middle / to.since(from).as_secs_f64(), until)
    }

    /// The rate at `at`.
    pub(super) fn rate(&self, at: SimTime) -> f64 {
        self.factor(at).0
    }

    /// True where the rate is zero from `at` on.
    pub(super) fn is_over(&self, at: SimTime) -> bool {
        self.last() <= 0.0 && self.0.last().is_some_and(|last| last.0 <= at)
    }

    fn last(&self) -> f64 {
        self.0.last().expect("there is a point").1
    }
}
