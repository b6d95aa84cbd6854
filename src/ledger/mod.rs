//! What happened and what it adds up to. Every process carries a [`Book`]; at the end the books are closed against the
//! meter, and each published figure is computed here, once.

mod book;
mod facts;
mod latencies;

pub use book::{Book, Count, Draw, Event, EventKind, Grid, Spent, Use};
pub use facts::{Facts, JobFacts, ServiceFacts, SitePlan, Tenant};
pub use latencies::{Histogram, Latencies};
