//! When a component breaks and how long until it is back. Start reading at [`FaultQueue`].

mod burst;
mod draws;
mod gamma;
mod law;
mod lemons;
mod lifetime;
mod lives;
mod plan;
mod queue;
mod repair;

pub use burst::{Blast, Burst, BurstsSection, Fault};
pub use law::{FailureLaw, FailureSection, InitialAge, Mixture};
pub use plan::FaultPlan;
pub use queue::FaultQueue;
pub use repair::RepairShop;
