//! What owning a server costs by the hour, energy apart: annuities of server, network and building, maintenance, and staff.
//!
//! `$/GPU-h = (1 + s) [CRF(r, L) C / (1 - f) + CRF(r, L_b) c_b P + m C / (1 - f)] / (GPUs x 8760)` with the capital recovery
//! factor `CRF(r, L) = r / (1 - (1 + r)^-L)`, server price `C` and nameplate `P`. Every hour is paid for: a GPU that nobody
//! holds costs the same. Worked value: $270,000 and 10.2 kW with the defaults have the factors 0.25046 and 0.11683 and give
//! 1.191 + 0.204 + 0.143 = $1.538/GPU-h, to which 7.75 kW at PUE 1.15 and $0.0826/kWh add 0.092.

use crate::catalog::NodeSheet;
use crate::units::{DollarsPerHour, DollarsPerKw, Ratio, Share};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `cost = { owned = {} }`
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Ownership {
    /// Interest a year, `r`.
    pub interest: Share,
    /// Years in which servers and network are paid off, `L`.
    pub server_years: Ratio,
    /// Building and electrical plant, for each kilowatt of nameplate, `c_b`.
    pub building: DollarsPerKw,
    /// Years in which the building is paid off, `L_b`.
    pub building_years: Ratio,
    /// Maintenance a year, as a share of servers and network, `m`.
    pub maintenance: Share,
    /// Network, as a share of servers and network together, `f`; below 1.
    pub network: Share,
    /// Staff, in dollars for each dollar of servers, network, building and maintenance, `s`.
    pub staff: Ratio,
}

impl Default for Ownership {
    fn default() -> Ownership {
        Ownership {
            // Assumed.
            interest: Share::new(0.08),
            // epoch-research/training-cost-trends; Meta 5.5, Google 6, Amazon 5.
            server_years: Ratio::new(5.0),
            // $8-10 M per MW to more than $20 M with liquid cooling (secondary).
            building: DollarsPerKw::from_f64(12_000.0),
            // Assumed.
            building_years: Ratio::new(15.0),
            // Assumed.
            maintenance: Share::new(0.03),
            // epoch-research/training-cost-trends: 19 % of a cluster's price.
            network: Share::new(0.19),
            // Who runs the hall is counted nowhere that we know. Whoever counts research, too: 29-49 % of a frontier model's cost
            // is staff beside 47-67 % for hardware (Cottier et al. 2024, arXiv:2405.21015), so 0.43 to 1.04.
            staff: Ratio::new(0.0),
        }
    }
}

impl Ownership {
    /// The cost of one GPU of `node` for one hour.
    #[must_use]
    pub fn hourly(&self, node: &NodeSheet) -> DollarsPerHour {
        DollarsPerHour::from_f64(self.parts(node).iter().sum())
    }

    /// The parts of it, in dollars: servers and network, building, maintenance, staff.
    fn parts(&self, node: &NodeSheet) -> [f64; 4] {
        // 365 days of 24 hours.
        const HOURS_PER_YEAR: f64 = 8_760.0;
        let hours = f64::from(node.gpus) * HOURS_PER_YEAR;
        let hardware = node.price.as_f64() / (1.0 - self.network.as_f64());
        let building = (self.building * node.rated).as_f64();
        let servers = self.annuity(self.server_years) * hardware / hours;
        let building = self.annuity(self.building_years) * building / hours;
        let maintenance = self.maintenance.as_f64() * hardware / hours;
        [servers, building, maintenance, self.staff.as_f64() * (servers + building + maintenance)]
    }

    /// The capital recovery factor over `years`.
    fn annuity(&self, years: Ratio) -> f64 {
        let (interest, years) = (self.interest.as_f64(), years.as_f64());
        if interest > 0.0 { interest / (1.0 - libm::pow(1.0 + interest, -years)) } else { 1.0 / years }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{NODES, find};

    /// A server of $270,000 and 10.2 kW.
    fn node() -> NodeSheet {
        let mut node = find(NODES, "dgx-h100").unwrap().clone();
        node.price = crate::units::Dollars::from_f64(270_000.0);
        node.rated = crate::units::Watts::new(10_200);
        node
    }

    /// Capital recovery at 8 % over 5 and 15 years, and the parts of an hour; every digit as worked out above.
    #[test]
    fn the_parts_of_an_h100_hour() {
        let own = Ownership::default();
        let factors = [own.server_years, own.building_years].map(|years| format!("{:.5}", own.annuity(years)));
        assert_eq!(factors, ["0.25046", "0.11683"]);
        assert_eq!(own.parts(&node()).map(|part| format!("{part:.3}")), ["1.191", "0.204", "0.143", "0.000"]);
        assert_eq!(format!("{:.3}", own.hourly(&node()).as_f64()), "1.538");
        // As many dollars for staff as for hardware and hall.
        let staffed = Ownership { staff: Ratio::new(1.0), ..own };
        assert_eq!(format!("{:.3}", staffed.hourly(&node()).as_f64()), "3.076");
    }

    #[test]
    fn without_interest_an_annuity_is_a_share() {
        let no_interest = Ownership { interest: Share::new(0.0), ..Ownership::default() };
        // (270,000 / 0.81 x (1/5 + 0.03) + 12,000 x 10.2 / 15) / 70,080 h.
        assert!((no_interest.hourly(&node()).as_f64() - 1.210_426).abs() < 1e-6);
    }
}
