//! `failures = …` of a cluster: how often its nodes interrupt what runs on them.

use crate::units::PerSecond;
use schemars::JsonSchema;
use serde::Deserialize;

/// `failures` as written.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
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
    },
}

/// How old the nodes are when the run starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
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
}

impl FailureLaw {
    /// Long-run failures of one node.
    #[must_use]
    pub fn rate(&self) -> PerSecond {
        match *self {
            FailureLaw::None => PerSecond::new(0.0),
            FailureLaw::Weibull { rate, .. } => rate,
        }
    }
}
