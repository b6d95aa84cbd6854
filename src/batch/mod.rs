//! A workload: many jobs, each too small for a process and a book of its own. Control queues them as gangs on their cluster's
//! nodes; here is where they come from ([`Source`]), what each is doing and what all of them spent ([`Jobs`]).

mod jobs;
mod kalos;
mod plan;
mod section;

pub use jobs::{Cut, Jobs};
pub use kalos::{Generator, Kalos};
pub use plan::{Source, WorkloadPlan};
pub use section::{JobTraceSection, JobsSection, Listing, WorkloadSection};
