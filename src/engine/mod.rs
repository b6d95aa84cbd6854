//! Time, order, logical processes, windows and random streams. Knows no GPU, watt or dollar.
//!
//! Control decides at instants; logical processes advance in between, in parallel. Start reading at [`run`].

mod run;
mod stream;
pub mod variate;

pub use run::{Control, Process, RunStats, run};
pub use stream::{Entity, Seed, Stream};
pub use variate::{QuantileTable, gamma_quantile, lognormal, normal_quantile, weibull};
