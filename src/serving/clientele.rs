//! How a service treats its clients: classes with limits and ranks of their own, how long clients wait for an answer and how
//! often they ask again, and what becomes of requests whose replica fails.

use super::Slo;
use crate::units::{Ratio, Share, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[service.<name>.class.<name>]`: some of the service's requests, with a promise of their own.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClassSection {
    /// Part of the service's requests; the shares of all its classes add up to 1.
    pub share: Share,
    /// Limits that its requests must meet; unset, the service's.
    pub slo: Option<Slo>,
    /// A class of higher priority is admitted first, and turned away and preempted last.
    #[serde(default)]
    pub priority: u8,
}

/// `patience = { answer = "60 s", retries = 3 }`: clients that hang up, and ask again. The defaults are those of a widely used
/// client library.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Patience {
    /// How long a client waits for the first token; unset, as long as for the last.
    pub first_token: Option<Span>,
    /// How long it waits for the last token.
    pub answer: Span,
    /// How often it asks again after it hung up, was turned away, or lost its answer to a failure.
    pub retries: u8,
    /// Wait before it asks again.
    pub backoff: Span,
    /// Each further wait is that many times as long as the one before.
    pub growth: Ratio,
    /// The longest wait.
    pub longest: Span,
    /// Part of each wait that chance may take off.
    pub jitter: Share,
}

impl Default for Patience {
    fn default() -> Patience {
        // openai-python, src/openai/_constants.py: timeout 600 s, 2 retries, waits of 0.5 s up to 8 s; _base_client.py: doubled each
        // time, less up to a quarter by chance.
        Patience {
            first_token: None,
            answer: Span::from_secs(600),
            retries: 2,
            backoff: Span::from_nanos(500_000_000),
            growth: Ratio::new(2.0),
            longest: Span::from_secs(8),
            jitter: Share::new(0.25),
        }
    }
}

impl Patience {
    /// The wait before the retry that follows `retries` others; `chance` is uniform.
    pub(super) fn wait(&self, retries: u8, chance: f64) -> Span {
        let grown = self.backoff.as_secs_f64() * libm::pow(self.growth.as_f64(), f64::from(retries));
        let whole = grown.min(self.longest.as_secs_f64());
        Span::from_secs_f64(whole * (1.0 - self.jitter.as_f64() * chance))
    }
}

/// What becomes of requests whose replica fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// They start over on another replica, before those that wait there: prompt and tokens so far are computed again.
    #[default]
    Restart,
    /// Their connections break.
    Fail,
}

/// A checked class.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassPlan {
    /// Name in the scenario.
    pub name: String,
    /// Part of the service's requests.
    pub share: Share,
    /// Limits that its requests must meet.
    pub slo: Option<Slo>,
    /// Its rank.
    pub priority: u8,
}

/// The checked clients of a service. The default are clients of one class who wait for ever.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Clientele {
    /// Its classes; none where all requests are alike.
    pub classes: Vec<ClassPlan>,
    /// When clients hang up and ask again; none where they wait for ever and never ask again.
    pub patience: Option<Patience>,
    /// What becomes of requests whose replica fails.
    pub on_failure: OnFailure,
}

impl Clientele {
    /// True where attempts are more than requests, or may end without an answer in more ways than at the door.
    pub(super) fn tells_attempts(&self) -> bool {
        self.patience.is_some() || self.on_failure == OnFailure::Fail
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 0.5 s, 1 s, 2 s, 4 s, and then 8 s for ever; chance takes off up to a quarter.
    #[test]
    fn waits_double_up_to_the_longest() {
        let patience = Patience::default();
        let waits = [0, 1, 2, 3, 4, 9].map(|retries| patience.wait(retries, 0.0).as_secs_f64());
        assert_eq!(waits, [0.5, 1.0, 2.0, 4.0, 8.0, 8.0]);
        assert_eq!(patience.wait(1, 1.0).as_secs_f64(), 0.75);
    }
}
