//! A service: arrivals, router, replicas, autoscaler; the laptop is the smallest of them.

mod plan;
mod section;

pub use plan::{ArrivalPlan, DevicePlan, ServicePlan, StepModel, Telemetry};
pub use section::*;
