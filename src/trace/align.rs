//! An hourly series laid over the hours of a run in another year, by the calendar and never by row number. Calendars are UTC.
//!
//! Prices and carbon go by month, class of day (weekday, Saturday, Sunday), the how-many-eth of its class in the month, and
//! hour: working days meet working days, and peaks and negative hours stay what they are instead of being averaged away. Where
//! the series' month has fewer such days, the nearest earlier one stands in, else the nearest later one. Weather knows no weekday
//! and goes by month, day and hour; 29 February takes 28 February where the series has none. Laid over its own year, each value
//! is found again.

use super::HourlySeries;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned, civil};

/// The series says nothing about an hour that the run needs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("has no value for {0}; give at least the months and hours of the run, best a whole year")]
pub struct Uncovered(String);

/// Days of one class in a month, at most 23 weekdays.
const RANKS: usize = 23;

impl HourlySeries {
    /// A value for each of `hours` hours from `start`, by month, day and hour: for weather.
    ///
    /// # Errors
    /// The first hour that the series does not cover.
    pub fn by_date(&self, start: Timestamp, hours: usize) -> Result<Vec<f64>, Uncovered> {
        let mut known = vec![None; 12 * 31 * 24];
        for (at, value) in self.hours() {
            known[slot(at.date(), at.hour())].get_or_insert(value);
        }
        let value = |at: Zoned| {
            let leap = at.month() == 2 && at.day() == 29;
            let before = leap.then(|| known[slot(civil::date(at.year(), 2, 28), at.hour())]).flatten();
            let words = || Uncovered(format!("{} (month-day and hour, UTC)", at.strftime("%m-%d %H:00")));
            known[slot(at.date(), at.hour())].or(before).ok_or_else(words)
        };
        (0..hours).map(|hour| value(utc(start, hour))).collect()
    }

    /// A value for each of `hours` hours from `start`, by month, class of day, its rank in the month, and hour: for prices and
    /// carbon.
    ///
    /// # Errors
    /// The first hour that the series does not cover.
    pub fn by_class_of_day(&self, start: Timestamp, hours: usize) -> Result<Vec<f64>, Uncovered> {
        let mut known = vec![[None; RANKS]; 12 * 3 * 24];
        for (at, value) in self.hours() {
            let (group, rank) = group(&at);
            known[group][rank].get_or_insert(value);
        }
        let value = |at: Zoned| {
            let (group, rank) = group(&at);
            let (earlier, later) = known[group].split_at(rank + 1);
            let nearest = earlier.iter().rev().flatten().next().or_else(|| later.iter().flatten().next());
            let words = || Uncovered(format!("{} in {}", CLASSES[class(&at)], at.strftime("%B at %H:00 UTC")));
            nearest.copied().ok_or_else(words)
        };
        (0..hours).map(|hour| value(utc(start, hour))).collect()
    }

    /// Each hour of the file and its value.
    fn hours(&self) -> impl Iterator<Item = (Zoned, f64)> {
        self.values().iter().enumerate().map(|(hour, &value)| (utc(self.start(), hour), value))
    }
}

fn utc(start: Timestamp, hour: usize) -> Zoned {
    (start + SignedDuration::from_hours(hour as i64)).to_zoned(TimeZone::UTC)
}

fn slot(date: civil::Date, hour: i8) -> usize {
    ((date.month() as usize - 1) * 31 + date.day() as usize - 1) * 24 + hour as usize
}

const CLASSES: [&str; 3] = ["a weekday", "a Saturday", "a Sunday"];

fn class(at: &Zoned) -> usize {
    class_of(at.weekday())
}

fn class_of(weekday: civil::Weekday) -> usize {
    match weekday {
        civil::Weekday::Saturday => 1,
        civil::Weekday::Sunday => 2,
        _ => 0,
    }
}

/// Month, class of day and hour as one index; and how many days of that class the month had before.
fn group(at: &Zoned) -> (usize, usize) {
    let (class, day) = (class(at), i32::from(at.day()));
    // Weekday of the first of the month, Monday 0, from that of today.
    let first = (i32::from(at.weekday().to_monday_zero_offset()) - (day - 1)).rem_euclid(7);
    let is_alike = |before: &i32| {
        let weekday = (first + before) % 7;
        weekday.saturating_sub(4).max(0) as usize == class
    };
    let rank = (0..day - 1).filter(is_alike).count();
    (((at.month() as usize - 1) * 3 + class) * 24 + at.hour() as usize, rank)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    /// A file whose value is the number of the hour since `start`.
    fn counted(start: &str, hours: usize) -> HourlySeries {
        let start: Timestamp = start.parse().unwrap();
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, "utc,n").unwrap();
        for hour in 0..hours {
            writeln!(file, "{},{hour}", utc(start, hour).strftime("%Y-%m-%dT%H:00Z")).unwrap();
        }
        HourlySeries::read(file.path(), "n").unwrap()
    }

    #[test]
    fn its_own_year_comes_back_hour_by_hour() {
        let series = counted("2024-01-01T00:00Z", 8_784);
        assert_eq!(series.by_date(series.start(), 8_784).unwrap(), series.values());
        assert_eq!(series.by_class_of_day(series.start(), 8_784).unwrap(), series.values());
    }

    #[test]
    fn another_year_keeps_weekdays_or_dates() {
        let series = counted("2022-01-01T00:00Z", 8_760);
        let hour_of_2022 = |month, day, hour| {
            let days = civil::date(2022, month, day).since(civil::date(2022, 1, 1)).unwrap().get_days();
            f64::from(days * 24 + hour)
        };
        // 1 March 2026 is the first Sunday of March, which was the 6th in 2022. Leap day 2028 is the last of 21 weekdays of
        // February (a Tuesday); February 2022 had 20, the last of which was Monday the 28th.
        for (start, by_class, by_date) in [
            ("2026-03-01T05:00Z", (3, 6, 5), (3, 1, 5)),
            ("2026-01-01T07:00Z", (1, 3, 7), (1, 1, 7)),
            ("2028-02-29T23:00Z", (2, 28, 23), (2, 28, 23)),
        ] {
            let start: Timestamp = start.parse().unwrap();
            assert_eq!(series.by_class_of_day(start, 1).unwrap(), [hour_of_2022(by_class.0, by_class.1, by_class.2)]);
            assert_eq!(series.by_date(start, 1).unwrap(), [hour_of_2022(by_date.0, by_date.1, by_date.2)]);
        }
    }

    #[test]
    fn what_is_not_covered_is_named() {
        let series = counted("2022-07-04T00:00Z", 48);
        let run = "2026-07-04T00:00Z".parse().unwrap();
        assert!(series.by_date(run, 48).is_ok());
        let why = series.by_date(run, 49).unwrap_err().to_string();
        assert!(why.starts_with("has no value for 07-06 00:00"), "{why}");
        let why = series.by_class_of_day(run, 1).unwrap_err().to_string();
        assert!(why.starts_with("has no value for a Saturday in July at 00:00 UTC"), "{why}");
    }
}
