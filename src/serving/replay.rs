//! `arrivals = { trace = … }`: a request trace as a service replays it: a stretch of it, faster or slower, or a share of its
//! requests. Reading, cutting and thinning happen once, when the scenario loads, in one streaming pass.
//!
//! Chance enters in three places, each a stream of its own keyed by the service: which requests `share` keeps, where inside a
//! tick `spread_ticks` puts its requests, and the gaps of a file without times. All replications replay the same requests.

use crate::engine::{Entity, Seed, Stream};
use crate::trace::{ColumnMap, Layout, RequestFormat, RequestReader, RequestTrace, Row, TraceBuilder, TraceError};
use crate::units::{PerSecond, Ratio, Share, SimTime, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// `arrivals = { trace = { azure2023 = { path = "…" } } }`
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum TraceSection {
    /// Whatever format its first lines show.
    Auto(TraceFile),
    /// Azure LLM inference trace 2023: `TIMESTAMP,ContextTokens,GeneratedTokens`, times without zone.
    Azure2023(TraceFile),
    /// Azure LLM inference trace 2024: the same columns, times with an offset.
    Azure2024(TraceFile),
    /// Azure LMM inference trace 2025: with a column `NumImages`.
    #[serde(rename = "azure_lmm2025")]
    AzureLmm2025(TraceFile),
    /// BurstGPT, any version.
    Burstgpt(TraceFile),
    /// Mooncake: JSON Lines with prefix hashes of 512 tokens.
    Mooncake(TraceFile),
    /// Qwen-Bailian: JSON Lines with chats and prefix hashes of 16 tokens.
    Bailian(TraceFile),
    /// Vidur, with arrival times or lengths only.
    Vidur(TraceFile),
    /// Splitwise-sim.
    Splitwise(TraceFile),
    /// LLMServingSim: JSON Lines, nanoseconds.
    Llmservingsim(TraceFile),
    /// Requests of a vLLM benchmark: JSON Lines.
    VllmBench(TraceFile),
    /// Any comma-separated file, with `columns`.
    Csv(TraceFile),
}

/// A request trace and what of it to replay.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TraceFile {
    /// Path of the file, relative to the scenario that names it; gzip is unpacked.
    pub path: String,
    /// Columns of a `csv` file.
    pub columns: Option<ColumnsSection>,
    /// Leave out what comes before, counted from the file's first row.
    #[serde(default)]
    pub from: Span,
    /// Leave out what comes so long after `from`; unset, nothing.
    pub length: Option<Span>,
    /// Times as fast as recorded: 2 halves the gaps, and doubles the rate.
    #[serde(default = "as_recorded")]
    pub speed: Ratio,
    /// Share of the requests to keep, each with that chance.
    #[serde(default = "all")]
    pub share: Share,
    /// Spread the requests of one instant evenly up to the next: for files whose times are coarse ticks.
    #[serde(default)]
    pub spread_ticks: bool,
    /// Requests a second for a file without times: exponential gaps.
    pub rate: Option<PerSecond>,
}

fn as_recorded() -> Ratio {
    Ratio::new(1.0)
}
fn all() -> Share {
    Share::new(1.0)
}

/// Which column of a comma-separated file says what: by name, or by number from 1.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ColumnsSection {
    /// When requests came; unset in a file without times.
    pub time: Option<String>,
    /// Unit of the times: `s`, `ms`, `us`, `ns` or `date`.
    #[serde(default = "seconds")]
    pub unit: String,
    /// Prompt tokens.
    pub prompt: String,
    /// Output tokens.
    pub output: String,
    /// The conversation that a request belongs to.
    pub session: Option<String>,
    /// The first line names the columns.
    #[serde(default = "yes")]
    pub header: bool,
}

fn seconds() -> String {
    "s".to_owned()
}
fn yes() -> bool {
    true
}

impl TraceSection {
    /// Its key in the scenario, and the file.
    #[must_use]
    pub fn file(&self) -> (&'static str, &TraceFile) {
        match self {
            TraceSection::Auto(file) => ("auto", file),
            TraceSection::Azure2023(file) => (RequestFormat::Azure2023.name(), file),
            TraceSection::Azure2024(file) => (RequestFormat::Azure2024.name(), file),
            TraceSection::AzureLmm2025(file) => (RequestFormat::AzureLmm2025.name(), file),
            TraceSection::Burstgpt(file) => (RequestFormat::Burstgpt.name(), file),
            TraceSection::Mooncake(file) => (RequestFormat::Mooncake.name(), file),
            TraceSection::Bailian(file) => (RequestFormat::Bailian.name(), file),
            TraceSection::Vidur(file) => (RequestFormat::Vidur.name(), file),
            TraceSection::Splitwise(file) => (RequestFormat::Splitwise.name(), file),
            TraceSection::Llmservingsim(file) => (RequestFormat::Llmservingsim.name(), file),
            TraceSection::VllmBench(file) => (RequestFormat::VllmBench.name(), file),
            TraceSection::Csv(file) => (RequestFormat::Csv.name(), file),
        }
    }

    fn layout(&self) -> Layout {
        let (name, file) = self.file();
        match (self, &file.columns) {
            (TraceSection::Csv(_), Some(columns)) => Layout::Columns(ColumnMap {
                time: columns.time.clone(),
                unit: columns.unit.clone(),
                prompt: columns.prompt.clone(),
                output: columns.output.clone(),
                session: columns.session.clone(),
                header: columns.header,
            }),
            _ => crate::trace::FORMATS
                .iter()
                .find(|(_, known, _)| *known == name)
                .map_or(Layout::Auto, |(format, ..)| Layout::Named(*format)),
        }
    }

