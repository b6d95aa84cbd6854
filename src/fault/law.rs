//! `failures = …` of a cluster: how often its nodes interrupt what runs on them.

use crate::units::PerSecond;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `failures` as written.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FailureSection {
    /// Nothing breaks.
    None {},
    /// A catalog preset.
    Preset(String),
    /// Memoryless: `{ exponential = { rate = "0.0038 /d" } }`, for each node.
    Exponential {
        /// Failures of one node.
        rate: PerSecond,
        /// How the nodes' rates differ; unset, they do not.
        mixture: Option<Mixture>,
    },
    /// Rising or falling with age since the last failure.
    Weibull {
        /// Long-run failures of one node.
        rate: PerSecond,
        /// Shape: below 1 infant and bursty, above 1 wear-out.
        shape: f64,
        /// Age of the nodes at the start.
        #[serde(default)]
        initial_age: InitialAge,
        /// How the nodes' rates differ; unset, they do not.
        mixture: Option<Mixture>,
    },
}

/// `mixture = { shape = 0.93 }`: each node keeps a rate of its own, the given one times a gamma variate of mean 1, so that a few
/// lemons fail much more often than the rest. 0.93 fits the faults of 400 servers (stepfun-ai/InfiniteHBD-Trace, own fit): their
/// counts are negative binomial, and the worst tenth of the nodes holds 40.6 % of the faults.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mixture {
    /// Shape of the gamma law: the smaller, the more the nodes differ.
    pub shape: f64,
}

/// How old the nodes are when the run starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InitialAge {
    /// All new.
    New,
    /// As in a fleet that has run for ever.
    #[default]
    Stationary,
}

/// A checked failure law of one node.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum FailureLaw {
    /// Nothing breaks.
    None,
    /// Weibull with long-run `rate`; shape 1 is exponential.
    Weibull {
        /// Long-run failures of one node.
        rate: PerSecond,
        /// Shape.
        shape: f64,
        /// Age at the start.
        initial_age: InitialAge,
    },
    /// The same, with a rate of its own for each node.
    Mixed {
        /// Long-run failures of the mean node.
        rate: PerSecond,
        /// Shape of a node's own law.
        shape: f64,
        /// Age at the start.
        initial_age: InitialAge,
        /// How the nodes' rates differ.
        mixture: Mixture,
    },
}

impl FailureLaw {
    /// How the nodes' rates differ; `None` where they do not.
    pub(super) fn mixture(&self) -> Option<Mixture> {
        if let FailureLaw::Mixed { mixture, .. } = *self { Some(mixture) } else { None }
    }

    /// Long-run failures of one node, the mean one where they differ.
    #[must_use]
    pub fn rate(&self) -> PerSecond {
        match *self {
            FailureLaw::None => PerSecond::new(0.0),
            FailureLaw::Weibull { rate, .. } | FailureLaw::Mixed { rate, .. } => rate,
        }
    }
}
