//! An hourly series, such as prices, grid intensity or weather: `#` comment lines, a header, the start of each hour in a
//! first column `utc`, one value a column, no gap.

use super::error::names;
use super::{TraceError, lines};
use jiff::Timestamp;
use std::path::Path;

/// One column of an hourly file, checked: finite values, whole hours, no gap.
#[derive(Debug, Clone, PartialEq)]
pub struct HourlySeries {
    start: Timestamp,
    values: Vec<f64>,
    hash: blake3::Hash,
}

/// Seconds in an hour.
const HOUR: i64 = 3_600;

impl HourlySeries {
    /// Reads `column` of the file at `path`, in one streaming pass.
    ///
    /// # Errors
    /// The first thing wrong: an unreadable or empty file, a first column that is not `utc`, no such column, a cell that is
    /// no whole hour or no finite number, or an hour that does not follow the one above.
    pub fn read(path: &Path, column: &str) -> Result<HourlySeries, TraceError> {
        let mut csv = lines::reader(path)?;
        let header = csv.headers().map_err(|error| TraceError::reading(path, &error))?.clone();
        let place = find_column(path, lines::header(&csv), &header, column)?;
        let (mut start, mut values) = (None, Vec::new());
        let mut record = csv::StringRecord::new();
        while let Some(line) = lines::read(&mut csv, path, &mut record)? {
            let hour = hour(path, line, &record)?;
            let first = *start.get_or_insert(hour);
            let due = first.as_second() + values.len() as i64 * HOUR;
            if hour.as_second() != due {
                let expected = format!("the next hour, {}", Timestamp::from_second(due).unwrap_or(first));
                return Err(TraceError::line(path, line, hour.to_string(), expected).in_column("utc"));
            }
            values.push(value(path, line, &record, place, column)?);
        }
        let start = start.ok_or_else(|| TraceError::file(path, "no row below the header", "at least one hour"))?;
        Ok(HourlySeries { start, values, hash: csv.get_ref().hash() })
    }

    /// Start of the first hour.
    #[must_use]
    pub fn start(&self) -> Timestamp {
        self.start
    }

    /// One value an hour, in the unit that the file states.
    #[must_use]
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// BLAKE3 of the file's bytes.
    #[must_use]
    pub fn hash(&self) -> blake3::Hash {
        self.hash
    }
}

fn find_column(path: &Path, line: u64, header: &csv::StringRecord, column: &str) -> Result<usize, TraceError> {
    if header.is_empty() {
        return Err(TraceError::file(path, "an empty file", format!("a header utc,{column}")));
    }
    let found = || format!("the header {}", names(header));
    if header.get(0) != Some("utc") {
        return Err(TraceError::line(path, line, found(), "a first column utc"));
    }
    let place = header.iter().skip(1).position(|name| name == column);
    place.map(|place| place + 1).ok_or_else(|| TraceError::line(path, line, found(), format!("a column {column}")))
}

/// The row's hour; `T00:00Z` and `T00:00:00Z` both do.
fn hour(path: &Path, line: u64, record: &csv::StringRecord) -> Result<Timestamp, TraceError> {
    let text = record.get(0).unwrap_or_default();
    let hour = text.parse::<Timestamp>().ok().filter(|at| at.as_second() % HOUR == 0 && at.subsec_nanosecond() == 0);
    hour.ok_or_else(|| {
        let expected = "the start of an hour in UTC such as 2022-01-01T00:00Z";
        TraceError::line(path, line, format!("{text:?}"), expected).in_column("utc")
    })
}

fn value(path: &Path, line: u64, record: &csv::StringRecord, place: usize, column: &str) -> Result<f64, TraceError> {
    let text = record.get(place).unwrap_or_default();
    let value = text.parse::<f64>().ok().filter(|value| value.is_finite());
    value.ok_or_else(|| TraceError::line(path, line, format!("{text:?}"), "a finite number").in_column(column))
}
