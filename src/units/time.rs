//! Simulated time: integer nanoseconds, so that a clock never drifts and 584 years fit.

use super::quantity::{self, quantity};

/// An instant: nanoseconds since the scenario's `start`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SimTime(u64);

/// A length of time, in integer nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span(u64);
quantity!(Span, "a duration such as \"30 min\", \"1 h\" or \"540 d\"", quantity::TIME);

impl SimTime {
    /// The scenario's `start`.
    pub const ZERO: SimTime = SimTime(0);
    /// Later than anything that happens.
    pub const NEVER: SimTime = SimTime(u64::MAX);

    /// The instant that many nanoseconds after `start`.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> SimTime {
        SimTime(nanos)
    }
    /// Nanoseconds since `start`.
    #[must_use]
    pub const fn nanos(self) -> u64 {
        self.0
    }
    /// Seconds since `start`.
    #[must_use]
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }
    /// Time from `earlier` to `self`; zero where `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: SimTime) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

impl std::ops::Add<Span> for SimTime {
    type Output = SimTime;
    /// Saturates at [`SimTime::NEVER`].
    fn add(self, span: Span) -> SimTime {
        SimTime(self.0.saturating_add(span.0))
    }
}

impl std::ops::AddAssign<Span> for SimTime {
    fn add_assign(&mut self, span: Span) {
        *self = *self + span;
    }
}

impl Span {
    /// No time.
    pub const ZERO: Span = Span(0);
    /// One second.
    pub const SECOND: Span = Span(1_000_000_000);
    /// One minute.
    pub const MINUTE: Span = Span::from_secs(60);
    /// One hour.
    pub const HOUR: Span = Span::from_secs(3_600);
    /// One day of 24 hours.
    pub const DAY: Span = Span::from_secs(86_400);

    /// A whole number of seconds.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Span {
        Span(seconds * 1_000_000_000)
    }
    /// A whole number of nanoseconds.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Span {
        Span(nanos)
    }
    /// Seconds, to the nearest nanosecond. Negative and NaN give zero; past 584 years it saturates.
    #[must_use]
    pub fn from_secs_f64(seconds: f64) -> Span {
        Span((seconds * 1e9).round() as u64)
    }
    /// The length in nanoseconds.
    #[must_use]
    pub const fn nanos(self) -> u64 {
        self.0
    }
    /// The length in seconds.
    #[must_use]
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }
    /// The length in days of 24 hours.
    #[must_use]
    pub fn days(self) -> f64 {
        self.0 as f64 / 86.4e12
    }
    /// `self - other`, or zero where `other` is longer.
    #[must_use]
    pub const fn saturating_sub(self, other: Span) -> Span {
        Span(self.0.saturating_sub(other.0))
    }
    /// `self` times `factor`, to the nearest nanosecond.
    #[must_use]
    pub fn scale(self, factor: f64) -> Span {
        Span((self.0 as f64 * factor).round() as u64)
    }
    fn from_base(seconds: f64) -> Result<Span, &'static str> {
        quantity::unsigned(seconds * 1e9).map(Span)
    }
}

impl std::ops::Add for Span {
    type Output = Span;
    fn add(self, other: Span) -> Span {
        Span(self.0.saturating_add(other.0))
    }
}

impl std::ops::AddAssign for Span {
    fn add_assign(&mut self, other: Span) {
        *self = *self + other;
    }
}

impl std::ops::Mul<u64> for Span {
    type Output = Span;
    fn mul(self, count: u64) -> Span {
        Span(self.0 * count)
    }
}

impl std::iter::Sum for Span {
    fn sum<I: Iterator<Item = Span>>(items: I) -> Span {
        items.fold(Span::ZERO, |total, item| total + item)
    }
}

impl std::fmt::Display for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let units = [(86_400.0, "d"), (3_600.0, "h"), (60.0, "min"), (1.0, "s"), (1e-3, "ms"), (1e-6, "us")];
        quantity::scaled(f, self.as_secs_f64(), "ns", &units)
    }
}
