//! When a component breaks and how long until it is back. Start reading at [`FaultQueue`].

mod burst;
mod draws;
mod gamma;
mod law;
mod lemons;
mod lifetime;
mod lives;
mod maintenance;
mod modulation;
mod plan;
mod queue;
mod repair;
mod replay;
mod straggler;
mod symptom;

pub use burst::{Blast, Burst, BurstsSection, ByDomain, Fault};
pub use law::{AgeFile, AgeSection, Bursty, FailureLaw, FailureSection, InitialAge, LawSection, Mixture, TwoClass};
pub use maintenance::{Maintenance, Work};
pub use modulation::{Episodes, Modulation, Period};
pub use plan::FaultPlan;
pub use queue::FaultQueue;
pub use repair::{RepairPolicy, RepairSection, RepairShop, Returned};
pub use replay::{FaultFile, FaultPath, Replay};
pub use straggler::{EvictSlow, Lasts, Spell, Spells, Straggler, StragglersSection};
pub use symptom::{Symptom, Symptoms};
