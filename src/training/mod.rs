//! A training job: progress, checkpoints, failures, recovery, spares.

mod plan;
mod section;

pub use plan::JobPlan;
pub use section::{
    Checkpoint, Every, FailureClock, Planned, Progress, Recovery, Spares, StepTime, Survives, TrainingSection,
};
