//! PUE and WUE hour by hour, as somebody measured or computed them elsewhere. PUE contains UPS and PDU losses.

use super::Constant;
use crate::units::{LitresPerKwh, Ratio};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `facility = { series = { path = "pue.csv", pue = "pue", wue = "wue_l_per_kwh" } }`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SeriesSection {
    /// Comma-separated hourly file, first column `utc`, of any year: paired by month, day and hour (UTC). The path starts from
    /// the scenario's folder.
    pub path: String,
    /// Column of facility energy over IT energy.
    pub pue: String,
    /// Column of site water in litres for each kilowatt-hour of IT energy.
    pub wue: String,
}

/// One hour of such a file; none where it cannot be: a PUE below 1 or above 5, water below 0 or above 20 L/kWh.
#[must_use]
pub fn measured(pue: f64, wue: f64) -> Option<Constant> {
    let possible = (1.0..=5.0).contains(&pue) && (0.0..=20.0).contains(&wue);
    possible.then(|| Constant { pue: Ratio::new(pue), wue: LitresPerKwh::from_micro((wue * 1e6).round() as u64) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_that_cannot_be_is_refused() {
        assert_eq!(measured(1.0, 20.0).map(|hour| hour.pue.as_f64()), Some(1.0));
        for (pue, wue) in [(0.99, 0.3), (115.0, 0.3), (1.2, -0.1), (1.2, 300.0), (f64::NAN, 0.0)] {
            assert_eq!(measured(pue, wue), None);
        }
    }
}
