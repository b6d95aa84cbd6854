//! What a tariff charges: a price for each hour of the run, and a charge on the peak of each billing month.

use super::Given;
use crate::catalog::{Days, Period, PriceSeries, TariffSheet, TimeOfUse};
use crate::units::{DollarsPerKw, DollarsPerKwh};
use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan, Zoned};
use std::ops::Range;

/// A billing month, or the part of one that lies in the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Billing {
    /// Its hours of the run.
    pub hours: Range<usize>,
    /// Price of its highest power: the month's, times the part of the month that lies in the run.
    pub price: DollarsPerKw,
}

/// A wholesale price whose mean is dearer than this, in dollars per kilowatt-hour, is in another unit than stated.
const DEAREST_MEAN: f64 = 2.0;

impl PriceSeries {
    /// The price that `value` of the file stands for.
    fn price(&self, value: f64) -> DollarsPerKwh {
        DollarsPerKwh::from_nano((self.dollars_per_kwh(value) * 1e9).round() as i64)
    }

    fn dollars_per_kwh(&self, value: f64) -> f64 {
        value * self.usd_per_unit.as_f64() * self.unit.per_kwh()
    }
}

/// What is wrong with the prices of `file`, all that it has.
pub fn implausible_prices(file: &PriceSeries, values: &[f64]) -> Option<String> {
    let mean = file.dollars_per_kwh(values.iter().sum::<f64>() / values.len() as f64);
    let bound = DEAREST_MEAN;
    (!(-bound..=bound).contains(&mean))
        .then(|| format!("has a mean of ${mean:.3}/kWh, which no market has: is the unit {} right?", file.unit.name()))
}

/// Price of each hour, and the billing months of a tariff that charges for peaks.
pub(super) fn compile(
    start: Timestamp,
    hours: usize,
    sheet: &TariffSheet,
    given: &Given,
) -> (Vec<DollarsPerKwh>, Vec<Billing>) {
    match sheet {
        TariffSheet::Flat(price) => (vec![*price], Vec::new()),
        TariffSheet::Series(file) => {
            assert!(!given.prices.is_empty(), "a series of prices was read before it is compiled");
            (given.prices.iter().map(|&value| file.price(value)).collect(), Vec::new())
        }
        TariffSheet::TimeOfUse(table) => {
            let zone = given.zone.as_ref().expect("the zone of a time-of-use table was looked up before");
            let local = |hour: usize| (start + SignedDuration::from_hours(hour as i64)).to_zoned(zone.clone());
            let hours: Vec<Zoned> = (0..hours.max(1)).map(local).collect();
            (hours.iter().map(|at| table.price(at)).collect(), billing(&hours, zone, table.demand))
        }
    }
}

impl TimeOfUse {
    /// Price of the local hour in which `at` lies.
    fn price(&self, at: &Zoned) -> DollarsPerKwh {
        self.periods.iter().find(|period| period.holds(at)).map_or(self.base, |period| period.price)
    }
}

impl Period {
    fn holds(&self, at: &Zoned) -> bool {
        let weekend = matches!(at.weekday(), Weekday::Saturday | Weekday::Sunday);
        let day = match self.days {
            Days::All => true,
            Days::Weekdays => !weekend,
            Days::Weekends => weekend,
        };
        let (hour, month) = (at.hour() as u8, at.month() as u8);
        let hour = if self.from < self.to {
            (self.from..self.to).contains(&hour)
        } else {
            hour >= self.from || hour < self.to
        };
        day && hour && (self.months.is_empty() || self.months.contains(&month))
    }
}

