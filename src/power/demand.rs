//! `site.<name>.demand_response` as written: when somebody outside asks a site to draw less.

use crate::units::{Span, Watts};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `demand_response = { windows = [{ from = "17 h", to = "20 h", limit = "1.5 MW", every = "1 d" }] }`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum DemandResponse {
    /// Windows in which the meter may show less.
    Windows(Vec<Window>),
    /// What the meter may show in each hour, in a file.
    Signal(Signal),
}

/// One window, or one that comes again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// Its beginning, after the scenario's start.
    pub from: Span,
    /// Its end, after the scenario's start.
    pub to: Span,
    /// What the site's meter may show meanwhile.
    pub limit: Watts,
    /// Comes again after this time, and again, to the end of the run.
    pub every: Option<Span>,
}

/// `demand_response = { signal = { path = "signal.csv", column = "limit_kw" } }`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Signal {
    /// Comma-separated hourly file, first column `utc`, of any year: paired by month, day and hour (UTC). The path starts from
    /// the scenario's folder.
    pub path: String,
    /// Column of what the meter may show in the hour, in kilowatts.
    pub column: String,
}
