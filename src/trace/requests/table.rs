//! Request traces as comma-separated text: which column says what.
//!
//! Columns are found by name, wherever they stand: BurstGPT's third version inserts two. Cells of other columns are not read.

use super::{Clock, Raw, RequestFormat, Row};
use crate::trace::TraceError;
use crate::trace::error::names;
use crate::trace::lines::{self, Hashed};
use std::path::Path;

/// Columns of a comma-separated file of the user's: each by name, or by its number from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnMap {
    /// When requests came; none in a file without times.
    pub time: Option<String>,
    /// Unit of the times: `s`, `ms`, `us`, `ns` or `date`.
    pub unit: String,
    /// Prompt tokens.
    pub prompt: String,
    /// Output tokens.
    pub output: String,
    /// The conversation that a request belongs to.
    pub session: Option<String>,
    /// The first line names the columns.
    pub header: bool,
}

impl ColumnMap {
    /// True where `unit` is one that a column map may name.
    #[must_use]
    pub fn knows_unit(unit: &str) -> bool {
        Clock::of_unit(unit).is_some()
    }
}

/// A published layout.
struct Published {
    format: RequestFormat,
    time: Option<&'static str>,
    clock: Clock,
    prompt: &'static str,
    output: &'static str,
    session: Option<&'static str>,
    /// Another column that it must have, to be told from its neighbours.
    also: Option<&'static str>,
}

/// Column names as published with each trace; of those that share names the more particular first.
const PUBLISHED: [Published; 7] = [
    Published {
        format: RequestFormat::AzureLmm2025,
        time: Some("TIMESTAMP"),
        clock: Clock::Offset,
        prompt: "ContextTokens",
        output: "GeneratedTokens",
        session: None,
        also: Some("NumImages"),
    },
    Published {
        format: RequestFormat::Azure2023,
        time: Some("TIMESTAMP"),
        clock: Clock::Naive,
        prompt: "ContextTokens",
        output: "GeneratedTokens",
        session: None,
        also: None,
    },
    Published {
        format: RequestFormat::Azure2024,
        time: Some("TIMESTAMP"),
        clock: Clock::Offset,
        prompt: "ContextTokens",
        output: "GeneratedTokens",
        session: None,
        also: None,
    },
    Published {
        format: RequestFormat::Burstgpt,
        time: Some("Timestamp"),
        clock: Clock::Number(9),
        prompt: "Request tokens",
        output: "Response tokens",
        session: Some("Session ID"),
        also: None,
    },
    Published {
        format: RequestFormat::Vidur,
        time: Some("arrived_at"),
        clock: Clock::Number(9),
        prompt: "num_prefill_tokens",
        output: "num_decode_tokens",
        session: None,
        also: None,
    },
    Published {
        format: RequestFormat::Vidur,
        time: None,
        clock: Clock::Number(9),
        prompt: "num_prefill_tokens",
        output: "num_decode_tokens",
        session: None,
        also: None,
    },
    Published {
        format: RequestFormat::Splitwise,
        time: Some("arrival_timestamp"),
        clock: Clock::Number(9),
        prompt: "prompt_size",
        output: "token_size",
        session: None,
        also: None,
    },
];

impl Published {
    fn fits(&self, header: &csv::StringRecord) -> bool {
        let has = |name: &str| header.iter().any(|found| found == name);
        [Some(self.prompt), Some(self.output), self.time, self.also].into_iter().flatten().all(has)
    }
}

/// A column that is read: its place, and its name for the errors.
struct Column {
    place: usize,
    name: String,
}

/// The rows of a comma-separated trace.
pub(super) struct Table {
    csv: csv::Reader<Hashed>,
    record: csv::StringRecord,
    time: Option<Column>,
    clock: Clock,
    prompt: Column,
    output: Column,
    session: Option<Column>,
    /// The line of a row that was read ahead into `record`.
    ahead: Option<u64>,
}

impl Table {
    /// The table in `text`, in the published format that its header shows.
    pub(super) fn recognise(path: &Path, text: Hashed) -> Result<(RequestFormat, Table), TraceError> {
        let mut csv = lines::comma_separated(text, true);
        let header = header(&mut csv, path)?;
        let line = lines::header(&csv);
        let Some(published) = PUBLISHED.iter().find(|published| published.fits(&header)) else {
            let expected =
                "the header of a known format (`tollway list formats` names them), or a column map (`csv = { … }`)";
            return Err(TraceError::line(path, line, format!("the header {}", names(&header)), expected));
        };
        let mut table = Table::build(published, csv, &header, path, line)?;
        let mut format = published.format;
        // The two traces of Azure's share a header; times without zone are those of 2023.
        if format == RequestFormat::Azure2023 {
            table.ahead = lines::read(&mut table.csv, path, &mut table.record)?;
            let time = table.time.as_ref().and_then(|time| table.record.get(time.place)).unwrap_or_default();
            if table.ahead.is_some() && Clock::Offset.nanos(time).is_some() {
                (format, table.clock) = (RequestFormat::Azure2024, Clock::Offset);
            }
        }
        Ok((format, table))
    }

    /// The table in `text` in that format; the text back where the format is not comma-separated.
    pub(super) fn named(format: RequestFormat, path: &Path, text: Hashed) -> Result<Result<Table, Hashed>, TraceError> {
        let candidates: Vec<&Published> = PUBLISHED.iter().filter(|published| published.format == format).collect();
        let [first, ..] = candidates.as_slice() else { return Ok(Err(text)) };
        let mut csv = lines::comma_separated(text, true);
        let header = csv.headers().map_err(|error| TraceError::reading(path, &error))?.clone();
        if header.is_empty() {
            let columns: Vec<&str> =
                [first.time, Some(first.prompt), Some(first.output)].into_iter().flatten().collect();
            return Err(TraceError::file(path, "an empty file", format!("a header {}", columns.join(","))));
        }
        let line = lines::header(&csv);
        let published = candidates.iter().find(|published| published.fits(&header)).unwrap_or(first);
        Table::build(published, csv, &header, path, line).map(Ok)
    }

