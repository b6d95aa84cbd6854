//! How many requests a service may expect when: mean rate x weekly profile x slow log-rate noise (models/workloads.md 5.1).
//!
//! `rate(t) = R week[hour] exp(X(t) - s^2/2)`. The profile holds for an hour at a time. X is an Ornstein-Uhlenbeck process
//! with standard deviation s, stepped exactly on a grid of 60 s from the scenario's start and held in between; its factor has
//! mean 1. The path is a function of (seed, service), so that all cells of a service share it, whenever they open.

use super::{ArrivalPlan, Chat, ServicePlan};
use crate::engine::{Entity, Seed, Stream};
use crate::units::{SimTime, Span};

/// Requests by hour over the mean hour, in hundredths, from Sunday 00:00 UTC: derived from the conversation trace of a week
/// in May 2024 (Azure/AzurePublicDataset, CC BY 4.0; Stojkovic et al., "DynamoLLM", HPCA 2025), digitised from the published
/// plot, good to 1-3 % (models/workloads.md 4.4).
#[rustfmt::skip]
const WEEK: [[u16; 24]; 7] = [
    [56, 59, 56, 50, 47, 48, 50, 57, 57, 55, 55, 63, 64, 81, 75, 80, 73, 76, 77, 71, 69, 68, 64, 77],
    [97, 110, 110, 91, 92, 99, 114, 121, 127, 118, 116, 124, 133, 148, 166, 155, 136, 128, 126, 124, 117, 94, 92, 97],
    [108, 112, 115, 94, 95, 101, 117, 130, 128, 125, 117, 127, 145, 155, 165, 155, 143, 134, 142, 130, 118, 104, 89, 85],
    [100, 108, 103, 87, 90, 97, 111, 119, 122, 123, 113, 119, 135, 148, 151, 143, 129, 123, 128, 120, 105, 80, 76, 85],
    [100, 115, 109, 92, 90, 100, 122, 128, 139, 132, 105, 111, 127, 148, 152, 134, 125, 124, 123, 112, 100, 88, 78, 87],
    [103, 110, 107, 88, 91, 101, 112, 122, 119, 118, 105, 106, 118, 129, 129, 122, 113, 111, 98, 92, 86, 73, 60, 58],
    [58, 62, 64, 52, 53, 56, 56, 62, 65, 57, 64, 70, 78, 77, 84, 85, 82, 76, 69, 66, 69, 64, 58, 54],
];

/// The weekly profile at `hour` since Sunday 00:00 UTC; its mean over 168 hours is 1.
#[must_use]
pub fn weekly(hour: u64) -> f64 {
    let sum: u32 = WEEK.iter().flatten().map(|hundredths| u32::from(*hundredths)).sum();
    let hour = (hour % 168) as usize;
    f64::from(WEEK[hour / 24][hour % 24]) * 168.0 / f64::from(sum)
}

/// The noise is stepped this often, and the rate is constant in between: a tenth of its shortest correlation time in use.
const STEP: Span = Span::MINUTE;

/// The rate at which a service's requests are expected, walked forward in time.
#[derive(Debug, Clone)]
pub struct RateCurve {
    mean_per_nano: f64,
    /// Hours since Sunday 00:00 UTC at the scenario's start; none where the profile is flat.
    start_hour: Option<u32>,
    noise: Option<Noise>,
    step: u64,
    per_nano: f64,
}

impl RateCurve {
    /// The curve of a service's generated arrivals, at the scenario's start. A trace has no rate: its curve stays at zero.
    #[must_use]
    pub fn new(plan: &ServicePlan, seed: Seed) -> RateCurve {
        let mut curve = match &plan.arrivals {
            ArrivalPlan::Chat(chat) => RateCurve {
                start_hour: chat.weekly.then_some(plan.start_hour_of_week),
                noise: Noise::new(chat, plan, seed),
                ..RateCurve::flat(chat.rate.as_f64())
            },
            ArrivalPlan::Poisson(poisson) => RateCurve::flat(poisson.rate.as_f64()),
            ArrivalPlan::Trace(_) => RateCurve::flat(0.0),
        };
        curve.refresh();
        curve
    }

    /// A constant rate of that many requests a second.
    #[must_use]
    pub fn flat(per_second: f64) -> RateCurve {
        let per_nano = per_second / 1e9;
        RateCurve { mean_per_nano: per_nano, start_hour: None, noise: None, step: 0, per_nano }
    }

