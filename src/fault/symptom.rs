//! `symptoms = …` of a cluster: how a node's own failure shows, and when.

use crate::engine::{Entity, Seed};
use crate::units::{Share, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Shares of the nodes' own failures that do not stop the job at once; the rest is explicit. All zero unless given.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Symptoms {
    /// Hangs and jobs that slow down to nothing: seen after `recovery.detect_hang`. ByteRobust saw 5,948 implicit failures of
    /// 53,766 (arXiv:2509.16293).
    pub hang: Share,
    /// Silent corruption: the job computes on, until somebody sees that what it computes is wrong. Llama 3 had 6 of 419
    /// (arXiv:2407.21783 Table 5).
    pub silent: Share,
    /// Median time from the beginning of silent corruption until it is seen, lognormal.
    pub latency: Span,
    /// Standard deviation of the logarithm of that time.
    pub latency_sigma: f64,
}

impl Default for Symptoms {
    fn default() -> Symptoms {
        Symptoms {
            hang: Share::new(0.0),
            silent: Share::new(0.0),
            // Assumed; ByteRobust's NaN losses took 4,289 s in the mean, its stress tests more than 8 h (arXiv:2509.16293).
            latency: Span::from_secs(7_200),
            // Assumed: 95 % between 17 minutes and 14 hours.
            latency_sigma: 1.0,
        }
    }
}

/// How a failure shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Symptom {
    /// At once: something ended.
    Explicit,
    /// Everything stands still and nothing says why.
    Hang,
    /// Not before this time has passed: until then the job computes nonsense.
    Silent(Span),
    /// Nothing failed: the node was slow, and was taken out.
    Slow,
    /// Nothing failed: it goes out for maintenance.
    Planned,
    /// Nothing failed: localisation took it out beside, or in the place of, a broken one.
    Suspected,
}

impl Symptom {
    /// Name in the outputs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Symptom::Explicit => "explicit",
            Symptom::Hang => "hang",
            Symptom::Silent(_) => "silent",
            Symptom::Slow => "slow",
            Symptom::Planned => "planned",
            Symptom::Suspected => "suspected",
        }
    }
}

impl Symptoms {
    /// True where every failure is explicit.
    pub(super) fn are_explicit(&self) -> bool {
        self.hang == Share::new(0.0) && self.silent == Share::new(0.0)
    }

    /// How failure number `past` of `node`, a part of `owner`, shows.
    pub(super) fn draw(&self, seed: Seed, owner: Entity, node: u32, past: u32) -> Symptom {
        let mut chance = seed.stream(owner.part(node).part(past), "symptom");
        let (uniform, silent) = (chance.uniform(), self.silent.as_f64());
        if uniform < silent {
            let latency = chance.lognormal(libm::log(self.latency.as_secs_f64()), self.latency_sigma);
            Symptom::Silent(Span::from_secs_f64(latency).max(Span::from_nanos(1)))
        } else if uniform < silent + self.hang.as_f64() {
            Symptom::Hang
        } else {
            Symptom::Explicit
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_show_in_the_shares_given_and_corruption_after_its_median() {
        let symptoms = Symptoms { hang: Share::new(0.2), silent: Share::new(0.3), ..Symptoms::default() };
        let seed = Seed { seed: 1, replication: 0 };
        let owner = Entity::named("cluster.main");
        let all: Vec<Symptom> = (0..20_000).map(|node| symptoms.draw(seed, owner, node, 0)).collect();
        let share = |is: &dyn Fn(&Symptom) -> bool| all.iter().filter(|symptom| is(symptom)).count() as f64 / 2e4;
        // Three standard errors.
        assert!((share(&|symptom| *symptom == Symptom::Hang) - 0.2).abs() < 0.0085);
        assert!((share(&|symptom| matches!(symptom, Symptom::Silent(_))) - 0.3).abs() < 0.0098);
        let early = share(&|symptom| matches!(symptom, Symptom::Silent(after) if *after < symptoms.latency));
        assert!((early - 0.15).abs() < 0.0076, "half of them before the median");
    }
}
