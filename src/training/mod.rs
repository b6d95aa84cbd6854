//! A training job: progress, checkpoints, failures, recovery, spares. Start reading at [`Job`].

mod copies;
mod job;
mod pace;
mod plan;
mod roster;
mod schedule;
mod section;
mod shift;
mod step;
mod warp;

pub use job::{Job, Transfer};
pub use plan::{HeldTraining, JobPlan, Store};
pub use roster::GivenBack;
pub use schedule::{CheckpointError, Schedule, daly};
pub use section::{
    Checkpoint, Every, FailureClock, Phase, PhaseSection, Planned, Progress, Recovery, Retire, Short, Spares, StepTime,
    StoreSection, Suspects, Swing, TrainingSection,
};
pub use shift::{Shift, ShiftPlan, ShiftSection};
pub use step::{MeasuredStep, ScaleLoss, StepModel};
