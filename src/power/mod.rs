//! Load to watts, cap to speed.

mod node;
mod roofline;
mod serving;

pub use node::{NodePower, PerGpu, State};
pub use roofline::Roofline;
pub use serving::ServingPower;
