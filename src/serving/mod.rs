//! A service: arrivals, router, replicas, autoscaler; the laptop is the smallest of them.

mod arrivals;
mod chat;
mod lengths;
mod plan;
mod renewal;
mod section;

pub use arrivals::{CELL_REPLICAS, Source, cells};
pub use chat::{RateCurve, weekly};
pub use plan::{ArrivalPlan, DevicePlan, ServicePlan, StepModel, Telemetry};
pub use section::*;
