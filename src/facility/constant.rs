//! One PUE and one WUE all year. Overhead = (PUE - 1) x IT energy, water = WUE x IT energy.

use crate::units::{Joules, Litres, LitresPerKwh, Ratio};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `facility = { constant = { pue = 1.15, wue = "0.30 L/kWh" } }`
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Constant {
    /// Facility energy over IT energy, at least 1.
    pub pue: Ratio,
    /// Site water over IT energy.
    pub wue: LitresPerKwh,
}

impl Default for Constant {
    fn default() -> Constant {
        // Hyperscale, assumed between Microsoft FY25 1.17 / 0.27, AWS 2025 1.14 / 0.12 and Google 1.09.
        Constant { pue: Ratio::new(1.15), wue: LitresPerKwh::from_micro(300_000) }
    }
}

impl Constant {
    /// Energy that the facility adds to `it`.
    pub(super) fn overhead(&self, it: Joules) -> Joules {
        it.scale(self.pue.as_f64()).saturating_sub(it)
    }

    /// Water that the site uses for `it`.
    pub(super) fn water(&self, it: Joules) -> Litres {
        self.wue * it
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{Span, Watts};

    #[test]
    fn a_kilowatt_hour_of_servers_takes_overhead_and_water() {
        let it = Watts::new(1_000) * Span::HOUR;
        let constant = Constant { pue: Ratio::new(1.2), wue: LitresPerKwh::from_micro(360_000) };
        assert!((constant.overhead(it).kwh() - 0.2).abs() < 1e-12);
        assert_eq!(constant.water(it), Litres::from_micro(360_000));
    }
}