    /// Reads the trace at `path` as `service` replays it; its format and the hash of the file beside it.
    ///
    /// # Errors
    /// The first thing wrong with the file, or no request left.
    pub fn read(&self, path: &Path, service: &str, seed: Seed) -> Result<Replay, TraceError> {
        let mut reader = RequestReader::open(path, &self.layout())?;
        let (_, file) = self.file();
        check_times(&reader, file)?;
        let mut cut = Cut::new(file, service, seed, reader.format().block_tokens());
        let unwritten = |error: std::io::Error| {
            TraceError::of_file(path, format!("no room to unpack it: {error}"), "a temporary folder with room")
        };
        while let Some(row) = reader.next()? {
            cut.take(row).map_err(unwritten)?;
        }
        let mut dropped = reader.dropped();
        (dropped.outside, dropped.thinned) = (cut.outside, cut.thinned);
        let trace = cut.finish(reader.rows_read(), dropped).map_err(unwritten)?;
        if trace.kept == 0 {
            let reasons = trace.dropped.reasons().into_iter().filter(|(_, count)| *count > 0);
            let reasons: Vec<String> = reasons.map(|(reason, count)| format!("{count} {reason}")).collect();
            let none = if reasons.is_empty() { String::new() } else { format!(": {}", reasons.join(", ")) };
            let found = format!("{} rows and no request to serve{none}", trace.rows_read);
            return Err(TraceError::of_file(path, found, "at least one row with prompt and output tokens"));
        }
        Ok(Replay { format: reader.format(), hash: reader.hash(), trace })
    }
}

/// A trace that was read for a service.
#[derive(Debug, Clone)]
pub struct Replay {
    /// Its format.
    pub format: RequestFormat,
    /// BLAKE3 of the file's bytes.
    pub hash: blake3::Hash,
    /// The requests.
    pub trace: RequestTrace,
}

/// A file without times needs a rate, and one with times has its own.
fn check_times(reader: &RequestReader, file: &TraceFile) -> Result<(), TraceError> {
    match (reader.has_times(), file.rate) {
        (false, None) => {
            let expected = "a `rate` beside its `path`, at which its requests come";
            Err(TraceError::of_file(reader.path(), "lengths without arrival times", expected))
        }
        (true, Some(_)) => {
            let expected = "`speed` instead of `rate` beside its `path`";
            Err(TraceError::of_file(reader.path(), "arrival times", expected))
        }
        _ => Ok(()),
    }
}

/// Rows on their way from the file to the trace.
struct Cut<'a> {
    file: &'a TraceFile,
    builder: TraceBuilder,
    thin: Stream,
    spread: Stream,
    gaps: Stream,
    outside: u64,
    thinned: u64,
    /// When the last request of a file without times came, in seconds.
    now: f64,
    /// Rows of one instant, which wait for the next.
    tick: Vec<Row>,
    /// From the instant before to this.
    width: Span,
}

impl<'a> Cut<'a> {
    fn new(file: &'a TraceFile, service: &str, seed: Seed, block_tokens: Option<u32>) -> Cut<'a> {
        let entity = Entity::named(&format!("service.{service}"));
        Cut {
            file,
            builder: TraceBuilder::with_blocks_of(block_tokens),
            thin: seed.stream(entity, "trace-share"),
            spread: seed.stream(entity, "trace-spread"),
            gaps: seed.stream(entity, "trace-gaps"),
            outside: 0,
            thinned: 0,
            now: 0.0,
            tick: Vec::new(),
            width: Span::ZERO,
        }
    }

    fn take(&mut self, mut row: Row) -> std::io::Result<()> {
        if let Some(rate) = self.file.rate {
            row.at = SimTime::ZERO + Span::from_secs_f64(self.now);
            self.now += self.gaps.exponential() / rate.as_f64();
        }
        let from = SimTime::ZERO + self.file.from;
        if row.at < from || self.file.length.is_some_and(|length| row.at >= from + length) {
            self.outside += 1;
            return Ok(());
        }
        // One draw a row, so that a larger share keeps what a smaller one does.
        if self.file.share < Share::new(1.0) && self.thin.uniform() >= self.file.share.as_f64() {
            self.thinned += 1;
            return Ok(());
        }
        row.at = SimTime::ZERO + row.at.since(from);
        if !self.file.spread_ticks {
            return self.push(row);
        }
        if let Some(before) = self.tick.first().map(|first| first.at).filter(|at| *at < row.at) {
            self.width = row.at.since(before);
            self.empty_tick()?;
        }
        self.tick.push(row);
        Ok(())
    }

    /// Spreads the rows of one instant over the time up to the next; the last over as much as the one before.
    fn empty_tick(&mut self) -> std::io::Result<()> {
        let rows = std::mem::take(&mut self.tick);
        let mut places: Vec<f64> = rows.iter().map(|_| self.spread.uniform()).collect();
        places.sort_by(f64::total_cmp);
        for (mut row, place) in rows.into_iter().zip(places) {
            row.at += self.width.scale(place).min(self.width.saturating_sub(Span::from_nanos(1)));
            self.push(row)?;
        }
        Ok(())
    }

    fn push(&mut self, mut row: Row) -> std::io::Result<()> {
        let speed = self.file.speed.as_f64();
        if speed != 1.0 {
            row.at = SimTime::ZERO + row.at.since(SimTime::ZERO).scale(1.0 / speed);
        }
        self.builder.push(&row)
    }

    fn finish(mut self, rows_read: u64, dropped: crate::trace::Dropped) -> std::io::Result<RequestTrace> {
        self.empty_tick()?;
        self.builder.finish(rows_read, dropped)
    }
}
