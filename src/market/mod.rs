//! Price, carbon and water of electricity by the hour.
//!
//! A tariff and a grid are compiled to one value for each hour of the run. A monthly profile is aligned by month and UTC hour of
//! each simulated hour, never by row number, so any year can be paired with it.

use crate::catalog::{GridSheet, Named, Profile, TariffSheet, US_WATER};
use crate::units::{DollarsPerKwh, GramsPerKwh, LitresPerKwh};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// `grid = "erco"` or `grid = { flat = "380 gCO2e/kWh" }`
pub type GridSection = Named<GridSheet>;

/// `tariff = "us-industrial-2025"` or `tariff = { flat = "$0.0826/kWh" }`
pub type TariffSection = Named<TariffSheet>;

/// Price, carbon and water of one site's energy by hour of the run.
#[derive(Debug, Clone, PartialEq)]
pub struct Market {
    /// Energy price of each hour of the run; the last holds on.
    price: Vec<DollarsPerKwh>,
    /// Stack CO2 of each hour of the run; the last holds on.
    direct: Vec<GramsPerKwh>,
    /// Fuel upstream and life cycle of each hour of the run; the last holds on.
    upstream: Vec<GramsPerKwh>,
    /// Water consumed where the energy is generated.
    water: LitresPerKwh,
}

impl Market {
    /// One price and intensity in every hour, no upstream known, water of the US mean.
    #[must_use]
    pub fn flat(price: DollarsPerKwh, direct: GramsPerKwh) -> Market {
        Market { price: vec![price], direct: vec![direct], upstream: vec![GramsPerKwh::default()], water: US_WATER }
    }

    /// Compiles `hours` hours from `start`, which stands on a whole hour; at least one.
    #[must_use]
    pub fn compile(start: Timestamp, hours: usize, tariff: &TariffSheet, grid: &GridSheet) -> Market {
        let TariffSheet::Flat(price) = tariff;
        let (direct, upstream) = match grid {
            GridSheet::Flat(direct) => (vec![*direct], vec![GramsPerKwh::default()]),
            GridSheet::Constant(grid) => (vec![grid.direct], vec![grid.upstream]),
            GridSheet::Monthly(profile) => by_hour(start, hours.max(1), profile),
        };
        Market { price: vec![*price], direct, upstream, water: grid.water() }
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

/// Direct and upstream intensity of each hour from `start`.
fn by_hour(start: Timestamp, hours: usize, profile: &Profile) -> (Vec<GramsPerKwh>, Vec<GramsPerKwh>) {
    let intensity = |hour: usize| {
        let at = start + SignedDuration::from_hours(hour as i64);
        let at = at.to_zoned(TimeZone::UTC);
        let (month, hour) = (at.month() as usize - 1, at.hour() as usize);
        let (direct, lca) = (profile.direct[month][hour], profile.lca[month][hour]);
        (grams(direct), grams(lca.saturating_sub(direct)))
    };
    (0..hours).map(intensity).unzip()
}

fn grams(grams: u16) -> GramsPerKwh {
    GramsPerKwh::from_micro(u64::from(grams) * 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{GRIDS, TARIFFS, find};
    use crate::facility::{Constant, Facility};
    use crate::units::{Ratio, Span, Watts};

    fn compile(start: &str, hours: usize, grid: &GridSheet) -> Market {
        Market::compile(start.parse().unwrap(), hours, find(TARIFFS, "us-industrial-2025").unwrap(), grid)
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
