//! The trace room against files: exact totals of the real trace, exact sentences for broken ones.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use tollway::trace::{Dropped, HourlySeries, Request, azure2023};
use tollway::units::{SimTime, Span, Tokens};

/// A file under `../shared/data`, or `None` after printing why the test is skipped.
fn shared(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(name);
    if path.exists() {
        return Some(path);
    }
    println!("skipped: {name} is not in ../shared/data");
    None
}

/// `text` in a file named `name` of a fresh folder.
fn file(name: &str, text: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join(name);
    std::fs::write(&path, text).expect("a new file");
    (folder, path)
}

#[test]
fn the_conversation_trace_is_read_whole() {
    let Some(path) = shared("traces/AzureLLMInferenceTrace_conv.csv") else { return };
    let loaded = azure2023(&path).unwrap();
    // models/workloads.md, loader golden values; the hash of the file is our own reading of the SHA-256 checked copy.
    assert_eq!((loaded.rows_read, loaded.kept, loaded.dropped), (19_366, 19_366, Dropped::default()));
    assert_eq!(loaded.prompt_tokens, Tokens::new(22_361_870));
    assert_eq!(loaded.output_tokens, Tokens::new(4_088_665));
    assert_eq!(loaded.span, Span::from_nanos(3_501_721_937_000));
    assert_eq!(loaded.requests[0], Request { at: SimTime::ZERO, prompt: 374, output: 44 });
    assert_eq!(loaded.requests[1].at, SimTime::from_nanos(4_314_579_000));
}

#[test]
fn every_row_is_kept_or_dropped_for_a_reason() {
    let text = b"TIMESTAMP,ContextTokens,GeneratedTokens\r\n\
        2031-02-28 23:59:59.9999999,100,10\r\n\
        2031-03-01 00:00:00,7,0\r\n\
        2031-03-01 00:00:00.5000000,0,3\r\n\
        2031-03-01 00:00:02.0000001,8,1";
    let (_folder, path) = file("trace.csv", text);
    let loaded = azure2023(&path).unwrap();
    assert_eq!((loaded.rows_read, loaded.kept, loaded.dropped), (4, 2, Dropped { no_output: 1, no_prompt: 1 }));
    let expected = [
        Request { at: SimTime::ZERO, prompt: 100, output: 10 },
        Request { at: SimTime::from_nanos(2_000_000_200), prompt: 8, output: 1 },
    ];
    assert_eq!(*loaded.requests, expected);
    assert_eq!(loaded.span, Span::from_nanos(2_000_000_200));
    assert_eq!(loaded.hash, blake3::hash(text));
    let with_newline =
        [text.as_slice(), b"\n"].concat().iter().filter(|byte| **byte != b'\r').copied().collect::<Vec<_>>();
    let (_folder, path) = file("trace.csv", &with_newline);
    assert_eq!(azure2023(&path).unwrap().requests, loaded.requests, "other line ends, same requests");
}

#[test]
fn a_broken_trace_is_named_by_line_and_column() {
    const HEADER: &str = "TIMESTAMP,ContextTokens,GeneratedTokens\r\n";
    let time = "a time without zone such as 2023-11-16 18:15:46.6805900";
    let cases: [(&str, String); 11] = [
        ("", "trace.csv: found an empty file, expected a header TIMESTAMP,ContextTokens,GeneratedTokens".into()),
        (HEADER, "trace.csv: found 0 rows, none with prompt and output tokens, expected at least one request".into()),
        (
            "2031-01-01 00:00:00,1,1\r\n",
            "trace.csv:1: found the header 2031-01-01 00:00:00,1,1, expected a column TIMESTAMP".into(),
        ),
        (
            "TIMESTAMP,ContextTokens\r\n2031-01-01 00:00:00,1\r\n",
            "trace.csv:1: found the header TIMESTAMP,ContextTokens, expected a column GeneratedTokens".into(),
        ),
        (
            "H2031-01-01 00:00:01,1,1\r\n2031-01-01 00:00:00,1,1\r\n",
            "trace.csv:3: column TIMESTAMP: found 2031-01-01T00:00:00, before the row above, expected rows sorted by time"
                .into(),
        ),
        ("Hyesterday,1,1\r\n", format!("trace.csv:2: column TIMESTAMP: found \"yesterday\", expected {time}")),
        (
            "H2031-01-01 00:00:00.5+00:00,1,1\r\n",
            format!("trace.csv:2: column TIMESTAMP: found \"2031-01-01 00:00:00.5+00:00\", expected {time}"),
        ),
        (
            "H2031-02-30 00:00:00.5,1,1\r\n",
            format!("trace.csv:2: column TIMESTAMP: found \"2031-02-30 00:00:00.5\", expected {time}"),
        ),
        (
            "H2031-01-01 00:00:00,1,1\r\n2031-01-01 00:00:00,-3,1\r\n",
            "trace.csv:3: column ContextTokens: found \"-3\", expected a whole number of tokens".into(),
        ),
        (
            "H2031-01-01 00:00:00,1\r\n",
            "trace.csv:2: column GeneratedTokens: found a row of 2 cells, expected a value".into(),
        ),
        (
            "H2031-01-01 00:00:00,1,0\r\n",
            "trace.csv: found 1 rows, none with prompt and output tokens, expected at least one request".into(),
        ),
    ];
    for (text, expected) in cases {
        let text = text.strip_prefix('H').map_or(text.to_owned(), |rows| format!("{HEADER}{rows}"));
        let (folder, path) = file("trace.csv", text.as_bytes());
        let message = azure2023(&path).unwrap_err().to_string();
        assert_eq!(message.replace(&format!("{}/", folder.path().display()), ""), expected);
    }
}

#[test]
fn a_file_that_cannot_be_read_says_why() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let missing = azure2023(&folder.path().join("none.csv")).unwrap_err().to_string();
    assert!(missing.contains("none.csv: found No such file"), "{missing}");
    let is_folder = azure2023(folder.path()).unwrap_err().to_string();
    assert!(is_folder.ends_with(": found a folder, expected a file"), "{is_folder}");
    let (_folder, path) = file("trace.csv", b"TIMESTAMP,ContextTokens,GeneratedTokens\n2031-01-01 00:00:00,\xff,1\n");
    let not_text = azure2023(&path).unwrap_err();
    assert_eq!((not_text.line, not_text.found.as_str()), (Some(2), "bytes that are not UTF-8"));
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
