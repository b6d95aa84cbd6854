//! When a component breaks.

mod law;

pub use law::{FailureLaw, FailureSection, InitialAge};
