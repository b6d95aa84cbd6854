//! Hourly series against files: exact means of the measured ones, exact sentences for broken ones.

use crate::shared::shared;
use std::fmt::Write as _;
use std::path::PathBuf;
use tollway::trace::HourlySeries;

/// `text` in a file named `name` of a fresh folder.
fn file(name: &str, text: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join(name);
    std::fs::write(&path, text).expect("a new file");
    (folder, path)
}

#[test]
fn an_hourly_series_is_read_by_column_name() {
    let (_folder, path) =
        file("series.csv", b"# $/MWh\n# invented\nutc,a,b\n2031-12-31T23:00Z,1,-2.5\n2032-01-01T00:00Z,3,4\n");
    let series = HourlySeries::read(&path, "b").unwrap();
    assert_eq!((series.start().to_string().as_str(), series.values()), ("2031-12-31T23:00:00Z", &[-2.5, 4.0][..]));
}

#[test]
fn the_measured_series_have_the_rows_that_their_notes_say() {
    for (name, column, rows, mean) in [
        ("grid_ci_us_2022_hourly.csv", "ERCO_direct", 8_760, 358.0),
        ("price_dayahead_eu_2024_hourly.csv", "NO2", 8_784, 50.1),
        ("price_spot_au_nsw_2023_hourly.csv", "NSW1", 8_760, 95.9),
    ] {
        let Some(path) = shared(&format!("series/{name}")) else { return };
        let header = std::fs::read_to_string(&path).unwrap();
        let header = header.lines().find(|line| line.starts_with("utc")).unwrap();
        let column = header.split(',').find(|found| found.to_lowercase().contains(&column.to_lowercase())).unwrap();
        let series = HourlySeries::read(&path, column).unwrap();
        assert_eq!(series.values().len(), rows, "{name}");
        let found = series.values().iter().sum::<f64>() / rows as f64;
        assert!((found / mean - 1.0).abs() < 0.002, "{name} {column}: mean {found}, its notes say {mean}");
    }
}

#[test]
fn a_broken_series_is_named_by_line_and_column() {
    let cases = [
        ("", "series.csv: found an empty file, expected a header utc,b"),
        ("utc,b\n", "series.csv: found no row below the header, expected at least one hour"),
        ("# c\nhour,b\n0,1\n", "series.csv:2: found the header hour,b, expected a first column utc"),
        ("# c\nutc,a\n2031-01-01T00:00Z,1\n", "series.csv:2: found the header utc,a, expected a column b"),
        (
            "# c\nutc,b\n2031-01-01T00:00Z,1\n2031-01-01T02:00Z,1\n",
            "series.csv:4: column utc: found 2031-01-01T02:00:00Z, expected the next hour, 2031-01-01T01:00:00Z",
        ),
        (
            "utc,b\n2031-01-01T00:30Z,1\n",
            "series.csv:2: column utc: found \"2031-01-01T00:30Z\", expected the start of an hour in UTC such as 2022-01-01T00:00Z",
        ),
        ("utc,b\n2031-01-01T00:00Z,\n", "series.csv:2: column b: found \"\", expected a finite number"),
        ("utc,b\n2031-01-01T00:00Z,NaN\n", "series.csv:2: column b: found \"NaN\", expected a finite number"),
    ];
    for (text, expected) in cases {
        let (folder, path) = file("series.csv", text.as_bytes());
        let mut message = String::new();
        write!(message, "{}", HourlySeries::read(&path, "b").unwrap_err()).unwrap();
        assert_eq!(message.replace(&format!("{}/", folder.path().display()), ""), expected);
    }
}
