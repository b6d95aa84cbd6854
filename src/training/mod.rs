//! A training job: progress, checkpoints, failures, recovery, spares. Start reading at [`Job`].

mod copies;
mod job;
mod plan;
mod roster;
mod schedule;
mod section;
mod step;

pub use job::Job;
pub use plan::JobPlan;
pub use schedule::{CheckpointError, Schedule, daly};
pub use section::{
    Checkpoint, Every, FailureClock, Phase, PhaseSection, Planned, Progress, Recovery, Spares, StepTime,
    TrainingSection,
};
pub use step::{MeasuredStep, ScaleLoss, StepModel};
