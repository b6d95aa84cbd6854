//! Request traces: who asked when, for how many prompt and output tokens. One reader streams every published format; each is
//! one table of column names ([`table`]) or one JSON object a line ([`object`]), recognised by its header or named.
//!
//! Times become integer nanoseconds from the first row. `rows_read = kept + dropped`, each drop for one counted reason.

mod clock;
mod object;
mod table;

pub use table::ColumnMap;

use super::{TraceError, lines};
use crate::units::{SimTime, Span};
use clock::Clock;
use std::io::BufRead;
use std::path::{Path, PathBuf};

/// A format of request traces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestFormat {
    /// Azure LLM inference trace 2023: naive times.
    Azure2023,
    /// Azure LLM inference trace 2024: times with an offset.
    Azure2024,
    /// Azure LMM inference trace 2025, with images.
    AzureLmm2025,
    /// BurstGPT, all three versions.
    Burstgpt,
    /// Mooncake: JSON Lines, milliseconds, chained prefix hashes of 512 tokens.
    Mooncake,
    /// Qwen-Bailian: JSON Lines, seconds, chats, chained prefix hashes of 16 tokens.
    Bailian,
    /// Vidur: with arrival times, or lengths only.
    Vidur,
    /// Splitwise-sim.
    Splitwise,
    /// LLMServingSim: JSON Lines, nanoseconds.
    Llmservingsim,
    /// The requests of a vLLM benchmark: JSON Lines, Unix seconds.
    VllmBench,
    /// Comma-separated text with a column map of the user's.
    Csv,
}

/// Every format: what a scenario calls it, and what its files look like.
pub const FORMATS: [(RequestFormat, &str, &str); 11] = [
    (RequestFormat::Azure2023, "azure2023", "TIMESTAMP,ContextTokens,GeneratedTokens, times without zone"),
    (RequestFormat::Azure2024, "azure2024", "TIMESTAMP,ContextTokens,GeneratedTokens, times with an offset"),
    (RequestFormat::AzureLmm2025, "azure_lmm2025", "TIMESTAMP,NumImages,ContextTokens,GeneratedTokens"),
    (RequestFormat::Burstgpt, "burstgpt", "Timestamp,Model,Request tokens,Response tokens,…"),
    (RequestFormat::Mooncake, "mooncake", "JSON Lines of timestamp (ms), input_length, output_length and hash_ids"),
    (RequestFormat::Bailian, "bailian", "JSON Lines of chat_id, parent_chat_id, timestamp (s), input_length, …"),
    (RequestFormat::Vidur, "vidur", "arrived_at,num_prefill_tokens,num_decode_tokens, or lengths only"),
    (RequestFormat::Splitwise, "splitwise", "request_id,…,arrival_timestamp,batch_size,prompt_size,token_size"),
    (RequestFormat::Llmservingsim, "llmservingsim", "JSON Lines of input_toks, output_toks and arrival_time_ns"),
    (RequestFormat::VllmBench, "vllm_bench", "JSON Lines of input_toks, output_toks, arrival_time, queued_ts, …"),
    (RequestFormat::Csv, "csv", "any comma-separated text, with a column map"),
];

impl RequestFormat {
    /// What a scenario calls it.
    #[must_use]
    pub fn name(self) -> &'static str {
        FORMATS.iter().find(|(format, ..)| *format == self).map_or("", |(_, name, _)| name)
    }

    /// Tokens that one of its prefix hashes stands for; none where it has no hashes.
    #[must_use]
    pub fn block_tokens(self) -> Option<u32> {
        match self {
            RequestFormat::Mooncake => Some(512),
            RequestFormat::Bailian | RequestFormat::Llmservingsim => Some(object::BLOCK),
            _ => None,
        }
    }
}

/// How a file is to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Layout {
    /// By what its first lines look like.
    Auto,
    /// As that format, and nothing else.
    Named(RequestFormat),
    /// By the user's column map.
    Columns(ColumnMap),
}

/// One row that can be served.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Row {
    /// When it came, from the first row; zero in a file without times.
    pub at: SimTime,
    /// Prompt tokens, at least one.
    pub prompt: u32,
    /// Output tokens, at least one.
    pub output: u32,
    /// Its conversation, where the file knows; equal numbers belong together.
    pub session: Option<u64>,
    /// Chained hashes of its prompt's prefixes, where the file knows.
    pub blocks: Vec<u64>,
}

/// Rows that became no request, by reason; a row with several is counted under the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Dropped {
    /// No output tokens: the request failed.
    pub no_output: u64,
    /// No prompt tokens.
    pub no_prompt: u64,
    /// Outside the stretch of time that is replayed.
    pub outside: u64,
    /// Left out by `share`.
    pub thinned: u64,
}

