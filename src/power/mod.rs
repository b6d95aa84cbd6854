//! Load to watts, cap to speed.

mod node;
mod serving;

pub use node::{NodePower, PerGpu, State};
pub use serving::ServingPower;