    /// The table in `text` as `map` says.
    pub(super) fn mapped(map: &ColumnMap, path: &Path, text: Hashed) -> Result<Table, TraceError> {
        let mut csv = lines::comma_separated(text, map.header);
        let (header, line) = match map.header {
            true => (header(&mut csv, path)?, lines::header(&csv)),
            false => (csv::StringRecord::new(), 1),
        };
        let find = |name: &String| {
            let by_name = header.iter().position(|found| found == name);
            let by_number = || name.parse::<usize>().ok().filter(|number| *number > 0).map(|number| number - 1);
            let place = by_name.or_else(by_number).ok_or_else(|| no_column(path, line, &header, name))?;
            Ok(Column { place, name: name.clone() })
        };
        Ok(Table {
            time: map.time.as_ref().map(find).transpose()?,
            clock: Clock::of_unit(&map.unit).expect("units are checked with the scenario"),
            prompt: find(&map.prompt)?,
            output: find(&map.output)?,
            session: map.session.as_ref().map(find).transpose()?,
            record: csv::StringRecord::new(),
            ahead: None,
            csv,
        })
    }

    fn build(
        published: &Published,
        csv: csv::Reader<Hashed>,
        header: &csv::StringRecord,
        path: &Path,
        line: u64,
    ) -> Result<Table, TraceError> {
        let place = |name: &str| header.iter().position(|found| found == name);
        let find = |name: &'static str| {
            let place = place(name).ok_or_else(|| no_column(path, line, header, name))?;
            Ok(Column { place, name: name.to_owned() })
        };
        if let Some(also) = published.also {
            find(also)?;
        }
        let session = published.session.and_then(|name| Some(Column { place: place(name)?, name: name.to_owned() }));
        Ok(Table {
            time: published.time.map(find).transpose()?,
            clock: published.clock,
            prompt: find(published.prompt)?,
            output: find(published.output)?,
            session,
            record: csv::StringRecord::new(),
            ahead: None,
            csv,
        })
    }

    pub(super) fn has_times(&self) -> bool {
        self.time.is_some()
    }

    pub(super) fn time_column(&self) -> &str {
        self.time.as_ref().map_or("", |time| &time.name)
    }

    pub(super) fn hash(&self) -> blake3::Hash {
        self.csv.get_ref().hash()
    }

    pub(super) fn next(&mut self, path: &Path) -> Result<Option<Raw>, TraceError> {
        let line = match self.ahead.take() {
            Some(line) => Some(line),
            None => lines::read(&mut self.csv, path, &mut self.record)?,
        };
        let Some(line) = line else { return Ok(None) };
        let cells = Cells { path, line, record: &self.record };
        let time = self.time.as_ref().map(|time| {
            let text = cells.text(time)?;
            let nanos = self.clock.nanos(text);
            nanos.ok_or_else(|| cells.wrong(time, format!("{text:?}"), self.clock.expected()))
        });
        let session = self.session.as_ref().and_then(|session| self.record.get(session.place));
        let row = Row {
            prompt: cells.tokens(&self.prompt)?,
            output: cells.tokens(&self.output)?,
            session: session.filter(|text| !text.is_empty()).map(session_number),
            ..Row::default()
        };
        Ok(Some(Raw { line, time: time.transpose()?, row }))
    }
}

/// The header of a table; an empty file has none.
fn header(csv: &mut csv::Reader<Hashed>, path: &Path) -> Result<csv::StringRecord, TraceError> {
    let header = csv.headers().map_err(|error| TraceError::reading(path, &error))?.clone();
    if header.is_empty() {
        return Err(TraceError::file(path, "an empty file", "a header and rows of requests"));
    }
    Ok(header)
}

fn no_column(path: &Path, line: u64, header: &csv::StringRecord, name: &str) -> TraceError {
    TraceError::line(path, line, format!("the header {}", names(header)), format!("a column {name}"))
}

/// A number for a session that may be called anything: itself where it is a number, else FNV-1a of its name.
fn session_number(text: &str) -> u64 {
    let hash = |text: &str| {
        text.bytes()
            .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
    };
    text.parse().unwrap_or_else(|_| hash(text))
}

/// One row and what its errors must name.
struct Cells<'a> {
    path: &'a Path,
    line: u64,
    record: &'a csv::StringRecord,
}

impl Cells<'_> {
    fn text(&self, column: &Column) -> Result<&str, TraceError> {
        let cell = self.record.get(column.place);
        cell.ok_or_else(|| self.wrong(column, format!("a row of {} cells", self.record.len()), "a value"))
    }

    /// A whole number; `374.0` is one, as tables that once had an empty cell write it.
    fn tokens(&self, column: &Column) -> Result<u32, TraceError> {
        let text = self.text(column)?;
        let whole = match text.split_once('.') {
            Some((whole, zeros)) if !whole.is_empty() && zeros.bytes().all(|byte| byte == b'0') => whole,
            _ => text,
        };
        whole.parse().map_err(|_| self.wrong(column, format!("{text:?}"), "a whole number of tokens"))
    }

    fn wrong(&self, column: &Column, found: String, expected: &str) -> TraceError {
        TraceError::line(self.path, self.line, found, expected).in_column(&column.name)
    }
}
