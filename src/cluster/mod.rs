//! Where rules meet: the control plane that joins scheduler, jobs, services and devices on the clusters' nodes.
//!
//! [`build`] makes the processes and the control that meets them at window edges; [`Control::close`] collects their books.

mod batch;
mod capping;
mod control;
mod floor;
mod lp;
mod service;
mod storage;
mod upkeep;

pub use capping::{CappingPlan, Load};
pub use control::{Control, Parts, build};
pub use lp::Lp;