/// The local months of `hours`; none where peaks cost nothing.
fn billing(hours: &[Zoned], zone: &TimeZone, demand: DollarsPerKw) -> Vec<Billing> {
    let mut months = Vec::new();
    let mut from = 0;
    let month = |at: &Zoned| (at.year(), at.month());
    while from < hours.len() && demand != DollarsPerKw::default() {
        let same = hours[from..].iter().take_while(|at| month(at) == month(&hours[from])).count();
        let first = hours[from].date().first_of_month();
        let midnight = |date: jiff::civil::Date| date.to_zoned(zone.clone()).map_or(0, |at| at.timestamp().as_second());
        let next = first.saturating_add(1.month());
        let length = (midnight(next) - midnight(first)) as f64 / 3_600.0;
        let part = (same as f64 / length).min(1.0);
        months.push(Billing { hours: from..from + same, price: DollarsPerKw::from_f64(demand.as_f64() * part) });
        from += same;
    }
    months
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::PriceUnit;
    use crate::units::Ratio;

    fn price(cents: i64) -> DollarsPerKwh {
        DollarsPerKwh::from_nano(cents * 10_000_000)
    }

    /// 30 cents on summer weekdays from 16 to 21 in Los Angeles, 5 cents at night, else 10.
    fn table(demand: f64) -> TariffSheet {
        let period = |months: &[u8], days, from, to, cents| Period {
            months: months.to_vec(),
            days,
            from,
            to,
            price: price(cents),
        };
        let periods = vec![period(&[6, 7, 8, 9], Days::Weekdays, 16, 21, 30), period(&[], Days::All, 22, 6, 5)];
        let zone = "America/Los_Angeles".to_owned();
        TariffSheet::TimeOfUse(TimeOfUse { zone, base: price(10), periods, demand: DollarsPerKw::from_f64(demand) })
    }

    fn compiled(start: &str, hours: usize, demand: f64) -> (Vec<DollarsPerKwh>, Vec<Billing>) {
        let zone = Some(TimeZone::get("America/Los_Angeles").unwrap());
        compile(start.parse().unwrap(), hours, &table(demand), &Given { zone, ..Given::default() })
    }

    #[test]
    fn a_table_follows_the_local_clock_through_daylight_saving() {
        // Noon UTC of Friday 6 March 2026 is 4 in the night; the clock is put forward on the 8th, and noon is then 5.
        let (prices, billing) = compiled("2026-03-06T12:00Z", 24 * 7, 0.0);
        assert_eq!(billing, []);
        for (hour, cents) in [(0, 5), (1, 5), (2, 10), (24 * 4, 5), (24 * 4 + 1, 10), (24 * 4 + 12, 10)] {
            assert_eq!(prices[hour], price(cents), "hour {hour}");
        }
        // Night ends at 6: 14:00 UTC in winter, 13:00 UTC in summer; the peak of 16 to 21 in July is 23:00 to 4:00 UTC.
        let (prices, _) = compiled("2026-07-03T00:00Z", 48, 0.0);
        for (hour, cents) in [(3, 30), (4, 10), (5, 5), (12, 5), (13, 10), (23, 30), (27, 30), (28, 10), (47, 10)] {
            assert_eq!(prices[hour], price(cents), "hour {hour} after Thursday 17:00 in Los Angeles");
        }
    }

    #[test]
    fn peaks_are_billed_by_local_month_and_by_the_part_of_it_in_the_run() {
        // 31 March 2026 16:00 in Los Angeles; March has 743 hours there, April 720.
        let (_, billing) = compiled("2026-03-31T23:00Z", 48, 20.0);
        let part = |hours: f64, month: f64| DollarsPerKw::from_f64(20.0 * hours / month);
        assert_eq!(billing[0], Billing { hours: 0..8, price: part(8.0, 743.0) });
        assert_eq!(billing[1], Billing { hours: 8..48, price: part(40.0, 720.0) });
    }

    #[test]
    fn a_file_is_turned_into_dollars_and_may_be_negative() {
        let file = PriceSeries {
            path: String::new(),
            column: String::new(),
            unit: PriceUnit::EurPerMwh,
            usd_per_unit: Ratio::new(1.1),
        };
        let given = Given { prices: vec![100.0, -50.0], ..Given::default() };
        let start = "2026-01-01T00:00Z".parse().unwrap();
        let (prices, _) = compile(start, 2, &TariffSheet::Series(file.clone()), &given);
        assert_eq!(prices, [price(11), DollarsPerKwh::from_nano(-55_000_000)]);
        assert_eq!(implausible_prices(&file, &[80.0, -10.0]), None);
        let why = implausible_prices(&file, &[80_000.0]).unwrap();
        assert_eq!(why, "has a mean of $88.000/kWh, which no market has: is the unit EUR/MWh right?");
    }
}
