//! How many requests a service may expect when: a rate that is constant over short pieces of time, walked forward.
//!
//! A mean rate times up to three factors: a weekly profile, constant for an hour; slow log-rate noise, stepped each minute; and
//! a shape that is a burst process's or a ramp's. All paths are functions of (seed, service), so that all cells of a service
//! share them, whenever they open.

use super::bursts::OnOff;
use super::ramp::Points;
use super::{ArrivalPlan, ServicePlan};
use crate::engine::{Entity, Seed, Stream};
use crate::units::{Ratio, SimTime, Span};

/// The noise is stepped this often, and the rate is constant in between: a tenth of its shortest correlation time in use.
const STEP: Span = Span::MINUTE;

/// The rate at which a service's requests are expected, walked forward in time.
#[derive(Debug, Clone)]
pub struct RateCurve {
    mean_per_nano: f64,
    weekly: Option<Weekly>,
    noise: Option<Noise>,
    shape: Shape,
    /// Whole minutes since the scenario's start, and the piece of time in which the rate is `per_nano`.
    step: u64,
    from: SimTime,
    until: SimTime,
    per_nano: f64,
}

/// A profile over the hours of a week, and the hour in it at the scenario's start.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weekly {
    pub(super) profile: fn(u64) -> f64,
    pub(super) start_hour: u32,
}

/// What else the rate does.
#[derive(Debug, Clone)]
pub(super) enum Shape {
    Flat,
    OnOff(OnOff),
    Points(Points),
}

impl RateCurve {
    /// The curve of a service's generated arrivals, at the scenario's start. A trace and measured clients have rates of
    /// their own, and those of a closed loop follow from the answers: their curves stay at zero.
    #[must_use]
    pub fn new(plan: &ServicePlan, seed: Seed) -> RateCurve {
        let entity = Entity::named(&format!("service.{}", plan.name));
        let start_hour = plan.start_hour_of_week;
        let weekly = |profile, follow: bool| follow.then_some(Weekly { profile, start_hour });
        let noise = |deviation, time| Noise::new(deviation, time, entity, seed);
        let flat = RateCurve::flat;
        let mut curve = match &plan.arrivals {
            ArrivalPlan::Chat(chat) => RateCurve {
                weekly: weekly(super::chat::weekly, chat.weekly),
                noise: noise(chat.noise, chat.noise_time),
                ..flat(chat.rate.as_f64())
            },
            ArrivalPlan::Poisson(poisson) => flat(poisson.rate.as_f64()),
            ArrivalPlan::Bursts(bursts) => RateCurve {
                weekly: weekly(super::bursts::working_hours, bursts.weekly),
                shape: Shape::OnOff(OnOff::new(bursts, seed.stream(entity, "bursts"))),
                ..flat(bursts.rate.as_f64())
            },
            ArrivalPlan::Ramp(ramp) => RateCurve { shape: Shape::Points(ramp.points()), ..flat(1.0) },
            ArrivalPlan::FlashCrowd(crowd) => RateCurve {
                noise: noise(crowd.noise, crowd.noise_time),
                shape: Shape::Points(crowd.points()),
                ..flat(1.0)
            },
            ArrivalPlan::Clients(clients) => {
                RateCurve { noise: noise(clients.noise, clients.noise_time), ..flat(clients.rate.as_f64()) }
            }
            ArrivalPlan::Reasoning(reasoning) => {
                RateCurve { noise: noise(reasoning.noise, reasoning.noise_time), ..flat(reasoning.rate.as_f64()) }
            }
            ArrivalPlan::Sessions(sessions) => RateCurve {
                weekly: weekly(super::chat::weekly, sessions.weekly),
                noise: noise(sessions.noise, sessions.noise_time),
                ..flat(sessions.starts_per_second())
            },
            ArrivalPlan::ClosedLoop(_) | ArrivalPlan::Servegen(_) | ArrivalPlan::Trace(_) => flat(0.0),
        };
        curve.refresh();
        curve
    }

    /// A constant rate of that many requests a second.
    #[must_use]
    pub fn flat(per_second: f64) -> RateCurve {
        let per_nano = per_second / 1e9;
        RateCurve {
            mean_per_nano: per_nano,
            weekly: None,
            noise: None,
            shape: Shape::Flat,
            step: 0,
            from: SimTime::ZERO,
            until: SimTime::ZERO + STEP,
            per_nano,
        }
    }

    /// Expected requests from `from` to `to`: the exact integral. Intervals may not go back behind the piece that holds the
    /// end of the last.
    pub fn expected(&mut self, from: SimTime, to: SimTime) -> f64 {
        self.advance_to(from);
        let (mut at, mut sum) = (from, 0.0);
        while at < to {
            self.advance_to(at);
            let until = self.until.min(to);
            sum += self.per_nano * until.since(at).nanos() as f64;
            at = until;
        }
        sum
    }

    /// Moves on to the piece that holds `at`.
    pub(super) fn advance_to(&mut self, at: SimTime) {
        assert!(at >= self.from, "a rate curve is walked forward");
        while self.until <= at {
            self.advance();
        }
    }

    /// Moves on to the next piece.
    pub(super) fn advance(&mut self) {
        self.from = self.until;
        if self.from.nanos() / STEP.nanos() > self.step {
            self.step += 1;
            if let Some(noise) = &mut self.noise {
                noise.advance();
            }
        }
        self.refresh();
    }

    /// When the present piece ends.
    pub(super) fn until(&self) -> SimTime {
        self.until
    }

    /// Requests a nanosecond in the present piece.
    pub(super) fn per_nano(&self) -> f64 {
        self.per_nano
    }

    /// True where no request comes any more, ever.
    pub(super) fn is_over(&self) -> bool {
        match &self.shape {
            Shape::Flat => self.mean_per_nano <= 0.0,
            Shape::OnOff(_) => false,
            Shape::Points(points) => points.is_over(self.from),
        }
    }

    fn refresh(&mut self) {
        let hour = self.step / (Span::HOUR.nanos() / STEP.nanos());
        let profile = self.weekly.map_or(1.0, |weekly| (weekly.profile)(u64::from(weekly.start_hour) + hour));
        let noise = self.noise.as_ref().map_or(1.0, |noise| noise.factor);
        let next_step = SimTime::ZERO + STEP * (self.step + 1);
        let (shape, until) = match &mut self.shape {
            Shape::Flat => (1.0, next_step),
            Shape::OnOff(on_off) => on_off.factor(self.from),
            Shape::Points(points) => points.factor(self.from),
        };
        self.until = until.min(next_step);
        self.per_nano = self.mean_per_nano * profile * noise * shape;
    }
}

/// An Ornstein-Uhlenbeck process X in standard units, and the factor `exp(s X - s^2/2)` that it makes, of mean 1; stepped
/// exactly on a grid of a minute and held in between.
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
    fn new(deviation: Ratio, time: Span, service: Entity, seed: Seed) -> Option<Noise> {
        let deviation = deviation.as_f64();
        if deviation == 0.0 {
            return None;
        }
        let mut stream = seed.stream(service, "rate-noise");
        let keep = libm::exp(-STEP.as_secs_f64() / time.as_secs_f64());
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
