//! People's files, checked: rows read, rows kept, drops counted by reason, content hash. Reading streams and validates in
//! one pass; what is wrong names file, line, column, what was found and what would do.

mod align;
mod bench;
mod bench_run;
mod error;
mod faults;
mod jobs;
mod jobs_acme;
mod jobs_philly;
mod lines;
mod requests;
mod reuse;
mod series;
mod servegen;
mod store;

pub use align::Uncovered;
pub use bench::{BENCH_LAYOUTS, Bench, BenchRequest, BenchRig, BenchRow, Benchmark, Measured};
pub use error::TraceError;
pub use faults::{FaultRow, FaultTrace, NodeAges, node_ages};
pub use jobs::{DroppedJobs, JobEnd, LoadedJobs, TraceJob};
pub use jobs_acme::acme;
pub use jobs_philly::philly;
pub use requests::{ColumnMap, Dropped, FORMATS, Layout, RequestFormat, RequestReader, Row};
pub use reuse::PrefixCache;
pub use series::HourlySeries;
pub use servegen::{LengthWindow, MeasuredClient, RateWindow, ServeGen, Shares};
pub use store::{Cursor, RequestTrace, TraceBuilder};

use crate::units::SimTime;

/// One request of a trace or of a generator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// When it arrives.
    pub at: SimTime,
    /// Prompt tokens.
    pub prompt: u32,
    /// Output tokens, at least one.
    pub output: u32,
}
