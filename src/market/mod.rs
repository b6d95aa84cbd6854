//! Price, carbon and water of electricity by the hour.
//!
//! A tariff and a grid are compiled to one value for each hour of the run. A monthly profile is aligned by month and UTC hour of
//! each simulated hour, a file by month, class of day and hour, never by row number, so any year can be paired with it.

mod carbon;
mod contract;
mod tariff;

pub use carbon::{MarginalSeries, implausible_carbon};
pub use contract::{ContractSection, Contracts, ContractsSection, Matching, SupplySection, SupplySeries};
pub use tariff::{Billing, implausible_prices};

use crate::catalog::{GridSheet, Named, TariffSheet, US_WATER};
use crate::units::{DollarsPerKwh, GramsPerKwh, LitresPerKwh};
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// What a tariff and a grid refer to, read and laid over the hours of the run.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Given {
    /// Prices of a tariff's file, in its unit; empty where it names none.
    pub prices: Vec<f64>,
    /// Stack CO2 of a grid's file, in g/kWh; empty where it names none.
    pub direct: Vec<f64>,
    /// The same with fuel upstream and life cycle; empty where it names none.
    pub lca: Vec<f64>,
    /// Time zone of a time-of-use table.
    pub zone: Option<TimeZone>,
}

/// `grid = "erco"` or `grid = { flat = "380 gCO2e/kWh" }`
pub type GridSection = Named<GridSheet>;

/// `tariff = "us-industrial-2025"` or `tariff = { flat = "$0.0826/kWh" }`
pub type TariffSection = Named<TariffSheet>;

/// Price, carbon and water of one site's energy by hour of the run.
#[derive(Debug, Clone, PartialEq)]
pub struct Market {
    /// Energy price of each hour of the run; the last holds on.
    price: Vec<DollarsPerKwh>,
    /// Months whose peak power is charged for.
    billing: Vec<Billing>,
    /// Stack CO2 of each hour of the run; the last holds on.
    direct: Vec<GramsPerKwh>,
    /// Fuel upstream and life cycle of each hour of the run; the last holds on.
    upstream: Vec<GramsPerKwh>,
    /// Water consumed where the energy is generated.
    water: LitresPerKwh,
    /// What the market-based ledger counts with.
    contracts: Option<Contracts>,
    /// Marginal intensity of each hour of the run, of which the last holds on; empty where nobody gave it.
    marginal: Vec<GramsPerKwh>,
}

impl Market {
    /// One price and intensity in every hour, no upstream known, water of the US mean.
    #[must_use]
    pub fn flat(price: DollarsPerKwh, direct: GramsPerKwh) -> Market {
        Market {
            price: vec![price],
            billing: Vec::new(),
            direct: vec![direct],
            upstream: vec![GramsPerKwh::default()],
            water: US_WATER,
            contracts: None,
            marginal: Vec::new(),
        }
    }

    /// Compiles `hours` hours from `start`, which stands on a whole hour; at least one. Panics where a sheet refers to something
    /// that is not `given`.
    #[must_use]
    pub fn compile(start: Timestamp, hours: usize, tariff: &TariffSheet, grid: &GridSheet, given: &Given) -> Market {
        let (price, billing) = tariff::compile(start, hours, tariff, given);
        let (direct, upstream) = carbon::compile(start, hours, grid, given);
        Market { price, billing, direct, upstream, water: grid.water(), contracts: None, marginal: Vec::new() }
    }

    /// The same market with contracts.
    #[must_use]
    pub fn with_contracts(self, contracts: Option<Contracts>) -> Market {
        Market { contracts, ..self }
    }

    /// The same market with marginal intensities of the run's hours, in g/kWh; none where `grams` is empty.
    #[must_use]
    pub fn with_marginal(self, grams: &[f64]) -> Market {
        Market { marginal: grams.iter().map(|&grams| carbon::intensity(grams)).collect(), ..self }
    }

