//! When a component breaks and how long until it is back. Start reading at [`FaultQueue`].

mod draws;
mod gamma;
mod law;
mod lemons;
mod lifetime;
mod queue;
mod repair;

pub use law::{FailureLaw, FailureSection, InitialAge, Mixture};
pub use queue::FaultQueue;
pub use repair::RepairShop;