impl Dropped {
    /// Each reason, in words, with its count.
    #[must_use]
    pub fn reasons(self) -> [(&'static str, u64); 4] {
        [
            ("without output", self.no_output),
            ("without prompt", self.no_prompt),
            ("outside the window", self.outside),
            ("left out by share", self.thinned),
        ]
    }

    /// Rows dropped for any reason.
    #[must_use]
    pub fn total(self) -> u64 {
        self.reasons().iter().map(|(_, count)| count).sum()
    }
}

/// Streams the rows of a request trace.
pub struct RequestReader {
    path: PathBuf,
    format: RequestFormat,
    rows: Rows,
    first: Option<i128>,
    last: SimTime,
    rows_read: u64,
    dropped: Dropped,
}

/// Where the rows come from.
enum Rows {
    Table(Box<table::Table>),
    Objects(Box<object::Objects>),
}

/// A row as its file says: time on the file's own clock.
#[derive(Default)]
struct Raw {
    line: u64,
    /// Nanoseconds on the file's own clock; none in a file without times.
    time: Option<i128>,
    row: Row,
}

impl RequestReader {
    /// Opens `path`, which may be gzip, and reads as far as it takes to know the format.
    ///
    /// # Errors
    /// A file that cannot be read, is empty, or is not in the layout asked for or in any known one.
    pub fn open(path: &Path, layout: &Layout) -> Result<RequestReader, TraceError> {
        let mut text = lines::Hashed::open(path)?;
        let start = text.fill_buf().map_err(|error| TraceError::unreadable(path, &error))?;
        let is_json = start.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
        let (format, rows) = match layout {
            Layout::Auto if is_json => {
                let objects = object::Objects::recognise(path, text)?;
                (objects.format(), Rows::Objects(Box::new(objects)))
            }
            Layout::Auto => {
                let (format, table) = table::Table::recognise(path, text)?;
                (format, Rows::Table(Box::new(table)))
            }
            Layout::Named(format) => match table::Table::named(*format, path, text)? {
                Ok(table) => (*format, Rows::Table(Box::new(table))),
                Err(text) => (*format, Rows::Objects(Box::new(object::Objects::named(*format, text)))),
            },
            Layout::Columns(map) => (RequestFormat::Csv, Rows::Table(Box::new(table::Table::mapped(map, path, text)?))),
        };
        let path = path.to_owned();
        Ok(RequestReader {
            path,
            format,
            rows,
            first: None,
            last: SimTime::ZERO,
            rows_read: 0,
            dropped: Dropped::default(),
        })
    }

    /// Its format.
    #[must_use]
    pub fn format(&self) -> RequestFormat {
        self.format
    }

    /// True where the file says when requests came.
    #[must_use]
    pub fn has_times(&self) -> bool {
        match &self.rows {
            Rows::Table(table) => table.has_times(),
            Rows::Objects(_) => true,
        }
    }

    /// The next row that can be served; `None` after the last.
    ///
    /// # Errors
    /// The next thing wrong: a row that cannot be read, a time before the row above.
    #[expect(clippy::should_implement_trait, reason = "an error ends it, which an iterator's would not")]
    pub fn next(&mut self) -> Result<Option<Row>, TraceError> {
        loop {
            let raw = match &mut self.rows {
                Rows::Table(table) => table.next(&self.path)?,
                Rows::Objects(objects) => objects.next(&self.path)?,
            };
            let Some(raw) = raw else { return Ok(None) };
            let row = self.place(raw)?;
            self.rows_read += 1;
            match row {
                Row { output: 0, .. } => self.dropped.no_output += 1,
                Row { prompt: 0, .. } => self.dropped.no_prompt += 1,
                _ => return Ok(Some(row)),
            }
        }
    }

    /// The row at its time from the first.
    fn place(&mut self, raw: Raw) -> Result<Row, TraceError> {
        let Raw { line, time, mut row } = raw;
        if let Some(time) = time {
            let since = time - *self.first.get_or_insert(time);
            let at = u64::try_from(since).map(SimTime::from_nanos).ok().filter(|at| *at >= self.last);
            row.at = at.ok_or_else(|| {
                let early = Span::from_nanos((i128::from(self.last.nanos()) - since) as u64);
                let column = match &self.rows {
                    Rows::Table(table) => table.time_column(),
                    Rows::Objects(objects) => objects.time_key(),
                };
                let found = format!("a time {early} before the row above");
                TraceError::line(&self.path, line, found, "rows sorted by time").in_column(column)
            })?;
            self.last = row.at;
        }
        Ok(row)
    }

    /// Rows so far, those dropped included.
    #[must_use]
    pub fn rows_read(&self) -> u64 {
        self.rows_read
    }

    /// Rows dropped so far.
    #[must_use]
    pub fn dropped(&self) -> Dropped {
        self.dropped
    }

    /// From the first row to the last one read.
    #[must_use]
    pub fn span(&self) -> Span {
        self.last.since(SimTime::ZERO)
    }

    /// BLAKE3 of the file's bytes, once all rows were read.
    #[must_use]
    pub fn hash(&self) -> blake3::Hash {
        match &self.rows {
            Rows::Table(table) => table.hash(),
            Rows::Objects(objects) => objects.hash(),
        }
    }

    /// The file that it reads.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}