    /// Marginal intensity in the `hour`-th hour of the run, where the site has a series of it.
    #[must_use]
    pub fn marginal(&self, hour: usize) -> Option<GramsPerKwh> {
        (!self.marginal.is_empty()).then(|| at(&self.marginal, hour))
    }

    /// Contracts of the market-based ledger, which needs them: without, only the location-based one is known.
    #[must_use]
    pub fn contracts(&self) -> Option<&Contracts> {
        self.contracts.as_ref()
    }

    /// The billing months whose peak power is charged for, in order; none where the tariff does not charge for it.
    #[must_use]
    pub fn billing(&self) -> &[Billing] {
        &self.billing
    }

    /// Energy price in the `hour`-th hour of the run.
    #[must_use]
    pub fn price(&self, hour: usize) -> DollarsPerKwh {
        at(&self.price, hour)
    }

    /// Location-based carbon intensity (Scope 2) in the `hour`-th hour of the run.
    #[must_use]
    pub fn direct(&self, hour: usize) -> GramsPerKwh {
        at(&self.direct, hour)
    }

    /// Fuel upstream and life cycle (Scope 3), beside [`direct`](Market::direct), in the `hour`-th hour of the run.
    #[must_use]
    pub fn upstream(&self, hour: usize) -> GramsPerKwh {
        at(&self.upstream, hour)
    }

    /// Water consumed where the energy is generated, for each unit of facility energy.
    #[must_use]
    pub fn offsite_water(&self) -> LitresPerKwh {
        self.water
    }
}

fn at<T: Copy>(hours: &[T], hour: usize) -> T {
    hours[hour.min(hours.len() - 1)]
}

#[cfg(test)]
mod tests {
    use super::carbon::grams;
    use super::*;
    use crate::catalog::{GRIDS, TARIFFS, find};
    use crate::facility::{Constant, Facility};
    use crate::units::{Ratio, Span, Watts};

    fn compile(start: &str, hours: usize, grid: &GridSheet) -> Market {
        Market::compile(
            start.parse().unwrap(),
            hours,
            find(TARIFFS, "us-industrial-2025").unwrap(),
            grid,
            &Given::default(),
        )
    }

    #[test]
    fn a_profile_follows_month_and_hour() {
        let GridSheet::Monthly(profile) = find(GRIDS, "ciso").unwrap() else { panic!("a profile") };
        let market = compile("2028-02-28T22:00:00Z", 30, find(GRIDS, "ciso").unwrap());
        // (hour of the run, month, hour of day): 29 February exists in 2028 and is February.
        for (hour, month, of_day) in [(0, 1, 22), (2, 1, 0), (25, 1, 23), (26, 2, 0), (29, 2, 3), (99, 2, 3)] {
            assert_eq!(market.direct(hour), grams(profile.direct[month][of_day]), "hour {hour}");
            let both = market.direct(hour).as_f64() + market.upstream(hour).as_f64();
            assert_eq!(both, f64::from(profile.lca[month][of_day]), "hour {hour}");
        }
        assert_eq!(market.price(7).to_string(), "$0.0826/kWh");
    }

    #[test]
    fn site_and_offsite_water_follow_their_own_energy() {
        let it = Watts::new(1_000) * Span::HOUR;
        let facility = Facility::Constant(Constant { pue: Ratio::new(1.2), wue: LitresPerKwh::from_micro(360_000) });
        let market = compile("2026-01-01T00:00:00Z", 1, &GridSheet::Flat(grams(380)));
        assert_eq!(market.offsite_water(), US_WATER);
        let overhead = facility.overhead(it, 0, Span::HOUR);
        let offsite = market.offsite_water() * (it + overhead.energy);
        assert_eq!(offsite.as_f64(), 5.424);
        assert_eq!((overhead.water + offsite).as_f64(), 5.784);
        assert_eq!((market.direct(0) * it).kg(), 0.38);
    }
}
