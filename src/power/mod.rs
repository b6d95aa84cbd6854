//! Load to watts, cap to speed.

mod node;
mod roofline;
mod section;
mod serving;

pub use node::{NodePower, PerGpu, State};
pub use roofline::Roofline;
pub use section::{Logistic, Piecewise, Point, PowerSection, Range, RooflineTerms, StepTime, between};
pub use serving::ServingPower;
