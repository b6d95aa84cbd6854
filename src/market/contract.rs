//! Market-based carbon: what a site's contracts cover counts with their intensity, the rest with that of the residual mix. It
//! stands beside the location-based ledger and is never netted with it.
//!
//! In each period, an hour or a calendar year (UTC), the contracts cover the site's energy E in the order in which they are
//! written: carbon = sum of covered x intensity + what is left of E x residual. What a contract supplies beyond E is nobody's.
//! Worked value: loads of 1 and 1 MWh, a contract of 2 and 0 MWh at 0 g, a residual of 400 g/kWh:
//! 0 t matched by the year, 0.4 t by the hour. A period that the run only partly covers is matched with that part alone.

use crate::units::{GramsCo2e, GramsPerKwh, Joules, Watts};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// `contracts = { matching = "hourly", residual = "400 gCO2e/kWh", list = [{ supply = { flat = "10 MW" } }] }`
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ContractsSection {
    /// Over which period supply may cover energy.
    pub matching: Matching,
    /// Intensity of what no contract covers: the residual mix of the market, not the grid's mean.
    pub residual: GramsPerKwh,
    /// The contracts, in the order in which they cover.
    pub list: Vec<ContractSection>,
}

/// Over which period supply may cover energy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Matching {
    /// The calendar year: noon may cover midnight.
    Annual,
    /// The hour.
    Hourly,
}

/// One contract.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ContractSection {
    /// What it delivers.
    pub supply: SupplySection,
    /// Intensity of what it delivers; none where it is not written.
    #[serde(default)]
    pub intensity: GramsPerKwh,
}

/// What a contract delivers.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SupplySection {
    /// The same power in every hour.
    Flat(Watts),
    /// Power by hour from a file.
    Series(SupplySeries),
}

/// Power of a plant by hour, of any year: paired by month, day and hour (UTC), as its wind and sun.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SupplySeries {
    /// Comma-separated hourly file, first column `utc`; the path starts from the scenario's folder.
    pub path: String,
    /// Column of the mean power of the hour, in MW.
    pub column: String,
}

/// A site's contracts through the hours of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Contracts {
    matching: Matching,
    residual: GramsPerKwh,
    /// Power in each hour, of which the last holds on, and intensity.
    list: Vec<(Vec<Watts>, GramsPerKwh)>,
}

impl Contracts {
    /// Contracts of these supplies by hour, at least one hour each, in the order in which they cover.
    #[must_use]
    pub fn new(matching: Matching, residual: GramsPerKwh, list: Vec<(Vec<Watts>, GramsPerKwh)>) -> Contracts {
        assert!(list.iter().all(|(supply, _)| !supply.is_empty()), "a contract supplies in at least one hour");
        Contracts { matching, residual, list }
    }

    /// Power of each contract in the `hour`-th hour of the run.
    pub fn supply(&self, hour: usize) -> impl Iterator<Item = Watts> {
        self.list.iter().map(move |(supply, _)| supply[hour.min(supply.len() - 1)])
    }

    /// Carbon of `energy` of one period, in which the contracts delivered `supplied`.
    #[must_use]
    pub fn carbon(&self, energy: Joules, supplied: &[Joules]) -> GramsCo2e {
        assert_eq!(supplied.len(), self.list.len(), "each contract says what it delivered");
        let (mut left, mut carbon) = (energy, GramsCo2e::ZERO);
        for ((_, intensity), &supplied) in self.list.iter().zip(supplied) {
            let covered = left.min(supplied);
            carbon += *intensity * covered;
            left -= covered;
        }
        carbon + self.residual * left
    }

    /// The periods of a run of `hours` hours from `start`, as ranges of hours.
    #[must_use]
    pub fn periods(&self, start: Timestamp, hours: usize) -> Vec<Range<usize>> {
        if self.matching == Matching::Hourly {
            return (0..hours).map(|hour| hour..hour + 1).collect();
        }
        let year = |hour: usize| (start + SignedDuration::from_hours(hour as i64)).to_zoned(TimeZone::UTC).year();
        let mut periods: Vec<Range<usize>> = Vec::new();
        for hour in 0..hours {
            match periods.last_mut().filter(|period| year(period.start) == year(hour)) {
                Some(period) => period.end = hour + 1,
                None => periods.push(hour..hour + 1),
            }
        }
        periods
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Span;

    /// Carbon in tonnes of `loads` MW, hour by hour from New Year's Eve 22:00, under one contract at 0 g.
    fn tonnes(matching: Matching, loads: &[u64], supply: &[u64]) -> f64 {
        let megawatts = |watts: &[u64]| watts.iter().map(|&mw| Watts::new(mw * 1_000_000)).collect::<Vec<_>>();
        let residual = GramsPerKwh::from_micro(400_000_000);
        let contracts = Contracts::new(matching, residual, vec![(megawatts(supply), GramsPerKwh::default())]);
        let loads = megawatts(loads);
        let mut carbon = 0.0;
        for period in contracts.periods("2026-12-31T22:00Z".parse().unwrap(), loads.len()) {
            let energy = period.clone().map(|hour| loads[hour] * Span::HOUR).sum();
            let supplied = period.flat_map(|hour| contracts.supply(hour)).map(|power| power * Span::HOUR).sum();
            carbon += contracts.carbon(energy, &[supplied]).kg() / 1e3;
        }
        carbon
    }

    #[test]
    fn a_year_forgives_what_an_hour_does_not() {
        assert_eq!(tonnes(Matching::Annual, &[1, 1], &[2, 0]), 0.0);
        assert_eq!(tonnes(Matching::Hourly, &[1, 1], &[2, 0]), 0.4);
        // The third hour lies in the next year, which does not get the old year's surplus.
        assert_eq!(tonnes(Matching::Annual, &[1, 1, 1], &[4, 0, 0]), 0.4);
    }

    #[test]
    fn contracts_cover_in_their_order() {
        let kilowatt_hours = |kwh: u64| Watts::new(kwh * 1_000) * Span::HOUR;
        let grams = |grams: u64| GramsPerKwh::from_micro(grams * 1_000_000);
        let list = vec![(vec![Watts::ZERO], grams(20)), (vec![Watts::ZERO], grams(50))];
        let contracts = Contracts::new(Matching::Hourly, grams(400), list);
        let carbon =
            |first, second| contracts.carbon(kilowatt_hours(10), &[kilowatt_hours(first), kilowatt_hours(second)]);
        assert_eq!(carbon(4, 3).kg(), 1.43);
        assert_eq!(carbon(12, 3).kg(), 0.2);
    }
}
