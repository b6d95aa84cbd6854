//! How long a component lives: Weibull lifetimes by inversion, and the exact remaining life of a fleet that has run for ever.

use super::gamma;
use super::law::{FailureLaw, InitialAge};
use crate::units::{PerSecond, SimTime, Span};

/// A failure law compiled for drawing.
///
/// Weibull with shape k and mean m has scale `s = m / gamma(1 + 1/k)` and survival `exp(-(t/s)^k)`; shape 1 is exponential.
/// The remaining life of a component that has been renewed for ever has distribution `P(1/k, (t/s)^k)`, with P the gamma
/// distribution: the same law as a uniform part of a length-biased lifetime, in one draw. Its mean over m is 1.569 for k = 0.7,
/// 1 for k = 1, 0.730 for k = 1.5 and 0.585 for k = 2.6. Valid for shapes of 0.2 to 20.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Lifetime {
    /// Seconds.
    scale: f64,
    shape: f64,
    initial_age: InitialAge,
}

impl Lifetime {
    /// The lifetime of a node under `law`; `None` where nothing breaks.
    pub(super) fn new(law: FailureLaw) -> Option<Lifetime> {
        let (rate, shape, initial_age) = match law {
            FailureLaw::None => return None,
            FailureLaw::Weibull { rate, shape, initial_age } | FailureLaw::Mixed { rate, shape, initial_age, .. } => {
                (rate, shape, initial_age)
            }
            FailureLaw::TwoClass { rate, .. } => (rate, 1.0, InitialAge::Stationary),
        };
        if rate == PerSecond::new(0.0) {
            return None;
        }
        assert!((0.2..=20.0).contains(&shape), "a Weibull shape lies between 0.2 and 20");
        Some(Lifetime { scale: 1.0 / (rate.as_f64() * libm::tgamma(1.0 + 1.0 / shape)), shape, initial_age })
    }

    /// The lifetime of a node that fails `factor` times as often.
    pub(super) fn at_rate(self, factor: f64) -> Lifetime {
        Lifetime { scale: self.scale / factor, ..self }
    }

    /// A new component's life at the draw `uniform`.
    pub(super) fn whole(&self, uniform: f64) -> Span {
        self.stretched(-libm::log(uniform))
    }

    /// The part of the fleet's first lives that ends by `horizon`, to compare a draw with before paying for its inverse.
    pub(super) fn failed_by(&self, horizon: SimTime) -> f64 {
        let scaled = libm::pow(horizon.as_secs_f64() / self.scale, self.shape);
        match self.initial_age {
            InitialAge::New => -libm::expm1(-scaled),
            InitialAge::Stationary => gamma::lower_tail(1.0 / self.shape, scaled),
        }
    }

    /// Life left at time zero at the draw `uniform`, which is the part of the fleet that fails earlier.
    pub(super) fn first(&self, uniform: f64) -> Span {
        if self.initial_age == InitialAge::New || self.shape == 1.0 {
            return self.stretched(-libm::log1p(-uniform.min(1.0 - f64::EPSILON / 2.0)));
        }
        self.stretched(gamma::quantile(1.0 / self.shape, uniform))
    }

    /// Life left at time zero of a component of age `age` at the draw `uniform`: `s ((age/s)^k - ln(1 - uniform))^(1/k) - age`.
    pub(super) fn left_at(&self, age: Span, uniform: f64) -> Span {
        let spent = libm::pow(age.as_secs_f64() / self.scale, self.shape);
        let left = spent - libm::log1p(-uniform.min(1.0 - f64::EPSILON / 2.0));
        self.stretched(left).saturating_sub(age).max(Span::from_nanos(1))
    }

    /// `s y^(1/k)`; never zero, so that time moves on.
    fn stretched(&self, y: f64) -> Span {
        let stretch = if self.shape == 1.0 { y } else { libm::pow(y, 1.0 / self.shape) };
        Span::from_secs_f64(self.scale * stretch).max(Span::from_nanos(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Entity, Seed};

    fn lifetime(shape: f64, initial_age: InitialAge) -> Lifetime {
        let law = FailureLaw::Weibull { rate: PerSecond::new(1e-6), shape, initial_age };
        Lifetime::new(law).expect("it fails")
    }

    #[test]
    fn aged_fleets_have_the_remaining_life_of_renewal_theory() {
        for (shape, expected) in [(0.7, 1.569), (1.0, 1.0), (1.5, 0.730), (2.6, 0.585)] {
            let lifetime = lifetime(shape, InitialAge::Stationary);
            let draws = 200_000;
            let mean =
                (0..draws).map(|i| lifetime.first((f64::from(i) + 0.5) / f64::from(draws)).as_secs_f64()).sum::<f64>()
                    / f64::from(draws)
                    / 1e6;
            assert!((mean - expected).abs() < 0.002, "shape {shape}: {mean} is not {expected}");
        }
    }

    #[test]
    fn new_lives_have_the_mean_of_the_rate() {
        let mut stream = Seed { seed: 1, replication: 0 }.stream(Entity::named("test"), "failure");
        for shape in [0.7, 1.0, 1.5, 2.6] {
            let lifetime = lifetime(shape, InitialAge::New);
            let draws = 100_000;
            let mean = (0..draws).map(|_| lifetime.whole(stream.uniform()).as_secs_f64()).sum::<f64>()
                / f64::from(draws)
                / 1e6;
            // Three standard errors at a coefficient of variation of at most 1.5.
            assert!((mean - 1.0).abs() < 0.0145, "shape {shape}: mean {mean}");
        }
    }

    #[test]
    fn what_is_left_to_a_component_depends_on_its_age_as_survival_says() {
        // Scale s = 1e6 s / gamma(1 + 1/k). At age s a draw of 1 - 1/e leaves s (2^(1/k) - 1): as long again for k = 1, 0.414 s for
        // k = 2, three times s for k = 0.5.
        for (shape, factor) in [(1.0, 1.0), (2.0, 2_f64.sqrt() - 1.0), (0.5, 3.0)] {
            let lifetime = lifetime(shape, InitialAge::New);
            let scale = 1e6 / libm::tgamma(1.0 + 1.0 / shape);
            let left = lifetime.left_at(Span::from_secs_f64(scale), 1.0 - libm::exp(-1.0)).as_secs_f64();
            assert!((left / (scale * factor) - 1.0).abs() < 1e-9, "shape {shape}: {left} s");
            let new = lifetime.left_at(Span::ZERO, 0.3);
            assert_eq!(new, lifetime.first(0.3), "a new one has its whole life before it");
        }
    }

    #[test]
    fn the_threshold_agrees_with_the_inverse() {
        for (shape, age) in [(0.7, InitialAge::Stationary), (1.0, InitialAge::Stationary), (0.7, InitialAge::New)] {
            let lifetime = lifetime(shape, age);
            let horizon = SimTime::from_nanos(300_000_000_000_000);
            let edge = lifetime.failed_by(horizon);
            assert!(lifetime.first(edge * (1.0 - 1e-9)) < horizon.since(SimTime::ZERO));
            assert!(lifetime.first(edge * (1.0 + 1e-9)) > horizon.since(SimTime::ZERO));
        }
    }
}
