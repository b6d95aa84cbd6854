//! A service: arrivals, router, replicas, autoscaler; the laptop is the smallest of them.

mod account;
mod arrivals;
mod cell;
mod chat;
mod hazard;
mod lengths;
mod plan;
mod renewal;
mod replica;
mod router;
mod section;
mod step;

pub use arrivals::{CELL_REPLICAS, Source, cells};
pub use cell::Cell;
pub use chat::{RateCurve, weekly};
pub use plan::{ArrivalPlan, DevicePlan, ServicePlan, Telemetry};
pub use section::*;
pub use step::{BatchLimits, Deployment, MeanLengths, StepLoad, StepModel};