    /// Expected requests from `from` to `to`: the exact integral. Intervals may not go back behind the minute that holds the
    /// end of the last.
    pub fn expected(&mut self, from: SimTime, to: SimTime) -> f64 {
        self.advance_to(from);
        let (mut at, mut sum) = (from, 0.0);
        while at < to {
            self.advance_to(at);
            let until = self.until().min(to);
            sum += self.per_nano * until.since(at).nanos() as f64;
            at = until;
        }
        sum
    }

    /// Moves on to the step that holds `at`.
    pub(super) fn advance_to(&mut self, at: SimTime) {
        let step = at.nanos() / STEP.nanos();
        assert!(step >= self.step, "a rate curve is walked forward");
        while self.step < step {
            self.advance();
        }
    }

    /// Moves on to the next step.
    pub(super) fn advance(&mut self) {
        self.step += 1;
        if let Some(noise) = &mut self.noise {
            noise.advance();
        }
        self.refresh();
    }

    /// When the present step ends.
    pub(super) fn until(&self) -> SimTime {
        SimTime::ZERO + STEP * (self.step + 1)
    }

    /// Requests a nanosecond in the present step.
    pub(super) fn per_nano(&self) -> f64 {
        self.per_nano
    }

    fn refresh(&mut self) {
        let hour = self.step / (Span::HOUR.nanos() / STEP.nanos());
        let profile = self.start_hour.map_or(1.0, |start| weekly(u64::from(start) + hour));
        let noise = self.noise.as_ref().map_or(1.0, |noise| noise.factor);
        self.per_nano = self.mean_per_nano * profile * noise;
    }
}

/// The Ornstein-Uhlenbeck process in standard units, and the factor that it makes.
#[derive(Debug, Clone)]
struct Noise {
    stream: Stream,
    deviation: f64,
    /// Correlation over one step.
    keep: f64,
    /// Fresh part: sqrt(1 - keep^2).
    fresh: f64,
    level: f64,
    factor: f64,
}

impl Noise {
    fn new(chat: &Chat, plan: &ServicePlan, seed: Seed) -> Option<Noise> {
        let deviation = chat.noise.as_f64();
        if deviation == 0.0 {
            return None;
        }
        let entity = Entity::named(&format!("service.{}", plan.name));
        let mut stream = seed.stream(entity, "rate-noise");
        let keep = libm::exp(-STEP.as_secs_f64() / chat.noise_time.as_secs_f64());
        let level = stream.normal();
        let mut noise = Noise { stream, deviation, keep, fresh: (1.0 - keep * keep).sqrt(), level, factor: 1.0 };
        noise.refresh();
        Some(noise)
    }

    fn advance(&mut self) {
        self.level = self.keep * self.level + self.fresh * self.stream.normal();
        self.refresh();
    }

    fn refresh(&mut self) {
        self.factor = libm::exp(self.deviation * self.level - self.deviation * self.deviation / 2.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_week_has_the_published_shape() {
        // models/workloads.md 4.4 and 6, experiment 4, 5 % replaying the profile.
        let week: Vec<f64> = (0..168).map(weekly).collect();
        let mean = week.iter().sum::<f64>() / 168.0;
        let variance = week.iter().map(|x| (x - 1.0) * (x - 1.0)).sum::<f64>() / 168.0;
        let lagged = (0..144).map(|hour| (week[hour] - 1.0) * (week[hour + 24] - 1.0)).sum::<f64>() / 144.0;
        let weekend = (week[..24].iter().sum::<f64>() + week[144..].iter().sum::<f64>()) / 48.0;
        let weekday = week[24..144].iter().sum::<f64>() / 120.0;
        let by_hour: Vec<f64> = (0..24).map(|hour| (1..6).map(|day| week[day * 24 + hour]).sum::<f64>()).collect();
        let peak = by_hour.iter().copied().fold(0.0, f64::max) / by_hour.iter().copied().fold(f64::MAX, f64::min);
        let cases = [
            ("mean", mean, 1.0),
            ("CoV", variance.sqrt(), 0.291),
            ("weekend", weekend / weekday - 1.0, -0.433),
            ("weekday peak over trough", peak, 1.93),
        ];
        for (name, found, expected) in cases {
            assert!((found / expected - 1.0).abs() < 0.05, "{name}: {found}, published {expected}");
        }
        assert!((lagged / variance - 0.397).abs() < 0.06, "correlation at 24 h: {}", lagged / variance);
    }
}
