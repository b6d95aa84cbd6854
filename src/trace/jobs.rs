//! Job traces: what every format of them becomes.

use super::TraceError;
use crate::units::{SimTime, Span};
use std::path::Path;
use std::sync::Arc;

/// How a job ends when nothing of the cluster's breaks under it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum JobEnd {
    /// It did what it was to do.
    Completed,
    /// Its owner stopped it.
    Cancelled,
    /// It broke.
    Failed,
    /// It reached its time limit.
    TimedOut,
    /// A node failed under it.
    NodeFailed,
}

/// One job of a trace or of a generator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceJob {
    /// When it is submitted.
    pub submit: SimTime,
    /// GPUs, at least one, all at once.
    pub gpus: u32,
    /// How long it runs.
    pub run: Span,
    /// How it ends.
    pub end: JobEnd,
    /// Which class it is of, an index into the names.
    pub class: u32,
    /// Whose it is, an index into the names.
    pub owner: u32,
}

/// A job trace, read whole and checked, in order of submission. `rows_read` = jobs + all of `dropped`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadedJobs {
    /// The jobs kept; times count from the first of them.
    pub jobs: Arc<[TraceJob]>,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// Names of the owners.
    pub owners: Vec<String>,
    /// Rows below the header.
    pub rows_read: u64,
    /// Rows that did not become jobs, by reason.
    pub dropped: DroppedJobs,
    /// BLAKE3 of the file's bytes.
    pub hash: blake3::Hash,
}

/// Rows that hold no job to run on GPUs, by reason; a row with several is counted under the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DroppedJobs {
    /// It asked for no GPU.
    pub no_gpus: u64,
    /// It never started or never ended.
    pub never_ran: u64,
    /// It ended when it started, or before.
    pub no_time: u64,
}

impl DroppedJobs {
    /// Rows dropped for any reason.
    #[must_use]
    pub fn total(self) -> u64 {
        self.no_gpus + self.never_ran + self.no_time
    }
}

/// A row once read, before times count from the first.
pub(super) struct RawJob {
    /// Nanoseconds since 1970.
    pub(super) submit: i128,
    pub(super) gpus: u32,
    pub(super) run: Span,
    pub(super) end: JobEnd,
    pub(super) class: u32,
    pub(super) owner: u32,
}

/// What has been read so far.
#[derive(Default)]
pub(super) struct Gathered {
    pub(super) rows: u64,
    pub(super) jobs: Vec<RawJob>,
    pub(super) classes: Vec<String>,
    pub(super) owners: Names,
    pub(super) dropped: DroppedJobs,
}

impl Gathered {
    /// Sorts by submission, rows of one instant in the order of the file, and counts times from the first.
    pub(super) fn finish(mut self, path: &Path, hash: blake3::Hash) -> Result<LoadedJobs, TraceError> {
        self.jobs.sort_by_key(|job| job.submit);
        let Some(first) = self.jobs.first().map(|job| job.submit) else {
            let found = format!("{} rows, none with GPUs and a time to run", self.rows);
            return Err(TraceError::file(path, found, "at least one job"));
        };
        let jobs: Arc<[TraceJob]> = self
            .jobs
            .iter()
            .map(|job| TraceJob {
                // Centuries after the first there is no horizon to reach them.
                submit: u64::try_from(job.submit - first).map_or(SimTime::NEVER, SimTime::from_nanos),
                gpus: job.gpus,
                run: job.run,
                end: job.end,
                class: job.class,
                owner: job.owner,
            })
            .collect();
        let kept = jobs.len() as u64;
        assert!(self.rows == kept + self.dropped.total(), "each row is kept or dropped for one reason");
        let (classes, owners) = (self.classes, self.owners.names);
        Ok(LoadedJobs { jobs, classes, owners, rows_read: self.rows, dropped: self.dropped, hash })
    }
}

/// Names by number, in the order in which they were met.
#[derive(Default)]
pub(super) struct Names {
    names: Vec<String>,
    known: std::collections::BTreeMap<String, u32>,
}

impl Names {
    /// The number of `name`.
    pub(super) fn number(&mut self, name: &str) -> u32 {
        if let Some(&number) = self.known.get(name) {
            return number;
        }
        let number = self.names.len() as u32;
        self.names.push(name.to_owned());
        self.known.insert(name.to_owned(), number);
        number
    }

    pub(super) fn into_vec(self) -> Vec<String> {
        self.names
    }
}

/// One row and what its errors must name.
pub(super) struct JobRow<'a> {
    pub(super) path: &'a Path,
    pub(super) line: u64,
    pub(super) record: &'a csv::StringRecord,
    /// Name and place of each column that is read.
    pub(super) columns: &'a [(&'static str, usize)],
}

impl JobRow<'_> {
    pub(super) fn cell(&self, column: usize) -> Result<&str, TraceError> {
        let found = format!("a row of {} cells", self.record.len());
        self.record.get(self.columns[column].1).ok_or_else(|| self.wrong(column, found, "a value"))
    }

    /// The cell as `read` understands it.
    pub(super) fn parse<T>(
        &self,
        column: usize,
        expected: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, TraceError> {
        let text = self.cell(column)?;
        read(text).ok_or_else(|| self.wrong(column, format!("{text:?}"), expected))
    }

    fn wrong(&self, column: usize, found: String, expected: &str) -> TraceError {
        TraceError::line(self.path, self.line, found, expected).in_column(self.columns[column].0)
    }
}

/// Where the columns `names` stand in `header`; others may stand between them.
pub(super) fn find_columns<const N: usize>(
    path: &Path,
    header: &csv::StringRecord,
    names: [&'static str; N],
) -> Result<[(&'static str, usize); N], TraceError> {
    if header.is_empty() {
        return Err(TraceError::file(path, "an empty file", format!("a header {}", names.join(","))));
    }
    let mut places = names.map(|name| (name, 0));
    for (name, place) in &mut places {
        *place = header.iter().position(|found| found == *name).ok_or_else(|| {
            TraceError::line(path, 1, format!("the header {}", super::error::names(header)), format!("a column {name}"))
        })?;
    }
    Ok(places)
}
