//! What happened and what it adds up to. Every process carries a [`Book`]; at the end the books are closed against the
//! meter, and each published figure is computed here, once.

mod accounts;
mod book;
mod buckets;
mod comparison;
mod facts;
mod figures;
mod latencies;
mod settle;
mod spread;
mod timeline;

pub use crate::facility::{Losses, Stage};
pub use accounts::{Accounts, Boundary, ClusterBooks, Holding, Line, Part, SiteSum, Sum, Sums, close};
pub use book::{Book, Count, Draw, Event, EventKind, Grid, Outage, Spent, Use};
pub use buckets::Bucket;
pub use comparison::{Axis, Comparison, Crossing, Row};
pub use facts::{CapFacts, Facts, JobFacts, ServiceFacts, SitePlan, Tenant};
pub use figures::Figure;
pub use latencies::{Histogram, Latencies};
pub use settle::{Charge, Entry};
pub use spread::{Goal, HalfWidth, Paired, Replications, Sample, Spread, student_95};
pub use timeline::Step;
