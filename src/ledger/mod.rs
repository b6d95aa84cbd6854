//! What happened and what it adds up to. Every process carries a [`Book`]; at the end the books are closed against the
//! meter, and each published figure is computed here, once.

mod accounts;
mod book;
mod buckets;
mod classes;
mod column;
mod comparison;
mod equivalents;
mod facts;
mod figures;
mod job_time;
mod latencies;
mod prices;
mod requests;
mod sensitivity;
mod settle;
mod shifted;
mod spread;
mod timeline;
mod workload;

pub use crate::facility::{Losses, Stage};
pub use accounts::{Accounts, Boundary, ClusterBooks, Holding, Line, Part, SiteSum, Sum, Sums, close};
pub use book::{Book, Count, Draw, Event, EventKind, Grid, Outage, Spent, Use};
pub use buckets::Bucket;
pub use classes::ClassBook;
pub use comparison::{Axis, Comparison, Crossing, Row};
pub use equivalents::{Equivalents, Side};
pub use facts::{
    Attempts, CapFacts, Facts, JobFacts, Miss, PoolFacts, PrefixFacts, SampleErrors, SampleFacts, ServiceFacts,
    SitePlan, SizedFacts, StorageFacts, StragglerFacts, Tenant,
};
pub use figures::Figure;
pub use job_time::JobTime;
pub use latencies::{Histogram, Latencies};
pub use prices::TokenPrices;
pub use requests::{End, Request, RequestLog};
pub use sensitivity::{Factor, Shift, rerun};
pub use settle::{Charge, Entry};
pub use spread::{
    FigureName, Goal, HalfWidth, Paired, Replications, Sample, Spread, Values, Welch, quantile, student_95,
};
pub use timeline::{Step, Timeline};
pub use workload::{JobRecord, JobStatus, WorkloadFacts};
