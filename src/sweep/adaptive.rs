//! How many replications a sweep file asks for: a number, or as many as an interval needs to be narrow.

use crate::Stopping;
use crate::ledger::{FigureName, Goal, HalfWidth};
use serde::de::{Error, MapAccess, Unexpected, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::num::NonZeroU64;

/// `replications = 20`, or `{ min = 20, max = 400, metric = "ettr", half_width = 0.005, confidence = 0.95 }`.
#[derive(Debug, Clone)]
pub(super) enum Written {
    /// So many.
    Fixed(NonZeroU64),
    /// As many as it takes.
    Until(Until),
}

/// The second form.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Until {
    min: NonZeroU64,
    max: NonZeroU64,
    /// A figure by name, as `--until` takes it.
    metric: String,
    /// In the figure's unit, or a text such as `0.5 %` in parts of the mean.
    half_width: toml::Value,
    #[serde(default = "usual_confidence")]
    confidence: f64,
}

fn usual_confidence() -> f64 {
    0.95
}

/// Confidences that an interval may have: below, it says nothing; above, no number of replications reaches it.
const CONFIDENCES: std::ops::RangeInclusive<f64> = 0.5..=0.9999;

impl Written {
    /// What is meant; else the key that is wrong, and why.
    pub(super) fn settle(&self) -> Result<Stopping, (&'static str, String)> {
        let Until { min, max, metric, half_width, confidence } = match self {
            Written::Fixed(count) => return Ok(Stopping::at(*count)),
            Written::Until(until) => until,
        };
        if min > max {
            return Err(("min", format!("{min} is more than {max}: min is the smaller number")));
        }
        if !CONFIDENCES.contains(confidence) {
            return Err(("confidence", format!("a confidence is 0.5 to 0.9999, such as 0.95, found {confidence}")));
        }
        let text = match half_width {
            toml::Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let half_width: HalfWidth = text.parse().map_err(|why| ("half_width", why))?;
        let goal = Goal { figure: FigureName::from(metric.as_str()), half_width, confidence: *confidence };
        Ok(Stopping { min: *min, max: *max, goals: vec![goal] })
    }
}

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Written, D::Error> {
        deserializer.deserialize_any(Form)
    }
}

struct Form;

impl<'de> Visitor<'de> for Form {
    type Value = Written;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number above zero, or a table with min, max, metric and half_width")
    }

    fn visit_i64<E: Error>(self, count: i64) -> Result<Written, E> {
        let above_zero = u64::try_from(count).ok().and_then(NonZeroU64::new);
        above_zero.map(Written::Fixed).ok_or_else(|| E::invalid_value(Unexpected::Signed(count), &self))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Written, A::Error> {
        Until::deserialize(MapAccessDeserializer::new(map)).map(Written::Until)
    }
}
