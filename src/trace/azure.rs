//! The Azure LLM inference trace of 2023: `TIMESTAMP,ContextTokens,GeneratedTokens`, naive timestamps with up to nine
//! decimals, sorted, either line end, last line with or without one (Azure/AzurePublicDataset, CC BY 4.0).

use super::error::names;
use super::{Request, TraceError, lines};
use crate::units::{SimTime, Span, Tokens};
use jiff::civil::DateTime;
use std::path::Path;
use std::sync::Arc;

/// A request trace, read whole and checked. `rows_read` = `kept` + all of `dropped`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The requests kept, in order; times count from the first row.
    pub requests: Arc<[Request]>,
    /// Rows below the header.
    pub rows_read: u64,
    /// Rows that became requests.
    pub kept: u64,
    /// Rows that did not, by reason.
    pub dropped: Dropped,
    /// From the first row to the last.
    pub span: Span,
    /// Prompt tokens of the requests kept.
    pub prompt_tokens: Tokens,
    /// Output tokens of the requests kept.
    pub output_tokens: Tokens,
    /// BLAKE3 of the file's bytes.
    pub hash: blake3::Hash,
}

/// Rows that carry no request to serve, by reason; a row with both is counted under the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Dropped {
    /// No output tokens: the request failed.
    pub no_output: u64,
    /// No prompt tokens.
    pub no_prompt: u64,
}

impl Dropped {
    /// Rows dropped for any reason.
    #[must_use]
    pub fn total(self) -> u64 {
        self.no_output + self.no_prompt
    }
}

const COLUMNS: [&str; 3] = ["TIMESTAMP", "ContextTokens", "GeneratedTokens"];

/// Reads a trace in the format of Azure 2023, in one streaming pass.
///
/// # Errors
/// The first thing wrong: an unreadable or empty file, a missing column, a cell that is no time or no count, a time before
/// the row above, or no request left after drops.
pub fn azure2023(path: &Path) -> Result<Loaded, TraceError> {
    let mut csv = lines::reader(path)?;
    let columns = find_columns(path, csv.headers().map_err(|error| TraceError::reading(path, &error))?)?;
    let mut reading = Reading::default();
    let mut record = csv::StringRecord::new();
    while let Some(line) = lines::read(&mut csv, path, &mut record)? {
        reading.take(&Row { path, columns, line, record: &record })?;
    }
    reading.finish(path, csv.get_ref().hash())
}

/// Where the three columns stand; others may stand between them.
fn find_columns(path: &Path, header: &csv::StringRecord) -> Result<[usize; 3], TraceError> {
    if header.is_empty() {
        return Err(TraceError::file(path, "an empty file", format!("a header {}", COLUMNS.join(","))));
    }
    let mut places = [0; 3];
    for (place, name) in places.iter_mut().zip(COLUMNS) {
        *place = header.iter().position(|found| found == name).ok_or_else(|| {
            TraceError::line(path, 1, format!("the header {}", names(header)), format!("a column {name}"))
        })?;
    }
    Ok(places)
}

/// One row and what its errors must name.
struct Row<'a> {
    path: &'a Path,
    columns: [usize; 3],
    line: u64,
    record: &'a csv::StringRecord,
}

impl Row<'_> {
    fn cell(&self, column: usize) -> Result<&str, TraceError> {
        self.record
            .get(self.columns[column])
            .ok_or_else(|| self.wrong(column, format!("a row of {} cells", self.record.len()), "a value"))
    }

    fn time(&self) -> Result<DateTime, TraceError> {
        let text = self.cell(0)?;
        let expected = "a time without zone such as 2023-11-16 18:15:46.6805900";
        let error = || self.wrong(0, format!("{text:?}"), expected);
        if !is_naive_time(text) { Err(error()) } else { text.parse().map_err(|_| error()) }
    }

    fn tokens(&self, column: usize) -> Result<u32, TraceError> {
        let text = self.cell(column)?;
        text.parse().map_err(|_| self.wrong(column, format!("{text:?}"), "a whole number of tokens"))
    }

    fn wrong(&self, column: usize, found: String, expected: &str) -> TraceError {
        TraceError::line(self.path, self.line, found, expected).in_column(COLUMNS[column])
    }
}

/// `YYYY-MM-DD HH:MM:SS` and decimals, nothing after: an offset would make it another trace (Azure 2024).
fn is_naive_time(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() >= 19
        && bytes[10] == b' '
        && bytes[19..]
            .iter()
            .enumerate()
            .all(|(index, byte)| if index == 0 { *byte == b'.' } else { byte.is_ascii_digit() })
}

/// What has been read so far.
#[derive(Default)]
struct Reading {
    first: Option<DateTime>,
    last: SimTime,
    rows: u64,
    requests: Vec<Request>,
    dropped: Dropped,
    prompt: u64,
    output: u64,
}

impl Reading {
    fn take(&mut self, row: &Row<'_>) -> Result<(), TraceError> {
        let time = row.time()?;
        let since = time.duration_since(*self.first.get_or_insert(time)).as_nanos();
        let at = u64::try_from(since).map(SimTime::from_nanos).ok().filter(|at| *at >= self.last);
        let at = at.ok_or_else(|| row.wrong(0, format!("{time}, before the row above"), "rows sorted by time"))?;
        self.last = at;
        self.rows += 1;
        let request = Request { at, prompt: row.tokens(1)?, output: row.tokens(2)? };
        match request {
            Request { output: 0, .. } => self.dropped.no_output += 1,
            Request { prompt: 0, .. } => self.dropped.no_prompt += 1,
            _ => {
                self.prompt += u64::from(request.prompt);
                self.output += u64::from(request.output);
                self.requests.push(request);
            }
        }
        Ok(())
    }

    fn finish(self, path: &Path, hash: blake3::Hash) -> Result<Loaded, TraceError> {
        let kept = self.requests.len() as u64;
        assert!(self.rows == kept + self.dropped.total(), "each row is kept or dropped for one reason");
        if kept == 0 {
            let found = format!("{} rows, none with prompt and output tokens", self.rows);
            return Err(TraceError::file(path, found, "at least one request"));
        }
        Ok(Loaded {
            requests: self.requests.into(),
            rows_read: self.rows,
            kept,
            dropped: self.dropped,
            span: self.last.since(SimTime::ZERO),
            prompt_tokens: Tokens::new(self.prompt),
            output_tokens: Tokens::new(self.output),
            hash,
        })
    }
}
