//! Load to watts, cap to speed.

mod cap;
mod control;
mod demand;
mod node;
mod roofline;
mod section;
mod serving;

pub use cap::{Hand, Slowdown};
pub use control::{CappingSection, Controller, Ladder, Lever, Polca, Priority, Seen, Track};
pub use demand::{DemandResponse, Signal, Window};
pub use node::{NodePower, PerGpu, State};
pub use roofline::Roofline;
pub use section::{Logistic, Piecewise, Point, PowerSection, Range, RooflineTerms, StepTime, between};
pub use serving::ServingPower;
