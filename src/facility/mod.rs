//! IT watts to conversion losses, cooling, PUE and WUE.

use crate::units::{Joules, Litres, LitresPerKwh, Ratio};
use schemars::JsonSchema;
use serde::Deserialize;

/// `facility = …` as written.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Facility {
    /// The same PUE and WUE all year; PUE contains UPS and PDU losses.
    Constant(Constant),
}

/// `facility = { constant = { pue = 1.15, wue = "0.30 L/kWh" } }`
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Constant {
    /// Facility energy over IT energy.
    pub pue: Ratio,
    /// Site water over IT energy.
    pub wue: LitresPerKwh,
}

impl Default for Constant {
    fn default() -> Constant {
        // Hyperscale, models/energy.md section 4 (Microsoft FY25 1.17 / 0.27, AWS 2025 1.14 / 0.12, Google 1.09).
        Constant { pue: Ratio::new(1.15), wue: LitresPerKwh::from_micro(300_000) }
    }
}

impl Facility {
    /// Energy that the facility adds to `it`.
    #[must_use]
    pub fn overhead(&self, it: Joules) -> Joules {
        match self {
            Facility::Constant(constant) => it.scale(constant.pue.as_f64()).saturating_sub(it),
        }
    }

    /// Water that the site uses for `it`.
    #[must_use]
    pub fn water(&self, it: Joules) -> Litres {
        match self {
            Facility::Constant(constant) => constant.wue * it,
        }
    }
}
